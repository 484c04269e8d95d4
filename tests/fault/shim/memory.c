/* Memory that runs out at the n-th request of the daemon's own code, of LMDB, of protobuf-c, or of nng once it listens:
 * before that nng 1.5.2 crashes, or waits for ever, when it has none. */
#include "fault/shim/shim.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

enum { RANGES_MAX = 8 };

/* Where the code is whose requests count. */
static struct range {
    uintptr_t begin;
    uintptr_t end;
    bool is_nng;
} ranges[RANGES_MAX];
static size_t range_count;
static atomic_bool listening;

static int range_add(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size, (void)arg;
    bool is_nng = strstr(object->dlpi_name, "/libnng.") != NULL;
    bool counts = is_nng || object->dlpi_name[0] == '\0' || strstr(object->dlpi_name, "/liblmdb.") ||
                  strstr(object->dlpi_name, "/libprotobuf-c.");
    for (unsigned i = 0; counts && i < object->dlpi_phnum && range_count < RANGES_MAX; i++) {
        if (object->dlpi_phdr[i].p_type == PT_LOAD && object->dlpi_phdr[i].p_flags & PF_X) {
            uintptr_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
            ranges[range_count++] = (struct range){begin, begin + object->dlpi_phdr[i].p_memsz, is_nng};
        }
    }
    return 0;
}

__attribute__((constructor)) static void memory_begin(void)
{
    dl_iterate_phdr(range_add, NULL);
}

static bool memory_fails(enum shim_class what, const void *caller)
{
    bool counts = false;
    for (size_t i = 0; i < range_count && !counts; i++) {
        counts = (uintptr_t)caller >= ranges[i].begin && (uintptr_t)caller < ranges[i].end &&
                 (!ranges[i].is_nng || atomic_load(&listening));
    }
    bool fails = counts && shim_meet(what).action == SHIM_ERROR;
    if (fails) {
        errno = ENOMEM;
    }
    return fails;
}

SHIM_VISIBLE int listen(int fd, int backlog)
{
    int rc = (int)syscall(SYS_listen, fd, backlog);
    atomic_store(&listening, true);
    return rc;
}

SHIM_VISIBLE void *malloc(size_t size)
{
    return memory_fails(SHIM_MALLOC, __builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

SHIM_VISIBLE void *calloc(size_t count, size_t size)
{
    return memory_fails(SHIM_MALLOC, __builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

SHIM_VISIBLE void *realloc(void *memory, size_t size)
{
    return memory_fails(SHIM_MALLOC, __builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

SHIM_VISIBLE void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (memory_fails(SHIM_MMAP, __builtin_return_address(0))) {
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}
