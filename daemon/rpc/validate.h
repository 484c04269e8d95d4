/* Looks at the bytes of a protobuf message before anything is unpacked from them: protobuf-c accepts invalid UTF-8,
 * cuts strings at NUL, has no limit on depth, and turns 1 MiB of empty sub-messages into 76 MiB of memory.
 *
 * Driven by the generated descriptors, so that it holds for every message alike. */
#ifndef RPC_VALIDATE_H
#define RPC_VALIDATE_H

#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"

#include <protobuf-c/protobuf-c.h>

/* What a payload says, whatever order its fields and map entries came in: equal for equal requests. */
struct fingerprint {
    uint64_t high;
    uint64_t low;
};

/* Fails with REQUEST_MALFORMED (not well formed, a field of another type), FIELD_INVALID (text that is not UTF-8 or
 * has a NUL, a number out of range) or REQUEST_TOO_LARGE (depth, repeated and unknown fields). Adds what the message
 * says to *fingerprint, which may be NULL. */
int validate_message(const ProtobufCMessageDescriptor *descriptor, struct span bytes, const struct limits *limits,
                     struct fingerprint *fingerprint, struct error *error);

/* How many bytes at the front of the text are whole characters of UTF-8 other than NUL. */
size_t validate_utf8_prefix(struct span text);

#endif
