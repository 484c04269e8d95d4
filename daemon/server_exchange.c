/* A request's way through nng: receive, hand to rpc, send, receive again; as many at once as there are requests, up to
 * limits.requests. Knows neither listeners nor the store. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdlib.h>
#include <string.h>

static void exchange_receive(struct exchange *exchange)
{
    struct server *server = exchange->server;
    pthread_mutex_lock(&server->mutex);
    bool ends = server->receives_ended;
    exchange->state = ends ? EXCHANGE_ENDED : EXCHANGE_RECEIVING;
    server->receiving += !ends;
    pthread_mutex_unlock(&server->mutex);
    if (!ends) {
        nng_ctx_recv(exchange->context, exchange->aio);
    }
}

/* The mutex must be held. */
static void send_list_append(struct server *server, struct exchange *exchange)
{
    exchange->send_next = NULL;
    exchange->send_previous = server->send_tail;
    *(server->send_tail ? &server->send_tail->send_next : &server->send_head) = exchange;
    server->send_tail = exchange;
}

static void send_list_remove(struct server *server, struct exchange *exchange)
{
    *(exchange->send_previous ? &exchange->send_previous->send_next : &server->send_head) = exchange->send_next;
    *(exchange->send_next ? &exchange->send_next->send_previous : &server->send_tail) = exchange->send_previous;
}

/* The answer is out of our hands, or there is none to give. */
static void exchange_finish(struct exchange *exchange, bool handed)
{
    struct server *server = exchange->server;
    pthread_mutex_lock(&server->mutex);
    if (exchange->state == EXCHANGE_SENDING) {
        send_list_remove(server, exchange);
    }
    struct connection *connection = connections_find(&server->connections, exchange->pipe.id);
    if (connection) {
        connection->unanswered--;
        if (handed) {
            connections_handed(&server->connections, connection, clock_monotonic_us());
        }
    }
    server->under_way--;
    server->before_stop -= exchange->before_stop;
    exchange->before_stop = false;
    exchange->state = EXCHANGE_ENDED;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    exchange_receive(exchange);
}

static nng_msg *answer_new(struct span response)
{
    nng_msg *answer = NULL;
    if (!response.data || nng_msg_alloc(&answer, response.size) != 0) {
        return NULL;
    }
    if (response.size > 0) {
        memcpy(nng_msg_body(answer), response.data, response.size);
    }
    return answer;
}

/* What rpc calls with the answer: on the writer's thread, or inside rpc_handle. */
static void exchange_answer(void *arg, struct span response)
{
    struct exchange *exchange = arg;
    struct server *server = exchange->server;
    nng_msg *answer = answer_new(response);
    nng_msg_free(exchange->request);
    exchange->request = NULL;

    pthread_mutex_lock(&server->mutex);
    assert(exchange->state == EXCHANGE_HANDLING);
    if (answer) {
        exchange->state = EXCHANGE_SENDING;
        exchange->send_expires_us =
            clock_monotonic_us() + (int64_t)server->limits->send_timeout_ms * CLOCK_MILLISECOND_US;
        send_list_append(server, exchange);
    } else {
        server_event(server, SERVER_EVENT_NO_MEMORY);
    }
    pthread_mutex_unlock(&server->mutex);

    if (!answer) {
        nng_pipe_close(exchange->pipe); /* the client must learn that no answer will come */
        exchange_finish(exchange, false);
        return;
    }
    nng_aio_set_msg(exchange->aio, answer);
    nng_ctx_send(exchange->context, exchange->aio);
}

static void exchange_sent(struct exchange *exchange)
{
    bool handed = nng_aio_result(exchange->aio) == 0;
    if (!handed) {
        nng_msg_free(nng_aio_get_msg(exchange->aio)); /* a send that failed leaves the message with us */
        nng_aio_set_msg(exchange->aio, NULL);
    }
    exchange_finish(exchange, handed);
}

/* Counts the request against its connection. False when it has too many: the connection is to be closed. */
static bool request_admit(struct server *server, struct exchange *exchange)
{
    struct connection *connection = connections_find(&server->connections, exchange->pipe.id);
    if (!connection || connection->condemned) {
        return false; /* nobody is there to answer */
    }
    if (connection->unanswered >= server->limits->connection_requests) {
        server_connection_condemn(server, connection, SERVER_EVENT_FLOODED);
        return false;
    }
    connection->unanswered++;
    exchange->state = EXCHANGE_HANDLING;
    server->under_way++;
    return true;
}

static void exchange_received(struct exchange *exchange)
{
    struct server *server = exchange->server;
    int64_t received_us = clock_monotonic_us();
    nng_msg *request = nng_aio_get_msg(exchange->aio);
    nng_aio_set_msg(exchange->aio, NULL);
    exchange->pipe = nng_msg_get_pipe(request);

    pthread_mutex_lock(&server->mutex);
    server->receiving--;
    bool admitted = request_admit(server, exchange);
    bool more = server->receiving == 0 && server->exchange_count < server->limits->requests;
    pthread_mutex_unlock(&server->mutex);

    if (more) {
        server_exchange_add(server);
    }
    if (!admitted) {
        nng_pipe_close(exchange->pipe);
        nng_msg_free(request);
        exchange_receive(exchange);
        return;
    }
    exchange->request = request;
    rpc_handle(server->rpc, span_of(nng_msg_body(request), nng_msg_len(request)), received_us, exchange_answer,
               exchange);
}

/* A receive ends in an error only when the server stops. */
static void exchange_receive_failed(struct exchange *exchange, int error)
{
    struct server *server = exchange->server;
    pthread_mutex_lock(&server->mutex);
    server->receiving--;
    exchange->state = EXCHANGE_ENDED;
    if (!server->receives_ended) {
        server_event(server, SERVER_EVENT_RECEIVE_FAILED);
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    if (error != NNG_ECLOSED) {
        exchange_receive(exchange);
    }
}

static void exchange_callback(void *arg)
{
    struct exchange *exchange = arg;
    int error = nng_aio_result(exchange->aio);
    if (exchange->state == EXCHANGE_SENDING) {
        exchange_sent(exchange);
    } else if (error) {
        exchange_receive_failed(exchange, error);
    } else {
        exchange_received(exchange);
    }
}

static struct exchange *exchange_new(struct server *server)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange || nng_aio_alloc(&exchange->aio, exchange_callback, exchange) != 0) {
        free(exchange);
        return NULL;
    }
    exchange->server = server;
    if (nng_ctx_open(&exchange->context, server->socket) != 0) {
        nng_aio_free(exchange->aio);
        free(exchange);
        return NULL;
    }
    return exchange;
}

bool server_exchange_add(struct server *server)
{
    struct exchange *exchange = exchange_new(server);
    pthread_mutex_lock(&server->mutex);
    bool fits = exchange && server->exchange_count < server->limits->requests && !server->receives_ended;
    if (fits) {
        server->exchanges[server->exchange_count++] = exchange;
    } else if (!exchange) {
        server_event(server, SERVER_EVENT_NO_MEMORY);
    }
    pthread_mutex_unlock(&server->mutex);
    if (fits) {
        exchange_receive(exchange);
    } else if (exchange) {
        nng_ctx_close(exchange->context);
        nng_aio_free(exchange->aio);
        free(exchange);
    }
    return fits;
}

void server_exchanges_free(struct server *server)
{
    for (size_t i = 0; i < server->exchange_count; i++) {
        struct exchange *exchange = server->exchanges[i];
        nng_aio_free(exchange->aio); /* waits for a callback that is on its way out */
        free(exchange);
    }
    free(server->exchanges);
    server->exchanges = NULL;
    server->exchange_count = 0;
}
