/* The sending side of a connection: a queue of answers, sent in order, several with one call. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>

void server_send(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    bool closing = connection->closing;
    bool starts = !closing && !connection->sending;
    if (!closing) {
        exchange->expires_us = clock_monotonic_us() + (int64_t)server->limits->send_timeout_ms * CLOCK_MILLISECOND_US;
        exchange->next = NULL;
        *(connection->send_tail ? &connection->send_tail->next : &connection->send_head) = exchange;
        connection->send_tail = exchange;
        connection->unsent++;
    }
    if (starts) {
        connection->sending = true;
        connection->uses++;
    }
    pthread_mutex_unlock(&server->mutex);
    if (closing) {
        server_exchange_release(exchange);
    } else if (starts) {
        server_send_start(connection);
    }
}

static nng_iov piece_of(const uint8_t *data, size_t size)
{
    nng_iov piece = {.iov_len = size};
    memcpy(&piece.iov_buf, &data, sizeof(data)); /* nng has no const for what it only reads */
    return piece;
}

/* Books `count` bytes as sent and returns the exchanges whose answers are. The mutex must be held. */
static struct exchange *sent_take(struct connection *connection, size_t count)
{
    struct exchange *done = NULL;
    struct exchange **end = &done;
    size_t greeting = count < connection->greeting_left ? count : connection->greeting_left;
    connection->greeting_left -= greeting;
    connection->sent += count - greeting;
    while (connection->send_head && connection->sent >= connection->send_head->answer_size) {
        struct exchange *exchange = connection->send_head;
        connection->sent -= exchange->answer_size;
        connection->send_head = exchange->next;
        connection->unsent--;
        exchange->next = NULL;
        *end = exchange;
        end = &exchange->next;
    }
    if (!connection->send_head) {
        connection->send_tail = NULL;
    }
    return done;
}

struct exchange *server_send_drop(struct connection *connection)
{
    if (connection->sending) {
        return NULL; /* the operation still reads from them; its callback drops them */
    }
    struct exchange *dropped = connection->send_head;
    connection->send_head = connection->send_tail = NULL;
    connection->sent = 0;
    connection->unsent = 0;
    return dropped;
}

/* The operation is over. Returns true when another is to begin; else its use has been given back. */
static bool send_end(struct connection *connection, bool failed, size_t count)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    struct exchange *ended = sent_take(connection, count);
    bool more = !failed && !connection->closing && (connection->greeting_left > 0 || connection->send_head);
    connection->sending = more;
    struct exchange *dropped = failed || connection->closing ? server_send_drop(connection) : NULL;
    pthread_mutex_unlock(&server->mutex);

    if (failed) {
        server_connection_close(connection);
    }
    server_exchange_release(ended);
    server_exchange_release(dropped);
    if (!more) {
        server_connection_release(connection);
    }
    return more;
}

static unsigned pieces_collect(struct connection *connection, nng_iov *pieces)
{
    unsigned count = 0;
    pthread_mutex_lock(&connection->server->mutex);
    assert(connection->sending);
    if (connection->greeting_left > 0) {
        pieces[count++] =
            piece_of(frame_handshake + FRAME_HANDSHAKE_BYTES - connection->greeting_left, connection->greeting_left);
    }
    size_t skip = connection->sent;
    for (struct exchange *one = connection->send_head; one && count < CONNECTION_IOV_MAX; one = one->next) {
        pieces[count++] = piece_of(one->answer + skip, one->answer_size - skip);
        skip = 0;
    }
    pthread_mutex_unlock(&connection->server->mutex);
    assert(count > 0);
    return count;
}

void server_send_start(struct connection *connection)
{
    nng_iov pieces[CONNECTION_IOV_MAX];
    unsigned count = pieces_collect(connection, pieces);
    pthread_mutex_lock(&connection->operations);
    bool starts = !connection->stream_closed;
    if (starts) {
        nng_aio_set_iov(connection->send_aio, count, pieces);
        nng_stream_send(connection->stream, connection->send_aio);
    }
    pthread_mutex_unlock(&connection->operations);
    if (!starts) {
        send_end(connection, true, 0);
    }
}

void server_send_callback(void *arg)
{
    struct connection *connection = arg;
    struct server *server = connection->server;
    bool failed = nng_aio_result(connection->send_aio) != 0;
    if (send_end(connection, failed, failed ? 0 : nng_aio_count(connection->send_aio))) {
        server_send_start(connection);
    }
    server_receive_resume(server);
}
