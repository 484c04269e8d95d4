/* The life of the server: start, drain, stop. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LINGER_MS = 200,      /* for clients to hear UNAVAILABLE rather than see the connection end */
    CLOSE_WAIT_MS = 1000, /* for connections to end that are told to */
};

const char *server_nng_version(void)
{
    return nng_version();
}

static bool conditions_init(struct server *server)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    bool done = pthread_cond_init(&server->changed, &attributes) == 0 &&
                pthread_cond_init(&server->watch_wake, &attributes) == 0 &&
                pthread_mutex_init(&server->mutex, NULL) == 0;
    pthread_condattr_destroy(&attributes);
    return done;
}

static struct server *server_free(struct server *server)
{
    if (server) {
        server_connections_free(server);
        server_exchanges_free(server);
        pthread_cond_destroy(&server->changed);
        pthread_cond_destroy(&server->watch_wake);
        pthread_mutex_destroy(&server->mutex);
        free(server->listeners);
        free(server);
    }
    return NULL;
}

static struct server *server_new(const struct server_config *config)
{
    struct server *server = calloc(1, sizeof(*server));
    struct server_listener *listeners = calloc(config->url_count, sizeof(*listeners));
    if (!server || !listeners || !conditions_init(server)) {
        free(server);
        free(listeners);
        return NULL;
    }
    server->limits = config->limits;
    server->counters = config->counters;
    server->rpc = config->rpc;
    server->authority = config->authority;
    server->log = config->log;
    server->listeners = listeners;
    return server;
}

static struct connection *open_in(const struct connection_list *list)
{
    struct connection *connection = list->head;
    while (connection && connection->closing) {
        connection = connection->next;
    }
    return connection;
}

/* A connection that is not told to end yet, with a use for the caller. */
static struct connection *connection_open_one(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    struct connection *connection = open_in(&server->greeted);
    connection = connection ? connection : open_in(&server->greeting);
    if (connection) {
        connection->uses++;
    }
    pthread_mutex_unlock(&server->mutex);
    return connection;
}

/* Ends everything. Exchanges that rpc still has keep their connections, and so the server: then it is left to the end
 * of the process. */
static bool everything_close(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->ending = true;
    pthread_mutex_unlock(&server->mutex);
    server_watch_stop(server);
    server_listeners_close(server);
    for (struct connection *one; (one = connection_open_one(server)) != NULL;) {
        server_connection_close(one);
        server_connection_release(one);
    }
    server_receive_resume(server); /* those that waited for their turn end */

    int64_t end_us = clock_monotonic_us() + (int64_t)CLOSE_WAIT_MS * CLOCK_MILLISECOND_US;
    pthread_mutex_lock(&server->mutex);
    while (server->connection_count > 0 && clock_monotonic_us() < end_us) {
        server_wait(server, &server->changed, end_us - clock_monotonic_us());
    }
    bool quiet = server->connection_count == 0;
    pthread_mutex_unlock(&server->mutex);
    return quiet;
}

int server_start(const struct server_config *config, struct server **ret_server, struct error *error)
{
    assert(config->url_count > 0);
    struct server *server = server_new(config);
    if (!server || !server_watch_start(server)) {
        server_free(server);
        return error_set(error, ERROR_STARTUP, "memory or threads are too short to start the server");
    }
    for (size_t i = 0; i < config->url_count; i++) {
        int rc = server_listen(server, config->urls[i], error);
        if (rc) {
            if (everything_close(server)) {
                server_free(server);
            }
            return rc;
        }
    }
    *ret_server = server;
    return 0;
}

/* Waits until *count is 0, at most until end_us; returns what it is then. */
static size_t count_wait(struct server *server, const size_t *count, int64_t end_us)
{
    pthread_mutex_lock(&server->mutex);
    while (*count > 0 && clock_monotonic_us() < end_us) {
        server_wait(server, &server->changed, end_us - clock_monotonic_us());
    }
    size_t left = *count;
    pthread_mutex_unlock(&server->mutex);
    return left;
}

/* First the requests that are under way now: later ones are answered UNAVAILABLE at once and not waited for, so that a
 * client that goes on sending cannot hold up the stop. Then nothing is taken any more, and what was is answered. */
static size_t drain(struct server *server, int64_t end_us)
{
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    size_t count = server->before_stop = server->exchange_count;
    pthread_mutex_unlock(&server->mutex);
    size_t left = count_wait(server, &server->before_stop, end_us);
    log_info(server->log, "draining: %zu requests were under way, %zu of them are answered", count, count - left);

    struct timespec linger = {.tv_nsec = LINGER_MS * 1000L * 1000L};
    nanosleep(&linger, NULL);
    pthread_mutex_lock(&server->mutex);
    server->ending = true;
    pthread_mutex_unlock(&server->mutex);
    return count_wait(server, &server->exchange_count, end_us);
}

struct server *server_stop(struct server *server, unsigned timeout_ms)
{
    size_t left = drain(server, clock_monotonic_us() + (int64_t)timeout_ms * CLOCK_MILLISECOND_US);
    if (left > 0) {
        log_warning(server->log, "closing with %zu requests unanswered after %u ms", left, timeout_ms);
    }
    return everything_close(server) ? server_free(server) : NULL;
}
