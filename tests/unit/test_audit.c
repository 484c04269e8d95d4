/* The audit trail in LMDB's tables: damage is told and passed by, and data that never had a trail gets one. */
#include "store/lmdb/audit.h"
#include "store/maintenance.h"
#include "support/lmdb_file.h"
#include "support/store_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RETENTION_US (INT64_C(3600) * CLOCK_SECOND_US)

/* Three conversations of alice, a second apart. */
static void conversations_make(struct client *client)
{
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(client_run(client, op_create("alice", names[i])));
        clock_advance(CLOCK_SECOND_US);
    }
}

/* Writes into the second event's place. */
static void event_overwrite(struct client *client, struct span value)
{
    struct key key = key_event(CLIENT_EPOCH_US + CLOCK_SECOND_US, 0);
    client_close(client);
    lmdb_file_put(client_config(client)->data_dir, "audit", key_span(&key), value);
    client_open(client);
}

/* The second event with one bit another. */
static void event_damage(struct client *client)
{
    struct key key = key_event(CLIENT_EPOCH_US + CLOCK_SECOND_US, 0);
    uint8_t value[1024];
    client_close(client);
    size_t size = lmdb_file_get(client_config(client)->data_dir, "audit", key_span(&key), value, sizeof(value));
    value[size / 2] ^= 1;
    event_overwrite(client, span_of(value, size));
}

static struct store_survey survey_take(struct client *client)
{
    struct store_survey survey;
    struct error error = {0};
    client_close(client);
    if (store_verify(client_config(client), &survey, &error)) {
        fail_msg("verify: %s", error.message);
    }
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays, 0);
    client_open(client);
    return survey;
}

static void a_damaged_event_is_shown_as_such_and_its_neighbours_as_they_are(void **state)
{
    struct client *client = *state;
    conversations_make(client);
    event_damage(client);
    for (int i = 0; i < 2; i++) {
        const struct answer *events = events_of(client, i == 0 ? NULL : "alice");
        assert_int_equal(events->count, 3);
        assert_string_equal(events->events[0]->conversation_id, "c");
        assert_int_equal(events->events[1]->action, STORE_ACTION_DAMAGED);
        assert_true(events->events[1]->time_us == CLIENT_EPOCH_US + CLOCK_SECOND_US);
        assert_string_equal(events->events[1]->conversation_id, "");
        assert_string_equal(events->events[1]->user_id, i == 0 ? "" : "alice");
        assert_string_equal(events->events[2]->conversation_id, "a");
    }
    event_overwrite(client, span_of_string("x"));
    assert_int_equal(events_of(client, NULL)->events[1]->action, STORE_ACTION_DAMAGED);
    assert_int_equal(events_of(client, "bob")->count, 0);
}

static void verify_counts_events_and_those_that_are_damaged(void **state)
{
    struct client *client = *state;
    conversations_make(client);
    assert_ok(client_run(client, op_note(STORE_ACTION_BACKUP)));
    struct store_survey sound = survey_take(client);
    assert_int_equal(sound.events, 4);
    assert_int_equal(sound.damaged_events, 0);
    assert_int_equal(sound.finding_count, 0);
    event_damage(client);
    struct store_survey damaged = survey_take(client);
    assert_int_equal(damaged.events, 4);
    assert_int_equal(damaged.damaged_events, 1);
    assert_non_null(strstr(damaged.findings[0], "event 2 of the audit trail"));
}

static void an_event_that_the_users_list_lacks_counts_as_damaged(void **state)
{
    struct client *client = *state;
    conversations_make(client);
    struct key event = key_event(CLIENT_EPOCH_US, 0);
    struct key name = key_event_of_user(span_of_string("alice"), false, key_span(&event));
    client_close(client);
    lmdb_file_put(client_config(client)->data_dir, "audit_users", key_span(&name), span_of(NULL, 0));
    client_open(client);
    assert_int_equal(survey_take(client).damaged_events, 1);
    assert_int_equal(events_of(client, "alice")->count, 2);
    assert_int_equal(events_of(client, NULL)->count, 3);
}

static void a_damaged_event_goes_with_its_time_and_with_its_user(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_config(client)->audit_retention_us = RETENTION_US;
    client_open(client);
    conversations_make(client);
    event_damage(client);
    clock_advance(RETENTION_US + 120 * CLOCK_SECOND_US);
    events_wait(client, 0);
    assert_int_equal(events_of(client, "alice")->count, 0);
    clock_set(CLIENT_EPOCH_US);
    assert_ok(client_run(client, op_forget("alice")));
    conversations_make(client);
    event_damage(client);
    assert_ok(client_run(client, op_forget("alice")));
    assert_int_equal(events_of(client, NULL)->count, 4); /* the two removals, each begun and ended */
    client_close(client);
    assert_int_equal(lmdb_file_count(client_config(client)->data_dir, "audit_users"), 4);
}

static void what_is_no_event_of_ours_is_passed_by_and_removed_in_time(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_config(client)->audit_retention_us = RETENTION_US;
    lmdb_file_put(client_config(client)->data_dir, "audit", span_of_string("\x01short"), span_of_string("x"));
    client_open(client);
    conversations_make(client);
    assert_int_equal(events_of(client, "alice")->count, 3);
    clock_advance(RETENTION_US + 120 * CLOCK_SECOND_US);
    events_wait(client, 0);
}

static void data_without_a_trail_gets_one_when_a_daemon_opens_it(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    assert_ok(client_run(client, op_pop("alice", "thread", 1)));
    client_close(client);
    lmdb_file_drop(client_config(client)->data_dir, "audit");
    lmdb_file_drop(client_config(client)->data_dir, "audit_users");
    struct store_survey survey;
    struct error error = {0};
    assert_int_equal(store_verify(client_config(client), &survey, &error), 0); /* reads only: creates none */
    assert_int_equal(survey.events + survey.damaged_events, 0);
    assert_false(lmdb_file_has(client_config(client)->data_dir, "audit"));
    client_open(client);
    assert_int_equal(events_of(client, NULL)->count, 0);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_events(client, "alice", "DELETE_CONVERSATION  alice/thread 0-0 0 \n");
    client_close(client);
    assert_true(lmdb_file_has(client_config(client)->data_dir, "audit"));
    client_open(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_damaged_event_is_shown_as_such_and_its_neighbours_as_they_are),
        store_test(verify_counts_events_and_those_that_are_damaged),
        store_test(an_event_that_the_users_list_lacks_counts_as_damaged),
        store_test(a_damaged_event_goes_with_its_time_and_with_its_user),
        store_test(what_is_no_event_of_ours_is_passed_by_and_removed_in_time),
        store_test(data_without_a_trail_gets_one_when_a_daemon_opens_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
