/* Allocation that cannot fail, and pools that are released at once. Knows nothing of what is kept in them. */
#include "cli/memory.h"

#include "cli/report.h"

#include <stdalign.h>
#include <stdlib.h>
#include <unistd.h>

struct pool_block {
    struct pool_block *next;
    alignas(max_align_t) unsigned char data[];
};

void *memory_need(void *pointer)
{
    if (!pointer) {
        report_failure("RESOURCE_EXHAUSTED", "MEMORY_SHORT", "This machine has no memory left for the command.");
        _exit(EXIT_FAILURE);
    }
    return pointer;
}

void *memory_alloc(size_t size)
{
    return memory_need(calloc(1, size ? size : 1));
}

void *memory_resize(void *pointer, size_t size)
{
    return memory_need(realloc(pointer, size));
}

void *pool_alloc(struct pool *pool, size_t size)
{
    struct pool_block *block = memory_alloc(sizeof(*block) + size);
    block->next = pool->first;
    pool->first = block;
    return block->data;
}

void pool_free(struct pool *pool)
{
    while (pool->first) {
        struct pool_block *next = pool->first->next;
        free(pool->first);
        pool->first = next;
    }
}
