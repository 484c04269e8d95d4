/* Clocks that jump. What waits for a time of the wall clock wakes as it would when the kernel's clock jumped. */
#include "fault/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS    INT64_C(1000000000)
#define WALL_SINCE_S 1000000000 /* the monotonic clock counts from the last boot: it says less */

enum { SLICE_NS = 20 * 1000 * 1000 };

struct offsets {
    _Atomic int64_t wall_ns;
    _Atomic int64_t monotonic_ns;
};

static struct offsets *offsets; /* the file, shared with the test; NULL: clocks are left alone */

__attribute__((constructor)) static void clock_begin(void)
{
    const char *path = getenv("IOFAULT_CLOCK");
    if (path) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        offsets = (void *)syscall(SYS_mmap, NULL, sizeof(*offsets), PROT_READ, MAP_SHARED, fd, 0L);
        if (offsets == MAP_FAILED) {
            shim_die("IOFAULT_CLOCK cannot be mapped");
        }
        syscall(SYS_close, fd);
    }
}

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * SECOND_NS + time->tv_nsec;
}

static struct timespec time_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

static int64_t offset_of(clockid_t clock)
{
    if (!offsets) {
        return 0;
    }
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        return atomic_load(&offsets->wall_ns);
    }
    return clock == CLOCK_MONOTONIC ? atomic_load(&offsets->monotonic_ns) : 0;
}

SHIM_VISIBLE int clock_gettime(clockid_t clock, struct timespec *ret)
{
    struct timespec now;
    int rc = (int)syscall(SYS_clock_gettime, clock, &now);
    if (rc == 0) {
        *ret = offsets ? time_of(ns_of(&now) + offset_of(clock)) : now;
    }
    return rc;
}

SHIM_VISIBLE int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) {
        shim_find("pthread_cond_timedwait", &real, sizeof(real));
    }
    if (!offsets) {
        return real(condition, mutex, until);
    }
    clockid_t clock = until->tv_sec > WALL_SINCE_S ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    for (;;) {
        struct timespec now;
        syscall(SYS_clock_gettime, clock, &now);
        int64_t end = ns_of(until) - offset_of(clock);
        int64_t slice = ns_of(&now) + SLICE_NS;
        struct timespec wake = time_of(end < slice ? end : slice);
        int rc = real(condition, mutex, &wake);
        if (rc != ETIMEDOUT || end <= slice) {
            return rc;
        }
    }
}
