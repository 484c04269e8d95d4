/* The audit trail as a whole: it is read page by page, kept for its time, and rid of a user who is forgotten. Must not
 * know an engine. */
#include "support/store_events.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 2500 };

#define ACTION(name) CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_##name
#define DAY_US       (INT64_C(86400) * CLOCK_SECOND_US)

/* ---- Reading ---- */

/* Creates conversations 0, 1 ... of ann and anna in turn, a second apart. */
static void conversations_make(struct client *client, size_t count)
{
    static char names[MANY][24];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "%zu", i);
        client_start(client, op_create(i % 2 ? "anna" : "ann", names[i]));
        if (count < 100) {
            client_wait_all(client);
            clock_advance(CLOCK_SECOND_US);
        }
        if (i % 1000 == 999) {
            client_wait_all(client);
        }
    }
    client_wait_all(client);
}

/* Reads pages of this size and demands the conversations first, first - step ... down to last, each once. */
static void assert_listed(struct client *client, struct store_op op, size_t first, size_t step, size_t last)
{
    uint8_t after[64];
    size_t wanted = first + step;
    do {
        const struct answer *page = client_run(client, op);
        assert_ok(page);
        assert_true(page->count <= op.events.page_size);
        for (size_t i = 0; i < page->count; i++) {
            wanted -= step;
            assert_int_equal(strtoull(page->events[i]->conversation_id, NULL, 10), wanted);
        }
        assert_true(page->result.next.size <= sizeof(after));
        memcpy(after, page->result.next.data ? page->result.next.data : after, page->result.next.size);
        op.events.after = span_of(after, page->result.next.size);
    } while (op.events.after.size > 0);
    assert_int_equal(wanted, last);
}

static void pages_give_every_event_once_the_newest_first(void **state)
{
    struct client *client = *state;
    conversations_make(client, 20);
    for (size_t page_size = 1; page_size <= 21; page_size++) {
        assert_listed(client, op_events(NULL, page_size, span_of(NULL, 0)), 19, 1, 0);
        assert_listed(client, op_events("ann", page_size, span_of(NULL, 0)), 18, 2, 0);
        assert_listed(client, op_events("anna", page_size, span_of(NULL, 0)), 19, 2, 1);
        client_release(client);
    }
    assert_events(client, "an", "");
    assert_events(client, "annab", "");
}

static void events_of_one_moment_are_all_there(void **state)
{
    struct client *client = *state;
    conversations_make(client, MANY);
    assert_listed(client, op_events("ann", 999, span_of(NULL, 0)), MANY - 2, 2, 0);
    assert_listed(client, op_events(NULL, 1000, span_of(NULL, 0)), MANY - 1, 1, 0);
}

static void only_events_of_the_wanted_times_are_listed(void **state)
{
    struct client *client = *state;
    conversations_make(client, 20); /* conversation n at EPOCH + n seconds */
    struct store_op op = op_events(NULL, 3, span_of(NULL, 0));
    op.events.since_us = CLIENT_EPOCH_US + 4 * CLOCK_SECOND_US;
    assert_listed(client, op, 19, 1, 4);
    op.events.until_us = CLIENT_EPOCH_US + 10 * CLOCK_SECOND_US;
    assert_listed(client, op, 9, 1, 4);
    op.events.since_us = 0;
    assert_listed(client, op, 9, 1, 0);
    struct store_op alone = op_events("anna", 3, span_of(NULL, 0));
    alone.events.since_us = CLIENT_EPOCH_US + 4 * CLOCK_SECOND_US;
    alone.events.until_us = CLIENT_EPOCH_US + 10 * CLOCK_SECOND_US;
    assert_listed(client, alone, 9, 2, 5);
    op.events.since_us = op.events.until_us;
    assert_int_equal(client_run(client, op)->count, 0);
}

static void a_position_that_is_none_is_refused_and_any_other_is_safe(void **state)
{
    struct client *client = *state;
    uint8_t bytes[17];
    conversations_make(client, 3);
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t size = 1; size <= sizeof(bytes); size++) {
        assert_refused(client_run(client, op_events(NULL, 10, span_of(bytes, size))), PAGE_TOKEN_INVALID);
    }
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(client_run(client, op_events("ann", 10, span_of(bytes, 16)))->count, 0);
    bytes[1] = 9; /* far above all */
    assert_int_equal(client_run(client, op_events("ann", 10, span_of(bytes, 16)))->count, 2);
}

static void a_clock_that_is_set_back_loses_no_event(void **state)
{
    struct client *client = *state;
    static const char *const names[] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(client_run(client, op_create("alice", names[i])));
        clock_set(CLIENT_EPOCH_US - (int64_t)(i % 2) * CLOCK_SECOND_US); /* 0: EPOCH, 1: EPOCH, 2: before, 3: EPOCH */
    }
    const struct answer *events = events_of(client, "alice");
    assert_int_equal(events->count, 4);
    static const char *const wanted[] = {"3", "1", "0", "2"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(events->events[i]->conversation_id, wanted[i]);
    }
    assert_true(events->events[3]->time_us == CLIENT_EPOCH_US - CLOCK_SECOND_US);
    assert_true(events->events[2]->commit_id < events->events[1]->commit_id &&
                events->events[1]->commit_id < events->events[3]->commit_id &&
                events->events[3]->commit_id < events->events[0]->commit_id);
}

/* ---- Retention ---- */

static void events_are_kept_for_their_time_and_no_longer(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_config(client)->audit_retention_us = DAY_US;
    client_open(client);
    conversations_make(client, MANY); /* more than one commit removes */
    clock_advance(DAY_US / 2);
    assert_ok(client_run(client, op_create("ann", "late")));
    clock_advance(DAY_US / 2);
    assert_listed(client, op_events("anna", 1000, span_of(NULL, 0)), MANY - 1, 2, 1);
    clock_advance(2 * 60 * CLOCK_SECOND_US);
    events_wait(client, 1);
    assert_events(client, NULL, "CREATE_CONVERSATION  ann/late 0-0 0 \n");
    assert_events(client, "ann", "CREATE_CONVERSATION  ann/late 0-0 0 \n");
    assert_events(client, "anna", "");
    client_wait_until_stored(client, 2, MANY + 1, 0);
}

static void without_a_retention_events_stay(void **state)
{
    struct client *client = *state;
    assert_ok(client_run(client, op_create("ann", "c")));
    clock_advance(36500 * DAY_US);
    client_reopen(client);
    assert_ok(client_run(client, op_create("ann", "d")));
    assert_int_equal(events_of(client, NULL)->count, 2);
}

static void an_event_of_a_wrong_clock_keeps_no_other_from_its_end(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_config(client)->audit_retention_us = DAY_US;
    client_open(client);
    clock_advance(36500 * DAY_US);
    assert_ok(client_run(client, op_create("ann", "far")));
    clock_set(CLIENT_EPOCH_US);
    assert_ok(client_run(client, op_create("ann", "near")));
    clock_advance(2 * DAY_US);
    events_wait(client, 1);
    assert_events(client, "ann", "CREATE_CONVERSATION  ann/far 0-0 0 \n");
}

/* ---- Forgetting ---- */

static void the_events_of_a_forgotten_user_go_and_the_receipt_stays(void **state)
{
    struct client *client = *state;
    client_fill(client, "ann", "c", 5);
    client_fill(client, "anna", "c", 5);
    assert_ok(client_run(client, op_pop("ann", "c", 1)));
    assert_ok(client_run(client, op_pop("anna", "c", 1)));
    const struct answer *forgotten =
        client_run(client, op_by(op_with_request(op_forget("ann"), "please", 1), "operator"));
    assert_ok(forgotten);
    assert_events(client, NULL,
                  "FORGET_USER_END  ann/ 0-0 4 \n"
                  "FORGET_USER_BEGIN operator ann/ 0-0 0 please\n"
                  "POP_MESSAGES  anna/c 5-5 1 \n");
    const struct store_receipt *receipt = &forgotten->result.receipt;
    const Chatlog__V1__AuditEvent *event = events_of(client, "ann")->events[0];
    char digest[33];
    snprintf(digest, sizeof(digest), "%016" PRIx64 "%016" PRIx64, receipt->digest[0], receipt->digest[1]);
    assert_string_equal(event->digest, digest);
    assert_int_equal(event->commit_id, receipt->commit_id);
    assert_int_equal(event->conversations, receipt->conversations);
    assert_int_equal(event->messages, receipt->messages);
    assert_int_equal(event->content_bytes, receipt->content_bytes);
}

static void receipts_stay_also_when_a_user_is_forgotten_again(void **state)
{
    struct client *client = *state;
    for (int i = 0; i < 3; i++) {
        assert_ok(client_run(client, op_create("ann", "c")));
        assert_ok(client_run(client, op_forget("ann")));
        assert_ok(client_run(client, op_forget("ann"))); /* of nothing: no event */
        clock_advance(1);
    }
    const struct answer *events = events_of(client, "ann");
    assert_int_equal(events->count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(events->events[i]->action, i % 2 ? ACTION(FORGET_USER_BEGIN) : ACTION(FORGET_USER_END));
    }
}

static void a_user_who_has_events_only_can_be_forgotten(void **state)
{
    struct client *client = *state;
    client_fill(client, "ann", "c", 2);
    assert_ok(client_run(client, op_purge("ann", "c")));
    client_wait_until_stored(client, 0, 0, 0);
    const struct answer *forgotten = client_run(client, op_forget("ann"));
    assert_ok(forgotten);
    assert_int_equal(forgotten->result.receipt.conversations | forgotten->result.receipt.messages, 0);
    assert_events(client, NULL,
                  "FORGET_USER_END  ann/ 0-0 0 \n"
                  "FORGET_USER_BEGIN  ann/ 0-0 0 \n");
    client_wait_until_stored(client, 0, 0, 0);
}

static void many_events_of_a_user_are_forgotten_in_steps(void **state)
{
    struct client *client = *state;
    conversations_make(client, MANY);
    assert_ok(client_run(client, op_forget("ann")));
    assert_events(client, "ann",
                  "FORGET_USER_END  ann/ 0-0 0 \n"
                  "FORGET_USER_BEGIN  ann/ 0-0 0 \n");
    assert_listed(client, op_events("anna", 1000, span_of(NULL, 0)), MANY - 1, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(pages_give_every_event_once_the_newest_first),
        store_test(events_of_one_moment_are_all_there),
        store_test(only_events_of_the_wanted_times_are_listed),
        store_test(a_position_that_is_none_is_refused_and_any_other_is_safe),
        store_test(a_clock_that_is_set_back_loses_no_event),
        store_test(events_are_kept_for_their_time_and_no_longer),
        store_test(without_a_retention_events_stay),
        store_test(an_event_of_a_wrong_clock_keeps_no_other_from_its_end),
        store_test(the_events_of_a_forgotten_user_go_and_the_receipt_stays),
        store_test(receipts_stay_also_when_a_user_is_forgotten_again),
        store_test(a_user_who_has_events_only_can_be_forgotten),
        store_test(many_events_of_a_user_are_forgotten_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
