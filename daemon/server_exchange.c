/* The requests worked on: as many at once as are needed, up to limits.requests, and up to limits.connection_requests
 * of one connection. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

/* The mutex must be held. The connection waits for its turn and holds a use meanwhile. */
static void wait_append(struct server *server, struct connection *connection)
{
    connection->waiting = true;
    connection->uses++;
    connection->wait_next = NULL;
    *(server->wait_tail ? &server->wait_tail->wait_next : &server->wait_head) = connection;
    server->wait_tail = connection;
}

static struct exchange *exchange_free(struct exchange *exchange)
{
    if (exchange) {
        rpc_call_free(exchange->call);
        free(exchange->request);
        free(exchange);
    }
    return NULL;
}

static struct exchange *exchange_new(struct server *server)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange && !(exchange->call = rpc_call_new(server->rpc))) {
        exchange = exchange_free(exchange);
    }
    return exchange;
}

/* The mutex must be held. */
static struct exchange *exchange_get(struct server *server)
{
    struct exchange *exchange = server->spare_exchanges;
    if (!exchange) {
        return exchange_new(server);
    }
    server->spare_exchanges = exchange->next;
    server->spare_exchange_count--;
    exchange->next = NULL;
    return exchange;
}

/* The mutex must be held. One that has enough of its own waits for these, not for its turn. */
static enum exchange_take take_locked(struct connection *connection, struct exchange **ret_exchange)
{
    struct server *server = connection->server;
    bool own = connection->unanswered >= server->limits->connection_requests ||
               (connection->blocked && connection->unsent >= CONNECTION_UNSENT_MAX);
    if (connection->closing || server->ending || own || server->exchange_count >= server->limits->requests) {
        connection->paused = true;
        if (!connection->closing && !server->ending && !own) {
            wait_append(server, connection);
        }
        return EXCHANGE_NONE_NOW;
    }
    struct exchange *exchange = exchange_get(server);
    if (!exchange) {
        return EXCHANGE_NO_MEMORY;
    }
    exchange->connection = connection;
    exchange->late = server->stopping;
    server->exchange_count++;
    connection->unanswered++;
    connection->uses++;
    *ret_exchange = exchange;
    return EXCHANGE_TAKEN;
}

enum exchange_take server_exchange_take(struct connection *connection, struct exchange **ret_exchange)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    enum exchange_take taken = take_locked(connection, ret_exchange);
    pthread_mutex_unlock(&server->mutex);
    return taken;
}

/* Frees what is not kept for the next request. */
static void request_drop(struct exchange *exchange)
{
    if (exchange->request_capacity > EXCHANGE_KEEP_BYTES) {
        free(exchange->request);
        exchange->request = NULL;
        exchange->request_capacity = 0;
    }
}

/* The mutex must be held. Returns those that are not kept. */
static struct exchange *spare_put(struct server *server, struct exchange *list)
{
    struct exchange *surplus = NULL;
    while (list) {
        struct exchange *exchange = list;
        list = exchange->next;
        server->exchange_count--;
        server->before_stop -= server->stopping && !exchange->late;
        exchange->connection->unanswered--;
        bool keep = server->spare_exchange_count < SERVER_SPARE_EXCHANGES_MAX;
        server->spare_exchange_count += keep;
        struct exchange **to = keep ? &server->spare_exchanges : &surplus;
        exchange->next = *to;
        *to = exchange;
    }
    return surplus;
}

void server_exchange_release(struct exchange *list)
{
    if (!list) {
        return;
    }
    struct connection *connection = list->connection;
    struct server *server = connection->server;
    unsigned count = 0;
    for (struct exchange *one = list; one; one = one->next) {
        assert(one->connection == connection);
        request_drop(one);
        buffer_free(&one->body);
        count++;
    }
    pthread_mutex_lock(&server->mutex);
    struct exchange *surplus = spare_put(server, list);
    if (connection->paused && !connection->waiting && !connection->closing) {
        wait_append(server, connection);
    }
    bool resumes = server->wait_head && !server->resuming;
    server->resuming |= resumes;
    if (server->stopping) {
        pthread_cond_broadcast(&server->changed);
    }
    assert(connection->uses >= count);
    bool last = (connection->uses -= count) == 0;
    pthread_mutex_unlock(&server->mutex);
    if (resumes && nng_aio_begin(server->resume_aio)) {
        nng_aio_finish(server->resume_aio, 0);
    }
    while (surplus) {
        struct exchange *exchange = surplus;
        surplus = exchange->next;
        exchange_free(exchange);
    }
    if (last) {
        server_connection_retire(connection);
    }
}

void server_exchanges_free(struct server *server)
{
    assert(server->exchange_count == 0);
    while (server->spare_exchanges) {
        struct exchange *exchange = server->spare_exchanges;
        server->spare_exchanges = exchange->next;
        exchange_free(exchange);
    }
}

bool server_exchange_fill(struct exchange *exchange, struct span message, uint8_t *memory)
{
    if (memory || exchange->request_capacity < message.size) {
        free(exchange->request);
        exchange->request = memory ? memory : malloc(message.size);
        exchange->request_capacity = exchange->request ? message.size : 0;
    }
    if (!exchange->request) {
        return false;
    }
    if (!memory) {
        memcpy(exchange->request, message.data, message.size);
    }
    exchange->request_size = message.size;
    return true;
}

/* The answer from frame, route and Response: a large body is taken over, a small one copied behind the rest. */
static void answer_build(struct exchange *exchange, const struct rpc_response *response)
{
    bool typed = exchange->connection->typed;
    size_t size = frame_header_size(typed);
    size_t body_size = response->body->size;
    frame_header_put(typed, exchange->route_size + response->head.size + body_size, exchange->head);
    memcpy(exchange->head + size, exchange->request, exchange->route_size);
    size += exchange->route_size;
    if (response->head.size > 0) {
        memcpy(exchange->head + size, response->head.data, response->head.size);
        size += response->head.size;
    }
    if (body_size > EXCHANGE_HEAD_BYTES - size) {
        exchange->body = *response->body;
        *response->body = (struct buffer){0};
    } else if (body_size > 0) {
        memcpy(exchange->head + size, response->body->data, body_size);
        size += body_size;
    }
    exchange->head_size = size;
}

/* What rpc calls with the answer: on the writer's thread, or inside rpc_handle. Does not block. */
static void exchange_answer(void *arg, const struct rpc_response *response)
{
    struct exchange *exchange = arg;
    struct connection *connection = exchange->connection;
    struct server *server = connection->server;
    bool more = response->more;
    if (response->failed) {
        server_connection_condemn(connection, SERVER_EVENT_NO_MEMORY); /* it must learn that no answer will come */
        server_exchange_release(exchange);
    } else {
        answer_build(exchange, response);
        request_drop(exchange);
        server_send(exchange, more);
    }
    if (!more) {
        server_send_held(server);
    }
}

void server_exchange_handle(struct exchange *exchange)
{
    struct span message = span_of(exchange->request, exchange->request_size);
    struct span request = span_of(message.data + exchange->route_size, message.size - exchange->route_size);
    rpc_handle(exchange->call, &exchange->connection->session, request, exchange->received_us, exchange_answer,
               exchange);
}
