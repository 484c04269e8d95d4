/* Purging much: a large conversation goes at once for readers and in steps on the disk, also over a restart. Must
 * not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LARGE = 12000 };

static void a_large_purged_conversation_is_gone_at_once_and_then_its_data(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "large", LARGE);
    client_fill(client, "alice", "small", 3);
    client_fill(client, "bob", "large", 3);
    assert_ok(client_run(client, op_purge("alice", "large")));
    assert_refused(client_run(client, op_get("alice", "large")), CONVERSATION_NOT_FOUND);
    assert_refused(client_run(client, op_page("alice", "large", STORE_LATEST, 0, 10)), CONVERSATION_NOT_FOUND);
    assert_refused(client_run(client, op_message("alice", "large", LARGE)), CONVERSATION_NOT_FOUND);
    const struct answer *list = client_run(client, op_list("alice", 10, span_of(NULL, 0)));
    assert_ok(list);
    assert_int_equal(list->count, 1);
    client_wait_until_stored(client, 2, 2, 6);
    assert_seqs(client_run(client, op_page("alice", "small", STORE_LATEST, 0, 10)), 1, 2, 3);
    assert_seqs(client_run(client, op_page("bob", "large", STORE_LATEST, 0, 10)), 1, 2, 3);
}

static void a_purge_goes_on_after_a_restart_in_its_middle(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "large", LARGE);
    struct answer *purge = client_start(client, op_purge("alice", "large"));
    client_close(client);
    assert_ok(client_wait(client, purge));
    for (int i = 0; i < 3; i++) {
        client_open(client);
        assert_refused(client_run(client, op_get("alice", "large")), CONVERSATION_NOT_FOUND);
        assert_int_equal(client_run(client, op_list("alice", 10, span_of(NULL, 0)))->count, 0);
        client_close(client);
    }
    client_open(client);
    client_wait_until_stored(client, 0, 0, 0);
    assert_refused(client_run(client, op_get("alice", "large")), CONVERSATION_NOT_FOUND);
}

static void a_purged_id_is_refused_or_begins_afresh_but_never_shows_old_messages(void **state)
{
    struct client *client = *state;
    const struct store_message message = message_of("user", "afresh");
    client_fill(client, "alice", "large", LARGE);
    assert_ok(client_run(client, op_purge("alice", "large")));
    client_reopen(client);
    struct store_op append = op_creating(op_append("alice", "large", &message, 1));
    const struct answer *at_once = client_run(client, append);
    if (at_once->reason != ERROR_NONE_REASON) {
        assert_refused(at_once, PURGE_RUNNING);
        assert_refused(client_run(client, op_get("alice", "large")), CONVERSATION_NOT_FOUND);
        at_once = client_run_patiently(client, append);
    }
    assert_ok(at_once);
    assert_int_equal(at_once->result.first_seq, 1);
    assert_seqs(client_run(client, op_page("alice", "large", STORE_AFTER, 0, 1000)), 1);
    assert_refused(client_run(client, op_message("alice", "large", 2)), MESSAGE_NOT_FOUND);
    client_wait_until_stored(client, 1, 1, 1);
    const struct answer *read = client_run(client, op_message("alice", "large", 1));
    assert_ok(read);
    assert_memory_equal(read->messages[0]->content.data, "afresh", strlen("afresh"));
    assert_ok(client_run(client, op_get("alice", "large")));
}

static void a_purged_conversation_leaves_no_message_id_and_no_counts(void **state)
{
    struct client *client = *state;
    struct store_message message = message_of("user", "hello");
    message.message_id = span_of_string("id");
    for (int round = 0; round < 3; round++) {
        const struct answer *appended =
            client_run_patiently(client, op_creating(op_append("alice", "thread", &message, 1)));
        assert_ok(appended);
        assert_int_equal(appended->result.first_seq, 1);
        const struct answer *read = client_run(client, op_get("alice", "thread"));
        assert_ok(read);
        assert_int_equal(read->conversations[0]->message_count, 1);
        assert_int_equal(read->conversations[0]->content_bytes, strlen("hello"));
        assert_ok(client_run(client, op_purge("alice", "thread")));
        assert_refused(client_run(client, op_message_by_id("alice", "thread", "id")), CONVERSATION_NOT_FOUND);
    }
    client_wait_until_stored(client, 0, 0, 0);
    assert_int_equal(client_run(client, op_stats())->result.stats.content_bytes, 0);
}

static void writes_go_on_while_a_large_conversation_is_purged(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "large", LARGE);
    struct answer *purge = client_start(client, op_purge("alice", "large"));
    client_fill(client, "alice", "other", 10);
    client_fill(client, "bob", "large", 10);
    assert_ok(client_wait(client, purge));
    client_wait_until_stored(client, 2, 2, 20);
}

static void many_large_conversations_expire_together(void **state)
{
    struct client *client = *state;
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        struct store_op create = op_create("alice", names[i]);
        create.create.expire_time_us = CLIENT_EPOCH_US + CLOCK_SECOND_US;
        assert_ok(client_run(client, create));
        client_fill(client, "alice", names[i], LARGE / 4);
    }
    client_fill(client, "alice", "stays", 1);
    clock_advance(CLOCK_SECOND_US);
    for (size_t i = 0; i < 4; i++) {
        assert_refused(client_run(client, op_get("alice", names[i])), CONVERSATION_NOT_FOUND);
    }
    client_wait_until_stored(client, 1, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_large_purged_conversation_is_gone_at_once_and_then_its_data),
        store_test(a_purge_goes_on_after_a_restart_in_its_middle),
        store_test(a_purged_id_is_refused_or_begins_afresh_but_never_shows_old_messages),
        store_test(a_purged_conversation_leaves_no_message_id_and_no_counts),
        store_test(writes_go_on_while_a_large_conversation_is_purged),
        store_test(many_large_conversations_expire_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
