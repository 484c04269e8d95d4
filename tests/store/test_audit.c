/* The audit trail: an event exactly for every change that is not an append, with who did what, and no content. Must not
 * know an engine. */
#include "support/store_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct store_message secret = {.role = {(const uint8_t *)"SECRET-ROLE", 11},
                                            .content = {(const uint8_t *)"SECRET-CONTENT", 14}};
static const struct store_conversation secret_title = {.title = {(const uint8_t *)"SECRET-TITLE", 12}};

static void every_change_of_a_conversation_tells_who_did_what(void **state)
{
    struct client *client = *state;
    assert_ok(client_run(client, op_by(op_with_request(op_create("alice", "c"), "r1", 1), "bot")));
    assert_ok(client_run(client, op_by(op_update("alice", "c", STORE_MASK_TITLE, &secret_title), "bot")));
    assert_ok(client_run(client, op_by(op_delete("alice", "c"), "alice")));
    assert_ok(client_run(client, op_by(op_undelete("alice", "c"), "alice")));
    client_fill(client, "alice", "c", 3);
    assert_ok(client_run(client, op_by(op_with_request(op_purge("alice", "c"), "r2", 2), "operator")));
    assert_events(client, NULL,
                  "PURGE_CONVERSATION operator alice/c 1-3 3 r2\n"
                  "UNDELETE_CONVERSATION alice alice/c 0-0 0 \n"
                  "DELETE_CONVERSATION alice alice/c 0-0 0 \n"
                  "UPDATE_CONVERSATION bot alice/c 0-0 0 \n"
                  "CREATE_CONVERSATION bot alice/c 0-0 0 r1\n");
}

static void every_change_of_a_message_tells_which(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "c", 9);
    assert_ok(client_run(client, op_by(op_edit("alice", "c", 2, STORE_MASK_CONTENT, &secret), "bot")));
    assert_ok(client_run(client, op_by(op_delete_message("alice", "c", 3), "bot")));
    assert_ok(client_run(client, op_by(op_pop("alice", "c", 2), "bot")));
    assert_ok(client_run(client, op_by(op_replace("alice", "c", 4, &secret, 1), "bot")));
    assert_events(client, "alice",
                  "REPLACE_MESSAGES bot alice/c 5-9 3 \n"
                  "POP_MESSAGES bot alice/c 8-9 2 \n"
                  "DELETE_MESSAGE bot alice/c 3-3 1 \n"
                  "UPDATE_MESSAGE bot alice/c 2-2 0 \n");
    const struct answer *events = events_of(client, "alice");
    assert_int_equal(events->events[0]->content_bytes, 3 * strlen("message 1"));
    assert_int_equal(events->events[1]->content_bytes, 2 * strlen("message 1"));
}

static void an_append_leaves_no_event_unless_it_drops_messages(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "c", 3);
    assert_ok(client_run(client, op_replace("alice", "c", 3, &secret, 1)));
    assert_ok(client_run(client, op_append("alice", "c", &secret, 1)));
    assert_events(client, NULL, "");
    assert_ok(client_run(client, op_replace("alice", "c", 4, NULL, 0)));
    assert_events(client, NULL, "REPLACE_MESSAGES  alice/c 5-5 1 \n");
}

static void what_failed_or_was_answered_again_leaves_no_event(void **state)
{
    struct client *client = *state;
    assert_ok(client_run(client, op_create("alice", "c")));
    struct store_op update = op_with_request(op_update("alice", "c", STORE_MASK_TITLE, &secret_title), "r", 1);
    const struct answer *first = client_run(client, update);
    assert_ok(first);
    assert_replay(first, client_run(client, update));
    client_reopen(client);
    assert_replay(first, client_run(client, update));
    assert_refused(client_run(client, op_create("alice", "c")), CONVERSATION_EXISTS);
    assert_refused(client_run(client, op_with_etag(op_delete("alice", "c"), "1")), ETAG_MISMATCH);
    assert_refused(client_run(client, op_undelete("alice", "c")), CONVERSATION_NOT_DELETED);
    assert_refused(client_run(client, op_delete_message("alice", "c", 1)), MESSAGE_NOT_FOUND);
    assert_refused(client_run(client, op_expecting(op_pop("alice", "c", 1), 7)), LAST_SEQ_MISMATCH);
    assert_refused(client_run(client, op_purge("bob", "c")), CONVERSATION_NOT_FOUND);
    assert_ok(client_run(client, op_forget("nobody")));
    assert_events(client, NULL,
                  "UPDATE_CONVERSATION  alice/c 0-0 0 r\n"
                  "CREATE_CONVERSATION  alice/c 0-0 0 \n");
}

static void what_the_daemon_removes_by_itself_has_no_principal(void **state)
{
    struct client *client = *state;
    struct store_op create = op_by(op_create("alice", "short"), "bot");
    create.create.expire_time_us = CLIENT_EPOCH_US + CLOCK_SECOND_US;
    assert_ok(client_run(client, create));
    client_fill(client, "alice", "short", 2);
    client_fill(client, "bob", "deleted", 4);
    assert_ok(client_run(client, op_by(op_delete("bob", "deleted"), "bot")));
    clock_advance(CLOCK_SECOND_US);
    client_wait_until_stored(client, 1, 1, 4);
    clock_advance(CLIENT_RETENTION_US);
    client_wait_until_stored(client, 0, 0, 0);
    assert_events(client, NULL,
                  "PURGE_CONVERSATION  bob/deleted 1-4 4 \n"
                  "EXPIRE_CONVERSATION  alice/short 1-2 2 \n"
                  "DELETE_CONVERSATION bot bob/deleted 0-0 0 \n"
                  "CREATE_CONVERSATION bot alice/short 0-0 0 \n");
}

/* The daemon may come first, or the append that finds the old one in its way: there is one event in both cases. */
static void an_append_over_an_expired_conversation_tells_its_end_once(void **state)
{
    struct client *client = *state;
    struct store_op create = op_by(op_create("alice", "c"), "bot");
    create.create.expire_time_us = CLIENT_EPOCH_US + CLOCK_SECOND_US;
    assert_ok(client_run(client, create));
    clock_advance(CLOCK_SECOND_US);
    assert_ok(client_run(client, op_by(op_creating(op_append("alice", "c", &secret, 1)), "bot")));
    assert_events(client, "alice",
                  "EXPIRE_CONVERSATION  alice/c 0-0 0 \n"
                  "CREATE_CONVERSATION bot alice/c 0-0 0 \n");
}

static void an_event_names_the_commit_and_the_time_of_its_change(void **state)
{
    struct client *client = *state;
    assert_ok(client_run(client, op_create("alice", "c")));
    uint64_t commit = client_run(client, op_stats())->result.stats.commit_id;
    clock_advance(5);
    assert_ok(client_run(client, op_pop("alice", "c", 1)));
    const struct answer *events = events_of(client, NULL);
    assert_int_equal(events->count, 2);
    assert_int_equal(events->events[1]->commit_id, commit);
    assert_int_equal(events->events[0]->commit_id, commit + 1);
    assert_true(events->events[1]->time_us == CLIENT_EPOCH_US && events->events[0]->time_us == CLIENT_EPOCH_US + 5);
}

static void events_of_other_things_are_put_on_request(void **state)
{
    struct client *client = *state;
    assert_ok(client_run(client, op_note(STORE_ACTION_RELOAD_TOKENS)));
    assert_ok(client_run(client, op_by(op_note(STORE_ACTION_BACKUP), "operator")));
    assert_ok(client_run(client, op_by(op_note(STORE_ACTION_RELOAD_TOKENS_FAILED), "uid:0")));
    assert_events(client, NULL,
                  "RELOAD_TOKENS_FAILED uid:0 / 0-0 0 \n"
                  "BACKUP operator / 0-0 0 \n"
                  "RELOAD_TOKENS  / 0-0 0 \n");
    assert_events(client, "alice", "");
}

static void assert_no_content(struct client *client, size_t events)
{
    const struct answer *answer = events_of(client, NULL);
    assert_int_equal(answer->count, events);
    assert_null(memmem(answer->result.records.data, answer->result.records.size, "SECRET", strlen("SECRET")));
}

static void no_content_comes_into_the_trail(void **state)
{
    struct client *client = *state;
    struct store_op create = op_create("alice", "c");
    create.create = secret_title;
    assert_ok(client_run(client, create));
    assert_ok(client_run(client, op_update("alice", "c", STORE_MASK_TITLE, &secret_title)));
    assert_ok(client_run(client, op_append("alice", "c", &secret, 1)));
    assert_ok(client_run(client, op_edit("alice", "c", 1, STORE_MASK_CONTENT, &secret)));
    assert_ok(client_run(client, op_replace("alice", "c", 0, &secret, 1)));
    assert_ok(client_run(client, op_pop("alice", "c", 1)));
    assert_ok(client_run(client, op_delete("alice", "c")));
    assert_no_content(client, 6);
    assert_ok(client_run(client, op_forget("alice")));
    assert_no_content(client, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(every_change_of_a_conversation_tells_who_did_what),
        store_test(every_change_of_a_message_tells_which),
        store_test(an_append_leaves_no_event_unless_it_drops_messages),
        store_test(what_failed_or_was_answered_again_leaves_no_event),
        store_test(what_the_daemon_removes_by_itself_has_no_principal),
        store_test(an_append_over_an_expired_conversation_tells_its_end_once),
        store_test(an_event_names_the_commit_and_the_time_of_its_change),
        store_test(events_of_other_things_are_put_on_request),
        store_test(no_content_comes_into_the_trail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
