#include "base/buffer.h"

#include <stdlib.h>

enum { BUFFER_FIRST_CAPACITY = 256 };

static bool buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed || more > SIZE_MAX / 2 - buffer->size) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->size + more;
    if (needed <= buffer->capacity) {
        return true;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_CAPACITY;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    uint8_t *end = buffer_extend(buffer, size);
    if (end && size > 0) {
        memcpy(end, data, size);
    }
}

uint8_t *buffer_extend(struct buffer *buffer, size_t size)
{
    if (!buffer_reserve(buffer, size ? size : 1)) {
        return NULL;
    }
    uint8_t *end = buffer->data + buffer->size;
    buffer->size += size;
    return end;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
