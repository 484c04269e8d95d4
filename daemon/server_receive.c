/* The receiving side of a connection: from bytes to requests. It reads on only while it may take requests: a client
 * that sends more than it may have under way finds its socket full, and nobody else notices. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

enum next {
    NEXT_BROKEN = -1, /* the connection is closed */
    NEXT_MORE,        /* more bytes are needed */
    NEXT_PAUSED,      /* no exchange for it now */
    NEXT_MESSAGE,     /* done with one message: *ret_exchange, or NULL when it was dropped */
};

static enum next broken(struct connection *connection, enum server_event event)
{
    server_connection_condemn(connection, event);
    return NEXT_BROKEN;
}

static struct span buffer_rest(const struct connection *connection)
{
    return span_of(connection->buffer + connection->start, connection->buffered - connection->start);
}

static enum next handshake_take(struct connection *connection)
{
    struct span rest = buffer_rest(connection);
    if (rest.size < FRAME_HANDSHAKE_BYTES) {
        return NEXT_MORE;
    }
    if (!frame_handshake_valid(rest.data)) {
        return broken(connection, SERVER_EVENT_MALFORMED);
    }
    connection->start += FRAME_HANDSHAKE_BYTES;
    connection->phase = CONNECTION_FRAME;
    return server_connection_greet(connection) ? NEXT_MESSAGE : NEXT_BROKEN;
}

/* A message for an exchange of its own. memory: malloc'ed and taken, or NULL: then the message is copied. */
static enum next message_take(struct connection *connection, struct span message, uint8_t *memory,
                              struct exchange **ret_exchange)
{
    int route_size = frame_route_size(message);
    if (route_size < 0) {
        return broken(connection, SERVER_EVENT_MALFORMED);
    }
    if (route_size == 0) {
        free(memory);
        return NEXT_MESSAGE;
    }
    struct exchange *exchange = NULL;
    enum exchange_take taken = server_exchange_take(connection, &exchange);
    if (taken != EXCHANGE_TAKEN) {
        return taken == EXCHANGE_NONE_NOW ? NEXT_PAUSED : broken(connection, SERVER_EVENT_NO_MEMORY);
    }
    if (!server_exchange_fill(exchange, message, memory)) {
        server_exchange_release(exchange);
        return broken(connection, SERVER_EVENT_NO_MEMORY);
    }
    exchange->route_size = (size_t)route_size;
    exchange->received_us = connection->received_us;
    *ret_exchange = exchange;
    return NEXT_MESSAGE;
}

/* The message is larger than the buffer: the rest is read to its own memory. */
static enum next body_begin(struct connection *connection, struct span part, size_t size)
{
    connection->body = malloc(size);
    if (!connection->body) {
        return broken(connection, SERVER_EVENT_NO_MEMORY);
    }
    memcpy(connection->body, part.data, part.size);
    connection->body_size = size;
    connection->body_filled = part.size;
    connection->start = connection->buffered;
    connection->phase = CONNECTION_BODY;
    return NEXT_MORE;
}

static enum next frame_take(struct connection *connection, struct exchange **ret_exchange)
{
    struct span rest = buffer_rest(connection);
    size_t header_size = frame_header_size(connection->typed);
    uint64_t length;
    if (rest.size < header_size) {
        return NEXT_MORE;
    }
    if (!frame_header_get(connection->typed, rest.data, &length) || length < FRAME_WORD_BYTES) {
        return broken(connection, SERVER_EVENT_MALFORMED);
    }
    if (length > connection->server->limits->request_bytes + SERVER_REQUEST_SLACK) {
        return broken(connection, SERVER_EVENT_OVERSIZED);
    }
    size_t size = (size_t)length;
    struct span message = span_of(rest.data + header_size, rest.size - header_size);
    if (message.size < size) {
        return header_size + size > CONNECTION_BUFFER_BYTES ? body_begin(connection, message, size) : NEXT_MORE;
    }
    message.size = size;
    enum next next = message_take(connection, message, NULL, ret_exchange);
    if (next == NEXT_MESSAGE) {
        connection->start += header_size + size;
    }
    return next;
}

static enum next body_take(struct connection *connection, struct exchange **ret_exchange)
{
    if (connection->body_filled < connection->body_size) {
        return NEXT_MORE;
    }
    enum next next =
        message_take(connection, span_of(connection->body, connection->body_size), connection->body, ret_exchange);
    if (next == NEXT_MESSAGE) {
        connection->body = NULL;
        connection->phase = CONNECTION_FRAME;
    }
    return next;
}

static enum next next_take(struct connection *connection, struct exchange **ret_exchange)
{
    switch (connection->phase) {
    case CONNECTION_HANDSHAKE:
        return handshake_take(connection);
    case CONNECTION_FRAME:
        return frame_take(connection, ret_exchange);
    case CONNECTION_BODY:
        return body_take(connection, ret_exchange);
    }
    return NEXT_BROKEN;
}

static nng_iov receive_place(struct connection *connection)
{
    nng_iov place;
    if (connection->phase == CONNECTION_BODY) {
        place.iov_buf = connection->body + connection->body_filled;
        place.iov_len = connection->body_size - connection->body_filled;
    } else {
        struct span rest = buffer_rest(connection);
        memmove(connection->buffer, rest.data, rest.size);
        connection->start = 0;
        connection->buffered = rest.size;
        place.iov_buf = connection->buffer + rest.size;
        place.iov_len = CONNECTION_BUFFER_BYTES - rest.size;
    }
    assert(place.iov_len > 0);
    return place;
}

/* False when the connection was closed meanwhile. */
static bool receive_start(struct connection *connection)
{
    nng_iov place = receive_place(connection);
    pthread_mutex_lock(&connection->operations);
    bool starts = !connection->stream_closed;
    if (starts) {
        nng_aio_set_iov(connection->receive_aio, 1, &place);
        nng_stream_recv(connection->stream, connection->receive_aio);
    }
    pthread_mutex_unlock(&connection->operations);
    return starts;
}

/* What is complete is taken first and the next receive begun, then rpc gets the requests: while one is read from the
 * store, another thread can take the next. */
void server_receive(struct connection *connection)
{
    struct exchange *taken = NULL;
    struct exchange **end = &taken;
    enum next next;
    connection->received_us = clock_monotonic_us();
    do {
        struct exchange *exchange = NULL;
        next = next_take(connection, &exchange);
        if (exchange) {
            *end = exchange;
            end = &exchange->next;
        }
    } while (next == NEXT_MESSAGE);
    bool corked = taken && taken->next;
    if (corked) {
        server_send_cork(connection);
    }
    /* Once it has begun, the receiving side may be another thread's. */
    if (next != NEXT_MORE || !receive_start(connection)) {
        server_connection_release(connection);
    }
    while (taken) {
        struct exchange *exchange = taken;
        taken = exchange->next;
        exchange->next = NULL;
        server_exchange_handle(exchange);
    }
    if (corked) {
        server_send_uncork(connection);
    }
}

void server_receive_callback(void *arg)
{
    struct connection *connection = arg;
    size_t count = nng_aio_count(connection->receive_aio);
    if (nng_aio_result(connection->receive_aio) != 0 || count == 0) {
        server_connection_close(connection);
        server_connection_release(connection);
        return;
    }
    *(connection->phase == CONNECTION_BODY ? &connection->body_filled : &connection->buffered) += count;
    server_receive(connection);
}

/* The next one that may go on, with the use that its waiting held. */
static struct connection *waiting_next(struct server *server, bool *ret_goes_on)
{
    pthread_mutex_lock(&server->mutex);
    struct connection *connection = server->wait_head;
    if (connection && server->exchange_count >= server->limits->requests && !connection->closing && !server->ending) {
        connection = NULL;
    }
    if (connection) {
        server->wait_head = connection->wait_next;
        server->wait_tail = server->wait_head ? server->wait_tail : NULL;
        connection->waiting = false;
        *ret_goes_on = !connection->closing && !server->ending;
        connection->paused = !*ret_goes_on;
    }
    pthread_mutex_unlock(&server->mutex);
    return connection;
}

void server_receive_resume_callback(void *arg)
{
    struct server *server = arg;
    pthread_mutex_lock(&server->mutex);
    server->resuming = false;
    pthread_mutex_unlock(&server->mutex);
    server_receive_resume(server);
}

void server_receive_resume(struct server *server)
{
    bool goes_on = false;
    for (struct connection *one; (one = waiting_next(server, &goes_on)) != NULL;) {
        if (goes_on) {
            server_receive(one);
        } else {
            server_connection_release(one);
        }
    }
}
