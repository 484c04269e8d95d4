/* The watcher: a thread on the monotonic clock (nng's own timeouts follow the wall clock, nng #1526) that closes
 * connections whose client does not read its answers, and tells the log what happens too often to be told each time. */
#include "server_internal.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

enum {
    TICK_MAX_MS = 250,
    TICKS_PER_TIMEOUT = 4,
    EVENT_LINE_US = CLOCK_SECOND_US, /* at most one line of a kind in this time */
    CUT_BATCH = 64,
};

/* Connections to close, collected under the mutex and closed without it. */
struct cut_batch {
    nng_pipe pipes[CUT_BATCH];
    size_t count;
};

/* What a line says: "closed 3 connections that ... (connection-requests = 256)". */
static const struct event_words {
    const char *what;
    const char *option; /* the limit that was passed; NULL: none */
    size_t limit;       /* its offset in struct limits */
} event_words[SERVER_EVENT_COUNT] = {
    [SERVER_EVENT_REFUSED] = {"connections refused: too many are open", "connections",
                              offsetof(struct limits, connections)},
    [SERVER_EVENT_FLOODED] = {"connections closed: too many unanswered requests on one", "connection-requests",
                              offsetof(struct limits, connection_requests)},
    [SERVER_EVENT_STALLED] = {"connections closed: the client does not read its answers", "send-timeout-ms",
                              offsetof(struct limits, send_timeout_ms)},
    [SERVER_EVENT_NO_MEMORY] = {"times memory was too short to serve a request", NULL, 0},
    [SERVER_EVENT_RECEIVE_FAILED] = {"receives failed inside nng", NULL, 0},
};

void server_event(struct server *server, enum server_event event)
{
    server->events[event].count++;
}

bool server_connection_condemn(struct server *server, struct connection *connection, enum server_event event)
{
    if (connection->condemned) {
        return false;
    }
    connection->condemned = true;
    server_event(server, event);
    atomic_fetch_add(&server->counters->connections_refused, 1);
    return true;
}

void server_wait(struct server *server, pthread_cond_t *condition, int64_t timeout_us)
{
    if (timeout_us <= 0) {
        return;
    }
    int64_t until_us = clock_monotonic_us() + timeout_us;
    struct timespec until = {.tv_sec = until_us / CLOCK_SECOND_US, .tv_nsec = until_us % CLOCK_SECOND_US * 1000};
    pthread_cond_timedwait(condition, &server->mutex, &until);
}

static void event_tell(const struct server *server, enum server_event event, unsigned count)
{
    const struct event_words *words = &event_words[event];
    if (words->option) {
        uint64_t limit;
        memcpy(&limit, (const char *)server->limits + words->limit, sizeof(limit));
        log_warning(server->log, "%u %s (%s = %" PRIu64 ")", count, words->what, words->option, limit);
    } else {
        log_warning(server->log, "%u %s", count, words->what);
    }
}

static void events_tell(struct server *server, int64_t now_us)
{
    unsigned counts[SERVER_EVENT_COUNT] = {0};
    pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < SERVER_EVENT_COUNT; i++) {
        struct server_events *events = &server->events[i];
        if (events->count > 0 && now_us - events->told_us >= EVENT_LINE_US) {
            counts[i] = events->count;
            events->count = 0;
            events->told_us = now_us;
        }
    }
    pthread_mutex_unlock(&server->mutex);
    for (size_t i = 0; i < SERVER_EVENT_COUNT; i++) {
        if (counts[i] > 0) {
            event_tell(server, (enum server_event)i, counts[i]);
        }
    }
}

/* "Sent" means to nng: handed to the pipe. Whether the kernel took an answer only nng's statistics tell; without them a
 * client that asks once, for much, and never reads would hold its answer in memory for ever. */
static void pipe_written(struct server *server, nng_stat *pipe, int64_t now_us)
{
    uint64_t id = 0;
    uint64_t written = 0;
    for (nng_stat *stat = nng_stat_child(pipe); stat; stat = nng_stat_next(stat)) {
        if (strcmp(nng_stat_name(stat), "id") == 0) {
            id = nng_stat_value(stat);
        } else if (strcmp(nng_stat_name(stat), "tx_msgs") == 0) {
            written = nng_stat_value(stat);
        }
    }
    struct connection *connection = connections_find(&server->connections, (uint32_t)id);
    if (connection) {
        connections_written(&server->connections, connection, written, now_us);
    }
}

size_t server_watch_written(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    size_t unwritten = server->connections.unwritten;
    pthread_mutex_unlock(&server->mutex);
    nng_stat *statistics = NULL;
    if (unwritten == 0 || nng_stats_get(&statistics) != 0) {
        return unwritten;
    }
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&server->mutex);
    for (nng_stat *stat = nng_stat_child(statistics); stat; stat = nng_stat_next(stat)) {
        if (nng_stat_type(stat) == NNG_STAT_SCOPE && strcmp(nng_stat_name(stat), "pipe") == 0) {
            pipe_written(server, stat, now_us);
        }
    }
    unwritten = server->connections.unwritten;
    pthread_mutex_unlock(&server->mutex);
    nng_stats_free(statistics);
    return unwritten;
}

/* Marks a connection for closing. False when it is gone, is marked already or the batch is full: the next tick goes on.
 */
static bool cut_mark(struct server *server, struct connection *connection, struct cut_batch *batch)
{
    if (!connection || batch->count == CUT_BATCH ||
        !server_connection_condemn(server, connection, SERVER_EVENT_STALLED)) {
        return false;
    }
    batch->pipes[batch->count++] = (nng_pipe){.id = connection->id};
    return true;
}

/* Two ways to be late: an answer that the kernel does not take, and one that waits behind such an answer. */
static void stalled_collect(struct server *server, int64_t now_us, struct cut_batch *ret_batch)
{
    int64_t timeout_us = (int64_t)server->limits->send_timeout_ms * CLOCK_MILLISECOND_US;
    pthread_mutex_lock(&server->mutex);
    for (struct exchange *one = server->send_head; one && one->send_expires_us < now_us; one = one->send_next) {
        cut_mark(server, connections_find(&server->connections, one->pipe.id), ret_batch);
    }
    for (size_t i = 0; server->connections.unwritten > 0 && i < server->connections.bucket_count; i++) {
        for (struct connection *one = server->connections.buckets[i]; one; one = one->next) {
            if (one->handed > one->written && now_us - one->waiting_since_us > timeout_us) {
                cut_mark(server, one, ret_batch);
            }
        }
    }
    pthread_mutex_unlock(&server->mutex);
}

static void stalled_close(struct server *server)
{
    struct cut_batch batch = {.count = 0};
    server_watch_written(server);
    stalled_collect(server, clock_monotonic_us(), &batch);
    for (size_t i = 0; i < batch.count; i++) {
        nng_pipe_close(batch.pipes[i]); /* also ends every send that waits for this pipe, and frees its answer */
    }
}

static void *watch_run(void *arg)
{
    struct server *server = arg;
    uint64_t tick_ms = server->limits->send_timeout_ms / TICKS_PER_TIMEOUT + 1;
    int64_t tick_us = (int64_t)(tick_ms < TICK_MAX_MS ? tick_ms : TICK_MAX_MS) * CLOCK_MILLISECOND_US;
    pthread_mutex_lock(&server->mutex);
    while (!server->watch_ended) {
        server_wait(server, &server->watch_wake, tick_us);
        pthread_mutex_unlock(&server->mutex);
        stalled_close(server);
        events_tell(server, clock_monotonic_us());
        pthread_mutex_lock(&server->mutex);
    }
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

bool server_watch_start(struct server *server)
{
    return pthread_create(&server->watch, NULL, watch_run, server) == 0;
}

void server_watch_stop(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->watch_ended = true;
    pthread_cond_signal(&server->watch_wake);
    pthread_mutex_unlock(&server->mutex);
    pthread_join(server->watch, NULL);
}
