/* From a URL to a listener: who may connect, and the socket file's life. Knows nothing of requests. */
#include "server_internal.h"
#include "server_url.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_MODE = 0660 };

/* 1: somebody listens there. 0: nobody. -1: cannot tell, errno says why. */
static int path_probe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof(address.sun_path)); /* server_url_check saw to it */
    memcpy(address.sun_path, path, strlen(path) + 1);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return -1;
    }
    int rc = connect(probe, (const struct sockaddr *)&address, sizeof(address));
    int reason = errno;
    close(probe);
    errno = reason;
    if (rc == 0 || reason == EAGAIN || reason == EINPROGRESS || reason == EPROTOTYPE) {
        return 1;
    }
    return reason == ECONNREFUSED || reason == ENOENT ? 0 : -1;
}

static int directory_check(const char *path, struct error *error)
{
    char directory[SERVER_URL_BYTES];
    size_t length = (size_t)(strrchr(path, '/') - path);
    memcpy(directory, path, length);
    directory[length] = '\0';
    struct stat status;
    if (length > 0 && stat(directory, &status)) {
        return error_set(error, ERROR_STARTUP, "the directory %s of the socket cannot be used: %m; create it first",
                         directory);
    }
    return 0;
}

/* Makes room for our socket: removes the file a dead daemon left, refuses when a live one listens there. */
static int path_clear(const char *path, struct error *error)
{
    struct stat status;
    int rc = directory_check(path, error);
    if (rc) {
        return rc;
    }
    if (lstat(path, &status)) {
        return errno == ENOENT ? 0 : error_set(error, ERROR_STARTUP, "%s: %m", path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return error_set(error, ERROR_STARTUP, "%s is not a socket; it is left alone", path);
    }
    int live = path_probe(path);
    if (live != 0) {
        return live > 0 ? error_set(error, ERROR_STARTUP, "another process listens on %s", path)
                        : error_set(error, ERROR_STARTUP, "%s: %m", path);
    }
    return unlink(path) && errno != ENOENT ? error_set(error, ERROR_STARTUP, "cannot remove the stale %s: %m", path)
                                           : 0;
}

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
    if (path && (rc = path_clear(path, error)) != 0) {
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
