/* What the LMDB engine does with records that are damaged, in every layout. */
#include "store/lmdb/layout.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { POLL_US = 1000 };

static const struct store_message hello = {.role = {(const uint8_t *)"user", 4},
                                           .content = {(const uint8_t *)"hello", 5}};

static const struct layout *layout; /* of the test that runs */

static int setup(void **state, const struct layout *wanted)
{
    char number[16];
    layout = wanted;
    snprintf(number, sizeof(number), "%u", (unsigned)wanted->number);
    setenv("CHATLOG_TEST_LAYOUT", number, 1);
    return client_setup(state);
}

static int setup_layout_1(void **state)
{
    return setup(state, &layout_1);
}

static int setup_layout_2(void **state)
{
    return setup(state, &layout_2);
}

static int setup_layout_3(void **state)
{
    return setup(state, &layout_3);
}

/* Alice's first conversation is "thread", the second "other". */
static struct place place_of(uint64_t number)
{
    struct place place = {
        .layout = layout,
        .user = span_of_string("alice"),
        .conversation = span_of_string(number == 1 ? "thread" : "other"),
    };
    if (layout != &layout_1) {
        place.user_number = 1;
        place.conversation_number = number;
    }
    return place;
}

static const char *table_name(enum kind kind)
{
    static const char *const names[KIND_COUNT] = {[KIND_HEAD] = "conversations",
                                                  [KIND_MESSAGE] = "messages",
                                                  [KIND_MESSAGE_ID] = "message_ids",
                                                  [KIND_REQUEST] = "requests",
                                                  [KIND_RECENCY] = "recency"};
    return layout != &layout_1 ? "2.data" : names[kind];
}

/* With all that waited in the journal at home. */
static void folded_close(struct client *client)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (client_run(client, op_stats())->result.stats.journal_entries > 0) {
        assert_true(clock_monotonic_us() < end);
        usleep(POLL_US);
    }
    client_close(client);
}

/* Writes these words in place of a record. */
static void damage(struct client *client, enum kind kind, struct key key, const char *words)
{
    folded_close(client);
    lmdb_file_put(client_config(client)->data_dir, table_name(kind), key_span(&key), span_of_string(words));
    client_open(client);
}

static void message_damage(struct client *client, uint64_t seq)
{
    struct place thread = place_of(1);
    damage(client, KIND_MESSAGE, layout->message_key(&thread, seq), "\x08\x01\x20 damaged");
}

static void a_damaged_message_is_named_and_its_neighbours_stay_readable(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 9);
    message_damage(client, 5);
    const struct answer *damaged = client_run(client, op_message("alice", "thread", 5));
    assert_refused(damaged, RECORD_DAMAGED);
    assert_non_null(strstr(damaged->error.message, "alice/thread/0000000005"));
    assert_refused(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 9)), RECORD_DAMAGED);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 4)), 6, 7, 8, 9);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_BEFORE, 5, 9)), 1, 2, 3, 4);
    assert_ok(client_run(client, op_message("alice", "thread", 4)));
}

static void changes_that_meet_a_damaged_message_write_nothing(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 9);
    message_damage(client, 5);
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    assert_refused(client_run(client, op_pop("alice", "thread", 6)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_replace("alice", "thread", 2, &hello, 1)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_delete_message("alice", "thread", 5)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_edit("alice", "thread", 5, STORE_MASK_CONTENT, &hello)), RECORD_DAMAGED);
    const struct answer *after = client_run(client, op_get("alice", "thread"));
    assert_true(span_equal(before->records[0], after->records[0]));
    assert_seqs(client_run(client, op_pop("alice", "thread", 4)), 6, 7, 8, 9);
    assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
}

static void a_damaged_conversation_is_named_and_others_stay_usable(void **state)
{
    struct client *client = *state;
    struct place thread = place_of(1);
    client_fill(client, "alice", "thread", 2);
    client_fill(client, "alice", "other", 2);
    damage(client, KIND_HEAD, layout->head_key(&thread), "damaged");
    const struct answer *damaged = client_run(client, op_get("alice", "thread"));
    assert_refused(damaged, RECORD_DAMAGED);
    assert_non_null(strstr(damaged->error.message, "alice/thread"));
    assert_refused(client_run(client, op_append("alice", "thread", &hello, 1)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_purge("alice", "thread")), RECORD_DAMAGED);
    assert_ok(client_run(client, op_append("alice", "other", &hello, 1)));
}

static void damage_does_not_keep_a_user_from_being_forgotten(void **state)
{
    struct client *client = *state;
    struct place other = place_of(2);
    client_fill(client, "alice", "thread", 9);
    client_fill(client, "alice", "other", 2);
    client_fill(client, "bob", "thread", 1);
    message_damage(client, 5);
    damage(client, KIND_HEAD, layout->head_key(&other), "damaged");
    const struct answer *receipt = client_run(client, op_forget("alice"));
    assert_ok(receipt);
    assert_int_equal(receipt->result.receipt.conversations, 2);
    assert_int_equal(receipt->result.receipt.messages, 11);
    client_wait_until_stored(client, 1, 1, 1);
    assert_seqs(client_run(client, op_page("bob", "thread", STORE_LATEST, 0, 10)), 1);
}

static void a_damaged_conversation_whose_time_is_over_is_removed(void **state)
{
    struct client *client = *state;
    struct place thread = place_of(1);
    client_fill(client, "alice", "thread", 3);
    client_fill(client, "alice", "other", 1);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    damage(client, KIND_HEAD, layout->head_key(&thread), "damaged");
    clock_advance(CLIENT_RETENTION_US);
    client_wait_until_stored(client, 1, 1, 1);
    assert_refused(client_run(client, op_get("alice", "thread")), CONVERSATION_NOT_FOUND);
    assert_int_equal(client_run(client, op_list("alice", 10, span_of(NULL, 0)))->count, 1);
    assert_ok(client_run_patiently(client, op_creating(op_append("alice", "thread", &hello, 1))));
}

static void a_damaged_remembered_answer_is_named_not_given(void **state)
{
    struct client *client = *state;
    struct store_op append = op_with_request(op_creating(op_append("alice", "thread", &hello, 1)), "r-1", 1);
    struct place thread = place_of(1);
    assert_ok(client_run(client, append));
    damage(client, KIND_REQUEST, layout->request_key(&thread, span_of_string("r-1")), "short");
    assert_refused(client_run(client, append), RECORD_DAMAGED);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1);
}

/* Changes one bit of a record, which leaves it one that can be decoded. */
static void bit_flip(struct client *client, struct key key)
{
    uint8_t value[1024];
    const char *directory = client_config(client)->data_dir;
    folded_close(client);
    size_t size = lmdb_file_get(directory, "2.data", key_span(&key), value, sizeof(value));
    value[size - LAYOUT_SEAL_BYTES - 1] ^= 1;
    lmdb_file_put(directory, "2.data", key_span(&key), span_of(value, size));
    client_open(client);
}

static void a_flipped_bit_in_a_text_is_not_returned_as_a_text(void **state)
{
    struct client *client = *state;
    struct place thread = place_of(1);
    client_fill(client, "alice", "thread", 9);
    bit_flip(client, layout->message_key(&thread, 5));
    const struct answer *damaged = client_run(client, op_message("alice", "thread", 5));
    assert_refused(damaged, RECORD_DAMAGED);
    assert_non_null(strstr(damaged->error.message, "alice/thread/0000000005"));
    assert_refused(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 9)), RECORD_DAMAGED);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_AFTER, 5, 9)), 6, 7, 8, 9);
}

static void a_flipped_bit_in_a_message_id_is_named(void **state)
{
    struct client *client = *state;
    struct place thread = place_of(1);
    struct store_message named = hello;
    named.message_id = span_of_string("m-1");
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", &named, 1))));
    bit_flip(client, layout->message_id_key(&thread, named.message_id));
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "m-1")), RECORD_DAMAGED);
    assert_refused(client_run(client, op_append("alice", "thread", &named, 1)), RECORD_DAMAGED);
    assert_ok(client_run(client, op_message("alice", "thread", 1)));
}

static void a_damaged_name_is_no_missing_conversation(void **state)
{
    struct client *client = *state;
    static const uint8_t name[] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 't', 'h', 'r', 'e', 'a', 'd'};
    client_fill(client, "alice", "thread", 2);
    client_fill(client, "alice", "other", 2);
    folded_close(client);
    lmdb_file_put(client_config(client)->data_dir, "2.data", span_of(name, sizeof(name)),
                  span_of("\0\0\0\0\0\0\0\2good", 12));
    client_open(client);
    assert_refused(client_run(client, op_get("alice", "thread")), RECORD_DAMAGED);
    assert_refused(client_run(client, op_create("alice", "thread")), RECORD_DAMAGED);
    assert_seqs(client_run(client, op_page("alice", "other", STORE_LATEST, 0, 9)), 1, 2);
    const struct answer *receipt = client_run(client, op_forget("alice"));
    assert_ok(receipt);
    assert_int_equal(receipt->result.receipt.conversations, 2);
    assert_int_equal(receipt->result.receipt.messages, 4);
    client_wait_until_stored(client, 0, 0, 0);
    client_close(client);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "2.data"), 0);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "2.users"), 0);
}

static void a_damaged_user_is_not_forgotten_in_part(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    client_fill(client, "bob", "thread", 2);
    folded_close(client);
    lmdb_file_put(client_config(client)->data_dir, "2.users", span_of_string("alice"), span_of_string("damaged"));
    client_open(client);
    assert_refused(client_run(client, op_forget("alice")), RECORD_DAMAGED);
    assert_refused(client_run(client, op_get("alice", "thread")), RECORD_DAMAGED);
    assert_refused(client_run(client, op_create("alice", "new")), RECORD_DAMAGED);
    assert_refused(client_run(client, op_list("alice", 9, span_of(NULL, 0))), RECORD_DAMAGED);
    assert_int_equal(client_run(client, op_users(9, span_of(NULL, 0)))->count, 1);
    assert_ok(client_run(client, op_forget("bob")));
}

static void damaged_numbers_do_not_stop_the_store_nor_come_again(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    client_fill(client, "bob", "thread", 3);
    for (int round = 0; round < 2; round++) {
        client_close(client);
        lmdb_file_put(client_config(client)->data_dir, "_meta", span_of_string("numbers"), span_of_string("damaged"));
        clock_advance(CLOCK_SECOND_US);
        client_open(client);
        client_fill(client, "alice", round ? "second" : "first", 1);
        client_fill(client, round ? "dora" : "carl", "thread", 1);
    }
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 9)), 1, 2);
    assert_seqs(client_run(client, op_page("alice", "first", STORE_LATEST, 0, 9)), 1);
    assert_seqs(client_run(client, op_page("carl", "thread", STORE_LATEST, 0, 9)), 1);
    assert_seqs(client_run(client, op_page("bob", "thread", STORE_LATEST, 0, 9)), 1, 2, 3);
    client_wait_until_stored(client, 4, 6, 9);
}

#define in_layout_1(name)                                                                                              \
    {                                                                                                                  \
#name " (1)", name, setup_layout_1, client_teardown, NULL                                                      \
    }
#define in_layout_2(name)                                                                                              \
    {                                                                                                                  \
#name " (2)", name, setup_layout_2, client_teardown, NULL                                                      \
    }
#define in_layout_3(name)                                                                                              \
    {                                                                                                                  \
#name " (3)", name, setup_layout_3, client_teardown, NULL                                                      \
    }

/* Damaged runs and entries of the journal: test_journal_damage.c. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        in_layout_1(a_damaged_message_is_named_and_its_neighbours_stay_readable),
        in_layout_2(a_damaged_message_is_named_and_its_neighbours_stay_readable),
        in_layout_1(changes_that_meet_a_damaged_message_write_nothing),
        in_layout_2(changes_that_meet_a_damaged_message_write_nothing),
        in_layout_1(a_damaged_conversation_is_named_and_others_stay_usable),
        in_layout_2(a_damaged_conversation_is_named_and_others_stay_usable),
        in_layout_3(a_damaged_conversation_is_named_and_others_stay_usable),
        in_layout_1(damage_does_not_keep_a_user_from_being_forgotten),
        in_layout_2(damage_does_not_keep_a_user_from_being_forgotten),
        in_layout_1(a_damaged_conversation_whose_time_is_over_is_removed),
        in_layout_2(a_damaged_conversation_whose_time_is_over_is_removed),
        in_layout_3(a_damaged_conversation_whose_time_is_over_is_removed),
        in_layout_1(a_damaged_remembered_answer_is_named_not_given),
        in_layout_2(a_damaged_remembered_answer_is_named_not_given),
        in_layout_3(a_damaged_remembered_answer_is_named_not_given),
        in_layout_2(a_flipped_bit_in_a_text_is_not_returned_as_a_text),
        in_layout_2(a_flipped_bit_in_a_message_id_is_named),
        in_layout_3(a_flipped_bit_in_a_message_id_is_named),
        in_layout_2(a_damaged_name_is_no_missing_conversation),
        in_layout_3(a_damaged_name_is_no_missing_conversation),
        in_layout_2(a_damaged_user_is_not_forgotten_in_part),
        in_layout_3(a_damaged_user_is_not_forgotten_in_part),
        in_layout_2(damaged_numbers_do_not_stop_the_store_nor_come_again),
        in_layout_3(damaged_numbers_do_not_stop_the_store_nor_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
