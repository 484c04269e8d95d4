/* A growing run of bytes that remembers a failed allocation, so that callers check once, at the end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/span.h"

struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed; /* out of memory: later calls do nothing */
};

void buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Returns size fresh bytes at the end for the caller to fill, or NULL when memory is short. */
uint8_t *buffer_extend(struct buffer *buffer, size_t size);

/* Empties it; keeps its memory and forgets the failure. */
void buffer_clear(struct buffer *buffer);

/* Releases the memory; the buffer is then as new. */
void buffer_free(struct buffer *buffer);

static inline struct span buffer_span(const struct buffer *buffer)
{
    return span_of(buffer->data, buffer->size);
}

#endif
