/* From a URL to a listener: who may connect, and the socket file's life. Knows nothing of requests. */
#include "server_internal.h"
#include "server_url.h"

#include "base/socket_path.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SOCKET_MODE = 0660 };

static void accepted(void *arg)
{
    struct server_listener *listener = arg;
    struct server *server = listener->server;
    int rc = nng_aio_result(listener->accept_aio);
    if (rc == 0) {
        server_connection_open(server, nng_aio_get_output(listener->accept_aio, 0), listener->typed);
        server_accept(listener);
        return;
    }
    pthread_mutex_lock(&server->mutex);
    if (!server->ending) {
        listener->accept_failed = true; /* no files left, mostly: at once again would only burn the processor */
        server_event(server, SERVER_EVENT_ACCEPT_FAILED);
    }
    pthread_mutex_unlock(&server->mutex);
}

void server_accept(struct server_listener *listener)
{
    nng_stream_listener_accept(listener->stream, listener->accept_aio);
}

static void listener_tell(const struct server *server, const struct server_listener *listener, const char *url)
{
    int port;
    if (listener->path) {
        log_info(server->log, "listening on %s (mode %04o)", url, (unsigned)SOCKET_MODE);
    } else if (nng_stream_listener_get_int(listener->stream, NNG_OPT_TCP_BOUND_PORT, &port) == 0) {
        log_info(server->log, "listening on %.*s:%d", (int)(strrchr(url, ':') - url), url, port);
        if (!server_url_is_local(url)) {
            log_warning(server->log,
                        "%s is not encrypted: who can read the network can read tokens and conversations; let "
                        "other machines connect through a tunnel only",
                        url);
        }
    }
}

static void listener_free(struct server_listener *listener)
{
    nng_stream_listener_close(listener->stream);
    nng_aio_free(listener->accept_aio);
    nng_stream_listener_free(listener->stream);
}

/* nng binds, sets the mode and only then listens: there is no moment with another mode. */
static int listener_open(struct server_listener *listener, const char *url, struct error *error)
{
    int rc = nng_stream_listener_alloc(&listener->stream, url);
    if (rc) {
        return error_set(error, ERROR_STARTUP, "cannot listen on %s: %s", url, nng_strerror(rc));
    }
    rc = nng_aio_alloc(&listener->accept_aio, accepted, listener);
    if (rc == 0 && listener->path) {
        rc = nng_stream_listener_set_int(listener->stream, NNG_OPT_IPC_PERMISSIONS, SOCKET_MODE);
    }
    if (rc == 0) {
        rc = nng_stream_listener_listen(listener->stream);
    }
    if (rc) {
        listener_free(listener);
        return error_set(error, ERROR_STARTUP, "cannot listen on %s: %s", url, nng_strerror(rc));
    }
    return 0;
}

int server_listen(struct server *server, const char *url, struct error *error)
{
    struct server_listener *listener = &server->listeners[server->listener_count];
    struct stat status = {0};
    int rc = server_url_check(url, error);
    if (rc) {
        return rc;
    }
    const char *path = server_url_path(url);
    *listener = (struct server_listener){.server = server, .path = path, .typed = path != NULL};
    if (path && (rc = socket_path_clear(path, error)) != 0) {
        return rc;
    }
    rc = listener_open(listener, url, error);
    if (rc) {
        return rc;
    }
    if (path && lstat(path, &status)) {
        listener_free(listener);
        return error_set(error, ERROR_STARTUP, "%s: %m", path);
    }
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    listener_tell(server, listener, url);
    pthread_mutex_lock(&server->mutex);
    server->listener_count++;
    pthread_mutex_unlock(&server->mutex);
    server_accept(listener);
    return 0;
}

void server_listeners_close(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct server_listener *one = &server->listeners[i];
        struct stat status;
        listener_free(one);
        if (one->path && lstat(one->path, &status) == 0 && status.st_dev == one->device &&
            status.st_ino == one->inode) {
            unlink(one->path);
        }
    }
    server->listener_count = 0;
}
