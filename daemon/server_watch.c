/* The watch: a thread on the monotonic clock (nng's own timeouts follow the wall clock, nng #1526) that closes
 * connections whose time is over, tries again what failed, and tells the log what happens too often to tell each time.
 */
#include "server_internal.h"

#include "base/clock.h"

#include <inttypes.h>

enum {
    TICK_MAX_MS = 250,
    TICKS_PER_TIMEOUT = 4,
    EVENT_LINE_US = CLOCK_SECOND_US, /* at most one line of a kind in this time */
    CLOSE_BATCH = 64,
};

/* What a line says: "3 connections closed: ... (send-timeout-ms = 5000)". */
static const struct event_words {
    const char *reason; /* as metrics call it */
    const char *what;
    const char *option; /* the limit that was passed; NULL: none */
    size_t limit;       /* its offset in struct limits */
} event_words[SERVER_EVENT_COUNT] = {
    [SERVER_EVENT_REFUSED] = {"too_many", "connections refused: too many are open", "connections",
                              offsetof(struct limits, connections)},
    [SERVER_EVENT_STALLED] = {"stalled", "connections closed: the client does not read its answers", "send-timeout-ms",
                              offsetof(struct limits, send_timeout_ms)},
    [SERVER_EVENT_OVERSIZED] = {"oversized", "connections closed: a request is too large", "request-bytes",
                                offsetof(struct limits, request_bytes)},
    [SERVER_EVENT_MALFORMED] = {"malformed", "connections closed: the client does not speak SP's REQ protocol", NULL,
                                0},
    [SERVER_EVENT_SILENT] = {"silent", "connections closed: no handshake came", NULL, 0},
    [SERVER_EVENT_NO_MEMORY] = {"no_memory", "connections closed: memory is short", NULL, 0},
    [SERVER_EVENT_ACCEPT_FAILED] = {"accept_failed",
                                    "times a connection could not be accepted: open files or memory are short", NULL,
                                    0},
};

void server_event(struct server *server, enum server_event event)
{
    server->events[event].count++;
    server->events[event].total++;
}

bool server_refusal_at(struct server *server, size_t index, const char **ret_reason, uint64_t *ret_count)
{
    if (index >= SERVER_EVENT_COUNT) {
        return false;
    }
    *ret_reason = event_words[index].reason;
    pthread_mutex_lock(&server->mutex);
    *ret_count = server->events[index].total;
    pthread_mutex_unlock(&server->mutex);
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

/* Connections to close, collected under the mutex and closed without it; those over the batch wait for the next tick.
 */
struct overdue {
    struct connection *connections[CLOSE_BATCH];
    size_t count;
};

/* The mutex must be held. */
static void overdue_add(struct overdue *overdue, struct connection *connection)
{
    if (!connection->closing && overdue->count < CLOSE_BATCH) {
        connection->uses++;
        overdue->connections[overdue->count++] = connection;
    }
}

static void overdue_close(struct overdue *overdue, enum server_event event)
{
    for (size_t i = 0; i < overdue->count; i++) {
        server_connection_condemn(overdue->connections[i], event);
        server_connection_release(overdue->connections[i]);
    }
}

static void connections_watch(struct server *server, int64_t now_us)
{
    struct overdue silent = {.count = 0};
    struct overdue stalled = {.count = 0};
    pthread_mutex_lock(&server->mutex);
    for (struct connection *one = server->greeting.head; one && one->greet_expires_us < now_us; one = one->next) {
        overdue_add(&silent, one);
    }
    for (struct connection *one = server->greeted.head; one; one = one->next) {
        if (one->send_head && one->send_head->expires_us < now_us) {
            overdue_add(&stalled, one);
        }
    }
    pthread_mutex_unlock(&server->mutex);
    overdue_close(&silent, SERVER_EVENT_SILENT);
    overdue_close(&stalled, SERVER_EVENT_STALLED);
}

static void accepts_retry(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    size_t count = server->listener_count;
    pthread_mutex_unlock(&server->mutex);
    for (size_t i = 0; i < count; i++) {
        struct server_listener *listener = &server->listeners[i];
        pthread_mutex_lock(&server->mutex);
        bool failed = listener->accept_failed;
        listener->accept_failed = false;
        pthread_mutex_unlock(&server->mutex);
        if (failed) {
            server_accept(listener);
        }
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
        int64_t now_us = clock_monotonic_us();
        connections_watch(server, now_us);
        accepts_retry(server);
        server_receive_resume(server);
        server_send_held(server); /* should an announced answer not have come */
        events_tell(server, now_us);
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
