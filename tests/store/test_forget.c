/* Forgetting a user: everything goes, in one moment for readers, and a receipt says what went. Must not know an
 * engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CONVERSATIONS = 10, LARGE = 1000, MESSAGES = CONVERSATIONS * LARGE };

static void large_user_make(struct client *client, const char *user)
{
    for (int i = 0; i < CONVERSATIONS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "thread %d", i);
        client_fill(client, user, name, LARGE);
    }
}

/* Reads see all of the user's conversations, or none. Returns which. */
static bool user_is_there(struct client *client, const char *user)
{
    const struct answer *list = client_run(client, op_list(user, 100, span_of(NULL, 0)));
    assert_ok(list);
    assert_true(list->count == 0 || list->count == CONVERSATIONS);
    return list->count > 0;
}

static void assert_forgotten(struct client *client, const char *user)
{
    assert_false(user_is_there(client, user));
    for (int i = 0; i < CONVERSATIONS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "thread %d", i);
        assert_refused(client_run(client, op_get(user, name)), CONVERSATION_NOT_FOUND);
        assert_refused(client_run(client, op_message(user, name, LARGE)), CONVERSATION_NOT_FOUND);
        assert_refused(client_run(client, op_page(user, name, STORE_LATEST, 0, 5)), CONVERSATION_NOT_FOUND);
    }
    const struct answer *users = client_run(client, op_users(1000, span_of(NULL, 0)));
    assert_ok(users);
    for (size_t i = 0; i < users->count; i++) {
        assert_false(span_equal(users->records[i], span_of_string(user)));
    }
}

static void a_receipt_counts_what_was_removed(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "a", 3);
    client_fill(client, "alice", "b", 2);
    assert_ok(client_run(client, op_create("alice", "empty")));
    assert_ok(client_run(client, op_delete("alice", "b")));
    client_fill(client, "bob", "a", 4);
    const struct answer *forgotten = client_run(client, op_forget("alice"));
    assert_ok(forgotten);
    assert_int_equal(forgotten->count, 0);
    const struct store_receipt *receipt = &forgotten->result.receipt;
    assert_int_equal(receipt->conversations, 3);
    assert_int_equal(receipt->messages, 5);
    assert_int_equal(receipt->content_bytes, 5 * strlen("message 1"));
    assert_true(receipt->digest[0] != 0 || receipt->digest[1] != 0);
    client_wait_until_stored(client, 1, 1, 4);
    assert_true(receipt->commit_id <= client_run(client, op_stats())->result.stats.commit_id);
    assert_seqs(client_run(client, op_page("bob", "a", STORE_LATEST, 0, 10)), 1, 2, 3, 4);
}

static void a_user_without_data_gets_a_receipt_of_zeros(void **state)
{
    struct client *client = *state;
    client_fill(client, "bob", "thread", 1);
    for (int i = 0; i < 2; i++) {
        const struct answer *forgotten = client_run(client, op_forget(i == 0 ? "nobody" : "alice"));
        assert_ok(forgotten);
        const struct store_receipt *receipt = &forgotten->result.receipt;
        assert_int_equal(receipt->conversations | receipt->messages | receipt->content_bytes, 0);
        assert_int_equal(receipt->digest[0] | receipt->digest[1], 0);
        client_fill(client, "alice", "thread", 1);
        assert_ok(client_run(client, op_forget("alice")));
    }
    client_wait_until_stored(client, 1, 1, 1);
}

/* The receipt of a user with this data, from a store of its own. */
static struct store_receipt receipt_of(const char *user, const char *conversation, const char *content)
{
    clock_set(CLIENT_EPOCH_US);
    struct client *client = client_new();
    const struct store_message message = message_of("user", content);
    client_fill(client, user, "other", 1500);
    assert_ok(client_run(client, op_creating(op_append(user, conversation, &message, 1))));
    const struct answer *forgotten = client_run(client, op_forget(user));
    assert_ok(forgotten);
    struct store_receipt receipt = forgotten->result.receipt;
    client_free(client);
    return receipt;
}

static bool digest_equal(struct store_receipt a, struct store_receipt b)
{
    return a.digest[0] == b.digest[0] && a.digest[1] == b.digest[1];
}

static void receipts_of_the_same_data_agree_and_of_other_data_differ(void **state)
{
    (void)state;
    struct store_receipt first = receipt_of("alice", "thread", "hello");
    assert_true(digest_equal(first, receipt_of("alice", "thread", "hello")));
    assert_false(digest_equal(first, receipt_of("alice", "thread", "hellp")));
    assert_false(digest_equal(first, receipt_of("alice", "threae", "hello")));
    assert_false(digest_equal(first, receipt_of("alicf", "thread", "hello")));
}

static void a_user_is_forgotten_in_one_moment_for_readers(void **state)
{
    struct client *client = *state;
    large_user_make(client, "alice");
    assert_true(user_is_there(client, "alice"));
    struct answer *forget = client_start(client, op_forget("alice"));
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (user_is_there(client, "alice")) {
        assert_true(clock_monotonic_us() < end);
        client_run(client, op_stats());
    }
    assert_forgotten(client, "alice");
    assert_ok(client_wait(client, forget));
    assert_forgotten(client, "alice");
    assert_int_equal(forget->result.receipt.conversations, CONVERSATIONS);
    assert_int_equal(forget->result.receipt.messages, MESSAGES);
    client_wait_until_stored(client, 0, 0, 0);
}

static void a_user_being_forgotten_is_written_only_afterwards(void **state)
{
    struct client *client = *state;
    large_user_make(client, "alice");
    large_user_make(client, "bob");
    const struct store_message message = message_of("user", "afresh");
    struct answer *forget = client_start(client, op_forget("alice"));
    struct answer *append = client_start(client, op_creating(op_append("alice", "thread 1", &message, 1)));
    client_fill(client, "bob", "thread 1", 1);
    assert_ok(client_wait(client, forget));
    client_wait(client, append);
    if (append->reason == ERROR_PURGE_RUNNING) {
        const struct answer *again = client_run_patiently(client, append->op);
        assert_ok(again);
        assert_int_equal(again->result.first_seq, 1);
    } else {
        assert_ok(append);
        assert_int_equal(append->result.first_seq, 1);
    }
    client_wait_until_stored(client, 2, CONVERSATIONS + 1, MESSAGES + 2);
    assert_seqs(client_run(client, op_page("alice", "thread 1", STORE_LATEST, 0, 10)), 1);
}

static void a_forgetting_that_a_restart_interrupts_goes_on_by_itself(void **state)
{
    struct client *client = *state;
    large_user_make(client, "alice");
    client_fill(client, "bob", "thread", 2);
    struct answer *forget = client_start(client, op_forget("alice"));
    client_close(client);
    client_wait(client, forget);
    if (forget->reason != ERROR_NONE_REASON) {
        assert_refused(forget, SHUTTING_DOWN);
    }
    client_open(client);
    assert_forgotten(client, "alice");
    client_wait_until_stored(client, 1, 1, 2);
    assert_forgotten(client, "alice");
    const struct answer *again = client_run(client, op_forget("alice"));
    assert_ok(again);
    assert_int_equal(again->result.receipt.messages, 0);
    large_user_make(client, "alice");
    client_wait_until_stored(client, 2, CONVERSATIONS + 1, MESSAGES + 2);
}

static void a_user_may_be_forgotten_by_several_at_once(void **state)
{
    struct client *client = *state;
    enum { COPIES = 5 };
    struct answer *answers[COPIES];
    large_user_make(client, "alice");
    for (size_t i = 0; i < COPIES; i++) {
        answers[i] = client_start(client, op_forget("alice"));
    }
    uint64_t most = 0;
    for (size_t i = 0; i < COPIES; i++) {
        assert_ok(client_wait(client, answers[i]));
        uint64_t messages = answers[i]->result.receipt.messages;
        assert_true(messages == 0 || messages == MESSAGES);
        most = messages > most ? messages : most;
    }
    assert_int_equal(most, MESSAGES);
    client_wait_until_stored(client, 0, 0, 0);
}

static void forgetting_ends_a_purge_that_is_under_way(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "large", MESSAGES);
    client_fill(client, "alice", "small", 1);
    struct answer *purge = client_start(client, op_purge("alice", "large"));
    const struct answer *forgotten = client_run(client, op_forget("alice"));
    assert_ok(client_wait(client, purge));
    assert_ok(forgotten);
    client_wait_until_stored(client, 0, 0, 0);
    client_fill(client, "alice", "large", 2);
    assert_seqs(client_run(client, op_page("alice", "large", STORE_LATEST, 0, 10)), 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_receipt_counts_what_was_removed),
        store_test(a_user_without_data_gets_a_receipt_of_zeros),
        cmocka_unit_test(receipts_of_the_same_data_agree_and_of_other_data_differ),
        store_test(a_user_is_forgotten_in_one_moment_for_readers),
        store_test(a_user_being_forgotten_is_written_only_afterwards),
        store_test(a_forgetting_that_a_restart_interrupts_goes_on_by_itself),
        store_test(a_user_may_be_forgotten_by_several_at_once),
        store_test(forgetting_ends_a_purge_that_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
