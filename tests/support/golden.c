#include "support/golden.h"

#include "base/clock.h"
#include "support/directory.h"
#include "support/dump.h"

#include "chatlog/v1/envelope.pb-c.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { PATH_BYTES = 512, DIFFERENCE_BYTES = 4096 };

#define RETENTION_US (INT64_C(36500) * 24 * 3600 * CLOCK_SECOND_US)

static struct span file_read(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &status)) {
        fail_msg("%s cannot be read", path);
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    return span_of(bytes, size);
}

static struct span golden_read(const struct golden *golden, const char *file)
{
    char path[PATH_BYTES];
    const char *root = getenv("GOLDEN_DIR");
    assert_non_null(root);
    snprintf(path, sizeof(path), "%s/layout-%" PRIu32 "/%s/%s", root, golden->layout, golden->name, file);
    return file_read(path);
}

static void span_free(struct span span)
{
    void *bytes;
    memcpy(&bytes, &span.data, sizeof(bytes));
    free(bytes);
}

void golden_reset(struct golden *golden)
{
    char path[PATH_BYTES];
    struct span data = golden_read(golden, "data.mdb");
    snprintf(path, sizeof(path), "%s/data.mdb", golden->directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data.data, 1, data.size, file), data.size);
    assert_int_equal(fclose(file), 0);
    span_free(data);
}

/* In memory where that can be had: these tests commit thousands of times, and none of them cuts the power. */
static char *fast_directory_new(void)
{
    char path[] = "/dev/shm/chatlogd-test-XXXXXX";
    return mkdtemp(path) ? strdup(path) : directory_new();
}

struct golden golden_new(uint32_t layout, const char *name)
{
    struct golden golden = {.layout = layout, .name = name, .directory = fast_directory_new()};
    golden.truth = golden_read(&golden, "dump.jsonl");
    golden.requests = golden_read(&golden, "requests");
    golden_reset(&golden);
    return golden;
}

void golden_free(struct golden *golden)
{
    span_free(golden->truth);
    span_free(golden->requests);
    directory_remove(golden->directory);
}

static void fatal(void *arg, const char *message)
{
    (void)arg;
    fail_msg("the store gave up: %s", message);
}

struct store_config golden_config(const struct golden *golden, const struct limits *limits)
{
    return (struct store_config){
        .data_dir = golden->directory,
        .limits = limits,
        .map_bytes = UINT64_C(1) << 30,
        .deleted_retention_us = RETENTION_US,
        .fatal = fatal,
    };
}

/* A daemon without its sockets on the golden data. */
void golden_open(struct golden *golden, enum store_migrate migrate, size_t slice_records, struct rpc_fixture *daemon)
{
    struct error error;
    *daemon = (struct rpc_fixture){.limits = LIMITS_DEFAULT, .log = log_new(LOG_LEVEL_ERROR, LOG_TEXT)};
    struct store_config config = golden_config(golden, &daemon->limits);
    config.migrate = migrate;
    config.migrate_slice_records = slice_records;
    if (store_open(&config, &daemon->store, &error)) {
        fail_msg("store_open: %s", error.message);
    }
    rpc_fixture_serve(daemon);
}

void golden_close(struct rpc_fixture *daemon)
{
    store_close(daemon->store);
    rpc_fixture_end(daemon);
}

static void daemon_call(void *arg, const char *method, struct span payload, struct span request_id,
                        struct dump_answer *ret)
{
    Chatlog__V1__Request request;
    chatlog__v1__request__init(&request);
    char name[128];
    char id[256];
    snprintf(name, sizeof(name), "%s", method);
    snprintf(id, sizeof(id), "%.*s", SPAN_FORMAT(request_id));
    request.method = name;
    request.request_id = id;
    uint8_t *bytes = malloc(payload.size + sizeof(name) + sizeof(id) + 64);
    uint8_t *copy = malloc(payload.size + 1);
    assert_true(bytes && copy);
    if (payload.size > 0) {
        memcpy(copy, payload.data, payload.size);
    }
    request.payload = (ProtobufCBinaryData){payload.size, copy};
    Chatlog__V1__Response *response = rpc_send(arg, span_of(bytes, chatlog__v1__request__pack(&request, bytes)));
    ret->code = response->code;
    snprintf(ret->reason, sizeof(ret->reason), "%s", response->reason);
    ret->replayed = response->replayed;
    ret->size = response->payload.len;
    ret->payload = malloc(ret->size + 1);
    assert_non_null(ret->payload);
    if (ret->size > 0) {
        memcpy(ret->payload, response->payload.data, ret->size);
    }
    chatlog__v1__response__free_unpacked(response, NULL);
    free(copy);
    free(bytes);
}

void golden_compare(const struct golden *golden, struct rpc_fixture *daemon, const char *when)
{
    char *text = NULL;
    size_t size = 0;
    char difference[DIFFERENCE_BYTES];
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    dump_write(out, golden->requests, daemon_call, daemon);
    fclose(out);
    if (dump_differ(golden->truth, span_of(text, size), difference, sizeof(difference))) {
        fail_msg("%s of layout %" PRIu32 " %s: %s", golden->name, golden->layout, when, difference);
    }
    free(text);
}

void golden_compare_held(struct golden *golden, uint32_t layout, const char *when)
{
    struct rpc_fixture daemon;
    golden_open(golden, STORE_MIGRATE_HOLD, 0, &daemon);
    assert_int_equal(store_describe(daemon.store).layout, layout);
    golden_compare(golden, &daemon, when);
    golden_close(&daemon);
}
