/* Memory that is taken in many pieces and freed at once: of a request while it is encoded, of a result until the user
 * frees it. */
#ifndef CHATLOG_LIB_ARENA_H
#define CHATLOG_LIB_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct chatlog_arena;

/* At most `limit` bytes can be taken from it. NULL when memory is short. */
struct chatlog_arena *chatlog_arena_new(size_t limit);

/* Returns NULL. NULL is allowed. */
struct chatlog_arena *chatlog_arena_free(struct chatlog_arena *arena);

/* count * size bytes of zeros, aligned for any type. NULL when memory is short or the limit is reached; then the arena
 * stays usable. */
void *chatlog_arena_get(struct chatlog_arena *arena, size_t count, size_t size);

/* An allocation has failed because the heap had no memory (not because of the limit). */
bool chatlog_arena_out_of_memory(const struct chatlog_arena *arena);

/* For protobuf_c_message_unpack; valid as long as the arena. Each piece is followed by a NUL, so that `bytes` fields
 * end in one that does not count. */
ProtobufCAllocator *chatlog_arena_allocator(struct chatlog_arena *arena);

#endif
