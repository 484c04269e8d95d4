/* store_verify finds each kind of damage in data of layout 3: in runs, in the journal, in names and indexes, and in
 * what is sound by itself and does not fit the rest. */
#include "store/lmdb/journal.h"
#include "store/lmdb/layout.h"
#include "store/lmdb/run.h"
#include "store/maintenance.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { HOME = 6, WAITING = 3, POLL_US = 1000, VALUE_BYTES = 4096, NUMBER_BYTES = 8 };

static struct place thread(void)
{
    return (struct place){.layout = &layout_3,
                          .user = span_of_string("alice"),
                          .conversation = span_of_string("thread"),
                          .user_number = 1,
                          .conversation_number = 1};
}

/* Alice's thread: messages 1 to 6 in a run, 7 to 9 in entries of the journal. */
static int story_setup(void **state)
{
    unsetenv("CHATLOG_TEST_LAYOUT");
    unsetenv("CHATLOG_TEST_FOLD_LATE");
    client_setup(state);
    struct client *client = *state;
    struct store_message message = {.role = span_of_string("user"), .content = span_of_string("hello")};
    static const struct store_conversation ends = {.expire_time_us = CLIENT_EPOCH_US * 2};
    char id[16];
    assert_ok(client_run(client, op_create("alice", "thread")));
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &ends)));
    for (unsigned i = 1; i <= HOME + WAITING; i++) {
        if (i == HOME + 1) {
            while (client_run(client, op_stats())->result.stats.journal_entries > 0) {
                usleep(POLL_US);
            }
            client_close(client);
            client_config(client)->fold_late = true;
            client_open(client);
        }
        snprintf(id, sizeof(id), "id-%u", i);
        message.message_id = span_of_string(id);
        clock_advance(1000);
        assert_ok(client_run(client, op_with_request(op_append("alice", "thread", &message, 1), id, i)));
    }
    client_close(client);
    return 0;
}

#define story_test(name) cmocka_unit_test_setup_teardown(name, story_setup, client_teardown)

static const char *directory_of(void **state)
{
    return client_config(*state)->data_dir;
}

static struct store_survey survey_take(void **state)
{
    struct store_survey survey;
    struct error error;
    assert_int_equal(store_verify(client_config(*state), &survey, &error), 0);
    return survey;
}

static void assert_unreadable(void **state)
{
    struct store_survey survey = survey_take(state);
    assert_true(survey.unreadable > 0 && survey.finding_count > 0);
}

static void assert_mismatch(void **state, const char *words)
{
    struct store_survey survey = survey_take(state);
    assert_true(survey.mismatches > 0);
    bool told = false;
    for (size_t i = 0; i < survey.finding_count; i++) {
        told = told || strstr(survey.findings[i], words);
    }
    assert_true(told);
}

static void flip(void **state, const char *table, struct key key, size_t at)
{
    uint8_t value[VALUE_BYTES];
    size_t size = lmdb_file_get(directory_of(state), table, key_span(&key), value, sizeof(value));
    value[at % size] ^= 1;
    lmdb_file_put(directory_of(state), table, key_span(&key), span_of(value, size));
}

static void entry_remove(void **state, const char *table, struct key key)
{
    lmdb_file_put(directory_of(state), table, key_span(&key), span_of(NULL, 0));
}

/* Takes the value at one key, without its seal. */
static struct buffer value_take(void **state, const char *table, struct key key)
{
    uint8_t bytes[VALUE_BYTES];
    struct buffer value = {0};
    size_t size = lmdb_file_get(directory_of(state), table, key_span(&key), bytes, sizeof(bytes));
    buffer_append(&value, bytes, size - LAYOUT_SEAL_BYTES);
    return value;
}

/* Puts a value under a key, with a seal that is right, and frees it. */
static void value_put(void **state, const char *table, struct key key, struct buffer value)
{
    seal_add(key_span(&key), &value);
    lmdb_file_put(directory_of(state), table, key_span(&key), buffer_span(&value));
    buffer_free(&value);
}

static struct key run_key(void)
{
    struct place place = thread();
    return layout_3.message_key(&place, HOME);
}

static struct key waiting_key(uint64_t id, uint64_t conversation_number, uint64_t last_seq)
{
    struct key key = {0};
    key_add_number(&key, id);
    key_add_number(&key, 1);
    key_add_number(&key, conversation_number);
    key_add_number(&key, last_seq);
    return key;
}

/* The number of the entry with message 7, whatever folding has used up before it. */
static uint64_t first_waiting(void **state)
{
    uint8_t value[VALUE_BYTES];
    for (uint64_t id = 1;; id++) {
        struct key key = waiting_key(id, 1, HOME + 1);
        if (lmdb_file_find(directory_of(state), "3.journal", key_span(&key), value, sizeof(value)) > 0) {
            return id;
        }
        assert_true(id < 1000);
    }
}

static void sound_data_is_found_sound(void **state)
{
    struct store_survey survey = survey_take(state);
    assert_int_equal(survey.finding_count, 0);
    assert_int_equal(survey.messages, HOME + WAITING);
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays + survey.damaged_events, 0);
}

static void a_flipped_bit_anywhere_in_a_run_is_found(void **state)
{
    for (size_t at = 0; at < 60; at++) {
        flip(state, "2.data", run_key(), at);
        assert_unreadable(state);
        flip(state, "2.data", run_key(), at);
    }
}

static void a_run_that_is_gone_is_missed(void **state)
{
    entry_remove(state, "2.data", run_key());
    assert_mismatch(state, "its head counts other messages");
}

static void a_run_under_another_seq_is_found(void **state)
{
    struct place place = thread();
    struct buffer value = value_take(state, "2.data", run_key());
    entry_remove(state, "2.data", run_key());
    value_put(state, "2.data", layout_3.message_key(&place, HOME - 1), value);
    assert_unreadable(state);
}

static void a_run_that_is_there_twice_is_found(void **state)
{
    struct place place = thread();
    struct buffer value = {0};
    struct buffer raw = {0};
    struct buffer record = {0};
    record_put_message(&record, &(struct message_record){.seq = 3, .revision = 1, .create_time_us = 1});
    const struct run_message message = {3, buffer_span(&record)};
    assert_int_equal(run_pack(&message, 1, &raw, &value), 1);
    value_put(state, "2.data", layout_3.message_key(&place, 3), value);
    buffer_free(&raw);
    buffer_free(&record);
    assert_mismatch(state, "its messages are not in order");
}

static void a_flipped_bit_in_an_entry_of_the_journal_is_found(void **state)
{
    struct key key = waiting_key(first_waiting(state), 1, HOME + 1);
    for (size_t at = 0; at < 60; at++) {
        flip(state, "3.journal", key, at);
        assert_unreadable(state);
        flip(state, "3.journal", key, at);
    }
}

static void an_entry_that_is_gone_is_missed_wherever_it_stood(void **state)
{
    uint64_t first = first_waiting(state);
    for (unsigned i = 0; i < WAITING; i++) {
        struct key key = waiting_key(first + i, 1, HOME + 1 + i);
        struct buffer value = value_take(state, "3.journal", key);
        entry_remove(state, "3.journal", key);
        assert_mismatch(state, i + 1 < WAITING ? "the journal counts other messages" : "the store counts");
        value_put(state, "3.journal", key, value);
        assert_int_equal(survey_take(state).finding_count, 0);
    }
}

static void an_entry_of_no_conversation_is_found(void **state)
{
    uint64_t first = first_waiting(state);
    struct buffer value = value_take(state, "3.journal", waiting_key(first, 1, HOME + 1));
    value_put(state, "3.journal", waiting_key(first + WAITING, 77, HOME + 1), value);
    struct store_survey survey = survey_take(state);
    assert_true(survey.strays > 0 && survey.finding_count > 0);
}

static void two_entries_of_one_number_are_found(void **state)
{
    uint64_t first = first_waiting(state);
    struct buffer value = value_take(state, "3.journal", waiting_key(first, 1, HOME + 1));
    value_put(state, "3.journal", waiting_key(first, 77, HOME), value);
    assert_mismatch(state, "the journal has two entries");
}

static void an_entry_of_what_is_home_is_found(void **state)
{
    uint64_t first = first_waiting(state);
    struct buffer value = value_take(state, "3.journal", waiting_key(first, 1, HOME + 1));
    value_put(state, "3.journal", waiting_key(first + WAITING, 1, HOME), value);
    assert_mismatch(state, "the journal still has what is at home");
}

static void damaged_names_and_indexes_are_found(void **state)
{
    static const uint8_t name[] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 't', 'h', 'r', 'e', 'a', 'd'};
    struct place place = thread();
    struct key name_key = {0};
    struct key user_key = {0};
    key_add(&name_key, span_of(name, sizeof(name)));
    key_add(&user_key, span_of_string("alice"));
    const struct {
        const char *table;
        struct key key;
    } rows[] = {{"2.data", name_key},
                {"2.users", user_key},
                {"2.data", layout_3.head_key(&place)},
                {"2.data", layout_3.message_id_key(&place, span_of_string("id-2"))},
                {"2.data", layout_3.request_key(&place, span_of_string("id-2"))}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        flip(state, rows[i].table, rows[i].key, 2);
        assert_unreadable(state);
        flip(state, rows[i].table, rows[i].key, 2);
    }
    assert_int_equal(survey_take(state).finding_count, 0);
}

static void an_index_that_lacks_something_or_leads_elsewhere_is_found(void **state)
{
    struct place place = thread();
    struct key key = layout_3.message_id_key(&place, span_of_string("id-2"));
    struct buffer other = value_take(state, "2.data", layout_3.message_id_key(&place, span_of_string("id-3")));
    struct buffer value = value_take(state, "2.data", key);
    entry_remove(state, "2.data", key);
    assert_mismatch(state, "message_id");
    value_put(state, "2.data", key, other);
    assert_mismatch(state, "message_id");
    value_put(state, "2.data", key, value);
    struct key deadline = key_deadline(CLIENT_EPOCH_US * 2, place.user, place.conversation);
    entry_remove(state, "deadlines", deadline);
    assert_mismatch(state, "no deadline says");
}

static void a_message_id_that_no_message_has_is_found(void **state)
{
    struct place place = thread();
    struct buffer value = value_take(state, "2.data", layout_3.message_id_key(&place, span_of_string("id-3")));
    value_put(state, "2.data", layout_3.message_id_key(&place, span_of_string("id-x")), value);
    assert_mismatch(state, "message_id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(sound_data_is_found_sound),
        story_test(a_flipped_bit_anywhere_in_a_run_is_found),
        story_test(a_run_that_is_gone_is_missed),
        story_test(a_run_under_another_seq_is_found),
        story_test(a_run_that_is_there_twice_is_found),
        story_test(a_flipped_bit_in_an_entry_of_the_journal_is_found),
        story_test(an_entry_that_is_gone_is_missed_wherever_it_stood),
        story_test(an_entry_of_no_conversation_is_found),
        story_test(two_entries_of_one_number_are_found),
        story_test(an_entry_of_what_is_home_is_found),
        story_test(damaged_names_and_indexes_are_found),
        story_test(an_index_that_lacks_something_or_leads_elsewhere_is_found),
        story_test(a_message_id_that_no_message_has_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
