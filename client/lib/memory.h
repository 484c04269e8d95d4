/* The library's only door to the heap. A test program that defines these functions itself takes the place of memory.c
 * and so can fail any allocation. */
#ifndef CHATLOG_LIB_MEMORY_H
#define CHATLOG_LIB_MEMORY_H

#include <stddef.h>

/* NULL when memory is short. The bytes are not set. */
void *chatlog_memory_get(size_t size);

/* NULL is allowed. */
void chatlog_memory_free(void *memory);

#endif
