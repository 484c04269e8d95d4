/* Memory that is taken in many pieces and freed at once. Bounded: the pieces of one arena together never pass its
 * limit. Knows nothing of messages. */
#include "arena.h"

#include "memory.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { CHUNK_BYTES_FIRST = 4096, CHUNK_BYTES_MAX = 1024 * 1024, ALIGNMENT = alignof(uint64_t) };

struct chunk {
    struct chunk *next;
    alignas(uint64_t) unsigned char bytes[];
};

struct chatlog_arena {
    struct chunk *chunks;
    unsigned char *free; /* in the newest chunk that pieces are cut from */
    size_t room;
    size_t next_chunk;
    size_t left; /* of the limit */
    bool out_of_memory;
    ProtobufCAllocator allocator;
};

struct chatlog_arena *chatlog_arena_free(struct chatlog_arena *arena)
{
    if (arena == NULL)
        return NULL;
    struct chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        chatlog_memory_free(chunk);
        chunk = next;
    }
    chatlog_memory_free(arena);
    return NULL;
}

static unsigned char *add_chunk(struct chatlog_arena *arena, size_t size)
{
    struct chunk *chunk = chatlog_memory_get(sizeof *chunk + size);
    if (chunk == NULL) {
        arena->out_of_memory = true;
        return NULL;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk->bytes;
}

static unsigned char *cut(struct chatlog_arena *arena, size_t size)
{
    if (size > arena->room) {
        if (size >= arena->next_chunk / 4) /* a chunk of its own, so that the rest of the present one is not lost */
            return add_chunk(arena, size);
        unsigned char *bytes = add_chunk(arena, arena->next_chunk);
        if (bytes == NULL)
            return NULL;
        arena->free = bytes;
        arena->room = arena->next_chunk;
        if (arena->next_chunk < CHUNK_BYTES_MAX)
            arena->next_chunk *= 2;
    }
    unsigned char *piece = arena->free;
    arena->free += size;
    arena->room -= size;
    return piece;
}

static void *take(struct chatlog_arena *arena, size_t size)
{
    size_t rounded;
    if (__builtin_add_overflow(size, (size_t)ALIGNMENT, &rounded))
        return NULL;
    rounded -= rounded % ALIGNMENT; /* never 0 */
    if (rounded > arena->left)
        return NULL;
    unsigned char *piece = cut(arena, rounded);
    if (piece != NULL)
        arena->left -= rounded;
    return piece;
}

void *chatlog_arena_get(struct chatlog_arena *arena, size_t count, size_t size)
{
    assert(arena != NULL);
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *piece = take(arena, total);
    if (piece != NULL)
        memset(piece, 0, total);
    return piece;
}

static void *allocator_get(void *data, size_t size)
{
    unsigned char *piece = size < SIZE_MAX ? take(data, size + 1) : NULL;
    if (piece != NULL)
        piece[size] = '\0';
    return piece;
}

static void allocator_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* everything goes with the arena */
}

struct chatlog_arena *chatlog_arena_new(size_t limit)
{
    struct chatlog_arena *arena = chatlog_memory_get(sizeof *arena);
    if (arena == NULL)
        return NULL;
    *arena = (struct chatlog_arena){.left = limit, .next_chunk = CHUNK_BYTES_FIRST};
    arena->allocator = (ProtobufCAllocator){allocator_get, allocator_free, arena};
    return arena;
}

bool chatlog_arena_out_of_memory(const struct chatlog_arena *arena)
{
    assert(arena != NULL);
    return arena->out_of_memory;
}

ProtobufCAllocator *chatlog_arena_allocator(struct chatlog_arena *arena)
{
    assert(arena != NULL);
    return &arena->allocator;
}
