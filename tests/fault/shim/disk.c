/* The calls with which LMDB reaches its data file, and the one with which answers leave. LMDB 0.9 writes pages with
 * pwrite and lseek + writev, waits with fdatasync, and writes the meta page with one pwrite to a second descriptor that
 * is opened with O_DSYNC: that page alone is on disk when the call returns. A new data file is made under another name
 * and renamed, and then the directory is synced. */
#include "fault/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 4096, GATHER_MAX = 4 << 20 };

enum file { FILE_OTHER, FILE_DATA, FILE_DIRECT, FILE_NAMES };

static const char data_name[] = "/data.mdb";

/* What the descriptors are: libc's table of them is global as well. */
static _Atomic unsigned char files[FILES_MAX];

static enum file file_of(int fd)
{
    return fd >= 0 && fd < FILES_MAX ? (enum file)atomic_load(&files[fd]) : FILE_OTHER;
}

static bool is_data_file(const char *path)
{
    size_t size = strlen(path);
    size_t tail = sizeof(data_name) - 1;
    return size > tail && strcmp(path + size - tail, data_name) == 0;
}

static int file_opened(int fd, const char *path, int flags)
{
    if (fd >= 0 && fd < FILES_MAX) {
        bool data = is_data_file(path) && (flags & O_ACCMODE) != O_RDONLY;
        enum file file = data && flags & O_DSYNC ? FILE_DIRECT : data ? FILE_DATA : FILE_OTHER;
        file = flags & O_DIRECTORY ? FILE_NAMES : file;
        atomic_store(&files[fd], (unsigned char)file);
    }
    return fd;
}

SHIM_VISIBLE int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return file_opened((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode), path, flags);
}

SHIM_VISIBLE int close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX) {
        atomic_store(&files[fd], FILE_OTHER);
    }
    shim_backup_close(fd);
    return (int)syscall(SYS_close, fd);
}

static ssize_t write_now(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, offset);
    if (written > 0) {
        shim_record(file_of(fd) == FILE_DIRECT ? IOFAULT_DIRECT : IOFAULT_WRITE, bytes, (size_t)written, offset);
    }
    return written;
}

static ssize_t write_fail(int error)
{
    errno = error;
    return -1;
}

static ssize_t data_write(int fd, const void *bytes, size_t size, off_t offset)
{
    struct shim_fault fault = shim_meet(file_of(fd) == FILE_DIRECT ? SHIM_META : SHIM_WRITE);
    switch (fault.action) {
    case SHIM_ERROR:
        return write_fail(fault.value);
    case SHIM_LATE:
        write_now(fd, bytes, size, offset);
        return write_fail(fault.value);
    case SHIM_SHORT:
        return write_now(fd, bytes, size / 2, offset);
    case SHIM_HALF: /* but a meta page fits in a sector: it is written whole or not at all */
        if (file_of(fd) == FILE_DATA) {
            write_now(fd, bytes, size / 2, offset);
        }
        _exit(IOFAULT_EXIT_STATUS);
    case SHIM_DROP:
        return (ssize_t)size;
    default:
        return write_now(fd, bytes, size, offset);
    }
}

SHIM_VISIBLE ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (file_of(fd) == FILE_OTHER) {
        return syscall(SYS_pwrite64, fd, bytes, size, offset);
    }
    return data_write(fd, bytes, size, offset);
}

SHIM_VISIBLE ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static _Thread_local unsigned char *gathered;
    size_t size = 0;
    if (file_of(fd) == FILE_OTHER) {
        return syscall(SYS_writev, fd, parts, count);
    }
    if (!gathered) {
        gathered = mmap(NULL, GATHER_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (gathered == MAP_FAILED) {
            shim_die("no memory to gather a write");
        }
    }
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > GATHER_MAX - size) {
            shim_die("a write is larger than LMDB's are");
        }
        memcpy(gathered + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = data_write(fd, gathered, size, offset);
    if (written > 0) {
        lseek(fd, offset + written, SEEK_SET);
    }
    return written;
}

static int sync_now(int fd, long call)
{
    struct shim_fault fault = shim_meet(SHIM_SYNC);
    if (fault.action == SHIM_HALF) {
        _exit(IOFAULT_EXIT_STATUS);
    }
    if (fault.action == SHIM_ERROR) {
        return (int)write_fail(fault.value);
    }
    if (fault.action == SHIM_DROP) {
        return 0;
    }
    int rc = (int)syscall(call, fd);
    if (rc == 0) {
        shim_record(file_of(fd) == FILE_NAMES ? IOFAULT_NAMES : IOFAULT_SYNC, NULL, 0, 0);
    }
    return fault.action == SHIM_LATE ? (int)write_fail(fault.value) : rc;
}

SHIM_VISIBLE int fdatasync(int fd)
{
    return file_of(fd) == FILE_OTHER ? (int)syscall(SYS_fdatasync, fd) : sync_now(fd, SYS_fdatasync);
}

SHIM_VISIBLE int fsync(int fd)
{
    if (shim_backup_has(fd)) {
        return shim_backup_sync(fd);
    }
    return file_of(fd) == FILE_OTHER ? (int)syscall(SYS_fsync, fd) : sync_now(fd, SYS_fsync);
}

/* Whole or not at all. */
SHIM_VISIBLE int rename(const char *from, const char *to)
{
    bool data = is_data_file(from) && is_data_file(to);
    struct shim_fault fault = data ? shim_meet(SHIM_DISK) : (struct shim_fault){SHIM_NONE, 0};
    if (fault.action == SHIM_HALF) {
        _exit(IOFAULT_EXIT_STATUS);
    }
    if (fault.action == SHIM_ERROR) {
        return (int)write_fail(fault.value);
    }
    int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (rc == 0 && data) {
        shim_record(IOFAULT_RENAME, NULL, 0, 0);
    }
    return rc;
}

/* The store opens LMDB without WRITEMAP, so nothing is ever written by way of the map. */
SHIM_VISIBLE int msync(void *address, size_t size, int flags)
{
    (void)address, (void)size, (void)flags;
    shim_die("msync: the map is written to");
}

static void answer_record(const struct iovec *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) { /* the daemon sends each answer as one part */
        size_t size = parts[i].iov_len < IOFAULT_ANSWER_BYTES ? parts[i].iov_len : IOFAULT_ANSWER_BYTES;
        shim_record(IOFAULT_ANSWER, parts[i].iov_base, size, 0);
    }
}

SHIM_VISIBLE ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (shim_records()) {
        answer_record(message->msg_iov, message->msg_iovlen);
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}
