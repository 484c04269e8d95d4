/* Bytes that grow, and protobuf's wire format by hand: to make replies that are right, and replies that are wrong. */
#ifndef SUPPORT_FAKE_BYTES_H
#define SUPPORT_FAKE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that grow; all zero is empty. */
struct fake_bytes {
    uint8_t *data;
    size_t length;
};

void fake_bytes_free(struct fake_bytes *bytes);

/* Append one protobuf field, whatever its value. */
void fake_put_varint(struct fake_bytes *bytes, unsigned field, uint64_t value);
void fake_put_bytes(struct fake_bytes *bytes, unsigned field, const void *data, size_t length);
void fake_put_text(struct fake_bytes *bytes, unsigned field, const char *text);
void fake_put_raw(struct fake_bytes *bytes, const void *data, size_t length);

#endif
