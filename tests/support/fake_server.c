/* A REP socket whose answers come from a script. Encodes and decodes the envelope by hand, so that it can be wrong on
 * purpose and does not share a mistake with the code under test. */
#include "support/fake_server.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 16, MESSAGE_BYTES_MAX = 64 << 20 };

struct fake_server {
    nng_socket socket;
    fake_script *script;
    void *arg;
    pthread_mutex_t lock; /* of the script and the number */
    unsigned requests;
    pthread_t workers[WORKERS];
};

static void must(int result, const char *what)
{
    if (result == 0)
        return;
    fprintf(stderr, "fake server: %s: %s\n", what, nng_strerror(result));
    abort();
}

/* ---- Protobuf by hand -------------------------------------------------------------------------------------------- */

void fake_bytes_free(struct fake_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct fake_bytes){0};
}

void fake_put_raw(struct fake_bytes *bytes, const void *data, size_t length)
{
    if (length == 0)
        return;
    bytes->data = realloc(bytes->data, bytes->length + length);
    if (bytes->data == NULL)
        abort();
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void put_number(struct fake_bytes *bytes, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7F) | (value >= 0x80 ? 0x80 : 0));
        fake_put_raw(bytes, &byte, 1);
        value >>= 7;
    } while (value != 0);
}

void fake_put_varint(struct fake_bytes *bytes, unsigned field, uint64_t value)
{
    put_number(bytes, (uint64_t)field << 3);
    put_number(bytes, value);
}

void fake_put_bytes(struct fake_bytes *bytes, unsigned field, const void *data, size_t length)
{
    put_number(bytes, (uint64_t)field << 3 | 2);
    put_number(bytes, length);
    fake_put_raw(bytes, data, length);
}

void fake_put_text(struct fake_bytes *bytes, unsigned field, const char *text)
{
    fake_put_bytes(bytes, field, text, strlen(text));
}

static uint64_t get_number(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

static void copy_text(char *field, size_t size, const uint8_t *data, size_t length)
{
    if (length >= size)
        length = size - 1;
    memcpy(field, data, length);
    field[length] = '\0';
}

static void decode_request(const uint8_t *at, size_t length, struct fake_request *ret)
{
    const uint8_t *end = at + length;
    while (at < end) {
        uint64_t tag = get_number(&at, end);
        uint64_t value = get_number(&at, end);
        if (tag == (3 << 3))
            ret->timeout_ms = (uint32_t)value;
        if ((tag & 7) != 2)
            continue;
        if (value > (size_t)(end - at))
            return;
        if (tag >> 3 == 1)
            copy_text(ret->method, sizeof ret->method, at, value);
        else if (tag >> 3 == 4)
            copy_text(ret->request_id, sizeof ret->request_id, at, value);
        else if (tag >> 3 == 2) {
            ret->payload = at;
            ret->payload_length = value;
        }
        at += value;
    }
}

/* ---- Replies ----------------------------------------------------------------------------------------------------- */

void fake_reply_ok(struct fake_reply *reply, const struct fake_bytes *payload)
{
    if (payload != NULL)
        fake_put_bytes(&reply->response, 5, payload->data, payload->length);
}

void fake_reply_error(struct fake_reply *reply, int code, const char *reason, const char *message)
{
    fake_put_varint(&reply->response, 1, (uint64_t)code);
    fake_put_text(&reply->response, 2, reason);
    fake_put_text(&reply->response, 3, message);
}

void fake_reply_detail(struct fake_reply *reply, const char *key, const char *value)
{
    struct fake_bytes entry = {0};
    fake_put_text(&entry, 1, key);
    fake_put_text(&entry, 2, value);
    fake_put_bytes(&reply->response, 4, entry.data, entry.length);
    fake_bytes_free(&entry);
}

/* ---- Serving ----------------------------------------------------------------------------------------------------- */

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

static void ask_script(struct fake_server *server, nng_msg *message, struct fake_reply *reply)
{
    struct fake_request request = {0};
    decode_request(nng_msg_body(message), nng_msg_len(message), &request);
    pthread_mutex_lock(&server->lock);
    request.number = ++server->requests;
    server->script(server->arg, &request, reply);
    pthread_mutex_unlock(&server->lock);
    sleep_ms(reply->delay_ms);
}

static void send_reply(nng_ctx context, nng_aio *operation, const struct fake_reply *reply)
{
    nng_msg *answer;
    must(nng_msg_alloc(&answer, 0), "message");
    must(nng_msg_append(answer, reply->response.data, reply->response.length), "message");
    nng_aio_set_msg(operation, answer);
    nng_ctx_send(context, operation);
    nng_aio_wait(operation);
    if (nng_aio_result(operation) != 0)
        nng_msg_free(answer);
}

static void *serve(void *arg)
{
    struct fake_server *server = arg;
    nng_ctx context;
    nng_aio *operation;
    must(nng_aio_alloc(&operation, NULL, NULL), "aio");
    if (nng_ctx_open(&context, server->socket) != 0) {
        nng_aio_free(operation); /* closed already */
        return NULL;
    }
    for (;;) {
        nng_ctx_recv(context, operation);
        nng_aio_wait(operation);
        if (nng_aio_result(operation) != 0)
            break;
        nng_msg *message = nng_aio_get_msg(operation);
        struct fake_reply reply = {0};
        ask_script(server, message, &reply);
        if (reply.cut)
            nng_pipe_close(nng_msg_get_pipe(message));
        else if (!reply.silent)
            send_reply(context, operation, &reply);
        nng_msg_free(message);
        fake_bytes_free(&reply.response);
    }
    nng_ctx_close(context);
    nng_aio_free(operation);
    return NULL;
}

struct fake_server *fake_server_start(const char *url, fake_script *script, void *arg)
{
    struct fake_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    server->script = script;
    server->arg = arg;
    pthread_mutex_init(&server->lock, NULL);
    must(nng_rep0_open(&server->socket), "socket");
    must(nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, MESSAGE_BYTES_MAX), "option");
    must(nng_listen(server->socket, url, NULL, 0), url);
    for (size_t i = 0; i < WORKERS; i++)
        if (pthread_create(&server->workers[i], NULL, serve, server) != 0)
            abort();
    return server;
}

unsigned fake_server_requests(struct fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    unsigned requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

struct fake_server *fake_server_stop(struct fake_server *server)
{
    if (server == NULL)
        return NULL;
    nng_close(server->socket);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(server->workers[i], NULL);
    pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}
