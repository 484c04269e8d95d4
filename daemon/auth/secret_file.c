#include "auth/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static bool file_read(int directory, const char *name, uint8_t *secret)
{
    uint8_t more;
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool whole = file >= 0 && read(file, secret, SECRET_FILE_BYTES) == SECRET_FILE_BYTES && read(file, &more, 1) == 0;
    if (file >= 0) {
        close(file);
    }
    return whole;
}

/* Under another name first, so that a kill leaves none or a whole one. */
static bool file_write(int directory, const char *name, const uint8_t *secret)
{
    char draft[NAME_MAX];
    snprintf(draft, sizeof(draft), "%s.new", name);
    int file = openat(directory, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool written = file >= 0 && write(file, secret, SECRET_FILE_BYTES) == SECRET_FILE_BYTES && fsync(file) == 0;
    int reason = errno;
    if (file >= 0) {
        close(file);
    }
    errno = reason;
    return written && renameat(directory, draft, directory, name) == 0 && fsync(directory) == 0;
}

int secret_file_open(const char *directory, const char *name, uint8_t ret_secret[static SECRET_FILE_BYTES],
                     struct error *error)
{
    uint8_t secret[SECRET_FILE_BYTES];
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool found = folder >= 0 && file_read(folder, name, secret);
    bool made = !found && folder >= 0 && getrandom(secret, sizeof(secret), 0) == (ssize_t)sizeof(secret) &&
                file_write(folder, name, secret);
    int rc = found || made ? 0 : error_set(error, ERROR_STARTUP, "%s/%s cannot be made: %m", directory, name);
    if (folder >= 0) {
        close(folder);
    }
    if (!rc) {
        memcpy(ret_secret, secret, sizeof(secret));
    }
    return rc;
}
