/* A ceiling: what nng's REQ and REP sockets do over IPC with requests and answers of the same sizes, when the server
 * does nothing but answer. The server is this program, started again, with contexts; requests are pipelined over one
 * connection of a raw socket. */
#include "bench/nng_echo.h"

#include "bench/fail.h"
#include "bench/request.h"
#include "bench/system.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What chatlogd's envelopes and answers were seen to take on these conversations. */
enum {
    ENVELOPE_BYTES = 64,
    ANSWER_BYTES = 36,
    LISTED_MESSAGE_BYTES = DATASET_MESSAGE_BYTES + 29,
    LISTED_CONVERSATION_BYTES = 67,
    BUFFERED = 1024,
    MESSAGE_BYTES_MAX = 1 << 20
};

struct echo {
    struct server *server;
    char *url;
    nng_socket client;
    struct load *load;
};

static void check(int code)
{
    if (code) {
        bench_fail("nng_echo: %s", nng_strerror(code));
    }
}

/* ---- The server -------------------------------------------------------------------------------------------------- */

/* Answers one request after the other; as many of them as there may be requests in flight. */
struct answerer {
    nng_ctx context;
    nng_aio *aio;
    bool sending;
};

/* A request begins with the size of the answer it wants. */
static void answer_make(nng_msg *message)
{
    uint32_t size;
    check(nng_msg_trim_u32(message, &size));
    size_t now = nng_msg_len(message);
    if (size <= now) {
        check(nng_msg_chop(message, now - size));
        return;
    }
    check(nng_msg_realloc(message, size));
    memset((char *)nng_msg_body(message) + now, 'x', size - now);
}

static void answerer_go_on(void *arg)
{
    struct answerer *answerer = arg;
    int code = nng_aio_result(answerer->aio);
    if (code && answerer->sending) {
        nng_msg_free(nng_aio_get_msg(answerer->aio)); /* its client went away */
    }
    if (code || answerer->sending) {
        answerer->sending = false;
        nng_ctx_recv(answerer->context, answerer->aio);
        return;
    }
    answer_make(nng_aio_get_msg(answerer->aio));
    answerer->sending = true;
    nng_ctx_send(answerer->context, answerer->aio);
}

/* Contexts: a raw REP socket drops answers when 64 of them wait for one connection. */
void echo_serve(const char *url)
{
    static struct answerer answerers[WORKLOAD_IN_FLIGHT_MAX];
    nng_socket socket;
    check(nng_rep0_open(&socket));
    check(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, MESSAGE_BYTES_MAX));
    check(nng_listen(socket, url, NULL, 0));
    for (size_t i = 0; i < WORKLOAD_IN_FLIGHT_MAX; i++) {
        check(nng_ctx_open(&answerers[i].context, socket));
        check(nng_aio_alloc(&answerers[i].aio, answerer_go_on, &answerers[i]));
        nng_ctx_recv(answerers[i].context, answerers[i].aio);
    }
    for (;;) {
        pause();
    }
}

/* ---- Start and stop ---------------------------------------------------------------------------------------------- */

static void *echo_start(const char *directory)
{
    struct echo *echo = bench_allocate(1, sizeof(*echo));
    echo->url = bench_format("ipc://%s/nng_echo", directory);
    const char *arguments[] = {"/proc/self/exe", ECHO_SERVER_OPTION, echo->url, NULL};
    echo->server = server_start(directory, "nng_echo", arguments, NULL);
    return echo;
}

static void echo_stop(void *instance)
{
    struct echo *echo = instance;
    server_stop(echo->server, SIGKILL);
    free(echo->url);
    free(echo);
}

static struct server *echo_server(void *instance)
{
    return ((struct echo *)instance)->server;
}

/* ---- Load -------------------------------------------------------------------------------------------------------- */

static uint32_t answer_size(const struct dataset *dataset, enum operation_kind kind)
{
    unsigned items = workload_items(dataset, kind);
    switch (kind) {
    case OPERATION_READ_NEWEST:
        return ANSWER_BYTES + items * LISTED_MESSAGE_BYTES;
    case OPERATION_LIST_CONVERSATIONS:
        return ANSWER_BYTES + items * LISTED_CONVERSATION_BYTES;
    case OPERATION_APPEND:
        break;
    }
    return ANSWER_BYTES;
}

static bool lane_next(const struct echo *echo, unsigned lane)
{
    static const char envelope[ENVELOPE_BYTES];
    struct operation operation;
    if (!load_next(echo->load, lane, &operation)) {
        return false;
    }
    const struct dataset *dataset = load_dataset(echo->load);
    struct request request;
    request_encode(dataset, &operation, &request);
    nng_msg *message;
    check(nng_msg_alloc(&message, 0));
    check(nng_msg_append_u32(message, answer_size(dataset, operation.kind)));
    check(nng_msg_append(message, envelope, sizeof(envelope)));
    check(nng_msg_append(message, request.payload, request.size));
    check(nng_msg_header_append_u32(message, 0x80000000u | lane));
    check(nng_sendmsg(echo->client, message, 0));
    return true;
}

static void echo_open(void *instance, unsigned in_flight)
{
    (void)in_flight;
    struct echo *echo = instance;
    check(nng_req0_open_raw(&echo->client));
    /* Room for all that are in flight, so that a send never waits for a receive. */
    check(nng_socket_set_int(echo->client, NNG_OPT_SENDBUF, BUFFERED));
    check(nng_socket_set_int(echo->client, NNG_OPT_RECVBUF, BUFFERED));
    check(nng_socket_set_size(echo->client, NNG_OPT_RECVMAXSZ, MESSAGE_BYTES_MAX));
    int code = NNG_ECONNREFUSED;
    for (int tries = 0; tries < 1000 && code; tries++) { /* the server may only just have been started */
        code = nng_dial(echo->client, echo->url, NULL, 0);
        nng_msleep(code ? 10 : 0);
    }
    check(code);
}

static void echo_run(void *instance, struct load *load)
{
    struct echo *echo = instance;
    echo->load = load;
    unsigned running = 0;
    for (unsigned lane = 0; lane < load_in_flight(load); lane++) {
        running += lane_next(echo, lane);
    }
    while (running > 0) {
        nng_msg *message;
        uint32_t lane;
        check(nng_recvmsg(echo->client, &message, 0));
        check(nng_msg_header_trim_u32(message, &lane));
        nng_msg_free(message);
        load_done(load, lane & 0x7fffffffu);
        running -= !lane_next(echo, lane & 0x7fffffffu);
    }
}

static void echo_close(void *instance)
{
    nng_close(((struct echo *)instance)->client);
}

const struct system system_nng_echo = {
    .name = "nng_echo",
    .meaning = "ceiling: an nng server over IPC that only answers, with as many bytes; one connection",
    .start = echo_start,
    .open = echo_open,
    .run = echo_run,
    .close = echo_close,
    .server = echo_server,
    .stop = echo_stop,
};
