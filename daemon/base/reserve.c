#include "base/reserve.h"

#include <assert.h>
#include <sys/mman.h>

void *reserve_new(size_t size)
{
    assert(size > 0);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void *reserve_free(void *memory, size_t size)
{
    if (memory) {
        munmap(memory, size);
    }
    return NULL;
}
