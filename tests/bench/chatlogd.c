/* chatlogd ($CHATLOGD) over IPC through libchatlog: requests pipelined over a few connections, each with a request_id,
 * the next one sent from the completion of the one before. Answers are checked, their messages are not unpacked. */
#include "bench/fail.h"
#include "bench/request.h"
#include "bench/system.h"
#include "chatlog.h"

#include "chatlog/v1/admin_service.pb-c.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* A client of libchatlog has a thread, and at most 128 requests on the wire. */
enum { CLIENT_LANES = 128, CLIENTS_MAX = 4, LOAD_IN_FLIGHT = 128, FOLD_PATIENCE_S = 1800, FOLD_POLL_MS = 50 };

struct call {
    struct load *load;
    struct chatlog *client;
    unsigned lane;
    unsigned items; /* that the answer must have */
};

struct chatlogd {
    struct server *server;
    char *directory;
    char *url;
    struct chatlog *clients[CLIENTS_MAX];
    unsigned client_count;
    struct call *calls;
};

/* ---- Start and stop ---------------------------------------------------------------------------------------------- */

static struct chatlog *client_open(const struct chatlogd *chatlogd)
{
    struct chatlog *client = NULL;
    struct chatlog_error error;
    if (chatlog_open(chatlogd->url, &client, &error) || chatlog_wait_ready(client, 0, &error)) {
        bench_fail("chatlogd: %s", error.message);
    }
    return client;
}

static bool is_ready(void *instance)
{
    const struct chatlogd *chatlogd = instance;
    struct chatlog *client = NULL;
    struct chatlog_error error;
    if (chatlog_open(chatlogd->url, &client, &error)) {
        bench_fail("chatlogd: %s", error.message);
    }
    bool ready = chatlog_wait_ready(client, 100, NULL) == 0;
    chatlog_close(client);
    return ready;
}

static void *chatlogd_start(const char *directory)
{
    const char *program = getenv("CHATLOGD");
    if (!program) {
        bench_fail("CHATLOGD must name the daemon");
    }
    struct chatlogd *chatlogd = bench_allocate(1, sizeof(*chatlogd));
    chatlogd->directory = server_directory(directory, "chatlogd", NULL);
    chatlogd->url = bench_format("ipc://%s/socket", chatlogd->directory);
    char *data = bench_format("%s/data", chatlogd->directory);
    const char *arguments[] = {program, "--data-dir", data, "--listen", chatlogd->url, NULL};
    chatlogd->server = server_start(directory, "chatlogd", arguments, NULL);
    server_wait_ready(chatlogd->server, is_ready, chatlogd);
    free(data);
    return chatlogd;
}

static void chatlogd_stop(void *instance)
{
    struct chatlogd *chatlogd = instance;
    server_stop(chatlogd->server, SIGTERM);
    free(chatlogd->directory);
    free(chatlogd->url);
    free(chatlogd);
}

static struct server *chatlogd_server(void *instance)
{
    return ((struct chatlogd *)instance)->server;
}

/* ---- Load -------------------------------------------------------------------------------------------------------- */

static void call_next(struct call *call);

static void call_done(void *arg, int code, const struct chatlog_reply *reply, const struct chatlog_error *error)
{
    struct call *call = arg;
    if (code) {
        bench_fail("chatlogd answers %s: %s", error->reason, error->message);
    }
    if (call->items > 0 && !request_answered(reply->payload, reply->payload_length, call->items)) {
        bench_fail("chatlogd answers a request for %u items with another number of them", call->items);
    }
    load_done(call->load, call->lane);
    call_next(call);
}

static void call_next(struct call *call)
{
    struct operation operation;
    if (!load_next(call->load, call->lane, &operation)) {
        return;
    }
    const struct dataset *dataset = load_dataset(call->load);
    struct request request;
    request_encode(dataset, &operation, &request);
    call->items = operation.kind == OPERATION_APPEND ? 0 : workload_items(dataset, operation.kind);
    struct chatlog_call_options options = {.request_id = request.request_id[0] ? request.request_id : NULL};
    struct chatlog_error error;
    if (chatlog_call_async(call->client, request.method, request.payload, request.size, &options, call_done, call,
                           &error)) {
        bench_fail("chatlogd: cannot send: %s", error.message);
    }
}

static void chatlogd_open(void *instance, unsigned in_flight)
{
    struct chatlogd *chatlogd = instance;
    chatlogd->calls = bench_allocate(in_flight, sizeof(*chatlogd->calls));
    chatlogd->client_count = (in_flight + CLIENT_LANES - 1) / CLIENT_LANES;
    if (chatlogd->client_count > CLIENTS_MAX) {
        bench_fail("chatlogd: too many requests in flight");
    }
    for (unsigned i = 0; i < chatlogd->client_count; i++) {
        chatlogd->clients[i] = client_open(chatlogd);
    }
}

static void chatlogd_run(void *instance, struct load *load)
{
    struct chatlogd *chatlogd = instance;
    for (unsigned lane = 0; lane < load_in_flight(load); lane++) {
        chatlogd->calls[lane] = (struct call){load, chatlogd->clients[lane / CLIENT_LANES], lane, 0};
        call_next(&chatlogd->calls[lane]);
    }
    load_wait(load);
}

static void chatlogd_close(void *instance)
{
    struct chatlogd *chatlogd = instance;
    for (unsigned i = 0; i < chatlogd->client_count; i++) {
        chatlog_close(chatlogd->clients[i]);
    }
    free(chatlogd->calls);
}

/* ---- At rest ----------------------------------------------------------------------------------------------------- */

/* GetStats' journal_entries; 0 when this daemon's contract does not have it. */
static uint64_t journal_entries(struct chatlog *client)
{
    const ProtobufCMessageDescriptor *descriptor = &chatlog__v1__get_stats_response__descriptor;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(descriptor, "journal_entries");
    if (!field) {
        return 0;
    }
    struct chatlog_reply reply;
    struct chatlog_error error;
    if (chatlog_call(client, "chatlog.v1.AdminService/GetStats", "", 0, NULL, &reply, &error)) {
        bench_fail("chatlogd: %s", error.message);
    }
    ProtobufCMessage *stats = protobuf_c_message_unpack(descriptor, NULL, reply.payload_length, reply.payload);
    if (!stats || field->type != PROTOBUF_C_TYPE_UINT64) {
        bench_fail("chatlogd: journal_entries cannot be read");
    }
    uint64_t entries = *(const uint64_t *)((const char *)stats + field->offset);
    protobuf_c_message_free_unpacked(stats, NULL);
    chatlog_reply_free(&reply);
    return entries;
}

/* Waits until every message is in its home. */
static void chatlogd_rest(void *instance)
{
    const struct chatlogd *chatlogd = instance;
    struct chatlog *client = client_open(chatlogd);
    long long began_ns = bench_now_ns();
    uint64_t entries;
    while ((entries = journal_entries(client)) > 0) {
        if (bench_now_ns() - began_ns > FOLD_PATIENCE_S * 1000000000LL) {
            bench_fail("chatlogd still has %llu journal entries after %d s", (unsigned long long)entries,
                       FOLD_PATIENCE_S);
        }
        nanosleep(&(struct timespec){.tv_nsec = FOLD_POLL_MS * 1000000L}, NULL);
    }
    chatlog_close(client);
}

static void chatlogd_load(void *instance, const struct dataset *dataset)
{
    system_fill(&system_chatlogd, instance, dataset, LOAD_IN_FLIGHT);
}

static struct system_disk chatlogd_disk(void *instance, const struct dataset *dataset)
{
    (void)dataset;
    struct chatlogd *chatlogd = instance;
    struct chatlog *client = client_open(chatlogd);
    struct chatlog_stats stats;
    struct chatlog_error error;
    if (chatlog_get_stats(client, NULL, &stats, &error)) {
        bench_fail("chatlogd: %s", error.message);
    }
    struct system_disk disk = {server_disk_bytes(chatlogd->directory), (double)stats.used_bytes};
    chatlog_stats_free(&stats);
    chatlog_close(client);
    return disk;
}

const struct system system_chatlogd = {
    .name = "chatlogd",
    .meaning = "over IPC through libchatlog, 128 requests in flight a connection",
    .start = chatlogd_start,
    .load = chatlogd_load,
    .rest = chatlogd_rest,
    .open = chatlogd_open,
    .run = chatlogd_run,
    .close = chatlogd_close,
    .server = chatlogd_server,
    .disk = chatlogd_disk,
    .stop = chatlogd_stop,
};
