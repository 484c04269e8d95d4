/* Bytes that grow, and protobuf's wire format by hand. Knows no message and no socket. */
#include "support/fake_bytes.h"

#include <stdlib.h>
#include <string.h>

void fake_bytes_free(struct fake_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct fake_bytes){0};
}

void fake_put_raw(struct fake_bytes *bytes, const void *data, size_t length)
{
    if (length == 0)
        return;
    bytes->data = realloc(bytes->data, bytes->length + length);
    if (bytes->data == NULL)
        abort();
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void put_number(struct fake_bytes *bytes, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7F) | (value >= 0x80 ? 0x80 : 0));
        fake_put_raw(bytes, &byte, 1);
        value >>= 7;
    } while (value != 0);
}

void fake_put_varint(struct fake_bytes *bytes, unsigned field, uint64_t value)
{
    put_number(bytes, (uint64_t)field << 3);
    put_number(bytes, value);
}

void fake_put_bytes(struct fake_bytes *bytes, unsigned field, const void *data, size_t length)
{
    put_number(bytes, (uint64_t)field << 3 | 2);
    put_number(bytes, length);
    fake_put_raw(bytes, data, length);
}

void fake_put_text(struct fake_bytes *bytes, unsigned field, const char *text)
{
    fake_put_bytes(bytes, field, text, strlen(text));
}
