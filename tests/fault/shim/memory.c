/* Memory that runs out at the n-th request. Only what the daemon and its libraries ask for: libc's own requests do not
 * come by here. */
#include "fault/shim/shim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static bool memory_fails(enum shim_class what)
{
    bool fails = shim_meet(what).action == SHIM_ERROR;
    if (fails) {
        errno = ENOMEM;
    }
    return fails;
}

SHIM_VISIBLE void *malloc(size_t size)
{
    return memory_fails(SHIM_MALLOC) ? NULL : __libc_malloc(size);
}

SHIM_VISIBLE void *calloc(size_t count, size_t size)
{
    return memory_fails(SHIM_MALLOC) ? NULL : __libc_calloc(count, size);
}

SHIM_VISIBLE void *realloc(void *memory, size_t size)
{
    return memory_fails(SHIM_MALLOC) ? NULL : __libc_realloc(memory, size);
}

SHIM_VISIBLE void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (memory_fails(SHIM_MMAP)) {
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}
