/* The protobuf wire format, field by field: what stored records and replies are made of.
 * See https://protobuf.dev/programming-guides/encoding/. Knows no message type. */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include "base/buffer.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One field as wire_next found it. */
struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;    /* of VARINT, FIXED64, FIXED32 */
    struct span bytes; /* of BYTES: borrowed from the input */
    struct span whole; /* tag and value: borrowed from the input */
};

/* Takes the next field off the front of *input. Returns 1 with *ret filled, 0 at the end, -1 when the input is not
 * well formed (groups, field number 0, over-long varints and lengths past the end count as that). */
int wire_next(struct span *input, struct wire_field *ret);

/* A number without a tag: takes it off the front of *input, or returns -1 when none stands there; appends it. */
int wire_take_long_varint(struct span *input, uint64_t *ret);
static inline int wire_take_varint(struct span *input, uint64_t *ret)
{
    if (input->size == 0 || input->data[0] >= 0x80) {
        return wire_take_long_varint(input, ret);
    }
    *ret = input->data[0]; /* most are of one byte */
    *input = span_of(input->data + 1, input->size - 1);
    return 0;
}
void wire_put_varint(struct buffer *out, uint64_t value);

/* Append one field, or nothing when the value is 0 or empty, as proto3 does. */
void wire_put_uint(struct buffer *out, uint32_t number, uint64_t value);
void wire_put_bytes(struct buffer *out, uint32_t number, struct span bytes);

/* Appends a field of wire type BYTES also when it is empty: an element of a repeated field. */
void wire_put_element(struct buffer *out, uint32_t number, struct span bytes);

/* Appends only the tag and the length of such a field; the caller appends `size` bytes after it. */
void wire_put_header(struct buffer *out, uint32_t number, size_t size);

/* The same to memory. Returns how many bytes it wrote, at most WIRE_HEADER_MAX. */
enum { WIRE_HEADER_MAX = 15 };
size_t wire_header(uint32_t number, size_t size, uint8_t *ret_bytes);

/* How many bytes wire_put_element would append. */
size_t wire_element_size(uint32_t number, size_t size);

#endif
