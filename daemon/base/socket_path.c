#include "base/socket_path.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* 1: somebody listens there. 0: nobody. -1: cannot tell, errno says why. */
static int path_probe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof(address.sun_path));
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
    char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
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

int socket_path_clear(const char *path, struct error *error)
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
