/* Appends that wait to be folded are in every answer what they are afterwards: each story runs on two stores, one that
 * folds at once and one that leaves all where it was appended. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { POLL_US = 1000, ALL = 1000, LARGE_BYTES = 4 * 1024 * 1024 };

/* The same operations on both. */
struct twins {
    struct client *late;
    struct client *home;
};

static uint64_t journal_entries(struct client *client)
{
    const struct answer *answer = client_run(client, op_stats());
    assert_ok(answer);
    return answer->result.stats.journal_entries;
}

static void wait_until_home(struct client *client)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (journal_entries(client) > 0) {
        assert_true(clock_monotonic_us() < end);
        usleep(POLL_US);
    }
}

/* Only the newest layout lets anything wait. */
static void assert_waits(struct client *client)
{
    assert_true(getenv("CHATLOG_TEST_LAYOUT") || journal_entries(client) > 0);
}

static struct client *client_folding(bool late)
{
    struct client *client = client_new();
    client_close(client);
    client_config(client)->fold_late = late;
    client_open(client);
    return client;
}

static int twins_setup(void **state)
{
    static struct twins twins;
    clock_set(CLIENT_EPOCH_US);
    twins = (struct twins){.late = client_folding(true), .home = client_folding(false)};
    *state = &twins;
    return 0;
}

static int twins_teardown(void **state)
{
    struct twins *twins = *state;
    client_free(twins->late);
    client_free(twins->home);
    return 0;
}

#define twins_test(name) cmocka_unit_test_setup_teardown(name, twins_setup, twins_teardown)

static void assert_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->reason, b->reason);
    if (a->reason != ERROR_NONE_REASON) {
        assert_string_equal(a->error.message, b->error.message);
        return;
    }
    assert_true(span_equal(buffer_span(&a->result.records), buffer_span(&b->result.records)));
    assert_true(span_equal(buffer_span(&a->result.next), buffer_span(&b->result.next)));
    assert_string_equal(a->result.etag, b->result.etag);
    assert_int_equal(a->result.replayed, b->result.replayed);
    assert_int_equal(a->result.first_seq, b->result.first_seq);
    assert_int_equal(a->result.last_seq, b->result.last_seq);
    assert_int_equal(a->result.create_time_us, b->result.create_time_us);
    assert_int_equal(a->result.has_more_before, b->result.has_more_before);
    assert_int_equal(a->result.has_more_after, b->result.has_more_after);
}

/* Runs it on both and sees that the answers are the same. Returns one of them. */
static const struct answer *twins_run(struct twins *twins, struct store_op op)
{
    const struct answer *a = client_run_patiently(twins->late, op);
    assert_same(a, client_run_patiently(twins->home, op));
    return a;
}

static struct store_op page_op(const char *conversation, enum store_anchor anchor, uint64_t seq, size_t limit)
{
    static const size_t budgets[] = {1, 100, 3000, 8 * 1024 * 1024};
    struct store_op op = op_page("alice", conversation, anchor, seq, limit);
    op.messages.max_bytes = budgets[(seq + limit) % 4];
    op.messages.basic = (seq + limit) % 3 == 0;
    return op;
}

/* Everything that can be read of a conversation. */
static void twins_compare(struct twins *twins, const char *conversation)
{
    static const size_t limits[] = {1, 2, 3, 7, 20, ALL};
    wait_until_home(twins->home);
    const struct answer *head = twins_run(twins, op_get("alice", conversation));
    uint64_t last_seq = head->reason == ERROR_NONE_REASON ? head->conversations[0]->last_seq : 0;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        twins_run(twins, page_op(conversation, STORE_LATEST, 0, limits[i]));
        for (uint64_t seq = 0; seq <= last_seq + 2; seq++) {
            twins_run(twins, page_op(conversation, STORE_BEFORE, seq, limits[i]));
            twins_run(twins, page_op(conversation, STORE_AFTER, seq, limits[i]));
            twins_run(twins, page_op(conversation, STORE_AROUND, seq, limits[i]));
        }
        twins_run(twins, page_op(conversation, STORE_AROUND, UINT64_MAX, limits[i]));
        client_release(twins->late);
        client_release(twins->home);
    }
    for (uint64_t seq = 1; seq <= last_seq + 1; seq++) {
        twins_run(twins, op_message("alice", conversation, seq));
    }
    twins_run(twins, op_message_by_id("alice", conversation, "id-2"));
    twins_run(twins, op_message_by_id("alice", conversation, "id-5"));
    twins_run(twins, op_list("alice", ALL, span_of(NULL, 0)));
}

/* Appends so many messages, alone or in pairs, every third with an ID, at moments of their own. */
static void twins_append(struct twins *twins, const char *conversation, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char id[16], text[32], request[16];
        snprintf(id, sizeof(id), "id-%u", i);
        snprintf(text, sizeof(text), "text number %u", i);
        snprintf(request, sizeof(request), "r-%u", i);
        struct store_message messages[] = {message_of("user", text), message_of("assistant", "")};
        messages[0].message_id = i % 3 == 2 ? span_of_string(id) : span_of(NULL, 0);
        struct store_op op = op_creating(op_append("alice", conversation, messages, 1 + i % 2));
        op = i % 4 == 0 ? op_with_request(op, request, i) : op;
        clock_advance(i % 2 * 1000);
        assert_true(twins_run(twins, op)->reason != ERROR_DISK_FULL);
    }
}

static void what_waits_is_read_as_what_is_home(void **state)
{
    struct twins *twins = *state;
    twins_append(twins, "thread", 12);
    assert_waits(twins->late);
    twins_compare(twins, "thread");
    assert_ok(twins_run(twins, op_delete_message("alice", "thread", 4)));
    assert_ok(twins_run(twins, op_pop("alice", "thread", 2)));
    twins_append(twins, "thread", 2);
    assert_waits(twins->late);
    twins_compare(twins, "thread");
    assert_waits(twins->late);
}

static void large_appends_among_small_ones_are_where_they_belong(void **state)
{
    struct twins *twins = *state;
    static const size_t sizes[] = {10, 16000, 16384, 20, 65000, 30, 65536, 70000, 5, LARGE_BYTES, 40, 12000, 12000};
    uint8_t *bytes = malloc(2 * LARGE_BYTES); /* any size from any of the first bytes on */
    assert_non_null(bytes);
    for (size_t i = 0; i < 2 * (size_t)LARGE_BYTES; i++) {
        bytes[i] = (uint8_t)(i * i >> 7); /* does not get much smaller when it is packed */
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct store_message messages[] = {{.content = span_of(bytes + i, sizes[i] - i % 2)}, {.token_count = 1}};
        assert_ok(twins_run(twins, op_creating(op_append("alice", "thread", messages, 2))));
    }
    assert_waits(twins->late);
    wait_until_home(twins->home);
    for (uint64_t seq = 1; seq < 30; seq++) {
        twins_run(twins, op_message("alice", "thread", seq));
        twins_run(twins, page_op("thread", STORE_BEFORE, seq, 7));
        twins_run(twins, page_op("thread", STORE_AFTER, seq, 7));
        twins_run(twins, page_op("thread", STORE_AROUND, seq, 7));
    }
    assert_int_equal(twins_run(twins, op_get("alice", "thread"))->conversations[0]->message_count, 26);
    free(bytes);
}

static void requests_and_message_ids_that_wait_are_found(void **state)
{
    struct twins *twins = *state;
    struct store_message named = message_of("user", "hello");
    named.message_id = span_of_string("m-1");
    struct store_op append = op_with_request(op_append("alice", "thread", &named, 1), "r-x", 7);
    twins_append(twins, "thread", 3);
    const struct answer *first = twins_run(twins, append);
    assert_ok(first);
    for (int round = 0; round < 2; round++) {
        const struct answer *again = twins_run(twins, append);
        assert_true(again->result.replayed);
        assert_int_equal(again->result.first_seq, first->result.first_seq);
        struct store_op other = append;
        other.request_hash[0]++;
        assert_refused(twins_run(twins, other), REQUEST_ID_REUSED);
        assert_refused(twins_run(twins, op_append("alice", "thread", &named, 1)), MESSAGE_ID_EXISTS);
        assert_int_equal(twins_run(twins, op_message_by_id("alice", "thread", "m-1"))->messages[0]->seq,
                         first->result.first_seq);
        client_reopen(twins->late);
        client_reopen(twins->home);
    }
    assert_waits(twins->late);
}

/* Every change of a conversation, met by something that waits. */
static size_t changes_make(struct store_op *ops)
{
    static struct store_message named = {.message_id = {(const uint8_t *)"id-2", 4},
                                         .content = {(const uint8_t *)"x", 1}};
    static const struct store_conversation titled = {.title = {(const uint8_t *)"title", 5}, .archived = true};
    static const struct store_conversation short_lived = {.expire_time_us = CLIENT_EPOCH_US + CLIENT_RETENTION_US};
    const struct store_op all[] = {
        op_edit("alice", "thread", 2, STORE_MASK_CONTENT, &named),
        op_delete_message("alice", "thread", 3),
        op_delete_message("alice", "thread", 3),
        op_pop("alice", "thread", 3),
        op_pop("alice", "thread", ALL),
        op_replace("alice", "thread", 2, &named, 1),
        op_replace("alice", "thread", 1, &named, 1),
        op_replace("alice", "thread", 4, NULL, 0),
        op_expecting(op_append("alice", "thread", &named, 1), 3),
        op_update("alice", "thread", STORE_MASK_TITLE | STORE_MASK_ARCHIVED, &titled),
        op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &short_lived),
        op_create("alice", "thread"),
        op_delete("alice", "thread"),
        op_undelete("alice", "thread"),
        op_with_etag(op_delete("alice", "thread"), "1"),
        op_purge("alice", "thread"),
    };
    memcpy(ops, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

static void every_change_meets_what_waits_as_what_is_home(void **state)
{
    struct twins *twins = *state;
    struct store_op changes[32];
    size_t count = changes_make(changes);
    for (size_t i = 0; i < count; i++) {
        twins_append(twins, "thread", 6);
        twins_append(twins, "other", 1);
        wait_until_home(twins->home);
        twins_run(twins, changes[i]);
        twins_compare(twins, "thread");
        twins_run(twins, op_undelete("alice", "thread"));
    }
    twins_append(twins, "thread", 6);
    twins_compare(twins, "thread");
}

static void appends_and_changes_of_one_commit_keep_their_order(void **state)
{
    struct twins *twins = *state;
    enum { OPS = 60 };
    static uint8_t large[LARGE_BYTES];
    static const struct store_conversation titled = {.title = {(const uint8_t *)"title", 5}};
    const struct store_message first = {.content = span_of(large, sizeof(large))}; /* while it is written others come */
    const struct store_message message = message_of("user", "hello");
    struct answer *answers[2][OPS];
    for (size_t i = 0; i < OPS; i++) {
        struct store_op op = op_creating(op_append("alice", i % 3 ? "thread" : "other", i ? &message : &first, 1));
        op = i % 7 == 5 ? op_edit("alice", "thread", i / 7 + 1, STORE_MASK_CONTENT, &message) : op;
        op = i % 7 == 6 ? op_update("alice", "other", STORE_MASK_TITLE, &titled) : op;
        op = i % 11 == 10 ? op_pop("alice", "thread", 2) : op;
        op = i == 45 ? op_purge("alice", "other") : op;
        answers[0][i] = client_start(twins->late, op);
        answers[1][i] = client_start(twins->home, op);
    }
    for (size_t i = 0; i < OPS; i++) {
        assert_same(client_wait(twins->late, answers[0][i]), client_wait(twins->home, answers[1][i]));
    }
    assert_waits(twins->late);
    twins_compare(twins, "thread");
    twins_compare(twins, "other");
}

static void a_conversation_with_something_waiting_ends_in_its_time(void **state)
{
    struct twins *twins = *state;
    static const struct store_conversation short_lived = {.expire_time_us = CLIENT_EPOCH_US + CLIENT_RETENTION_US};
    assert_ok(twins_run(twins, op_create("alice", "thread")));
    assert_ok(twins_run(twins, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &short_lived)));
    twins_append(twins, "thread", 5);
    twins_append(twins, "other", 2);
    assert_waits(twins->late);
    wait_until_home(twins->home);
    clock_set(CLIENT_EPOCH_US + CLIENT_RETENTION_US);
    assert_refused(twins_run(twins, op_get("alice", "thread")), CONVERSATION_NOT_FOUND);
    assert_int_equal(twins_run(twins, op_list("alice", ALL, span_of(NULL, 0)))->count, 1);
    client_wait_until_stored(twins->late, 1, 1, 3);
    client_wait_until_stored(twins->home, 1, 1, 3);
    twins_append(twins, "thread", 3);
    twins_compare(twins, "thread");
}

static void a_user_is_forgotten_with_the_same_receipt_whether_folded_or_not(void **state)
{
    struct twins *twins = *state;
    for (int round = 0; round < 2; round++) {
        char name[16];
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof(name), "thread %d", i);
            twins_append(twins, name, 4);
        }
        client_fill(twins->late, "bob", "thread", 3);
        client_fill(twins->home, "bob", "thread", 3);
        assert_waits(twins->late);
        wait_until_home(twins->home);
        const struct store_receipt a = client_run(twins->late, op_forget("alice"))->result.receipt;
        const struct store_receipt b = client_run(twins->home, op_forget("alice"))->result.receipt;
        assert_int_equal(a.conversations, 30);
        assert_int_equal(a.conversations, b.conversations);
        assert_int_equal(a.messages, b.messages);
        assert_int_equal(a.content_bytes, b.content_bytes);
        assert_memory_equal(a.digest, b.digest, sizeof(a.digest));
        client_wait_until_stored(twins->late, 1, 1, 3 * (uint64_t)(round + 1));
    }
    assert_waits(twins->late); /* bob's */
}

static void what_waits_is_there_again_after_a_restart_and_numbering_goes_on(void **state)
{
    struct twins *twins = *state;
    for (int round = 0; round < 4; round++) {
        twins_append(twins, "thread", 3);
        twins_append(twins, "other", 2);
        client_reopen(twins->late);
        assert_waits(twins->late);
        twins_compare(twins, "thread");
        twins_compare(twins, "other");
    }
}

static void all_is_home_soon_when_nothing_comes_and_nobody_is_lost(void **state)
{
    struct twins *twins = *state;
    twins_append(twins, "thread", 20);
    twins_append(twins, "other", 20);
    assert_waits(twins->late);
    client_close(twins->late);
    client_config(twins->late)->fold_late = false;
    client_open(twins->late);
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (journal_entries(twins->late) > 0) { /* being read keeps nothing from it */
        assert_ok(client_run(twins->late, op_page("alice", "other", STORE_LATEST, 0, 3)));
        assert_true(clock_monotonic_us() < end);
        client_release(twins->late);
    }
    twins_compare(twins, "thread");
    twins_compare(twins, "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        twins_test(what_waits_is_read_as_what_is_home),
        twins_test(large_appends_among_small_ones_are_where_they_belong),
        twins_test(requests_and_message_ids_that_wait_are_found),
        twins_test(every_change_meets_what_waits_as_what_is_home),
        twins_test(appends_and_changes_of_one_commit_keep_their_order),
        twins_test(a_conversation_with_something_waiting_ends_in_its_time),
        twins_test(a_user_is_forgotten_with_the_same_receipt_whether_folded_or_not),
        twins_test(what_waits_is_there_again_after_a_restart_and_numbering_goes_on),
        twins_test(all_is_home_soon_when_nothing_comes_and_nobody_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
