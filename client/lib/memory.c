/* The library's only door to the heap, and the only place that names malloc. Knows nothing else. */
#include "memory.h"

#include <stdlib.h>

void *chatlog_memory_get(size_t size)
{
    return malloc(size);
}

void chatlog_memory_free(void *memory)
{
    free(memory);
}
