/* Soft deletion, undeletion, purge and expiry of a conversation. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_deleted_conversation_can_be_read_and_says_when_it_ends(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    clock_advance(CLOCK_SECOND_US);
    const struct answer *deleted = client_run(client, op_delete("alice", "thread"));
    assert_ok(deleted);
    assert_int_equal(deleted->count, 1);
    assert_int_equal(deleted->conversations[0]->delete_time_us, clock_now());
    assert_int_equal(deleted->conversations[0]->purge_time_us, clock_now() + CLIENT_RETENTION_US);
    assert_int_equal(deleted->conversations[0]->message_count, 2);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_true(span_equal(read->records[0], deleted->records[0]));
    client_wait_until_stored(client, 1, 1, 2);
}

static void a_deleted_conversation_takes_no_change_but_undelete_and_purge(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    const struct answer *deleted = client_run(client, op_delete("alice", "thread"));
    assert_ok(deleted);
    const struct store_message message = message_of("user", "late");
    const struct store_conversation values = {.title = span_of_string("late")};
    const struct store_op changes[] = {
        op_update("alice", "thread", STORE_MASK_TITLE, &values),
        op_delete("alice", "thread"),
        op_append("alice", "thread", &message, 1),
        op_creating(op_append("alice", "thread", &message, 1)),
        op_replace("alice", "thread", 0, &message, 1),
        op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &message),
        op_delete_message("alice", "thread", 1),
        op_pop("alice", "thread", 1),
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_refused(client_run(client, changes[i]), CONVERSATION_DELETED);
    }
    assert_refused(client_run(client, op_create("alice", "thread")), CONVERSATION_EXISTS);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_true(span_equal(read->records[0], deleted->records[0]));
}

static void the_messages_of_a_deleted_conversation_are_not_read(void **state)
{
    struct client *client = *state;
    struct store_message message = message_of("user", "hello");
    message.message_id = span_of_string("id");
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_refused(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), CONVERSATION_DELETED);
    assert_refused(client_run(client, op_message("alice", "thread", 1)), CONVERSATION_DELETED);
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "id")), CONVERSATION_DELETED);
    assert_refused(client_run(client, op_message("alice", "thread", 2)), CONVERSATION_DELETED);
}

static void undelete_brings_a_conversation_back_with_all_its_messages(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    assert_refused(client_run(client, op_undelete("alice", "thread")), CONVERSATION_NOT_DELETED);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    client_reopen(client);
    const struct answer *back = client_run(client, op_undelete("alice", "thread"));
    assert_ok(back);
    assert_int_equal(back->conversations[0]->delete_time_us, 0);
    assert_int_equal(back->conversations[0]->purge_time_us, 0);
    assert_int_equal(back->conversations[0]->message_count, 3);
    assert_refused(client_run(client, op_undelete("alice", "thread")), CONVERSATION_NOT_DELETED);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3);
    const struct store_message message = message_of("user", "more");
    const struct answer *appended = client_run(client, op_append("alice", "thread", &message, 1));
    assert_ok(appended);
    assert_int_equal(appended->result.first_seq, 4);
}

static void a_deletion_with_an_old_etag_deletes_nothing(void **state)
{
    struct client *client = *state;
    const struct answer *created = client_run(client, op_create("alice", "thread"));
    client_fill(client, "alice", "thread", 1);
    const char *old = created->result.etag;
    assert_refused(client_run(client, op_with_etag(op_delete("alice", "thread"), old)), ETAG_MISMATCH);
    assert_refused(client_run(client, op_with_etag(op_purge("alice", "thread"), old)), ETAG_MISMATCH);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_int_equal(read->conversations[0]->delete_time_us, 0);
    const struct answer *deleted = client_run(client, op_with_etag(op_delete("alice", "thread"), read->result.etag));
    assert_ok(deleted);
    assert_refused(client_run(client, op_with_etag(op_purge("alice", "thread"), read->result.etag)), ETAG_MISMATCH);
    assert_ok(client_run(client, op_with_etag(op_purge("alice", "thread"), deleted->result.etag)));
    assert_refused(client_run(client, op_get("alice", "thread")), CONVERSATION_NOT_FOUND);
}

/* Nothing of alice's thread can be reached. */
static void assert_gone(struct client *client)
{
    const struct store_message message = message_of("user", "late");
    const struct store_conversation values = {.title = span_of_string("late")};
    const struct store_op ops[] = {
        op_get("alice", "thread"),
        op_page("alice", "thread", STORE_LATEST, 0, 10),
        op_message("alice", "thread", 1),
        op_undelete("alice", "thread"),
        op_delete("alice", "thread"),
        op_purge("alice", "thread"),
        op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &values),
        op_append("alice", "thread", &message, 1),
        op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &message),
        op_delete_message("alice", "thread", 1),
        op_pop("alice", "thread", 1),
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        assert_refused(client_run(client, ops[i]), CONVERSATION_NOT_FOUND);
    }
    struct store_op list = op_list("alice", 10, span_of(NULL, 0));
    list.list.show_deleted = true;
    list.list.archived = STORE_ARCHIVED_INCLUDE;
    const struct answer *listed = client_run(client, list);
    assert_ok(listed);
    assert_int_equal(listed->count, 0);
}

static void a_purged_conversation_is_gone_at_once(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    const struct answer *purged = client_run(client, op_purge("alice", "thread"));
    assert_ok(purged);
    assert_int_equal(purged->count, 0);
    assert_gone(client);
    client_reopen(client);
    assert_gone(client);
    client_wait_until_stored(client, 0, 0, 0);
}

static void a_deleted_conversation_can_be_purged_early(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_ok(client_run(client, op_purge("alice", "thread")));
    assert_gone(client);
    client_wait_until_stored(client, 0, 0, 0);
}

static void a_deleted_conversation_is_purged_by_the_store_itself_at_its_time(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    client_fill(client, "bob", "thread", 2);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    clock_advance(CLIENT_RETENTION_US - 1);
    client_reopen(client);
    client_fill(client, "bob", "thread", 1);
    assert_ok(client_run(client, op_get("alice", "thread")));
    clock_advance(1);
    client_wait_until_stored(client, 1, 1, 3);
    assert_gone(client);
}

static void an_undeleted_conversation_is_not_purged(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    client_fill(client, "alice", "other", 1);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_ok(client_run(client, op_undelete("alice", "thread")));
    assert_ok(client_run(client, op_delete("alice", "other")));
    clock_advance(2 * CLIENT_RETENTION_US);
    client_wait_until_stored(client, 1, 1, 5);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3, 4, 5);
}

static void a_purge_time_that_passes_while_the_store_is_closed_is_kept(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    client_close(client);
    clock_advance(CLIENT_RETENTION_US);
    client_open(client);
    client_wait_until_stored(client, 0, 0, 0);
    assert_gone(client);
}

/* Creates alice's thread with two messages and this moment of expiry. */
static void expiring_create(struct client *client, int64_t expire_time_us)
{
    struct store_op create = op_create("alice", "thread");
    create.create.expire_time_us = expire_time_us;
    assert_ok(client_run_patiently(client, create));
    client_fill(client, "alice", "thread", 2);
}

static void an_expired_conversation_is_gone_from_that_moment_on(void **state)
{
    struct client *client = *state;
    expiring_create(client, CLIENT_EPOCH_US + CLOCK_SECOND_US);
    clock_advance(CLOCK_SECOND_US - 1);
    assert_ok(client_run(client, op_get("alice", "thread")));
    clock_advance(1);
    assert_gone(client);
    client_wait_until_stored(client, 0, 0, 0);
    assert_gone(client);
}

static void a_deleted_conversation_expires_too(void **state)
{
    struct client *client = *state;
    expiring_create(client, CLIENT_EPOCH_US + CLOCK_SECOND_US);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    clock_advance(CLOCK_SECOND_US);
    assert_gone(client);
    client_wait_until_stored(client, 0, 0, 0);
}

static void an_expiry_that_was_moved_or_removed_does_not_happen(void **state)
{
    struct client *client = *state;
    const struct store_conversation later = {.expire_time_us = CLIENT_EPOCH_US + 9 * CLOCK_SECOND_US};
    const struct store_conversation never = {.expire_time_us = 0};
    expiring_create(client, CLIENT_EPOCH_US + CLOCK_SECOND_US);
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &later)));
    clock_set(CLIENT_EPOCH_US + 8 * CLOCK_SECOND_US);
    client_reopen(client);
    assert_ok(client_run(client, op_get("alice", "thread")));
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &never)));
    clock_set(CLIENT_EPOCH_US * 2);
    client_reopen(client);
    client_fill(client, "alice", "thread", 1);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3);
}

static void an_expiry_set_into_the_past_ends_a_conversation_at_once(void **state)
{
    struct client *client = *state;
    const struct store_conversation past = {.expire_time_us = 1};
    client_fill(client, "alice", "thread", 2);
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &past)));
    assert_gone(client);
    client_wait_until_stored(client, 0, 0, 0);
}

static void the_id_of_an_expired_conversation_can_be_used_afresh(void **state)
{
    struct client *client = *state;
    expiring_create(client, CLIENT_EPOCH_US + CLOCK_SECOND_US);
    clock_advance(CLOCK_SECOND_US);
    const struct answer *created = client_run_patiently(client, op_create("alice", "thread"));
    assert_ok(created);
    assert_int_equal(created->conversations[0]->last_seq, 0);
    assert_int_equal(created->conversations[0]->expire_time_us, 0);
    client_fill(client, "alice", "thread", 1);
    client_wait_until_stored(client, 1, 1, 1);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1);
}

static void an_append_that_creates_begins_afresh_after_expiry(void **state)
{
    struct client *client = *state;
    expiring_create(client, CLIENT_EPOCH_US + CLOCK_SECOND_US);
    clock_advance(CLOCK_SECOND_US);
    client_fill(client, "alice", "thread", 1);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1);
    client_wait_until_stored(client, 1, 1, 1);
    assert_ok(client_run(client, op_get("alice", "thread")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_deleted_conversation_can_be_read_and_says_when_it_ends),
        store_test(a_deleted_conversation_takes_no_change_but_undelete_and_purge),
        store_test(the_messages_of_a_deleted_conversation_are_not_read),
        store_test(undelete_brings_a_conversation_back_with_all_its_messages),
        store_test(a_deletion_with_an_old_etag_deletes_nothing),
        store_test(a_purged_conversation_is_gone_at_once),
        store_test(a_deleted_conversation_can_be_purged_early),
        store_test(a_deleted_conversation_is_purged_by_the_store_itself_at_its_time),
        store_test(an_undeleted_conversation_is_not_purged),
        store_test(a_purge_time_that_passes_while_the_store_is_closed_is_kept),
        store_test(an_expired_conversation_is_gone_from_that_moment_on),
        store_test(a_deleted_conversation_expires_too),
        store_test(an_expiry_that_was_moved_or_removed_does_not_happen),
        store_test(an_expiry_set_into_the_past_ends_a_conversation_at_once),
        store_test(the_id_of_an_expired_conversation_can_be_used_afresh),
        store_test(an_append_that_creates_begins_afresh_after_expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
