/* Memory of one request: handed out from blocks, released all at once, never more than a cap. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used; /* bytes handed out, with alignment */
    size_t cap;
    bool failed; /* memory, not the cap, was reached */
};

struct arena arena_new(size_t cap);

/* Returns size zeroed bytes, aligned for any type, or NULL when the cap or memory is reached. */
void *arena_alloc(struct arena *arena, size_t size);

/* Releases what was handed out, for the next use with another cap. Keeps one block of at most 4 KiB, so that a small
 * request needs no memory of the system. */
void arena_reset(struct arena *arena, size_t cap);

void arena_free(struct arena *arena);

#endif
