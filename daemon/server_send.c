/* The sending side of a connection: a queue of answers, sent in order, several with one call. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>

enum {
    SEND_ROUNDS = 4, /* of a thread that sends; then nng's go on: a busy connection does not keep the writer's thread */
    GATHER_BYTES = 16 * 1024,
    SMALL_BYTES = 1024, /* copied next to its neighbours rather than sent as a piece of its own */
    /* As many, or as much, do not wait for company. */
    BATCH_ANSWERS = 64,
    BATCH_BYTES = 64 * 1024,
};

static size_t answer_size(const struct exchange *exchange)
{
    return exchange->head_size + exchange->body.size;
}

/* The mutex must be held. Makes the caller the one who sends, with a use. */
static bool sender_become(struct connection *connection)
{
    bool starts = !connection->sending && !connection->closing && connection->send_head;
    connection->sending |= starts;
    connection->uses += starts;
    return starts;
}

/* The mutex must be held. */
static void queue_append(struct connection *connection, struct exchange *exchange)
{
    exchange->expires_us =
        clock_monotonic_us() + (int64_t)connection->server->limits->send_timeout_ms * CLOCK_MILLISECOND_US;
    exchange->next = NULL;
    *(connection->send_tail ? &connection->send_tail->next : &connection->send_head) = exchange;
    connection->send_tail = exchange;
    connection->unsent++;
    connection->unsent_bytes += answer_size(exchange);
}

/* The mutex must be held. The connection is sent from in server_send_held; the list has a use. */
static void hold(struct connection *connection)
{
    struct server *server = connection->server;
    if (!connection->held) {
        connection->held = true;
        connection->uses++;
        connection->held_next = server->held;
        server->held = connection;
    }
}

void server_send(struct exchange *exchange, bool more)
{
    struct connection *connection = exchange->connection;
    struct server *server = connection->server;
    bool starts = false;
    pthread_mutex_lock(&server->mutex);
    bool closing = connection->closing;
    if (!closing) {
        queue_append(connection, exchange);
        bool full = connection->unsent >= BATCH_ANSWERS || connection->unsent_bytes >= BATCH_BYTES;
        bool waits = !full && (more || connection->corks > 0);
        if (!waits) {
            starts = sender_become(connection);
        } else if (more) {
            hold(connection);
        }
    }
    pthread_mutex_unlock(&server->mutex);
    if (closing) {
        server_exchange_release(exchange);
    } else if (starts) {
        server_send_start(connection);
    }
}

void server_send_held(struct server *server)
{
    struct connection *connection;
    do {
        pthread_mutex_lock(&server->mutex);
        connection = server->held;
        bool starts = false;
        if (connection) {
            server->held = connection->held_next;
            connection->held = false;
            starts = sender_become(connection);
        }
        pthread_mutex_unlock(&server->mutex);
        if (starts) {
            server_send_start(connection);
        }
        if (connection) {
            server_connection_release(connection);
        }
    } while (connection);
}

void server_send_cork(struct connection *connection)
{
    pthread_mutex_lock(&connection->server->mutex);
    connection->corks++;
    connection->uses++;
    pthread_mutex_unlock(&connection->server->mutex);
}

void server_send_uncork(struct connection *connection)
{
    pthread_mutex_lock(&connection->server->mutex);
    connection->corks--;
    bool starts = sender_become(connection); /* also when another thread has corked it: that would never end */
    pthread_mutex_unlock(&connection->server->mutex);
    if (starts) {
        server_send_start(connection);
    }
    server_connection_release(connection);
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
    while (connection->send_head && connection->sent >= answer_size(connection->send_head)) {
        struct exchange *exchange = connection->send_head;
        size_t size = answer_size(exchange);
        connection->sent -= size;
        connection->send_head = exchange->next;
        connection->unsent--;
        connection->unsent_bytes -= size;
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
        return NULL; /* who sends still reads from them, and drops them after */
    }
    struct exchange *dropped = connection->send_head;
    connection->send_head = connection->send_tail = NULL;
    connection->sent = 0;
    connection->unsent = 0;
    connection->unsent_bytes = 0;
    return dropped;
}

/* Some is sent. Returns true when there is more to send; else the sender's use has been given back. */
static bool send_end(struct connection *connection, bool failed, size_t count)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    struct exchange *ended = sent_take(connection, count);
    bool more = !failed && !connection->closing && (connection->greeting_left > 0 || connection->send_head);
    connection->sending = more;
    connection->blocked = false;
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

/* What one call sends. */
struct pieces {
    unsigned count;
    size_t size;
    nng_iov list[CONNECTION_IOV_MAX];
    size_t gathered;
    uint8_t gather[GATHER_BYTES];
};

/* False when there is no room for it. */
static bool piece_add(struct pieces *pieces, const uint8_t *data, size_t size)
{
    if (size > SMALL_BYTES || size > GATHER_BYTES - pieces->gathered) {
        if (pieces->count == CONNECTION_IOV_MAX) {
            return false;
        }
        pieces->list[pieces->count++] = piece_of(data, size);
        pieces->size += size;
        return true;
    }
    uint8_t *copy = pieces->gather + pieces->gathered;
    nng_iov *last = pieces->count > 0 ? &pieces->list[pieces->count - 1] : NULL;
    bool extends = last && (uint8_t *)last->iov_buf + last->iov_len == copy;
    if (!extends && pieces->count == CONNECTION_IOV_MAX) {
        return false;
    }
    memcpy(copy, data, size);
    pieces->gathered += size;
    pieces->size += size;
    if (extends) {
        last->iov_len += size;
    } else {
        pieces->list[pieces->count++] = piece_of(copy, size);
    }
    return true;
}

/* Adds what is left of a part of an answer after *skip bytes. */
static bool part_add(struct pieces *pieces, const uint8_t *data, size_t size, size_t *skip)
{
    size_t skipped = *skip < size ? *skip : size;
    *skip -= skipped;
    return skipped == size || piece_add(pieces, data + skipped, size - skipped);
}

/* Of the queue only the sender takes anything away, so that up to the last answer of now it can be read without the
 * mutex. */
static void pieces_collect(struct connection *connection, struct pieces *pieces, bool gathers)
{
    pthread_mutex_lock(&connection->server->mutex);
    assert(connection->sending);
    const struct exchange *one = connection->send_head;
    const struct exchange *last = connection->send_tail;
    size_t greeting = connection->greeting_left;
    size_t skip = connection->sent;
    pthread_mutex_unlock(&connection->server->mutex);
    pieces->count = 0;
    pieces->size = 0;
    pieces->gathered = gathers ? 0 : GATHER_BYTES;
    if (greeting > 0) {
        piece_add(pieces, frame_handshake + FRAME_HANDSHAKE_BYTES - greeting, greeting);
    }
    bool fits = true;
    while (one && fits) {
        fits = part_add(pieces, one->head, one->head_size, &skip) &&
               part_add(pieces, one->body.data, one->body.size, &skip);
        one = one == last ? NULL : one->next;
    }
    assert(pieces->count > 0);
}

/* False when the connection was closed meanwhile. */
static bool send_begin(struct connection *connection, nng_aio *aio, const struct pieces *pieces)
{
    pthread_mutex_lock(&connection->operations);
    bool starts = !connection->stream_closed;
    if (starts) {
        nng_aio_set_iov(aio, pieces->count, pieces->list);
        nng_stream_send(connection->stream, aio);
    }
    pthread_mutex_unlock(&connection->operations);
    return starts;
}

/* Sends what the kernel takes at once: how much; 0 when it takes nothing now; -1 when the connection is lost. nng tries
 * at once, and what it cannot send is taken back: so no other thread has to wake up for the end of the operation. */
static ssize_t send_try(struct connection *connection, const struct pieces *pieces)
{
    if (!send_begin(connection, connection->try_aio, pieces)) {
        return -1;
    }
    nng_aio_cancel(connection->try_aio);
    nng_aio_wait(connection->try_aio);
    int rc = nng_aio_result(connection->try_aio);
    return rc == 0 ? (ssize_t)nng_aio_count(connection->try_aio) : rc == NNG_ECANCELED ? 0 : -1;
}

/* Lets nng's threads send, when the kernel takes something again. Nothing is gathered: it would not live so long. */
static void send_later(struct connection *connection, struct pieces *pieces)
{
    pthread_mutex_lock(&connection->server->mutex);
    connection->blocked = true;
    pthread_mutex_unlock(&connection->server->mutex);
    pieces_collect(connection, pieces, false);
    if (!send_begin(connection, connection->send_aio, pieces)) {
        send_end(connection, true, 0);
    }
}

void server_send_start(struct connection *connection)
{
    struct pieces pieces;
    bool takes_more = true; /* the kernel has taken all of what it got last */
    for (unsigned round = 0;; round++) {
        ssize_t sent = 0;
        if (round < SEND_ROUNDS && takes_more) {
            pieces_collect(connection, &pieces, true);
            sent = send_try(connection, &pieces);
            takes_more = sent < 0 || (size_t)sent == pieces.size;
        }
        if (sent == 0) {
            send_later(connection, &pieces);
            return;
        }
        if (!send_end(connection, sent < 0, sent < 0 ? 0 : (size_t)sent)) {
            return;
        }
    }
}

void server_send_callback(void *arg)
{
    struct connection *connection = arg;
    bool failed = nng_aio_result(connection->send_aio) != 0;
    if (send_end(connection, failed, failed ? 0 : nng_aio_count(connection->send_aio))) {
        server_send_start(connection);
    }
}
