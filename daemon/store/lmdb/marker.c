#include "store/lmdb/marker.h"

#include <xxhash.h>

static const char marker_magic[8] = {'c', 'h', 'a', 't', 'l', 'o', 'g', 'M'};

enum {
    AT_FORMAT = 8,
    AT_LAYOUT = 10,
    AT_TARGET = 12,
    AT_MIN_READER = 14,
    AT_MIN_WRITER = 16,
    AT_STATE = 18,
    AT_CREATE_TIME = 24,
    AT_IDENTITY = 32,
    SUM_BYTES = 8,
};

static void little_put(uint8_t *bytes, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t little_get(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

void marker_encode(const struct marker *marker, uint8_t bytes[MARKER_BYTES])
{
    memset(bytes, 0, MARKER_BYTES);
    memcpy(bytes, marker_magic, sizeof(marker_magic));
    little_put(bytes + AT_FORMAT, 2, marker->format);
    little_put(bytes + AT_LAYOUT, 2, marker->layout);
    little_put(bytes + AT_TARGET, 2, marker->target);
    little_put(bytes + AT_MIN_READER, 2, marker->min_reader);
    little_put(bytes + AT_MIN_WRITER, 2, marker->min_writer);
    little_put(bytes + AT_STATE, 2, marker->state);
    little_put(bytes + AT_CREATE_TIME, 8, (uint64_t)marker->create_time_us);
    memcpy(bytes + AT_IDENTITY, marker->identity, MARKER_IDENTITY_BYTES);
    little_put(bytes + MARKER_BYTES - SUM_BYTES, SUM_BYTES, XXH3_64bits(bytes, MARKER_BYTES - SUM_BYTES));
}

int marker_decode(struct span bytes, struct marker *ret)
{
    if (bytes.size < MARKER_BYTES || memcmp(bytes.data, marker_magic, sizeof(marker_magic)) != 0) {
        return -1;
    }
    size_t summed = bytes.size - SUM_BYTES;
    if (little_get(bytes.data + summed, SUM_BYTES) != XXH3_64bits(bytes.data, summed)) {
        return -1;
    }
    struct marker marker = {
        .format = (uint16_t)little_get(bytes.data + AT_FORMAT, 2),
        .layout = (uint16_t)little_get(bytes.data + AT_LAYOUT, 2),
        .target = (uint16_t)little_get(bytes.data + AT_TARGET, 2),
        .min_reader = (uint16_t)little_get(bytes.data + AT_MIN_READER, 2),
        .min_writer = (uint16_t)little_get(bytes.data + AT_MIN_WRITER, 2),
        .state = (uint16_t)little_get(bytes.data + AT_STATE, 2),
        .create_time_us = (int64_t)little_get(bytes.data + AT_CREATE_TIME, 8),
    };
    memcpy(marker.identity, bytes.data + AT_IDENTITY, MARKER_IDENTITY_BYTES);
    *ret = marker;
    return 0;
}
