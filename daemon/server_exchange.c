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

/* The mutex must be held. */
static struct exchange *exchange_get(struct server *server)
{
    struct exchange *exchange = server->spare_exchanges;
    if (!exchange) {
        return calloc(1, sizeof(*exchange));
    }
    server->spare_exchanges = exchange->next;
    exchange->next = NULL;
    return exchange;
}

/* The mutex must be held. One that has enough of its own waits for these, not for its turn. */
static enum exchange_take take_locked(struct connection *connection, struct exchange **ret_exchange)
{
    struct server *server = connection->server;
    bool own =
        connection->unanswered >= server->limits->connection_requests || connection->unsent >= CONNECTION_UNSENT_MAX;
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

static void exchange_end(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct server *server = connection->server;
    bool late = exchange->late;
    free(exchange->request);
    free(exchange->answer);
    *exchange = (struct exchange){0};

    pthread_mutex_lock(&server->mutex);
    server->exchange_count--;
    server->before_stop -= server->stopping && !late;
    exchange->next = server->spare_exchanges;
    server->spare_exchanges = exchange;
    connection->unanswered--;
    if (connection->paused && !connection->waiting && !connection->closing) {
        wait_append(server, connection);
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    server_connection_release(connection);
}

void server_exchange_release(struct exchange *list)
{
    while (list) {
        struct exchange *exchange = list;
        list = exchange->next;
        exchange_end(exchange);
    }
}

void server_exchanges_free(struct server *server)
{
    assert(server->exchange_count == 0);
    while (server->spare_exchanges) {
        struct exchange *exchange = server->spare_exchanges;
        server->spare_exchanges = exchange->next;
        free(exchange);
    }
}

/* Frame, route and Response in one piece; false when memory is short. */
static bool answer_build(struct exchange *exchange, struct span response)
{
    bool typed = exchange->connection->typed;
    size_t header_size = frame_header_size(typed);
    size_t size = header_size + exchange->route_size + response.size;
    uint8_t *answer = response.data ? malloc(size) : NULL; /* NULL: rpc had no memory for it */
    if (!answer) {
        return false;
    }
    frame_header_put(typed, exchange->route_size + response.size, answer);
    memcpy(answer + header_size, exchange->request, exchange->route_size);
    if (response.size > 0) {
        memcpy(answer + header_size + exchange->route_size, response.data, response.size);
    }
    exchange->answer = answer;
    exchange->answer_size = size;
    return true;
}

/* What rpc calls with the answer: on the writer's thread, or inside rpc_handle. Does not block. */
static void exchange_answer(void *arg, struct span response)
{
    struct exchange *exchange = arg;
    struct connection *connection = exchange->connection;
    assert(exchange->request && !exchange->answer);
    bool built = answer_build(exchange, response);
    free(exchange->request);
    exchange->request = NULL;
    if (built) {
        server_send(exchange);
    } else {
        server_connection_condemn(connection, SERVER_EVENT_NO_MEMORY); /* it must learn that no answer will come */
        server_exchange_release(exchange);
    }
}

void server_exchange_handle(struct exchange *exchange)
{
    struct span message = span_of(exchange->request, exchange->request_size);
    struct span request = span_of(message.data + exchange->route_size, message.size - exchange->route_size);
    struct connection *connection = exchange->connection;
    rpc_handle(connection->server->rpc, &connection->session, request, exchange->received_us, exchange_answer,
               exchange);
}
