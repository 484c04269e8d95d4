/* Request IDs: a change that is sent again is done once and answered again. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct store_message hello[] = {
    {.role = {(const uint8_t *)"user", 4}, .content = {(const uint8_t *)"hello", 5}},
    {.role = {(const uint8_t *)"user", 4}, .content = {(const uint8_t *)"again", 5}},
};

static const struct store_conversation renamed = {.title = {(const uint8_t *)"renamed", 7}};

enum { FILLED = 4 };

/* The change of row i to alice's thread. Each makes sense on a thread of four messages; the first is made before
 * there is one, and undelete after a deletion. */
static struct store_op change_of(size_t i)
{
    switch (i) {
    case 0:
        return op_create("alice", "thread");
    case 1:
        return op_update("alice", "thread", STORE_MASK_TITLE, &renamed);
    case 2:
        return op_append("alice", "thread", hello, 2);
    case 3:
        return op_replace("alice", "thread", 2, hello, 1);
    case 4:
        return op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &hello[0]);
    case 5:
        return op_delete_message("alice", "thread", 1);
    case 6:
        return op_pop("alice", "thread", 3);
    case 7:
        return op_delete("alice", "thread");
    default:
        return op_undelete("alice", "thread");
    }
}

enum { CHANGES = 9 };

/* Brings alice's thread into the state in which change i can be made. */
static void change_prepare(struct client *client, size_t i)
{
    if (i > 0) {
        client_fill(client, "alice", "thread", FILLED);
    }
    if (i == CHANGES - 1) {
        assert_ok(client_run(client, op_delete("alice", "thread")));
    }
}

/* All there is of alice's thread, to see that nothing was done. */
static void assert_unchanged_by(struct client *client, struct store_op op, const struct answer *first)
{
    const struct answer *conversation = client_run(client, op_get("alice", "thread"));
    const struct answer *messages = client_run(client, op_page("alice", "thread", STORE_AFTER, 0, 1000));
    assert_replay(first, client_run(client, op));
    const struct answer *conversation_after = client_run(client, op_get("alice", "thread"));
    const struct answer *messages_after = client_run(client, op_page("alice", "thread", STORE_AFTER, 0, 1000));
    assert_ok(conversation_after);
    assert_true(span_equal(conversation->records[0], conversation_after->records[0]));
    assert_int_equal(messages->reason, messages_after->reason);
    assert_true(span_equal(buffer_span(&messages->result.records), buffer_span(&messages_after->result.records)));
}

static void every_change_sent_again_is_answered_again_and_not_done_again(void **state)
{
    struct client *client = *state;
    for (size_t i = 0; i < CHANGES; i++) {
        change_prepare(client, i);
        struct store_op op = op_with_request(change_of(i), "request", i);
        const struct answer *first = client_run(client, op);
        assert_ok(first);
        clock_advance(CLOCK_SECOND_US);
        assert_unchanged_by(client, op, first);
        assert_unchanged_by(client, op, first);
        client_reopen(client);
        assert_unchanged_by(client, op, first);
        assert_ok(client_run(client, op_purge("alice", "thread")));
        client_wait_until_stored(client, 0, 0, 0);
    }
}

static void the_first_answer_comes_again_also_after_other_changes(void **state)
{
    struct client *client = *state;
    for (size_t i = 0; i < CHANGES - 2; i++) {
        change_prepare(client, i);
        struct store_op op = op_with_request(change_of(i), "request", i);
        const struct answer *first = client_run(client, op);
        assert_ok(first);
        client_fill(client, "alice", "thread", 3);
        assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_TITLE, &renamed)));
        assert_unchanged_by(client, op, first);
        assert_ok(client_run(client, op_delete("alice", "thread")));
        assert_unchanged_by(client, op, first);
        assert_ok(client_run(client, op_purge("alice", "thread")));
        client_wait_until_stored(client, 0, 0, 0);
    }
}

static void a_request_id_of_another_change_is_refused(void **state)
{
    struct client *client = *state;
    for (size_t i = 0; i < CHANGES; i++) {
        change_prepare(client, i);
        assert_ok(client_run(client, op_with_request(change_of(i), "request", i)));
        const struct answer *before = client_run(client, op_get("alice", "thread"));
        for (size_t k = 0; k < CHANGES; k++) {
            assert_refused(client_run(client, op_with_request(change_of(k), "request", i + 1)), REQUEST_ID_REUSED);
        }
        const struct answer *after = client_run(client, op_get("alice", "thread"));
        assert_true(span_equal(before->records[0], after->records[0]));
        assert_ok(client_run(client, op_purge("alice", "thread")));
        client_wait_until_stored(client, 0, 0, 0);
    }
}

static void both_halves_of_the_fingerprint_are_compared(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 1);
    struct store_op op = op_with_request(op_append("alice", "thread", hello, 1), "request", 5);
    assert_ok(client_run(client, op));
    for (size_t half = 0; half < 2; half++) {
        struct store_op other = op;
        other.request_hash[half] ^= UINT64_C(1) << 63;
        assert_refused(client_run(client, other), REQUEST_ID_REUSED);
    }
}

static void a_request_id_that_only_begins_like_another_is_another(void **state)
{
    struct client *client = *state;
    static const char *const ids[] = {"r", "request", "request 1", "Request", "request\xc3\xa9"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct store_op op = op_with_request(op_creating(op_append("alice", "thread", hello, 1)), ids[i], i);
        const struct answer *appended = client_run(client, op);
        assert_ok(appended);
        assert_false(appended->result.replayed);
        assert_int_equal(appended->result.first_seq, i + 1);
    }
}

static void a_change_without_a_request_id_is_done_each_time(void **state)
{
    struct client *client = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        const struct answer *appended = client_run(client, op_creating(op_append("alice", "thread", hello, 1)));
        assert_ok(appended);
        assert_false(appended->result.replayed);
        assert_int_equal(appended->result.last_seq, i);
    }
}

static void a_request_id_belongs_to_one_conversation_of_one_user(void **state)
{
    struct client *client = *state;
    static const char *const places[][2] = {
        {"alice", "thread"}, {"alice", "thread 2"}, {"bob", "thread"}, {"alicethread", "thread"}, {"a", "licethread"}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct store_op op = op_with_request(op_creating(op_append(places[i][0], places[i][1], hello, 1)), "r", i);
        const struct answer *appended = client_run(client, op);
        assert_ok(appended);
        assert_false(appended->result.replayed);
        assert_int_equal(appended->result.first_seq, 1);
    }
}

static void a_refused_change_does_not_use_up_its_request_id(void **state)
{
    struct client *client = *state;
    struct store_op absent = op_with_request(op_append("alice", "thread", hello, 1), "request", 1);
    assert_refused(client_run(client, absent), CONVERSATION_NOT_FOUND);
    client_fill(client, "alice", "thread", 1);
    struct store_op early = op_with_request(op_expecting(op_append("alice", "thread", hello, 1), 7), "request", 2);
    assert_refused(client_run(client, early), LAST_SEQ_MISMATCH);
    const struct answer *appended = client_run(client, absent);
    assert_ok(appended);
    assert_false(appended->result.replayed);
    assert_replay(appended, client_run(client, absent));
    assert_refused(client_run(client, early), REQUEST_ID_REUSED);
}

static void a_retried_append_is_stored_once_though_its_condition_no_longer_holds(void **state)
{
    struct client *client = *state;
    struct store_message named = hello[0];
    named.message_id = span_of_string("id");
    struct store_op op = op_expecting(op_creating(op_append("alice", "thread", &named, 1)), 0);
    op = op_with_request(op, "request", 1);
    const struct answer *first = client_run(client, op);
    assert_ok(first);
    assert_replay(first, client_run(client, op));
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1);
}

static void the_same_request_many_times_at_once_is_done_once(void **state)
{
    struct client *client = *state;
    enum { COPIES = 20, ROUNDS = 10 };
    client_fill(client, "alice", "thread", 1);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct answer *answers[COPIES];
        char id[16];
        snprintf(id, sizeof(id), "request %d", (int)round);
        for (size_t i = 0; i < COPIES; i++) {
            answers[i] = client_start(client, op_with_request(op_append("alice", "thread", hello, 2), id, round));
        }
        client_wait_all(client);
        const struct answer *original = NULL;
        for (size_t i = 0; i < COPIES; i++) {
            assert_ok(answers[i]);
            if (!answers[i]->result.replayed) {
                assert_null(original);
                original = answers[i];
            }
        }
        assert_non_null(original);
        assert_int_equal(original->result.first_seq, 2 * round + 2);
        for (size_t i = 0; i < COPIES; i++) {
            if (answers[i] != original) {
                assert_replay(original, answers[i]);
            }
        }
    }
    client_wait_until_stored(client, 1, 1, 1 + 2 * ROUNDS);
}

static void a_request_id_is_forgotten_with_its_conversation(void **state)
{
    struct client *client = *state;
    struct store_op append = op_with_request(op_creating(op_append("alice", "thread", hello, 2)), "request", 1);
    struct store_op purge = op_with_request(op_purge("alice", "thread"), "purge", 2);
    assert_ok(client_run(client, append));
    assert_ok(client_run(client, purge));
    assert_refused(client_run(client, purge), CONVERSATION_NOT_FOUND);
    const struct answer *afresh = client_run_patiently(client, append);
    assert_ok(afresh);
    assert_false(afresh->result.replayed);
    assert_int_equal(afresh->result.first_seq, 1);

    assert_ok(client_run(client, op_forget("alice")));
    struct store_op other = append;
    other.request_hash[0]++;
    afresh = client_run_patiently(client, other);
    assert_ok(afresh);
    assert_false(afresh->result.replayed);
}

static void a_request_id_outlives_soft_deletion_and_is_forgotten_by_expiry(void **state)
{
    struct client *client = *state;
    struct store_op create = op_with_request(op_create("alice", "thread"), "request", 1);
    create.create.expire_time_us = CLIENT_EPOCH_US + CLOCK_SECOND_US;
    const struct answer *first = client_run(client, create);
    assert_ok(first);
    struct store_op delete = op_with_request(op_delete("alice", "thread"), "delete", 2);
    const struct answer *deleted = client_run(client, delete);
    assert_ok(deleted);
    assert_replay(first, client_run(client, create));
    assert_replay(deleted, client_run(client, delete));
    clock_advance(CLOCK_SECOND_US);
    assert_refused(client_run(client, delete), CONVERSATION_NOT_FOUND);
    client_wait_until_stored(client, 0, 0, 0);
}

static void a_replayed_pop_returns_large_messages_again(void **state)
{
    struct client *client = *state;
    static const char text[300000] = {'x', 'y'};
    struct store_message messages[4];
    for (size_t i = 0; i < 4; i++) {
        messages[i] = (struct store_message){.content = span_of(text, sizeof(text) - i)};
    }
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", messages, 4))));
    struct store_op pop = op_with_request(op_pop("alice", "thread", 3), "request", 1);
    const struct answer *popped = client_run(client, pop);
    assert_seqs(popped, 2, 3, 4);
    client_reopen(client);
    assert_replay(popped, client_run(client, pop));
    assert_ok(client_run(client, op_purge("alice", "thread")));
    client_wait_until_stored(client, 0, 0, 0);
}

static void a_replayed_record_is_behind_the_field_that_is_asked_for_now(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    struct store_op pop = op_with_request(op_pop("alice", "thread", 2), "request", 1);
    const struct answer *first = client_run(client, pop);
    assert_seqs(first, 2, 3);
    pop.record_field = 1;
    const struct answer *again = client_run(client, pop); /* the client has looked at the field */
    assert_seqs(again, 2, 3);
    assert_true(again->result.replayed);
    assert_true(span_equal(first->records[0], again->records[0]));
    assert_true(span_equal(first->records[1], again->records[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(every_change_sent_again_is_answered_again_and_not_done_again),
        store_test(the_first_answer_comes_again_also_after_other_changes),
        store_test(a_request_id_of_another_change_is_refused),
        store_test(both_halves_of_the_fingerprint_are_compared),
        store_test(a_request_id_that_only_begins_like_another_is_another),
        store_test(a_change_without_a_request_id_is_done_each_time),
        store_test(a_request_id_belongs_to_one_conversation_of_one_user),
        store_test(a_refused_change_does_not_use_up_its_request_id),
        store_test(a_retried_append_is_stored_once_though_its_condition_no_longer_holds),
        store_test(the_same_request_many_times_at_once_is_done_once),
        store_test(a_request_id_is_forgotten_with_its_conversation),
        store_test(a_request_id_outlives_soft_deletion_and_is_forgotten_by_expiry),
        store_test(a_replayed_pop_returns_large_messages_again),
        store_test(a_replayed_record_is_behind_the_field_that_is_asked_for_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
