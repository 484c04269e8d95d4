#include "support/store_events.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 4096, POLL_US = 2000, PAGE = 1000 };

const struct answer *events_of(struct client *client, const char *user)
{
    const struct answer *answer = client_run(client, op_events(user, PAGE, span_of(NULL, 0)));
    assert_ok(answer);
    return answer;
}

static const char *action_name(Chatlog__V1__AuditAction action)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&chatlog__v1__audit_action__descriptor, (int)action);
    assert_non_null(value);
    return value->name + strlen("AUDIT_ACTION_");
}

void assert_events(struct client *client, const char *user, const char *wanted)
{
    char text[TEXT_BYTES] = "";
    size_t size = 0;
    const struct answer *answer = events_of(client, user);
    for (size_t i = 0; i < answer->count; i++) {
        const Chatlog__V1__AuditEvent *event = answer->events[i];
        size +=
            (size_t)snprintf(text + size, sizeof(text) - size, "%s %s %s/%s %" PRIu64 "-%" PRIu64 " %" PRIu64 " %s\n",
                             action_name(event->action), event->principal, event->user_id, event->conversation_id,
                             event->first_seq, event->last_seq, event->messages, event->request_id);
        assert_true(size < sizeof(text));
    }
    assert_string_equal(text, wanted);
}

void events_wait(struct client *client, size_t count)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (events_of(client, NULL)->count != count) {
        assert_true(clock_monotonic_us() < end);
        client_release(client);
        usleep(POLL_US);
    }
}
