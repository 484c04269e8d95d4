/* What the LMDB engine does when the journal, a run, or the head of a conversation with something in the journal is
 * damaged. */
#include "store/lmdb/journal.h"
#include "store/lmdb/layout.h"
#include "store/lmdb/run.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ENTRIES = 5, PER_ENTRY = 3, POLL_US = 1000, NUMBER_BYTES = 8, KEY_BYTES = 4 * NUMBER_BYTES };

static const struct store_message hello = {.role = {(const uint8_t *)"user", 4},
                                           .content = {(const uint8_t *)"hello", 5}};

/* Alice's first conversation is "thread", the second "other"; bob's is "thread". */
static struct place place_of(uint64_t user_number, uint64_t conversation_number)
{
    return (struct place){.layout = &layout_3, .user_number = user_number, .conversation_number = conversation_number};
}

static void fold_late(struct client *client, bool late)
{
    client_close(client);
    client_config(client)->fold_late = late;
    client_open(client);
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (!late && client_run(client, op_stats())->result.stats.journal_entries > 0) {
        assert_true(clock_monotonic_us() < end);
        usleep(POLL_US);
    }
}

static int late_setup(void **state)
{
    unsetenv("CHATLOG_TEST_LAYOUT");
    client_setup(state);
    fold_late(*state, true);
    return 0;
}

#define late_test(name) cmocka_unit_test_setup_teardown(name, late_setup, client_teardown)

/* Entry n of the journal is the n-th of these. */
static void story_make(struct client *client)
{
    static struct store_message named[PER_ENTRY];
    for (size_t i = 0; i < PER_ENTRY; i++) {
        named[i] = hello;
    }
    assert_ok(client_run(client, op_create("alice", "thread")));
    assert_ok(client_run(client, op_create("alice", "other")));
    assert_ok(client_run(client, op_create("bob", "thread")));
    for (unsigned i = 0; i < ENTRIES; i++) {
        char id[16];
        snprintf(id, sizeof(id), "id-%u", i);
        named[0].message_id = span_of_string(id);
        clock_advance(1000);
        assert_ok(client_run(client, op_with_request(op_append("alice", "thread", named, PER_ENTRY), id, i)));
    }
    assert_ok(client_run(client, op_append("alice", "other", &hello, 1)));
    assert_ok(client_run(client, op_append("bob", "thread", &hello, 1)));
}

static struct key entry_key(uint64_t id)
{
    struct key key = {0};
    key_add_number(&key, id);
    key_add_number(&key, 1);
    key_add_number(&key, 1);
    key_add_number(&key, id * PER_ENTRY);
    return key;
}

static void value_flip(struct client *client, const char *table, struct key key, size_t at)
{
    uint8_t value[4096];
    const char *directory = client_config(client)->data_dir;
    client_close(client);
    size_t size = lmdb_file_get(directory, table, key_span(&key), value, sizeof(value));
    value[at % size] ^= 1;
    lmdb_file_put(directory, table, key_span(&key), span_of(value, size));
    client_open(client);
}

/* As if this byte of the entry's key had been changed in the file: under its place in the order. */
static void key_flip(struct client *client, uint64_t id, size_t at, uint8_t bits)
{
    uint8_t value[4096];
    const char *directory = client_config(client)->data_dir;
    struct key key = entry_key(id);
    client_close(client);
    size_t size = lmdb_file_get(directory, "3.journal", key_span(&key), value, sizeof(value));
    lmdb_file_put(directory, "3.journal", key_span(&key), span_of(NULL, 0));
    key.bytes[at] ^= bits;
    lmdb_file_put(directory, "3.journal", key_span(&key), span_of(value, size));
    client_open(client);
}

static void assert_others_untouched(struct client *client)
{
    assert_seqs(client_run(client, op_page("alice", "other", STORE_LATEST, 0, 9)), 1);
    assert_seqs(client_run(client, op_page("bob", "thread", STORE_LATEST, 0, 9)), 1);
    assert_int_equal(client_run(client, op_list("alice", 9, span_of(NULL, 0)))->count, 2);
    assert_int_equal(client_run(client, op_list("bob", 9, span_of(NULL, 0)))->count, 1);
}

/* Messages 3n - 2 .. 3n of the thread are damaged; all else is as it was. */
static void assert_entry_damaged(struct client *client, uint64_t id)
{
    uint64_t first = (id - 1) * PER_ENTRY + 1;
    uint64_t last = id * PER_ENTRY;
    const struct answer *head = client_run(client, op_get("alice", "thread"));
    assert_ok(head);
    assert_int_equal(head->conversations[0]->last_seq, ENTRIES * PER_ENTRY);
    for (uint64_t seq = 1; seq <= ENTRIES * PER_ENTRY; seq++) {
        const struct answer *answer = client_run(client, op_message("alice", "thread", seq));
        assert_int_equal(answer->reason, seq >= first && seq <= last ? ERROR_RECORD_DAMAGED : ERROR_NONE_REASON);
    }
    if (first > 1) {
        const struct answer *before = client_run(client, op_page("alice", "thread", STORE_BEFORE, first, 100));
        assert_ok(before);
        assert_int_equal(before->count, first - 1);
    }
    const struct answer *after = client_run(client, op_page("alice", "thread", STORE_AFTER, last, 100));
    assert_ok(after);
    assert_int_equal(after->count, ENTRIES * PER_ENTRY - last);
    assert_refused(client_run(client, op_page("alice", "thread", STORE_AFTER, 0, 100)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_page("alice", "thread", STORE_BEFORE, last + 1, 100)), RECORD_DAMAGED);
    assert_others_untouched(client);
}

/* Reads, folds and appends after the damage. */
static void assert_entry_stays_damaged(struct client *client, uint64_t id)
{
    assert_entry_damaged(client, id);
    fold_late(client, false);
    assert_entry_damaged(client, id);
    const struct answer *appended = client_run(client, op_append("alice", "thread", &hello, 1));
    assert_ok(appended);
    assert_int_equal(appended->result.first_seq, ENTRIES * PER_ENTRY + 1);
    assert_others_untouched(client);
    assert_ok(client_run(client, op_forget("alice")));
    client_wait_until_stored(client, 1, 1, 1);
}

static void a_damaged_entry_is_that_of_its_messages_alone_before_and_after_folding(void **state)
{
    for (uint64_t id = 1; id <= ENTRIES; id++) {
        struct client *client = *state;
        story_make(client);
        value_flip(client, "3.journal", entry_key(id), id * 13);
        assert_entry_stays_damaged(client, id);
        client_teardown(state);
        late_setup(state);
    }
}

static void a_damaged_key_of_an_entry_loses_no_other(void **state)
{
    for (size_t at = 0; at < KEY_BYTES; at++) {
        struct client *client = *state;
        story_make(client);
        key_flip(client, 3, at, 0x40);
        for (int folded = 0; folded < 2; folded++) {
            assert_others_untouched(client);
            for (uint64_t seq = 1; seq <= ENTRIES * PER_ENTRY; seq++) {
                const struct answer *answer = client_run(client, op_message("alice", "thread", seq));
                bool lost = seq > 2 * PER_ENTRY && seq <= 3 * PER_ENTRY;
                assert_true(lost ? answer->reason != ERROR_NONE_REASON : answer->reason == ERROR_NONE_REASON);
                if (at >= 3 * NUMBER_BYTES && lost) {
                    assert_refused(answer, RECORD_DAMAGED);
                }
            }
            const struct answer *head = client_run(client, op_get("alice", "thread"));
            assert_in_range(head->conversations[0]->last_seq, ENTRIES * PER_ENTRY, ENTRIES * PER_ENTRY + 1);
            fold_late(client, false);
        }
        assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
        client_teardown(state);
        late_setup(state);
    }
}

static void a_damaged_key_of_the_newest_entry_lets_numbers_go_on(void **state)
{
    for (size_t at = 0; at < KEY_BYTES; at++) {
        struct client *client = *state;
        story_make(client);
        key_flip(client, ENTRIES, at, 0x40);
        for (int folded = 0; folded < 2; folded++) {
            assert_others_untouched(client);
            for (uint64_t seq = 1; seq <= (ENTRIES - 1) * PER_ENTRY; seq++) {
                assert_ok(client_run(client, op_message("alice", "thread", seq)));
            }
            const struct answer *appended = client_run(client, op_append("alice", "thread", &hello, 1));
            assert_ok(appended);
            assert_true(appended->result.first_seq > (ENTRIES - 1) * PER_ENTRY);
            assert_true(appended->result.first_seq < 2000);
            assert_ok(client_run(client, op_message("alice", "thread", appended->result.first_seq)));
            fold_late(client, false);
        }
        client_teardown(state);
        late_setup(state);
    }
}

static void the_newest_entry_damaged_leaves_lists_and_counts_consistent(void **state)
{
    struct client *client = *state;
    story_make(client);
    value_flip(client, "3.journal", entry_key(ENTRIES), 5);
    const struct answer *waiting = client_run(client, op_get("alice", "thread"));
    assert_int_equal(waiting->conversations[0]->message_count, (ENTRIES - 1) * PER_ENTRY);
    struct store_op retry =
        op_with_request(op_append("alice", "thread", &hello, 1), "id-0", 0); /* of the first entry, which is sound */
    assert_true(client_run(client, retry)->result.replayed);
    static const struct store_conversation titled = {.title = {(const uint8_t *)"title", 5}};
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_TITLE, &titled)));
    assert_int_equal(client_run(client, op_list("alice", 9, span_of(NULL, 0)))->count, 2);
    const struct answer *home = client_run(client, op_get("alice", "thread"));
    assert_int_equal(home->conversations[0]->message_count, (ENTRIES - 1) * PER_ENTRY);
    assert_int_equal(home->conversations[0]->last_seq, ENTRIES * PER_ENTRY);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_int_equal(client_run(client, op_list("alice", 9, span_of(NULL, 0)))->count, 1);
}

static void a_damaged_head_keeps_what_waits_for_it_and_stops_nothing(void **state)
{
    for (int removal = 0; removal < 2; removal++) {
        struct client *client = *state;
        struct place thread = place_of(1, 1);
        story_make(client);
        if (removal == 1) {
            assert_ok(client_run(client, op_delete("alice", "thread")));
            assert_ok(client_run(client, op_undelete("alice", "thread")));
        }
        value_flip(client, "2.data", layout_3.head_key(&thread), 3);
        assert_refused(client_run(client, op_get("alice", "thread")), RECORD_DAMAGED);
        assert_refused(client_run(client, op_append("alice", "thread", &hello, 1)), RECORD_DAMAGED);
        assert_refused(client_run(client, op_list("alice", 9, span_of(NULL, 0))), RECORD_DAMAGED);
        assert_int_equal(client_run(client, op_list("alice", 1, span_of(NULL, 0)))->count, 1); /* the other one */
        assert_seqs(client_run(client, op_page("alice", "other", STORE_LATEST, 0, 9)), 1);
        fold_late(client, removal == 0);
        assert_refused(client_run(client, op_get("alice", "thread")), RECORD_DAMAGED);
        assert_seqs(client_run(client, op_page("bob", "thread", STORE_LATEST, 0, 9)), 1);
        const struct answer *receipt = client_run(client, op_forget("alice"));
        assert_ok(receipt);
        assert_int_equal(receipt->result.receipt.conversations, 2);
        assert_int_equal(receipt->result.receipt.messages, ENTRIES * PER_ENTRY + 1);
        client_wait_until_stored(client, 1, 1, 1);
        client_teardown(state);
        late_setup(state);
    }
}

static void a_damaged_head_whose_time_is_over_takes_what_waits_with_it(void **state)
{
    struct client *client = *state;
    struct place thread = place_of(1, 1);
    static const struct store_conversation short_lived = {.expire_time_us = CLIENT_EPOCH_US + CLIENT_RETENTION_US};
    story_make(client);
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &short_lived)));
    assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
    value_flip(client, "2.data", layout_3.head_key(&thread), 3);
    clock_set(CLIENT_EPOCH_US + CLIENT_RETENTION_US);
    client_wait_until_stored(client, 2, 2, 2);
    fold_late(client, false);
    client_wait_until_stored(client, 2, 2, 2);
    assert_ok(client_run(client, op_forget("alice")));
    assert_ok(client_run(client, op_forget("bob")));
    client_close(client);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "2.data"), 0);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "3.journal"), 0);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "quarantine"), 0);
}

static void a_damaged_run_is_that_of_its_messages_alone(void **state)
{
    struct client *client = *state;
    struct place thread = place_of(1, 1);
    story_make(client);
    uint64_t last = ENTRIES * PER_ENTRY;
    uint8_t *bytes = calloc(1, RUN_RAW_MAX + 1);
    assert_non_null(bytes);
    const struct store_message large = {.content = span_of(bytes, RUN_RAW_MAX + 1)}; /* is in no run, and ends one */
    assert_ok(client_run(client, op_append("alice", "thread", &large, 1)));
    free(bytes);
    client_fill(client, "alice", "thread", 1000);
    fold_late(client, false);
    value_flip(client, "2.data", layout_3.message_key(&thread, last), 20);
    assert_refused(client_run(client, op_message("alice", "thread", 2)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_message("alice", "thread", last)), RECORD_DAMAGED);
    assert_ok(client_run(client, op_message("alice", "thread", last + 1)));
    assert_int_equal(client_run(client, op_page("alice", "thread", STORE_AFTER, last, 1000))->count, 1000);
    assert_int_equal(client_run(client, op_page("alice", "thread", STORE_AFTER, last + 1, 1000))->count, 1000);
    assert_refused(client_run(client, op_page("alice", "thread", STORE_BEFORE, last + 1, 1)), RECORD_DAMAGED);
    assert_int_equal(client_run(client, op_page("alice", "thread", STORE_BEFORE, 1, 1))->count, 0);
    assert_refused(client_run(client, op_edit("alice", "thread", 2, STORE_MASK_CONTENT, &hello)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_delete_message("alice", "thread", 2)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_replace("alice", "thread", 5, &hello, 1)), RECORD_DAMAGED);
    assert_others_untouched(client);
    assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
    assert_ok(client_run(client, op_forget("alice")));
    client_wait_until_stored(client, 1, 1, 1);
}

static void nothing_of_a_forgotten_user_is_left_in_the_journal(void **state)
{
    struct client *client = *state;
    story_make(client);
    assert_ok(client_run(client, op_forget("alice")));
    client_close(client);
    /* Bob's entry, and nothing else. */
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "3.journal"), 1);
    client_open(client);
    assert_seqs(client_run(client, op_page("bob", "thread", STORE_LATEST, 0, 9)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        late_test(a_damaged_entry_is_that_of_its_messages_alone_before_and_after_folding),
        late_test(a_damaged_key_of_an_entry_loses_no_other),
        late_test(a_damaged_key_of_the_newest_entry_lets_numbers_go_on),
        late_test(the_newest_entry_damaged_leaves_lists_and_counts_consistent),
        late_test(a_damaged_head_keeps_what_waits_for_it_and_stops_nothing),
        late_test(a_damaged_head_whose_time_is_over_takes_what_waits_with_it),
        late_test(a_damaged_run_is_that_of_its_messages_alone),
        late_test(nothing_of_a_forgotten_user_is_left_in_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
