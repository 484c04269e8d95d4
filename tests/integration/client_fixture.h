/* What the tests of libchatlog share: a directory, a fake server in it, a client of that server. */
#ifndef INTEGRATION_CLIENT_FIXTURE_H
#define INTEGRATION_CLIENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "chatlog.h"
#include "support/directory.h"
#include "support/fake_server.h"

struct fixture {
    char *directory;
    char url[128];
    struct fake_server *server;
    struct chatlog *client;
    struct chatlog_error error;
};

/* A client whose server may start later. */
static inline struct fixture fixture_new(void)
{
    struct fixture fixture = {.directory = directory_new()};
    snprintf(fixture.url, sizeof fixture.url, "ipc://%s/fake.sock", fixture.directory);
    if (chatlog_open(fixture.url, &fixture.client, &fixture.error) != 0)
        fail_msg("chatlog_open: %s", fixture.error.message);
    return fixture;
}

static inline struct fixture fixture_start(fake_script *script, void *arg)
{
    struct fixture fixture = fixture_new();
    fixture.server = fake_server_start(fixture.url, script, arg);
    return fixture;
}

static inline void fixture_end(struct fixture *fixture)
{
    fixture->client = chatlog_close(fixture->client);
    fixture->server = fake_server_stop(fixture->server);
    fixture->directory = directory_remove(fixture->directory);
}

static inline int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void sleep_milliseconds(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* An AppendMessagesResponse. */
static inline void reply_appended(struct fake_reply *reply, uint64_t seq)
{
    struct fake_bytes payload = {0};
    fake_put_varint(&payload, 1, seq);
    fake_put_varint(&payload, 2, seq);
    fake_put_text(&payload, 3, "e1");
    fake_put_varint(&payload, 4, 1700000000000000);
    fake_reply_ok(reply, &payload);
    fake_bytes_free(&payload);
}

/* An append of one message, the call that most tests make. */
static inline int append_hello(struct fixture *fixture, const struct chatlog_call_options *options,
                               struct chatlog_append_result *result)
{
    struct chatlog_message message = {.role = "user", .content = "hello", .content_length = 5};
    return chatlog_append(fixture->client, "alice", "c1", &message, 1, NULL, options, result, &fixture->error);
}

#endif
