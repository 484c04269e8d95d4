#include "support/rpc_client.h"

#include "base/clock.h"
#include "base/wire.h"
#include "support/directory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void fatal(void *arg, const char *message)
{
    (void)arg;
    fail_msg("the store gave up: %s", message);
}

struct rpc_fixture *rpc_fixture_new(void)
{
    struct rpc_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->directory = directory_new();
    fixture->limits = LIMITS_DEFAULT;
    fixture->log = log_new(LOG_LEVEL_ERROR, LOG_TEXT);
    rpc_fixture_open(fixture);
    return fixture;
}

void rpc_fixture_serve(struct rpc_fixture *fixture)
{
    static const uint8_t page_key[] = "thirty-two bytes of the tests' key";
    const struct rpc_config rpc = {
        .store = fixture->store,
        .limits = &fixture->limits,
        .counters = &fixture->counters,
        .log = &fixture->log,
        .version = "test",
        .nng_version = "none",
        .page_key = page_key,
    };
    const struct authority_config authority = {.audience = "chatlogd"};
    const struct session_peer root = {.uid = 0};
    struct error error;
    if (authority_new(&authority, &fixture->authority, &error)) {
        fail_msg("authority_new: %s", error.message);
    }
    session_begin(&fixture->session, fixture->authority, &root);
    fixture->rpc = rpc_new(&rpc);
    assert_non_null(fixture->rpc);
}

void rpc_fixture_end(struct rpc_fixture *fixture)
{
    fixture->rpc = rpc_free(fixture->rpc);
    session_end(&fixture->session);
    fixture->authority = authority_free(fixture->authority);
}

void rpc_fixture_open(struct rpc_fixture *fixture)
{
    struct store_config store = {
        .data_dir = fixture->directory,
        .limits = &fixture->limits,
        .map_bytes = (uint64_t)1 << 30,
        .deleted_retention_us = (int64_t)3600 * CLOCK_SECOND_US,
        .fatal = fatal,
    };
    struct error error;
    if (store_open(&store, &fixture->store, &error)) {
        fail_msg("store_open: %s", error.message);
    }
    rpc_fixture_serve(fixture);
}

void rpc_fixture_close(struct rpc_fixture *fixture)
{
    fixture->store = store_close(fixture->store);
    rpc_fixture_end(fixture);
}

struct rpc_fixture *rpc_fixture_free(struct rpc_fixture *fixture)
{
    rpc_fixture_close(fixture);
    directory_remove(fixture->directory);
    free(fixture);
    return NULL;
}

static void field_put(struct buffer *out, const struct field *field)
{
    unsigned repeat = field->repeat ? field->repeat : 1;
    struct buffer value = {0};
    if (field->sub) {
        value = fields_encode(field->sub);
        for (unsigned i = 0; i < repeat; i++) {
            wire_put_element(out, field->number, buffer_span(&value));
        }
    } else if (field->text) {
        for (unsigned i = 0; i < repeat; i++) {
            buffer_append(&value, field->text, strlen(field->text));
        }
        wire_put_element(out, field->number, buffer_span(&value));
    } else {
        wire_put_uint(out, field->number, field->value);
    }
    buffer_free(&value);
}

struct buffer fields_encode(const struct field *fields)
{
    struct buffer out = {0};
    for (; fields->number; fields++) {
        field_put(&out, fields);
    }
    assert_false(out.failed);
    return out;
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    Chatlog__V1__Response *response;
};

Chatlog__V1__Response *rpc_unpack(const struct rpc_response *response)
{
    assert_false(response->failed);
    struct buffer bytes = {0};
    buffer_append(&bytes, response->head.data, response->head.size);
    buffer_append(&bytes, response->body->data, response->body->size);
    Chatlog__V1__Response *unpacked = chatlog__v1__response__unpack(NULL, bytes.size, bytes.data);
    buffer_free(&bytes);
    return unpacked;
}

static void response_take(void *arg, const struct rpc_response *response)
{
    struct waiter *waiter = arg;
    pthread_mutex_lock(&waiter->mutex);
    waiter->response = rpc_unpack(response);
    pthread_cond_signal(&waiter->answered);
    pthread_mutex_unlock(&waiter->mutex);
}

Chatlog__V1__Response *rpc_send(struct rpc_fixture *fixture, struct span request)
{
    struct waiter waiter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};
    struct rpc_call *call = rpc_call_new(fixture->rpc);
    assert_non_null(call);
    rpc_handle(call, &fixture->session, request, clock_monotonic_us(), response_take, &waiter);
    pthread_mutex_lock(&waiter.mutex);
    while (!waiter.response) {
        pthread_cond_wait(&waiter.answered, &waiter.mutex);
    }
    pthread_mutex_unlock(&waiter.mutex);
    rpc_call_free(call);
    return waiter.response;
}

Chatlog__V1__Response *rpc_call(struct rpc_fixture *fixture, const char *method, const struct field *fields,
                                const char *request_id)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", strchr(method, '/') ? "" : "chatlog.v1.HistoryService/", method);
    struct buffer payload = fields_encode(fields);
    struct buffer request = {0};
    wire_put_bytes(&request, 1, span_of_string(name));
    wire_put_bytes(&request, 2, buffer_span(&payload));
    wire_put_bytes(&request, 4, span_of_string(request_id));
    Chatlog__V1__Response *response = rpc_send(fixture, buffer_span(&request));
    buffer_free(&payload);
    buffer_free(&request);
    return response;
}

void rpc_expect(struct rpc_fixture *fixture, const char *method, const struct field *fields, const char *reason)
{
    Chatlog__V1__Response *response = rpc_call(fixture, method, fields, NULL);
    if (strcmp(response->reason, reason) != 0) {
        fail_msg("%s answered \"%s\" (%s) instead of \"%s\"", method, response->reason, response->message, reason);
    }
    assert_true((response->code == 0) == (reason[0] == '\0'));
    assert_true((response->message[0] == '\0') == (reason[0] == '\0'));
    chatlog__v1__response__free_unpacked(response, NULL);
}
