/* The bytes of a Request and of a Response. */
#ifndef CHATLOG_LIB_ENVELOPE_H
#define CHATLOG_LIB_ENVELOPE_H

#include "arena.h"
#include "chatlog.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is to be called. The payload is a message, or (when message is NULL) its encoding. */
struct chatlog_request {
    const char *method;
    const ProtobufCMessage *message;
    const void *payload;
    size_t payload_length;
    const char *request_id;    /* NULL: none */
    const char *authorization; /* NULL or "": none; filled by chatlog_exchange_start */
};

/* The largest encoding of timeout_ms, which each attempt appends. */
enum { CHATLOG_TIMEOUT_BYTES = 6 };

/* Encodes all of a Request but timeout_ms. The caller frees *ret_bytes with chatlog_memory_free.
 * Errors: INVALID_ARGUMENT / REQUEST_TOO_LARGE, RESOURCE_EXHAUSTED / CLIENT_MEMORY. */
int chatlog_envelope_encode(const struct chatlog_request *request, uint8_t **ret_bytes, size_t *ret_length,
                            struct chatlog_error *error);

/* Encodes timeout_ms (1 or more) as the rest of a Request. Returns its length. */
size_t chatlog_envelope_encode_timeout(uint32_t timeout_ms, uint8_t ret_bytes[static CHATLOG_TIMEOUT_BYTES]);

/* A Response of code OK. */
struct chatlog_answer {
    struct chatlog_arena *memory; /* of payload */
    const uint8_t *payload;       /* followed by a NUL that does not count */
    size_t payload_length;
    bool replayed;
};

/* Decodes a Response, whoever sent it. Returns 0 with *ret_answer filled, which the caller frees; else the code that
 * was answered, or INTERNAL / REPLY_MALFORMED, or RESOURCE_EXHAUSTED / CLIENT_MEMORY. */
int chatlog_envelope_decode(const void *bytes, size_t length, struct chatlog_answer *ret_answer,
                            struct chatlog_error *error);

/* INTERNAL / REPLY_MALFORMED */
int chatlog_envelope_malformed(struct chatlog_error *error);

/* Unpacks what a server sent into a new arena. Errors: as decode. */
int chatlog_envelope_unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
                            struct chatlog_arena **ret_memory, ProtobufCMessage **ret_message,
                            struct chatlog_error *error);

#endif
