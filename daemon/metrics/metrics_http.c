#include "metrics/metrics_http.h"

#include "base/clock.h"
#include "base/socket_path.h"
#include "metrics/metrics_collect.h"
#include "server_url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 16,
    CONNECTION_BYTES = 16 * 1024, /* of a request's head, and of the answer's */
    CONNECTION_US = 10 * CLOCK_SECOND_US,
    TICK_MS = 250,
    SOCKET_MODE = 0660,
};

struct metrics {
    struct metrics_config config;
    int64_t start_wall_us;
    struct MHD_Daemon *daemon;
    int listener;
    struct stat file; /* of the socket, to remove ours only */
    pthread_t thread;
    atomic_bool ending;
    /* Of the thread: connections, and when their time is over. A free place has no socket (-1). */
    struct {
        int socket;
        int64_t expires_us;
    } connections[CONNECTIONS_MAX];
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type, void *text,
                             size_t size, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, text, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE) {
            free(text);
        }
        return MHD_NO;
    }
    bool done = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
                MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    enum MHD_Result rc = done ? MHD_queue_response(connection, status, response) : MHD_NO;
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result reply_line(struct MHD_Connection *connection, unsigned status, const char *line)
{
    char text[128];
    int size = snprintf(text, sizeof(text), "%s\n", line);
    assert(size > 0 && size < (int)sizeof(text));
    return reply(connection, status, "text/plain; charset=utf-8", text, (size_t)size, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result reply_healthz(const struct metrics *metrics, struct MHD_Connection *connection)
{
    (void)metrics;
    return reply_line(connection, MHD_HTTP_OK, "ok");
}

static enum MHD_Result reply_readyz(const struct metrics *metrics, struct MHD_Connection *connection)
{
    const char *why = metrics_unready(&metrics->config);
    return reply_line(connection, why ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, why ? why : "ok");
}

static enum MHD_Result reply_metrics(const struct metrics *metrics, struct MHD_Connection *connection)
{
    struct metrics_snapshot *snapshot = malloc(sizeof(*snapshot));
    struct buffer text = {0};
    bool done = snapshot && metrics_collect(&metrics->config, metrics->start_wall_us, snapshot);
    if (done) {
        metrics_render(snapshot, &text);
    }
    free(snapshot);
    if (!done || text.failed) {
        buffer_free(&text);
        return reply_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short, or the data cannot be read");
    }
    return reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text.data, text.size,
                 MHD_RESPMEM_MUST_FREE);
}

/* Answers at once, before a body: such a connection is closed after the answer. */
static enum MHD_Result request_answer(void *arg, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *body, size_t *body_size,
                                      void **request)
{
    static const struct {
        const char *path;
        enum MHD_Result (*reply)(const struct metrics *metrics, struct MHD_Connection *connection);
    } pages[] = {{"/metrics", reply_metrics}, {"/healthz", reply_healthz}, {"/readyz", reply_readyz}};
    (void)version, (void)body, (void)body_size, (void)request;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return reply_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only");
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(path, pages[i].path) == 0) {
            return pages[i].reply(arg, connection);
        }
    }
    return reply_line(connection, MHD_HTTP_NOT_FOUND, "there is /metrics, /healthz and /readyz");
}

static void connection_note(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
    struct metrics *metrics = arg;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    bool begins = code == MHD_CONNECTION_NOTIFY_STARTED;
    int searched = begins ? -1 : info->connect_fd;
    (void)context;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (metrics->connections[i].socket == searched) {
            metrics->connections[i].socket = begins ? info->connect_fd : -1;
            metrics->connections[i].expires_us = clock_monotonic_us() + CONNECTION_US;
            return;
        }
    }
}

/* libmicrohttpd knows how long a client is silent only, not how long it takes as a whole. */
static void connections_watch(const struct metrics *metrics)
{
    int64_t now = clock_monotonic_us();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (metrics->connections[i].socket >= 0 && metrics->connections[i].expires_us < now) {
            shutdown(metrics->connections[i].socket, SHUT_RDWR); /* it is met as one that ended, and closed */
        }
    }
}

static void *metrics_run(void *arg)
{
    struct metrics *metrics = arg;
    while (!atomic_load(&metrics->ending) && MHD_run_wait(metrics->daemon, TICK_MS) == MHD_YES) {
        connections_watch(metrics);
    }
    if (!atomic_load(&metrics->ending)) {
        log_error(metrics->config.log, "the metrics' listener failed; nothing else did");
    }
    return NULL;
}

static int listen_refuse(const struct metrics *metrics, struct error *error)
{
    return error_set(error, ERROR_STARTUP, "cannot listen on %s for metrics: %s", metrics->config.url, strerror(errno));
}

/* Binds, sets the mode and only then listens: there is no moment with another mode. */
static int listener_open(struct metrics *metrics, struct error *error)
{
    struct sockaddr_storage address;
    socklen_t size;
    const char *path = server_url_path(metrics->config.url);
    int rc = path ? socket_path_clear(path, error) : 0;
    if (rc) {
        return rc;
    }
    server_url_address(metrics->config.url, &address, &size);
    metrics->listener = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (metrics->listener < 0 || setsockopt(metrics->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(metrics->listener, (const struct sockaddr *)&address, size) ||
        (path && (chmod(path, SOCKET_MODE) || lstat(path, &metrics->file))) ||
        listen(metrics->listener, CONNECTIONS_MAX)) {
        return listen_refuse(metrics, error);
    }
    return 0;
}

static void listener_tell(const struct metrics *metrics)
{
    const char *url = metrics->config.url;
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    struct sockaddr_in inet = {0};
    if (server_url_path(url) || getsockname(metrics->listener, (struct sockaddr *)&address, &size)) {
        log_info(metrics->config.log, "metrics on %s (mode %04o)", url, (unsigned)SOCKET_MODE);
        return;
    }
    memcpy(&inet, &address, sizeof(inet)); /* the port stands at the same place in both families */
    log_info(metrics->config.log, "metrics on http://%.*s:%u/metrics",
             (int)(strrchr(url, ':') - url - (int)strlen("tcp://")), url + strlen("tcp://"), ntohs(inet.sin_port));
}

static struct metrics *metrics_free(struct metrics *metrics)
{
    const char *path = server_url_path(metrics->config.url);
    struct stat status;
    if (metrics->daemon) {
        MHD_stop_daemon(metrics->daemon); /* closes the listener, too */
    } else if (metrics->listener >= 0) {
        close(metrics->listener);
    }
    if (path && metrics->file.st_ino && lstat(path, &status) == 0 && status.st_dev == metrics->file.st_dev &&
        status.st_ino == metrics->file.st_ino) {
        unlink(path);
    }
    free(metrics);
    return NULL;
}

int metrics_start(const struct metrics_config *config, struct metrics **ret_metrics, struct error *error)
{
    assert(server_url_is_local(config->url));
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics) {
        return error_set(error, ERROR_STARTUP, "memory is too short to start");
    }
    metrics->config = *config;
    metrics->listener = -1;
    metrics->start_wall_us = clock_wall_us();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        metrics->connections[i].socket = -1;
    }
    int rc = listener_open(metrics, error);
    if (!rc) {
        metrics->daemon = MHD_start_daemon(
            MHD_USE_EPOLL, 0, NULL, NULL, request_answer, metrics, MHD_OPTION_LISTEN_SOCKET, metrics->listener,
            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
            (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION, connection_note, metrics, MHD_OPTION_END);
        rc = metrics->daemon ? 0 : error_set(error, ERROR_STARTUP, "cannot serve metrics on %s", config->url);
    }
    if (!rc && pthread_create(&metrics->thread, NULL, metrics_run, metrics)) {
        rc = error_set(error, ERROR_STARTUP, "cannot start the metrics' thread");
    }
    if (rc) {
        metrics_free(metrics);
        return rc;
    }
    listener_tell(metrics);
    *ret_metrics = metrics;
    return 0;
}

struct metrics *metrics_stop(struct metrics *metrics)
{
    atomic_store(&metrics->ending, true);
    pthread_join(metrics->thread, NULL);
    return metrics_free(metrics);
}
