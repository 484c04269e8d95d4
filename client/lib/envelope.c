/* The bytes of a Request and of a Response, by protobuf-c and by hand where that saves a copy of the payload.
 * What arrives is taken as hostile. Knows no connection. */
#include "envelope.h"

#include "chatlog/v1/envelope.pb-c.h"
#include "chatlog_limits.h"
#include "error.h"
#include "memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAG_PAYLOAD = 2 << 3 | 2, /* Request.payload, length-delimited */
    TAG_TIMEOUT = 3 << 3 | 0, /* Request.timeout_ms, varint */
    VARINT_BYTES_MAX = 10,
};

/* What unpacking N bytes may take: twice N, and for structs, lists and working memory 16 MiB, of which an honest reply
 * (1,000 messages with 64 pairs of metadata each) needs less than 11. Without it, 1 MiB of empty messages becomes 76.
 */
#define UNPACK_BYTES_EXTRA (16u * CHATLOG_MIB)

static size_t put_varint(uint64_t value, uint8_t *out)
{
    size_t length = 0;
    while (value >= 0x80) {
        out[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[length++] = (uint8_t)value;
    return length;
}

static char *borrow_text(const char *text)
{
    char *unchanged; /* generated structs are not const, packing does not write to them */
    memcpy(&unchanged, &text, sizeof unchanged);
    return unchanged;
}

int chatlog_envelope_encode(const struct chatlog_request *request, uint8_t **ret_bytes, size_t *ret_length,
                            struct chatlog_error *error)
{
    assert(request->method != NULL);
    Chatlog__V1__Request head;
    chatlog__v1__request__init(&head);
    head.method = borrow_text(request->method);
    if (request->request_id != NULL)
        head.request_id = borrow_text(request->request_id);
    if (request->authorization != NULL)
        head.authorization = borrow_text(request->authorization);
    size_t head_length = chatlog__v1__request__get_packed_size(&head);
    size_t length =
        request->message != NULL ? protobuf_c_message_get_packed_size(request->message) : request->payload_length;
    if (head_length > CHATLOG_CAP_request_bytes || length > CHATLOG_CAP_request_bytes)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "REQUEST_TOO_LARGE",
                                 "the request has %zu bytes; a server takes at most %zu",
                                 length > head_length ? length : head_length, (size_t)CHATLOG_CAP_request_bytes);

    uint8_t *bytes = chatlog_memory_get(head_length + 1 + VARINT_BYTES_MAX + length);
    if (bytes == NULL)
        return chatlog_error_memory(error);
    size_t at = chatlog__v1__request__pack(&head, bytes);
    bytes[at++] = TAG_PAYLOAD;
    at += put_varint(length, bytes + at);
    if (request->message != NULL)
        protobuf_c_message_pack(request->message, bytes + at);
    else if (length > 0)
        memcpy(bytes + at, request->payload, length);
    *ret_bytes = bytes;
    *ret_length = at + length;
    return 0;
}

size_t chatlog_envelope_encode_timeout(uint32_t timeout_ms, uint8_t ret_bytes[static CHATLOG_TIMEOUT_BYTES])
{
    ret_bytes[0] = TAG_TIMEOUT;
    return 1 + put_varint(timeout_ms, ret_bytes + 1);
}

int chatlog_envelope_malformed(struct chatlog_error *error)
{
    return chatlog_error_set(error, CHATLOG_INTERNAL, "REPLY_MALFORMED",
                             "the answer is not one of chatlogd: does another program listen at this URL?");
}

int chatlog_envelope_unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
                            struct chatlog_arena **ret_memory, ProtobufCMessage **ret_message,
                            struct chatlog_error *error)
{
    struct chatlog_arena *memory = chatlog_arena_new(2 * length + UNPACK_BYTES_EXTRA);
    if (memory == NULL)
        return chatlog_error_memory(error);
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, chatlog_arena_allocator(memory), length, bytes);
    if (message == NULL) {
        bool short_of_memory = chatlog_arena_out_of_memory(memory);
        chatlog_arena_free(memory);
        return short_of_memory ? chatlog_error_memory(error) : chatlog_envelope_malformed(error);
    }
    *ret_memory = memory;
    *ret_message = message;
    return 0;
}

/* 0 when it is no decimal number up to `max`. */
static uint64_t parse_detail(const char *text, uint64_t max)
{
    if (text[0] < '0' || text[0] > '9')
        return 0;
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    return *end == '\0' && value <= max ? value : 0;
}

/* Codes that this library does not know (a newer daemon's) become INTERNAL; reason and message say more. */
static enum chatlog_code code_of(int64_t code)
{
    if (code < 0 || code > CHATLOG_UNAUTHENTICATED || strcmp(chatlog_code_name((int)code), "UNKNOWN") == 0)
        return CHATLOG_INTERNAL;
    return (enum chatlog_code)code;
}

static int fill_error(const Chatlog__V1__Response *response, struct chatlog_error *error)
{
    enum chatlog_code code = code_of(response->code);
    chatlog_error_set(error, code, response->reason, "%s", response->message);
    for (size_t i = 0; error != NULL && i < response->n_details; i++) {
        const Chatlog__V1__Response__DetailsEntry *detail = response->details[i];
        if (strcmp(detail->key, "last_seq") == 0)
            error->last_seq = parse_detail(detail->value, UINT64_MAX);
        else if (strcmp(detail->key, "retry_delay_ms") == 0)
            error->retry_delay_ms = (uint32_t)parse_detail(detail->value, UINT32_MAX);
    }
    return (int)code;
}

int chatlog_envelope_decode(const void *bytes, size_t length, struct chatlog_answer *ret_answer,
                            struct chatlog_error *error)
{
    struct chatlog_arena *memory;
    ProtobufCMessage *message;
    int code = chatlog_envelope_unpack(&chatlog__v1__response__descriptor, bytes, length, &memory, &message, error);
    if (code != 0)
        return code;
    const Chatlog__V1__Response *response = (const Chatlog__V1__Response *)message;
    if (response->code != CHATLOG__V1__CODE__CODE_OK) {
        code = fill_error(response, error);
        chatlog_arena_free(memory);
        return code;
    }
    *ret_answer = (struct chatlog_answer){
        .memory = memory,
        .payload = response->payload.data != NULL ? response->payload.data : (const uint8_t *)"",
        .payload_length = response->payload.len,
        .replayed = response->replayed != 0,
    };
    return 0;
}
