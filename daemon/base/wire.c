#include "base/wire.h"

#include <assert.h>

enum { VARINT_MAX_BYTES = 10, TAG_TYPE_BITS = 3, TAG_TYPE_MASK = 7 };

int wire_take_long_varint(struct span *input, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < input->size && i < VARINT_MAX_BYTES; i++) {
        uint8_t byte = input->data[i];
        if (i == VARINT_MAX_BYTES - 1 && byte > 1) {
            return -1;
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *input = span_of(input->data + i + 1, input->size - i - 1);
            *ret = value;
            return 0;
        }
    }
    return -1;
}

static int fixed_take(struct span *input, size_t size, uint64_t *ret)
{
    if (input->size < size) {
        return -1;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)input->data[i] << (8 * i);
    }
    *input = span_of(input->data + size, input->size - size);
    *ret = value;
    return 0;
}

static int bytes_take(struct span *input, struct span *ret)
{
    uint64_t size;
    if (wire_take_varint(input, &size) || size > input->size) {
        return -1;
    }
    *ret = span_of(input->data, (size_t)size);
    *input = span_of(input->data + size, input->size - (size_t)size);
    return 0;
}

int wire_next(struct span *input, struct wire_field *ret)
{
    if (input->size == 0) {
        return 0;
    }
    struct span rest = *input;
    struct span bytes = {0};
    uint64_t value = 0;
    uint64_t tag;
    if (wire_take_varint(&rest, &tag) || tag >> TAG_TYPE_BITS == 0 || tag > UINT32_MAX) {
        return -1;
    }
    int rc = -1;
    switch (tag & TAG_TYPE_MASK) {
    case WIRE_VARINT:
        rc = wire_take_varint(&rest, &value);
        break;
    case WIRE_FIXED64:
        rc = fixed_take(&rest, 8, &value);
        break;
    case WIRE_FIXED32:
        rc = fixed_take(&rest, 4, &value);
        break;
    case WIRE_BYTES:
        rc = bytes_take(&rest, &bytes);
        break;
    }
    if (rc) {
        return -1;
    }
    ret->number = (uint32_t)(tag >> TAG_TYPE_BITS);
    ret->type = (enum wire_type)(tag & TAG_TYPE_MASK);
    ret->value = value;
    ret->bytes = bytes;
    ret->whole = span_of(input->data, input->size - rest.size);
    *input = rest;
    return 1;
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static size_t varint_write(uint64_t value, uint8_t *bytes)
{
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    return size;
}

void wire_put_varint(struct buffer *out, uint64_t value)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    buffer_append(out, bytes, varint_write(value, bytes));
}

static uint64_t tag_of(uint32_t number, enum wire_type type)
{
    assert(number > 0);
    return (uint64_t)number << TAG_TYPE_BITS | (uint64_t)type;
}

void wire_put_uint(struct buffer *out, uint32_t number, uint64_t value)
{
    if (value) {
        uint8_t bytes[2 * VARINT_MAX_BYTES];
        size_t size = varint_write(tag_of(number, WIRE_VARINT), bytes);
        buffer_append(out, bytes, size + varint_write(value, bytes + size));
    }
}

void wire_put_bytes(struct buffer *out, uint32_t number, struct span bytes)
{
    if (bytes.size) {
        wire_put_element(out, number, bytes);
    }
}

void wire_put_element(struct buffer *out, uint32_t number, struct span bytes)
{
    wire_put_header(out, number, bytes.size);
    buffer_append(out, bytes.data, bytes.size);
}

void wire_put_header(struct buffer *out, uint32_t number, size_t size)
{
    uint8_t bytes[WIRE_HEADER_MAX];
    buffer_append(out, bytes, wire_header(number, size, bytes));
}

size_t wire_header(uint32_t number, size_t size, uint8_t *ret_bytes)
{
    size_t tag_size = varint_write(tag_of(number, WIRE_BYTES), ret_bytes);
    return tag_size + varint_write(size, ret_bytes + tag_size);
}

size_t wire_element_size(uint32_t number, size_t size)
{
    return varint_size(tag_of(number, WIRE_BYTES)) + varint_size(size) + size;
}
