/* The queue of changes: bounded, each change answered once, nothing lost at its limit, at close or at a deadline.
 * Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BURST = 200, ROUNDS = 200 };

static const struct store_message hello = {.content = {(const uint8_t *)"hello", 5}};

/* Gives the store bursts of this change, without waiting, until one is refused. Returns how many were done. */
static uint64_t queue_flood(struct client *client, struct store_op op)
{
    uint64_t stored = 0;
    bool refused = false;
    for (int round = 0; round < ROUNDS && !refused; round++) {
        struct answer *answers[BURST];
        for (size_t i = 0; i < BURST; i++) {
            answers[i] = client_start(client, op);
        }
        uint64_t last = 0;
        for (size_t i = 0; i < BURST; i++) {
            client_wait(client, answers[i]);
            if (answers[i]->reason == ERROR_NONE_REASON) {
                assert_true(answers[i]->result.first_seq > last);
                last = answers[i]->result.first_seq;
                stored++;
            } else {
                assert_refused(answers[i], QUEUE_FULL);
                refused = true;
            }
        }
        assert_int_equal(last, stored);
        client_release(client);
    }
    assert_true(refused);
    return stored;
}

static void assert_stored(struct client *client, uint64_t count)
{
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_int_equal(read->conversations[0]->message_count, count);
    assert_int_equal(read->conversations[0]->last_seq, count);
    client_wait_until_stored(client, 1, 1, count);
    assert_int_equal(client_run(client, op_stats())->result.stats.queue_length, 0);
}

static void a_full_queue_refuses_changes_and_loses_none(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_limits(client)->queue_requests = 4;
    client_open(client);
    uint64_t stored = queue_flood(client, op_creating(op_append("alice", "thread", &hello, 1)));
    assert_stored(client, stored);
    assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
    client_reopen(client);
    assert_stored(client, stored + 1);
}

static void a_queue_full_of_bytes_refuses_changes_and_loses_none(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_limits(client)->queue_bytes = 100000;
    client_open(client);
    struct store_op append = op_creating(op_append("alice", "thread", &hello, 1));
    append.size = 30000;
    uint64_t stored = queue_flood(client, append);
    assert_stored(client, stored);
    assert_ok(client_run(client, append));
}

static void reads_are_answered_while_the_queue_is_full(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_limits(client)->queue_requests = 1;
    client_open(client);
    client_fill(client, "alice", "thread", 1);
    for (int i = 0; i < BURST; i++) {
        client_start(client, op_append("alice", "thread", &hello, 1));
        const struct answer *read = client_run(client, op_get("alice", "thread"));
        assert_ok(read);
        assert_true(read->conversations[0]->last_seq > 0);
    }
    client_wait_all(client);
}

static void close_finishes_the_changes_it_was_given(void **state)
{
    struct client *client = *state;
    struct answer *answers[BURST];
    for (size_t i = 0; i < BURST; i++) {
        answers[i] = client_start(client, op_creating(op_append("alice", "thread", &hello, 1)));
    }
    client_close(client);
    for (size_t i = 0; i < BURST; i++) {
        assert_ok(answers[i]);
        assert_int_equal(answers[i]->result.first_seq, i + 1);
    }
    client_open(client);
    assert_stored(client, BURST);
}

static void changes_given_one_after_the_other_are_done_in_that_order(void **state)
{
    struct client *client = *state;
    struct answer *created = client_start(client, op_create("alice", "thread"));
    struct answer *appended = client_start(client, op_append("alice", "thread", &hello, 1));
    struct answer *deleted = client_start(client, op_delete("alice", "thread"));
    struct answer *refused = client_start(client, op_append("alice", "thread", &hello, 1));
    struct answer *restored = client_start(client, op_undelete("alice", "thread"));
    struct answer *again = client_start(client, op_append("alice", "thread", &hello, 1));
    client_wait_all(client);
    assert_ok(created);
    assert_ok(appended);
    assert_ok(deleted);
    assert_refused(refused, CONVERSATION_DELETED);
    assert_ok(restored);
    assert_ok(again);
    assert_int_equal(again->result.first_seq, 2);
}

static void a_change_that_fails_fails_alone(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 1);
    struct answer *answers[BURST];
    for (size_t i = 0; i < BURST; i++) {
        struct store_op op = op_append("alice", i % 2 ? "thread" : "absent", &hello, 1);
        answers[i] = client_start(client, op);
    }
    for (size_t i = 0; i < BURST; i++) {
        client_wait(client, answers[i]);
        if (i % 2) {
            assert_ok(answers[i]);
            assert_int_equal(answers[i]->result.first_seq, 2 + i / 2);
        } else {
            assert_refused(answers[i], CONVERSATION_NOT_FOUND);
        }
    }
    assert_stored(client, 1 + BURST / 2);
}

static void an_acknowledged_change_is_seen_by_the_next_read(void **state)
{
    struct client *client = *state;
    for (uint64_t i = 1; i <= BURST; i++) {
        assert_ok(client_run(client, op_creating(op_append("alice", "thread", &hello, 1))));
        const struct answer *read = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 1));
        assert_ok(read);
        assert_int_equal(read->messages[0]->seq, i);
    }
}

static void stats_count_the_changes_and_commits_since_open(void **state)
{
    struct client *client = *state;
    const struct store_stats first = client_run(client, op_stats())->result.stats;
    for (int i = 0; i < 10; i++) {
        assert_ok(client_run(client, op_creating(op_append("alice", "thread", &hello, 1))));
    }
    const struct store_stats then = client_run(client, op_stats())->result.stats;
    assert_int_equal(then.changes - first.changes, 10);
    assert_true(then.commits - first.commits >= 10);
    assert_true(then.commit_id > first.commit_id);
    assert_true(then.used_bytes > 0 && then.used_bytes <= then.file_bytes);
    client_reopen(client);
    const struct store_stats reopened = client_run(client, op_stats())->result.stats;
    assert_int_equal(reopened.changes, 0);
    assert_true(reopened.commit_id >= then.commit_id);
}

static void stats_count_only_changes_that_were_made(void **state)
{
    struct client *client = *state;
    struct store_op append = op_with_request(op_creating(op_append("alice", "thread", &hello, 1)), "request", 1);
    assert_ok(client_run(client, append));
    const struct store_stats first = client_run(client, op_stats())->result.stats;
    for (int i = 0; i < 10; i++) {
        assert_refused(client_run(client, op_append("alice", "absent", &hello, 1)), CONVERSATION_NOT_FOUND);
        assert_true(client_run(client, append)->result.replayed);
    }
    const struct store_stats then = client_run(client, op_stats())->result.stats;
    assert_int_equal(then.changes, first.changes);
    assert_int_equal(then.commits, first.commits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_full_queue_refuses_changes_and_loses_none),
        store_test(a_queue_full_of_bytes_refuses_changes_and_loses_none),
        store_test(reads_are_answered_while_the_queue_is_full),
        store_test(close_finishes_the_changes_it_was_given),
        store_test(changes_given_one_after_the_other_are_done_in_that_order),
        store_test(a_change_that_fails_fails_alone),
        store_test(an_acknowledged_change_is_seen_by_the_next_read),
        store_test(stats_count_the_changes_and_commits_since_open),
        store_test(stats_count_only_changes_that_were_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
