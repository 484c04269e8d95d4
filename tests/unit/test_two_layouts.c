/* A store whose migration stands still after any number of records: every verb works as ever, on conversations in the
 * one layout, in the other, and on the one that is split between them. The migration is stopped by running its slices
 * here, one record in each, and opening the store with migrate = hold. */
#include "store/lmdb/env.h"
#include "store/lmdb/migrate.h"
#include "support/directory.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MESSAGES = 5, LARGE = 2500, STEPS_MAX = 1000, COPY_BYTES = 1 << 26, PATH_BYTES = 256 };

/* Every way up; each is gone back too. */
enum { PAIRS = 3 };
static const uint32_t pairs[PAIRS][2] = {{1, 2}, {1, 3}, {2, 3}};

/* What is checked of a store that was stopped on the way. */
typedef void scenario(struct client *client);

static const struct store_message hello = {.role = {(const uint8_t *)"user", 4},
                                           .content = {(const uint8_t *)"hello", 5}};

/* MESSAGES messages with IDs m-1, m-2 ... each appended by a request r-1, r-2 ... all on their way at once. */
static void conversation_make(struct client *client, const char *user, const char *conversation)
{
    char ids[MESSAGES][16], requests[MESSAGES][16];
    struct store_message messages[MESSAGES];
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(ids[i], sizeof(ids[i]), "m-%d", i + 1);
        snprintf(requests[i], sizeof(requests[i]), "r-%d", i + 1);
        messages[i] = hello;
        messages[i].message_id = span_of_string(ids[i]);
        struct store_op append = op_creating(op_append(user, conversation, &messages[i], 1));
        client_start(client, op_with_request(append, requests[i], 1));
    }
    client_wait_all(client);
    client_release(client);
    clock_advance(CLOCK_SECOND_US);
}

/* Ann has two conversations, Bob one. */
static struct client *client_make(uint32_t layout)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)layout);
    setenv("CHATLOG_TEST_LAYOUT", number, 1);
    clock_set(CLIENT_EPOCH_US);
    struct client *client = client_new();
    conversation_make(client, "ann", "c1");
    conversation_make(client, "ann", "c2");
    conversation_make(client, "bob", "c1");
    return client;
}

/* Moves so many records of the data there, each in a slice. Returns false when the migration came to its end. */
static bool migrate_partly(const char *directory, uint32_t from, uint32_t to, size_t steps)
{
    struct error error = {0};
    struct env *env;
    struct buffer scratch = {0};
    char why[MIGRATE_WHY_BYTES];
    enum migrate_result result = MIGRATE_MORE;
    const struct env_config config = {.data_dir = directory, .map_bytes = 1 << 30, .now_us = clock_now()};
    const struct migrate_budget budget = {.records = 1, .bytes = SIZE_MAX, .until_us = INT64_MAX};
    assert_int_equal(env_open(&config, &env, &error), 0);
    struct work work = {.txn = env_begin(env), .now_us = clock_now(), .scratch = &scratch};
    work_load(&work);
    migrate_begin(&work, from, to);
    for (size_t i = 0; i < steps && result == MIGRATE_MORE; i++) {
        result = migrate_slice(&work, &budget, why);
    }
    work_save(&work);
    assert_int_equal(env_commit(env, &work.txn), 0); /* one for all of them: quicker than one each, and the same */
    env_close(env);
    buffer_free(&scratch);
    assert_true(result == MIGRATE_MORE || result == MIGRATE_DONE);
    return result == MIGRATE_MORE;
}

static int data_open(const char *directory, int flags)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    int file = open(path, flags | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    return file;
}

/* A new directory with the data of another. */
static char *data_copy(const char *directory)
{
    char *copy = directory_new();
    int from = data_open(directory, O_RDONLY);
    int to = data_open(copy, O_WRONLY | O_CREAT);
    assert_true(copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0) > 0);
    close(from);
    close(to);
    return copy;
}

/* Runs the scenario on a store stopped after 0 records, after 1, and so on to the end. */
static void at_every_step(uint32_t from, uint32_t to, scenario *run)
{
    bool more = true;
    size_t steps = 0;
    struct client *full = client_make(from);
    client_close(full);
    int64_t time = clock_now();
    for (; more && steps < STEPS_MAX; steps++) {
        char *directory = data_copy(client_config(full)->data_dir);
        clock_set(time);
        more = migrate_partly(directory, from, to, steps);
        struct client *client = client_new_in(directory); /* with migrate = hold, as CHATLOG_TEST_LAYOUT is set */
        run(client);
        client_free(client);
        directory_remove(directory);
    }
    client_free(full);
    assert_false(more);
    assert_true(steps > (from == 3 && to == 2 ? 3 : 3 * MESSAGES)); /* a run at a time, or a message */
}

static void assert_whole(struct client *client, const char *user, const char *conversation)
{
    const struct answer *page = client_run(client, op_page(user, conversation, STORE_AFTER, 0, 10));
    assert_seqs(page, 1, 2, 3, 4, 5);
    assert_int_equal(page->result.last_seq, MESSAGES);
    assert_seqs(client_run(client, op_page(user, conversation, STORE_LATEST, 0, 3)), 3, 4, 5);
    for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
        char id[16];
        snprintf(id, sizeof(id), "m-%d", (int)seq);
        assert_seqs(client_run(client, op_message(user, conversation, seq)), seq);
        assert_seqs(client_run(client, op_message_by_id(user, conversation, id)), seq);
        const struct answer *around = client_run(client, op_page(user, conversation, STORE_AROUND, seq, 1));
        assert_seqs(around, seq);
        assert_int_equal(around->result.has_more_before, seq > 1);
        assert_int_equal(around->result.has_more_after, seq < MESSAGES);
    }
}

static void everything_is_read(struct client *client)
{
    assert_whole(client, "ann", "c1");
    assert_whole(client, "ann", "c2");
    assert_whole(client, "bob", "c1");
    client_wait_until_stored(client, 2, 3, 3 * MESSAGES);
}

static void lists_are_whole_and_in_order(struct client *client)
{
    const struct answer *first = client_run(client, op_list("ann", 1, span_of(NULL, 0)));
    assert_ok(first);
    assert_int_equal(first->count, 1);
    assert_string_equal(first->conversations[0]->conversation_id, "c2");
    const struct answer *second = client_run(client, op_list("ann", 5, buffer_span(&first->result.next)));
    assert_ok(second);
    assert_int_equal(second->count, 1);
    assert_string_equal(second->conversations[0]->conversation_id, "c1");
    assert_int_equal(second->result.next.size, 0);
    const struct answer *users = client_run(client, op_users(1, span_of(NULL, 0)));
    assert_int_equal(users->count, 1);
    assert_true(span_equal(users->records[0], span_of_string("ann")));
    users = client_run(client, op_users(5, buffer_span(&users->result.next)));
    assert_int_equal(users->count, 1);
    assert_true(span_equal(users->records[0], span_of_string("bob")));
}

static void every_request_is_remembered(struct client *client)
{
    for (int i = 1; i <= MESSAGES; i++) {
        char request[16];
        snprintf(request, sizeof(request), "r-%d", i);
        struct store_op append = op_append("ann", "c1", &hello, 1);
        const struct answer *again = client_run(client, op_with_request(append, request, 1));
        assert_ok(again);
        assert_true(again->result.replayed);
        assert_int_equal(again->result.first_seq, i);
        assert_refused(client_run(client, op_with_request(append, request, 2)), REQUEST_ID_REUSED);
    }
    assert_whole(client, "ann", "c1");
}

static void messages_are_changed(struct client *client)
{
    struct store_message edited = hello;
    struct store_message named = hello;
    edited.content = span_of_string("edited");
    named.message_id = span_of_string("m-3");
    assert_refused(client_run(client, op_append("ann", "c1", &named, 1)), MESSAGE_ID_EXISTS);
    for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
        assert_ok(client_run(client, op_edit("ann", "c1", seq, STORE_MASK_CONTENT, &edited)));
        assert_ok(client_run(client, op_message("ann", "c1", seq)));
    }
    assert_whole(client, "ann", "c1");
    assert_ok(client_run(client, op_delete_message("ann", "c1", 3)));
    assert_seqs(client_run(client, op_page("ann", "c1", STORE_AFTER, 0, 10)), 1, 2, 4, 5);
    struct store_op append = op_with_request(op_append("ann", "c1", &named, 1), "r-new", 1);
    assert_ok(client_run(client, append));
    assert_true(client_run(client, append)->result.replayed);
    assert_seqs(client_run(client, op_message_by_id("ann", "c1", "m-3")), 6);
    assert_seqs(client_run(client, op_pop("ann", "c1", 2)), 5, 6);
    assert_ok(client_run(client, op_replace("ann", "c1", 1, &hello, 1)));
    assert_seqs(client_run(client, op_page("ann", "c1", STORE_LATEST, 0, 10)), 1, 7);
    assert_ok(client_run(client, op_append("ann", "c1", &named, 1)));
    client_wait_until_stored(client, 2, 3, 2 * MESSAGES + 3);
}

static void conversations_are_changed_and_purged(struct client *client)
{
    const struct store_conversation values = {.title = span_of_string("Title"), .archived = true};
    assert_refused(client_run(client, op_create("ann", "c1")), CONVERSATION_EXISTS);
    assert_ok(client_run(client, op_update("ann", "c1", STORE_MASK_TITLE | STORE_MASK_ARCHIVED, &values)));
    assert_int_equal(client_run(client, op_list("ann", 5, span_of(NULL, 0)))->count, 1);
    assert_ok(client_run(client, op_delete("ann", "c1")));
    assert_ok(client_run(client, op_undelete("ann", "c1")));
    assert_ok(client_run(client, op_purge("ann", "c1")));
    assert_refused(client_run(client, op_get("ann", "c1")), CONVERSATION_NOT_FOUND);
    client_wait_until_stored(client, 2, 2, 2 * MESSAGES);
    conversation_make(client, "ann", "c1");
    assert_whole(client, "ann", "c1");
    assert_ok(client_run(client, op_delete("ann", "c1")));
    assert_ok(client_run(client, op_delete("ann", "c2")));
    clock_advance(CLIENT_RETENTION_US);
    assert_ok(client_run(client, op_update("bob", "c1", STORE_MASK_TITLE, &values))); /* wakes the writer */
    client_wait_until_stored(client, 1, 1, MESSAGES);
}

/* Nothing is left in any table of a layout but what names and holds Bob's one conversation. */
static void assert_nothing_left(struct client *client)
{
    const char *directory = client_config(client)->data_dir;
    client_close(client);
    assert_int_equal(lmdb_file_count(directory, "messages") + lmdb_file_count(directory, "message_ids") +
                         lmdb_file_count(directory, "requests") + lmdb_file_count(directory, "recency") +
                         lmdb_file_count(directory, "conversations") + lmdb_file_count(directory, "2.data") +
                         lmdb_file_count(directory, "2.users") + lmdb_file_count(directory, "purges") +
                         lmdb_file_count(directory, "deadlines") + lmdb_file_count(directory, "quarantine"),
                     0);
    client_open(client);
}

static struct store_receipt receipt_of_ann; /* as a store gives it that was never migrated */

static void users_are_forgotten(struct client *client)
{
    const struct answer *ann = client_run(client, op_forget("ann"));
    assert_ok(ann);
    assert_int_equal(ann->result.receipt.conversations, 2);
    assert_int_equal(ann->result.receipt.messages, 2 * MESSAGES);
    assert_int_equal(ann->result.receipt.content_bytes, receipt_of_ann.content_bytes);
    assert_int_equal(ann->result.receipt.digest[0], receipt_of_ann.digest[0]);
    assert_int_equal(ann->result.receipt.digest[1], receipt_of_ann.digest[1]);
    assert_whole(client, "bob", "c1");
    assert_ok(client_run(client, op_forget("bob")));
    client_wait_until_stored(client, 0, 0, 0);
    assert_nothing_left(client);
    client_close(client);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "3.journal"), 0);
    client_open(client);
}

static void removals_leave_nothing(struct client *client)
{
    assert_ok(client_run(client, op_purge("ann", "c1")));
    assert_ok(client_run(client, op_purge("ann", "c2")));
    assert_ok(client_run(client, op_purge("bob", "c1")));
    client_wait_until_stored(client, 0, 0, 0);
    assert_nothing_left(client);
}

static void in_both_directions(scenario *run)
{
    for (size_t i = 0; i < PAIRS; i++) {
        at_every_step(pairs[i][0], pairs[i][1], run);
        at_every_step(pairs[i][1], pairs[i][0], run);
    }
}

/* A conversation larger than one commit removes, stopped at some places; both ways of removing it. */
static void large_conversation_remove(uint32_t from, uint32_t to, bool forget)
{
    static const size_t stops[] = {0, 1, 7, 700, LARGE - 1, LARGE};
    struct client *full = client_make(from);
    assert_ok(client_run(full, op_forget("ann")));
    assert_ok(client_run(full, op_forget("bob")));
    client_fill(full, "ann", "c1", LARGE);
    client_close(full);
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        char *directory = data_copy(client_config(full)->data_dir);
        bool more = migrate_partly(directory, from, to, stops[i]);
        bool in_place = from > 1 && to > 1; /* there a step may be a run, and heads take none */
        assert_true(more || (in_place && stops[i] > 1));
        struct client *client = client_new_in(directory);
        const struct answer *removal = client_run(client, forget ? op_forget("ann") : op_purge("ann", "c1"));
        assert_ok(removal);
        assert_int_equal(removal->result.receipt.messages, forget ? LARGE : 0);
        client_wait_until_stored(client, 0, 0, 0);
        assert_ok(client_run_patiently(client, op_create("ann", "c1")));
        assert_ok(client_run(client, op_purge("ann", "c1")));
        assert_nothing_left(client);
        client_free(client);
        directory_remove(directory);
    }
    client_free(full);
}

static void a_large_split_conversation_is_removed_in_slices(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * PAIRS; i++) {
        uint32_t from = pairs[i / 2][i % 2];
        uint32_t to = pairs[i / 2][1 - i % 2];
        large_conversation_remove(from, to, false);
        large_conversation_remove(from, to, true);
    }
}

static void everything_is_read_at_every_step(void **state)
{
    (void)state;
    in_both_directions(everything_is_read);
}

static void lists_are_whole_and_in_order_at_every_step(void **state)
{
    (void)state;
    in_both_directions(lists_are_whole_and_in_order);
}

static void every_request_is_remembered_at_every_step(void **state)
{
    (void)state;
    in_both_directions(every_request_is_remembered);
}

static void messages_are_changed_at_every_step(void **state)
{
    (void)state;
    in_both_directions(messages_are_changed);
}

static void conversations_are_changed_and_purged_at_every_step(void **state)
{
    (void)state;
    in_both_directions(conversations_are_changed_and_purged);
}

static void removals_leave_nothing_at_any_step(void **state)
{
    (void)state;
    in_both_directions(removals_leave_nothing);
}

static void forgetting_leaves_nothing_and_gives_the_same_receipt_at_any_step(void **state)
{
    (void)state;
    for (uint32_t layout = 1; layout <= 3; layout++) {
        struct client *client = client_make(layout);
        const struct answer *ann = client_run(client, op_forget("ann"));
        assert_ok(ann);
        if (layout > 1) {
            assert_memory_equal(ann->result.receipt.digest, receipt_of_ann.digest, sizeof(receipt_of_ann.digest));
        }
        receipt_of_ann = ann->result.receipt;
        client_free(client);
    }
    in_both_directions(users_are_forgotten);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read_at_every_step),
        cmocka_unit_test(lists_are_whole_and_in_order_at_every_step),
        cmocka_unit_test(every_request_is_remembered_at_every_step),
        cmocka_unit_test(messages_are_changed_at_every_step),
        cmocka_unit_test(conversations_are_changed_and_purged_at_every_step),
        cmocka_unit_test(removals_leave_nothing_at_any_step),
        cmocka_unit_test(a_large_split_conversation_is_removed_in_slices),
        cmocka_unit_test(forgetting_leaves_nothing_and_gives_the_same_receipt_at_any_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
