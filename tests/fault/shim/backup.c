/* The calls with which a backup reaches its disk: its two files, which it makes and fills from front to back, the
 * directory they are in, and the rename that gives it its name. Recorded apart from those of the data file. */
#include "fault/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };

/* Which descriptors are a backup's. */
static atomic_bool ours[FILES_MAX];
static int record_fd = -1;

__attribute__((constructor)) static void backup_begin(void)
{
    const char *record = getenv("IOFAULT_BACKUP");
    if (record) {
        record_fd = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record_fd < 0) {
            shim_die("IOFAULT_BACKUP cannot be opened");
        }
    }
}

static void backup_record(enum iofault_kind kind, int fd, const void *bytes, size_t size)
{
    struct iofault_record record = {.kind = kind, .size = (uint32_t)size, .offset = (uint64_t)fd};
    const struct iovec parts[] = {{&record, sizeof(record)}, {(void *)(uintptr_t)bytes, size}};
    if (record_fd >= 0 && syscall(SYS_writev, record_fd, parts, 2) != (long)(sizeof(record) + size)) {
        shim_die("the record of a backup cannot be written");
    }
}

bool shim_backup_has(int fd)
{
    return fd >= 0 && fd < FILES_MAX && atomic_load(&ours[fd]);
}

void shim_backup_close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX) {
        atomic_store(&ours[fd], false);
    }
}

/* A backup is the only one that makes its files in a directory it has open; key files are named with a dot in front. */
SHIM_VISIBLE int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    bool file = flags & O_EXCL && (strcmp(path, "data.mdb") == 0 || strcmp(path, "manifest.json") == 0);
    bool making = flags & O_DIRECTORY && strcmp(path, ".making") == 0;
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if ((file || making) && fd >= 0 && fd < FILES_MAX) {
        atomic_store(&ours[fd], true);
        backup_record(IOFAULT_OPEN, fd, path, strlen(path));
    }
    return fd;
}

SHIM_VISIBLE ssize_t write(int fd, const void *bytes, size_t size)
{
    struct shim_fault fault = {SHIM_NONE, 0};
    if (shim_backup_has(fd)) {
        fault = shim_meet(SHIM_BACKUP);
    }
    if (fault.action == SHIM_ERROR) {
        errno = fault.value;
        return -1;
    }
    size = fault.action == SHIM_SHORT || fault.action == SHIM_HALF ? size / 2 : size;
    ssize_t written = syscall(SYS_write, fd, bytes, size);
    if (fault.action == SHIM_HALF) {
        _exit(IOFAULT_EXIT_STATUS);
    }
    if (written > 0 && shim_backup_has(fd)) {
        backup_record(IOFAULT_WRITE, fd, bytes, (size_t)written);
    }
    return written;
}

/* The plan's word about a sync or a rename: true when it is not to be done, and *ret_rc is what comes of it. */
static bool backup_denied(enum shim_class what, int *ret_rc)
{
    struct shim_fault fault = shim_meet(what);
    if (fault.action == SHIM_HALF) {
        _exit(IOFAULT_EXIT_STATUS);
    }
    if (fault.action == SHIM_ERROR) {
        errno = fault.value;
    }
    *ret_rc = fault.action == SHIM_ERROR ? -1 : 0;
    return fault.action == SHIM_ERROR || fault.action == SHIM_DROP;
}

int shim_backup_sync(int fd)
{
    int rc;
    if (backup_denied(SHIM_BACKUP_SYNC, &rc)) {
        return rc;
    }
    rc = (int)syscall(SYS_fsync, fd);
    if (rc == 0) {
        backup_record(IOFAULT_SYNC, fd, NULL, 0);
    }
    return rc;
}

SHIM_VISIBLE int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags)
{
    int rc;
    if (backup_denied(SHIM_BACKUP, &rc)) {
        return rc;
    }
    rc = (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    if (rc == 0) {
        atomic_store(&ours[to_directory], true); /* its next sync makes the name last */
        backup_record(IOFAULT_RENAME, to_directory, to, strlen(to));
    }
    return rc;
}
