/* The life of the listener: start, connections coming and going, drain, stop. */
#include "server_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdlib.h>

enum {
    CANCEL_RETRY_MS = 10,
    CLOSE_WAIT_MS = 1000, /* for what nng_close leaves to its other threads */
};

const char *server_nng_version(void)
{
    return nng_version();
}

/* Connections over the limit are closed before they can send anything. */
static void pipe_added(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)event;
    struct server *server = arg;
    pthread_mutex_lock(&server->mutex);
    bool added = connections_add(&server->connections, pipe.id);
    if (!added) {
        server_event(server, SERVER_EVENT_REFUSED);
    }
    pthread_mutex_unlock(&server->mutex);
    if (added) {
        atomic_fetch_add(&server->counters->connections, 1);
        atomic_fetch_add(&server->counters->connections_accepted, 1);
    } else {
        atomic_fetch_add(&server->counters->connections_refused, 1);
        nng_pipe_close(pipe);
    }
}

static void pipe_removed(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)event;
    struct server *server = arg;
    pthread_mutex_lock(&server->mutex);
    bool removed = connections_remove(&server->connections, pipe.id);
    pthread_mutex_unlock(&server->mutex);
    if (removed) {
        atomic_fetch_sub(&server->counters->connections, 1);
    }
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
        connections_free(&server->connections);
        free(server->exchanges);
        free(server->listeners);
        free(server);
    }
    return NULL;
}

static struct server *server_new(const struct server_config *config)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server) {
        return NULL;
    }
    server->limits = config->limits;
    server->counters = config->counters;
    server->rpc = config->rpc;
    server->log = config->log;
    server->listeners = calloc(config->url_count, sizeof(*server->listeners));
    server->exchanges = calloc(config->limits->requests, sizeof(*server->exchanges));
    if (!server->listeners || !server->exchanges || !conditions_init(server) ||
        !connections_init(&server->connections, config->limits->connections)) {
        return server_free(server);
    }
    return server;
}

static int socket_open(struct server *server, struct error *error)
{
    int rc = nng_rep0_open(&server->socket);
    if (rc) {
        return error_set(error, ERROR_STARTUP, "cannot open the nng socket: %s", nng_strerror(rc));
    }
    /* Before any listener: nng has no limit of its own. */
    rc = nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ,
                             (size_t)server->limits->request_bytes + SERVER_REQUEST_SLACK);
    rc = rc ? rc : nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, pipe_added, server);
    rc = rc ? rc : nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, pipe_removed, server);
    if (rc) {
        nng_close(server->socket);
        return error_set(error, ERROR_STARTUP, "cannot prepare the nng socket: %s", nng_strerror(rc));
    }
    return 0;
}

static bool exchanges_start(struct server *server)
{
    for (size_t i = 0; i < SERVER_EXCHANGES_AT_START && i < server->limits->requests; i++) {
        if (!server_exchange_add(server)) {
            return false;
        }
    }
    return true;
}

/* Closes the socket; nng ends what is still waiting in it. False when requests are still with rpc, which will come back
 * to them: then nothing may be freed. */
static bool socket_close(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->receives_ended = true;
    pthread_mutex_unlock(&server->mutex);
    server_listeners_close(server);
    nng_close(server->socket);

    int64_t end_us = clock_monotonic_us() + (int64_t)CLOSE_WAIT_MS * CLOCK_MILLISECOND_US;
    pthread_mutex_lock(&server->mutex);
    while (server->receiving + server->under_way > 0 && clock_monotonic_us() < end_us) {
        server_wait(server, &server->changed, end_us - clock_monotonic_us());
    }
    bool quiet = server->receiving + server->under_way == 0;
    pthread_mutex_unlock(&server->mutex);
    if (quiet) {
        server_exchanges_free(server);
    }
    return quiet;
}

static int listeners_start(struct server *server, const struct server_config *config, struct error *error)
{
    for (size_t i = 0; i < config->url_count; i++) {
        int rc = server_listen(server, config->urls[i], error);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

int server_start(const struct server_config *config, struct server **ret_server, struct error *error)
{
    assert(config->url_count > 0);
    struct server *server = server_new(config);
    if (!server) {
        return error_set(error, ERROR_STARTUP, "memory is too short to start the server");
    }
    int rc = socket_open(server, error);
    if (rc) {
        server_free(server);
        return rc;
    }
    bool watched = server_watch_start(server);
    if (!watched || !exchanges_start(server)) {
        rc = error_set(error, ERROR_STARTUP, "memory or threads are too short to start the server");
    }
    rc = rc ? rc : listeners_start(server, config, error);
    if (rc) {
        if (watched) {
            server_watch_stop(server);
        }
        if (socket_close(server)) {
            server_free(server);
        }
        return rc;
    }
    *ret_server = server;
    return 0;
}

/* Waits until the requests that were under way at this moment are answered. Later ones are answered UNAVAILABLE at
 * once; they are not waited for, so that a client that goes on sending cannot hold up the stop. */
static void drain_requests(struct server *server, int64_t end_us)
{
    pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < server->exchange_count; i++) {
        struct exchange *exchange = server->exchanges[i];
        exchange->before_stop = exchange->state == EXCHANGE_HANDLING || exchange->state == EXCHANGE_SENDING;
        server->before_stop += exchange->before_stop;
    }
    size_t count = server->before_stop;
    while (server->before_stop > 0 && clock_monotonic_us() < end_us) {
        server_wait(server, &server->changed, end_us - clock_monotonic_us());
    }
    size_t left = server->before_stop;
    pthread_mutex_unlock(&server->mutex);
    log_info(server->log, "draining: %zu requests were under way, %zu are answered", count, count - left);
}

/* Takes no more requests; a receive may begin just after its cancellation, so this is repeated until all have ended. */
static void drain_receives(struct server *server, int64_t end_us)
{
    pthread_mutex_lock(&server->mutex);
    server->receives_ended = true;
    while (server->receiving + server->under_way > 0 && clock_monotonic_us() < end_us) {
        size_t count = server->exchange_count; /* does not grow any more */
        pthread_mutex_unlock(&server->mutex);
        for (size_t i = 0; i < count; i++) {
            struct exchange *exchange = server->exchanges[i];
            pthread_mutex_lock(&server->mutex);
            bool receiving = exchange->state == EXCHANGE_RECEIVING;
            pthread_mutex_unlock(&server->mutex);
            if (receiving) {
                nng_aio_cancel(exchange->aio);
            }
        }
        pthread_mutex_lock(&server->mutex);
        server_wait(server, &server->changed, (int64_t)CANCEL_RETRY_MS * CLOCK_MILLISECOND_US);
    }
    pthread_mutex_unlock(&server->mutex);
}

static void linger(struct server *server, bool until_written)
{
    int64_t end_us = clock_monotonic_us() + (int64_t)SERVER_LINGER_MS * CLOCK_MILLISECOND_US;
    while (clock_monotonic_us() < end_us && !(until_written && server_watch_written(server) == 0)) {
        struct timespec pause = {.tv_nsec = 5L * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}

struct server *server_stop(struct server *server, unsigned timeout_ms)
{
    int64_t end_us = clock_monotonic_us() + (int64_t)timeout_ms * CLOCK_MILLISECOND_US;
    drain_requests(server, end_us);
    linger(server, false); /* clients hear UNAVAILABLE rather than see the connection end */
    drain_receives(server, end_us);
    linger(server, true); /* "sent" means handed to the pipe: give the last bytes time to leave */
    server_watch_stop(server);
    if (!socket_close(server)) {
        log_warning(server->log, "closed with requests still under way after %u ms", timeout_ms);
        return NULL; /* they still point to the server: it is left to the end of the process */
    }
    return server_free(server);
}
