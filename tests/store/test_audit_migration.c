/* A migration is told in the audit trail, served or offline, and the trail goes through it as it is. Must not know an
 * engine. */
#include "store/maintenance.h"
#include "support/store_events.h"
#include "support/store_image.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NEWEST = 3 };

/* The newest events are those of a migration. */
static void assert_migration_told(const struct answer *events, size_t newest, uint32_t from, uint32_t to,
                                  uint64_t messages)
{
    const Chatlog__V1__AuditEvent *end = events->events[newest];
    const Chatlog__V1__AuditEvent *begin = events->events[newest + 1];
    assert_int_equal(end->action, STORE_ACTION_MIGRATION_END);
    assert_int_equal(begin->action, STORE_ACTION_MIGRATION_BEGIN);
    assert_int_equal(end->from_layout, from);
    assert_int_equal(end->to_layout, to);
    assert_int_equal(begin->from_layout, from);
    assert_int_equal(begin->to_layout, to);
    assert_int_equal(begin->messages, messages);
    assert_int_equal(end->messages, messages);
    assert_int_equal(end->conversations, 1);
    assert_string_equal(end->principal, "");
    assert_true(begin->commit_id < end->commit_id);
}

static void a_migration_is_told_in_the_audit_trail_which_stays(void **state)
{
    struct client *client = *state;
    image_begin_old(client, 1);
    client_fill(client, "alice", "thread", 5);
    assert_ok(client_run(client, op_pop("alice", "thread", 1)));
    client_close(client);
    image_migrate(client, 1);
    image_wait_migrated(client);
    const struct answer *events = events_of(client, NULL);
    assert_int_equal(events->count, 3);
    assert_migration_told(events, 0, 1, NEWEST, 4);
    client_close(client);
    struct store_migration down;
    struct error error = {0};
    if (store_migrate_to(client_config(client), 1, false, &down, &error)) {
        fail_msg("down: %s", error.message);
    }
    client_config(client)->migrate = STORE_MIGRATE_HOLD;
    client_open(client);
    events = events_of(client, NULL);
    assert_int_equal(events->count, 5);
    assert_migration_told(events, 0, NEWEST, 1, 4);
    assert_migration_told(events, 2, 1, NEWEST, 4);
    assert_events(client, "alice", "POP_MESSAGES  alice/thread 5-5 1 \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_migration_is_told_in_the_audit_trail_which_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
