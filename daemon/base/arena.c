#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_BYTES = 4096, ARENA_ALIGNMENT = alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t capacity;
    alignas(max_align_t) uint8_t data[];
};

struct arena arena_new(size_t cap)
{
    return (struct arena){.cap = cap};
}

static struct arena_block *block_add(struct arena *arena, size_t size)
{
    size_t capacity = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;
    struct arena_block *block = malloc(sizeof(*block) + capacity);
    if (block) {
        *block = (struct arena_block){.next = arena->blocks, .capacity = capacity};
        arena->blocks = block;
    }
    arena->failed = arena->failed || !block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena->cap) {
        return NULL;
    }
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (size > arena->cap - arena->used) {
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (!block || block->capacity - block->used < size) {
        block = block_add(arena, size);
        if (!block) {
            return NULL;
        }
    }
    void *memory = block->data + block->used;
    block->used += size;
    arena->used += size;
    return memset(memory, 0, size);
}

void arena_reset(struct arena *arena, size_t cap)
{
    struct arena_block *kept = NULL;
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        if (!kept && block->capacity == ARENA_BLOCK_BYTES) {
            kept = block;
        } else {
            free(block);
        }
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
    }
    *arena = (struct arena){.blocks = kept, .cap = cap};
}

void arena_free(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena->used = 0;
}
