/* Memory of the command: a shortage ends the process with a message, so that no caller has to check. */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <stddef.h>

/* Returns pointer; when it is NULL, says that memory is short and ends the process. For what other libraries give. */
void *memory_need(void *pointer);

/* Zeroed. Release with free(). */
void *memory_alloc(size_t size);

/* Like realloc(); size must not be 0. */
void *memory_resize(void *pointer, size_t size);

/* Allocations that are released together. Zeroed, it is empty. */
struct pool {
    struct pool_block *first;
};

/* Zeroed, aligned for any type. */
void *pool_alloc(struct pool *pool, size_t size);

void pool_free(struct pool *pool);

#endif
