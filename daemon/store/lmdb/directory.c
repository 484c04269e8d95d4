#include "store/lmdb/directory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0700, LOCK_MODE = 0600, PID_TEXT_BYTES = 24 };

/* The head of an LMDB file: a page header, then the meta data, which begins with a magic number and the version of
 * the format. LMDB 1.0 has a longer page header, so the magic stands elsewhere. */
enum { HEAD_BYTES = 64, MAGIC_OFFSET = 16, FORMAT_LMDB_09 = 1 };
static const uint32_t head_magic = 0xBEEFC0DE;

static int system_error(struct error *error, const char *path, const char *name, const char *what)
{
    return error_set(error, ERROR_STARTUP, "%s%s%s: %s: %s", path, name[0] ? "/" : "", name, what, strerror(errno));
}

int directory_create(const char *path, struct error *error)
{
    if (mkdir(path, DIRECTORY_MODE) == 0) {
        return 0;
    }
    struct stat status;
    if (errno != EEXIST || stat(path, &status)) {
        return system_error(error, path, "", "cannot create the data directory");
    }
    errno = ENOTDIR;
    return S_ISDIR(status.st_mode) ? 0 : system_error(error, path, "", "cannot be the data directory");
}

static int file_open(const char *path, const char *name, int flags, struct error *error)
{
    char file[PATH_MAX];
    if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, name) >= sizeof(file)) {
        errno = ENAMETOOLONG;
        return system_error(error, path, name, "cannot open it");
    }
    int descriptor = open(file, flags | O_CLOEXEC, LOCK_MODE);
    if (descriptor < 0 && errno == ENOENT && !(flags & O_CREAT)) {
        return -1;
    }
    return descriptor < 0 ? system_error(error, path, name, "cannot open it") : descriptor;
}

static int lock_refuse(int descriptor, const char *path, struct error *error)
{
    char pid[PID_TEXT_BYTES] = "";
    ssize_t size = pread(descriptor, pid, sizeof(pid) - 1, 0);
    long holder = size > 0 ? strtol(pid, NULL, 10) : 0;
    if (holder > 0) {
        return error_set(
            error, ERROR_STARTUP,
            "%s is in use by process %ld: only one chatlogd may open a data directory; stop that one first", path,
            holder);
    }
    return error_set(
        error, ERROR_STARTUP,
        "%s is in use by another process: only one chatlogd may open a data directory; stop that one first", path);
}

int directory_lock(const char *path, struct error *error)
{
    int descriptor = file_open(path, DIRECTORY_LOCK_FILE, O_RDWR | O_CREAT, error);
    if (descriptor < 0) {
        return descriptor;
    }
    char pid[PID_TEXT_BYTES];
    int size = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    int rc = 0;
    if (flock(descriptor, LOCK_EX | LOCK_NB)) {
        rc = errno == EWOULDBLOCK ? lock_refuse(descriptor, path, error)
                                  : system_error(error, path, DIRECTORY_LOCK_FILE, "cannot lock it");
    } else if (ftruncate(descriptor, 0) || pwrite(descriptor, pid, (size_t)size, 0) != size) {
        rc = system_error(error, path, DIRECTORY_LOCK_FILE, "cannot write it");
    }
    if (rc) {
        close(descriptor);
        return rc;
    }
    return descriptor;
}

int directory_begin(const char *path, struct error *error)
{
    int rc = directory_create(path, error);
    DIR *directory = rc ? NULL : opendir(path);
    if (!directory) {
        return rc ? rc : system_error(error, path, "", "cannot read it");
    }
    const struct dirent *entry;
    while ((entry = readdir(directory)) && rc == 0) {
        static const char *const ours[] = {".", "..", DIRECTORY_LOCK_FILE, DIRECTORY_NEW};
        bool known = false;
        for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
            known = known || strcmp(entry->d_name, ours[i]) == 0;
        }
        if (!known) {
            rc = error_set(error, ERROR_STARTUP, "%s is not empty: it has \"%.80s\"; give a directory that is new",
                           path, entry->d_name);
        }
    }
    closedir(directory);
    return rc ? rc : directory_lock(path, error);
}

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int head_check(const uint8_t *head, size_t size, const char *path, struct error *error)
{
    for (size_t at = 0; at + 8 <= size; at += 4) {
        if (number_at(head + at) != head_magic) {
            continue;
        }
        uint32_t format = number_at(head + at + 4);
        if (at == MAGIC_OFFSET && format == FORMAT_LMDB_09) {
            return 0;
        }
        return error_set(error, ERROR_STARTUP,
                         "%s/%s has LMDB data format %u, as LMDB 1.0 writes it; this chatlogd has LMDB 0.9 and opens "
                         "format 1: start the chatlogd that wrote it",
                         path, DIRECTORY_DATA_FILE, format);
    }
    return error_set(error, ERROR_STARTUP,
                     "%s/%s is not an LMDB database: restore a backup of it, or move it away to start empty", path,
                     DIRECTORY_DATA_FILE);
}

int directory_check_data_file(const char *path, struct error *error)
{
    *error = (struct error){0};
    int descriptor = file_open(path, DIRECTORY_DATA_FILE, O_RDONLY, error);
    if (descriptor < 0) {
        return error->reason ? descriptor : 0;
    }
    uint8_t head[HEAD_BYTES];
    ssize_t size = pread(descriptor, head, sizeof(head), 0);
    int rc = 0;
    if (size < 0) {
        rc = system_error(error, path, DIRECTORY_DATA_FILE, "cannot read it");
    } else if (size > 0) { /* an empty one is new to LMDB */
        rc = head_check(head, (size_t)size, path, error);
    }
    close(descriptor);
    return rc;
}

int directory_sync(const char *path, struct error *error)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return system_error(error, path, "", "cannot open the data directory");
    }
    int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    /* A parent we may enter but not read cannot be synced by us; then it was not us who just made the directory. */
    if (fsync(directory) || (parent >= 0 && fsync(parent))) {
        rc = system_error(error, path, "", "cannot sync the data directory");
    }
    if (parent >= 0) {
        close(parent);
    }
    close(directory);
    return rc;
}
