/* From a URL to a listener: who may connect, and the socket file's life. Knows nothing of requests. */
#include "server_internal.h"
#include "server_url.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
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

/* The mode is nng's to set between bind and listen, so that there is no moment with another one. The size limit was
 * set on the socket; read back here because without it 9 bytes from a client end the process. */
static int listener_prepare(struct server *server, nng_listener listener, const char *url, struct error *error)
{
    size_t expected = (size_t)server->limits->request_bytes + SERVER_REQUEST_SLACK;
    size_t receive_max = 0;
    int rc = nng_listener_get_size(listener, NNG_OPT_RECVMAXSZ, &receive_max);
    if (rc == 0 && receive_max != expected) {
        return error_set(error, ERROR_STARTUP, "nng did not take the limit of a request's size");
    }
    if (rc == 0 && server_url_path(url)) {
        rc = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, SOCKET_MODE);
    }
    return rc ? error_set(error, ERROR_STARTUP, "cannot prepare the listener %s: %s", url, nng_strerror(rc)) : 0;
}

static void listener_tell(const struct server *server, nng_listener listener, const char *url)
{
    int port;
    if (server_url_path(url)) {
        log_info(server->log, "listening on %s (mode %04o)", url, (unsigned)SOCKET_MODE);
    } else if (nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0) {
        log_info(server->log, "listening on %.*s:%d", (int)(strrchr(url, ':') - url), url, port);
        log_warning(server->log,
                    "%s has no authentication: every user of this machine can read and change all conversations", url);
    }
}

int server_listen(struct server *server, const char *url, struct error *error)
{
    struct server_listener one = {.path = server_url_path(url)};
    int rc = server_url_check(url, error);
    if (rc || (one.path && (rc = path_clear(one.path, error)) != 0)) {
        return rc;
    }
    rc = nng_listener_create(&one.listener, server->socket, url);
    if (rc) {
        return error_set(error, ERROR_STARTUP, "cannot listen on %s: %s", url, nng_strerror(rc));
    }
    rc = listener_prepare(server, one.listener, url, error);
    if (rc == 0 && (rc = nng_listener_start(one.listener, 0)) != 0) {
        rc = error_set(error, ERROR_STARTUP, "cannot listen on %s: %s", url, nng_strerror(rc));
    }
    struct stat status = {0};
    if (rc == 0 && one.path && lstat(one.path, &status)) {
        rc = error_set(error, ERROR_STARTUP, "%s: %m", one.path);
    }
    if (rc) {
        nng_listener_close(one.listener);
        return rc;
    }
    one.device = status.st_dev;
    one.inode = status.st_ino;
    server->listeners[server->listener_count++] = one;
    listener_tell(server, one.listener, url);
    return 0;
}

void server_listeners_close(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct server_listener *one = &server->listeners[i];
        struct stat status;
        nng_listener_close(one->listener);
        if (one->path && lstat(one->path, &status) == 0 && status.st_dev == one->device &&
            status.st_ino == one->inode) {
            unlink(one->path);
        }
    }
    server->listener_count = 0;
}
