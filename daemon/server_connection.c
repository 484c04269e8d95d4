/* A connection's life: taken over from the listener, used, closed, given back. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

enum { HANDSHAKE_MS = 5000 };

static struct connection *connection_free(struct connection *connection)
{
    if (connection) {
        nng_aio_free(connection->receive_aio); /* waits for a callback that is on its way out */
        nng_aio_free(connection->send_aio);
        pthread_mutex_destroy(&connection->operations);
        free(connection);
    }
    return NULL;
}

static struct connection *connection_new(struct server *server)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        return NULL;
    }
    connection->server = server;
    pthread_mutex_init(&connection->operations, NULL);
    if (nng_aio_alloc(&connection->receive_aio, server_receive_callback, connection) != 0 ||
        nng_aio_alloc(&connection->send_aio, server_send_callback, connection) != 0) {
        return connection_free(connection);
    }
    return connection;
}

/* The mutex must be held, for all three. */
static void list_append(struct connection_list *list, struct connection *connection)
{
    connection->next = NULL;
    connection->previous = list->tail;
    *(list->tail ? &list->tail->next : &list->head) = connection;
    list->tail = connection;
    list->count++;
}

static void list_remove(struct connection_list *list, struct connection *connection)
{
    *(connection->previous ? &connection->previous->next : &list->head) = connection->next;
    *(connection->next ? &connection->next->previous : &list->tail) = connection->previous;
    list->count--;
}

static struct connection_list *list_of(struct connection *connection)
{
    return connection->greeted ? &connection->server->greeted : &connection->server->greeting;
}

/* A connection to use; NULL when memory is short or far too many are still being closed. */
static struct connection *connection_get(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    bool allowed = !server->ending && server->connection_count < server->limits->connections + 2 * SERVER_GREETINGS_MAX;
    struct connection *connection = allowed ? server->spare_connections : NULL;
    if (connection) {
        server->spare_connections = connection->next;
    }
    server->connection_count += allowed;
    if (!allowed && !server->ending) {
        server_event(server, SERVER_EVENT_REFUSED);
    }
    pthread_mutex_unlock(&server->mutex);
    if (!allowed || connection || (connection = connection_new(server))) {
        return connection;
    }
    pthread_mutex_lock(&server->mutex);
    server->connection_count--;
    server_event(server, SERVER_EVENT_NO_MEMORY);
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

/* In use: by being open, by the receiving and by the sending side. The mutex must be held. Returns the connection that
 * has to go for it, with a use, or NULL. */
static struct connection *connection_begin(struct connection *connection, nng_stream *stream, bool typed)
{
    struct server *server = connection->server;
    connection->stream = stream;
    connection->stream_closed = false;
    connection->typed = typed;
    connection->phase = CONNECTION_HANDSHAKE;
    connection->start = connection->buffered = 0;
    connection->uses = 3;
    connection->closing = connection->greeted = connection->paused = false;
    connection->sending = true;
    connection->greet_expires_us = clock_monotonic_us() + (int64_t)HANDSHAKE_MS * CLOCK_MILLISECOND_US;
    connection->greeting_left = FRAME_HANDSHAKE_BYTES;
    connection->sent = 0;
    list_append(&server->greeting, connection);
    struct connection *oldest = server->greeting.count > SERVER_GREETINGS_MAX ? server->greeting.head : NULL;
    while (oldest && oldest->closing) {
        oldest = oldest->next;
    }
    if (oldest) {
        oldest->uses++;
    }
    return oldest;
}

/* Who connects, as the kernel says: over a local socket that is known. */
static void session_open(struct connection *connection)
{
    uint64_t uid;
    uint64_t pid;
    struct session_peer peer;
    bool known = nng_stream_get_uint64(connection->stream, NNG_OPT_IPC_PEER_UID, &uid) == 0 &&
                 nng_stream_get_uint64(connection->stream, NNG_OPT_IPC_PEER_PID, &pid) == 0;
    if (known) {
        peer = (struct session_peer){.uid = (uid_t)uid, .pid = (pid_t)pid};
    }
    session_begin(&connection->session, connection->server->authority, known ? &peer : NULL);
}

void server_connection_open(struct server *server, nng_stream *stream, bool typed)
{
    struct connection *connection = connection_get(server);
    if (!connection) {
        atomic_fetch_add(&server->counters->connections_refused, 1);
        nng_stream_close(stream);
        nng_stream_free(stream);
        return;
    }
    pthread_mutex_lock(&server->mutex);
    struct connection *oldest = connection_begin(connection, stream, typed);
    pthread_mutex_unlock(&server->mutex);
    session_open(connection);
    if (oldest) {
        server_connection_condemn(oldest, SERVER_EVENT_SILENT);
        server_connection_release(oldest);
    }
    server_send_start(connection);
    server_receive(connection);
}

bool server_connection_greet(struct connection *connection)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    bool allowed = !connection->closing && server->open_count < server->limits->connections;
    if (allowed) {
        list_remove(&server->greeting, connection);
        list_append(&server->greeted, connection);
        connection->greeted = true;
        server->open_count++;
    }
    pthread_mutex_unlock(&server->mutex);
    if (allowed) {
        atomic_fetch_add(&server->counters->connections, 1);
        atomic_fetch_add(&server->counters->connections_accepted, 1);
    } else {
        server_connection_condemn(connection, SERVER_EVENT_REFUSED);
    }
    return allowed;
}

void server_connection_close(struct connection *connection)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    bool first = !connection->closing;
    connection->closing = true;
    server->open_count -= first && connection->greeted;
    struct exchange *dropped = first ? server_send_drop(connection) : NULL;
    pthread_mutex_unlock(&server->mutex);
    if (first && connection->greeted) {
        atomic_fetch_sub(&server->counters->connections, 1);
    }
    if (first) {
        pthread_mutex_lock(&connection->operations);
        connection->stream_closed = true;
        nng_stream_close(connection->stream); /* both operations end, with an error */
        pthread_mutex_unlock(&connection->operations);
        server_exchange_release(dropped);
        server_connection_release(connection); /* it is no longer open */
    }
}

void server_connection_condemn(struct connection *connection, enum server_event event)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    bool first = !connection->closing;
    if (first) {
        server_event(server, event);
    }
    pthread_mutex_unlock(&server->mutex);
    if (first) {
        atomic_fetch_add(&server->counters->connections_refused, 1);
    }
    server_connection_close(connection);
}

void server_connection_release(struct connection *connection)
{
    struct server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    assert(connection->uses > 0);
    bool last = --connection->uses == 0;
    if (last) {
        list_remove(list_of(connection), connection);
    }
    pthread_mutex_unlock(&server->mutex);
    if (!last) {
        return;
    }
    assert(connection->closing && !connection->send_head && connection->unanswered == 0);
    nng_stream_free(connection->stream);
    session_end(&connection->session);
    free(connection->body);
    connection->stream = NULL;
    connection->body = NULL;

    pthread_mutex_lock(&server->mutex);
    connection->next = server->spare_connections;
    server->spare_connections = connection;
    server->connection_count--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void server_connections_free(struct server *server)
{
    assert(server->connection_count == 0);
    while (server->spare_connections) {
        struct connection *connection = server->spare_connections;
        server->spare_connections = connection->next;
        connection_free(connection);
    }
}
