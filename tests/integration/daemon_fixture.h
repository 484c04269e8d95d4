/* A real daemon and a client of it, for the tests that call every function of chatlog.h. */
#ifndef INTEGRATION_DAEMON_FIXTURE_H
#define INTEGRATION_DAEMON_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chatlog.h"
#include "chatlog_limits.h"
#include "support/daemon.h"

#include <semaphore.h>
#include <time.h>

struct fixture {
    struct daemon *daemon;
    struct chatlog *client;
    struct chatlog_error error;
};

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->daemon = daemon_start(NULL);
    assert_int_equal(chatlog_open(daemon_url(fixture->daemon), &fixture->client, &fixture->error), CHATLOG_OK);
    assert_int_equal(chatlog_wait_ready(fixture->client, 60000, &fixture->error), CHATLOG_OK);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    chatlog_close(fixture->client);
    assert_int_equal(daemon_stop(fixture->daemon), 0);
    daemon_free(fixture->daemon);
    free(fixture);
    return 0;
}

#define assert_ok(fixture, call)                                                                                       \
    do {                                                                                                               \
        int code_ = (call);                                                                                            \
        if (code_ != 0)                                                                                                \
            fail_msg("%s: %s: %s", chatlog_code_name(code_), (fixture)->error.reason, (fixture)->error.message);       \
    } while (0)

#define assert_fails(fixture, call, expected_code, expected_reason)                                                    \
    do {                                                                                                               \
        assert_int_equal(call, expected_code);                                                                         \
        assert_int_equal((fixture)->error.code, expected_code);                                                        \
        assert_string_equal((fixture)->error.reason, expected_reason);                                                 \
    } while (0)

static const struct chatlog_pair labels[] = {
    {"topic", "viaje"}, {"empty", ""}, {"unicode", "\xE6\x97\xA5\xE6\x9C\xAC"}};
static const struct chatlog_append_options creating = {.create_if_missing = true};

/* Order does not matter in a map. */
static inline void assert_labels(const struct chatlog_pair *pairs, size_t count)
{
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        size_t found = 0;
        while (found < count && strcmp(pairs[found].key, labels[i].key) != 0)
            found++;
        assert_true(found < count);
        assert_string_equal(pairs[found].value, labels[i].value);
    }
}

static inline uint64_t append_text(struct fixture *f, const char *user, const char *conversation, const char *text)
{
    struct chatlog_message message = {.role = "user", .content = text, .content_length = strlen(text)};
    struct chatlog_append_result result;
    assert_ok(f, chatlog_append(f->client, user, conversation, &message, 1, &creating, NULL, &result, &f->error));
    return result.last_seq;
}

struct tally {
    sem_t ended;
    unsigned good; /* of completions, which come on one thread */
};

#endif
