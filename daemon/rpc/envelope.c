#include "rpc/envelope.h"

#include "base/wire.h"
#include "chatlog/v1/envelope.pb-c.h"
#include "rpc/validate.h"

#include <inttypes.h>
#include <stdio.h>

enum { DEFAULT_TIMEOUT_MS = 30000 };

/* Field numbers of chatlog.v1.Request and Response; a unit test holds them against the generated code. */
enum {
    REQUEST_METHOD = 1,
    REQUEST_PAYLOAD = 2,
    REQUEST_TIMEOUT_MS = 3,
    REQUEST_REQUEST_ID = 4,
    REQUEST_AUTHORIZATION = 5,
    REQUEST_TRACEPARENT = 6,
    RESPONSE_CODE = 1,
    RESPONSE_REASON = 2,
    RESPONSE_MESSAGE = 3,
    RESPONSE_DETAILS = 4,
    RESPONSE_PAYLOAD = 5,
    RESPONSE_REPLAYED = 6,
};

static int check_request_id(struct span id, const struct limits *limits, struct error *error)
{
    if (id.size > limits->id_bytes) {
        error_set(error, ERROR_REQUEST_TOO_LARGE, "request_id has %zu bytes; at most %" PRIu64 " are allowed", id.size,
                  limits->id_bytes);
        return error_add_detail(error, "limit", limits->id_bytes);
    }
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] < 0x20 || id.data[i] == 0x7f) {
            return error_set(error, ERROR_FIELD_INVALID, "request_id has a control character; none is allowed");
        }
    }
    return 0;
}

static bool is_hex(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return false;
        }
    }
    return true;
}

static bool is_all(struct span text, uint8_t byte)
{
    size_t i = 0;
    while (i < text.size && text.data[i] == byte) {
        i++;
    }
    return i == text.size;
}

/* version-trace-parent-flags; more may follow in a version that is not known yet. */
static int check_traceparent(struct span text, struct error *error)
{
    enum { VERSION = 0, TRACE = 3, PARENT = 36, FLAGS = 53, END = 55 };
    if (text.size == 0) {
        return 0;
    }
    bool valid = text.size >= END && text.size <= 128;
    if (valid) {
        struct span version = span_of(text.data + VERSION, 2);
        struct span trace = span_of(text.data + TRACE, 32);
        struct span parent = span_of(text.data + PARENT, 16);
        bool rest = text.size == END || (!is_all(version, '0') && text.data[END] == '-');
        valid = is_hex(version) && is_hex(trace) && is_hex(parent) && is_hex(span_of(text.data + FLAGS, 2)) &&
                !is_all(version, 'f') && !is_all(trace, '0') && !is_all(parent, '0') && text.data[TRACE - 1] == '-' &&
                text.data[PARENT - 1] == '-' && text.data[FLAGS - 1] == '-' && rest;
    }
    return valid ? 0
                 : error_set(error, ERROR_FIELD_INVALID,
                             "traceparent must have the form of W3C Trace Context, 00-<32 hex digits>-<16>-<2>");
}

static int check_authorization(struct span authorization, const struct limits *limits, struct error *error)
{
    const uint64_t scheme_bytes = 7; /* "Bearer " */
    if (authorization.size > limits->token_bytes + scheme_bytes) {
        error_set(error, ERROR_REQUEST_TOO_LARGE, "the token has more than %" PRIu64 " bytes", limits->token_bytes);
        return error_add_detail(error, "limit", limits->token_bytes);
    }
    return 0;
}

int envelope_decode(struct span request, const struct limits *limits, struct envelope *ret_envelope,
                    struct error *error)
{
    struct envelope envelope = {0};
    int rc = validate_message(&chatlog__v1__request__descriptor, request, limits, NULL, error);
    if (rc) {
        return rc;
    }
    uint64_t timeout_ms = 0;
    struct wire_field field;
    while (wire_next(&request, &field) > 0) {
        switch (field.number) {
        case REQUEST_METHOD:
            envelope.method = field.bytes;
            break;
        case REQUEST_PAYLOAD:
            envelope.payload = field.bytes;
            break;
        case REQUEST_TIMEOUT_MS:
            timeout_ms = field.value;
            break;
        case REQUEST_REQUEST_ID:
            envelope.request_id = field.bytes;
            break;
        case REQUEST_AUTHORIZATION:
            envelope.authorization = field.bytes;
            break;
        case REQUEST_TRACEPARENT:
            envelope.traceparent = field.bytes;
            break;
        default:
            break; /* a field of a newer client */
        }
    }
    if (timeout_ms == 0) {
        timeout_ms = DEFAULT_TIMEOUT_MS;
    }
    envelope.timeout_ms = (uint32_t)(timeout_ms < limits->timeout_ms ? timeout_ms : limits->timeout_ms);
    rc = check_request_id(envelope.request_id, limits, error);
    rc = rc ? rc : check_authorization(envelope.authorization, limits, error);
    rc = rc ? rc : check_traceparent(envelope.traceparent, error);
    if (rc) {
        return rc;
    }
    *ret_envelope = envelope;
    return 0;
}

void envelope_put_payload(struct buffer *out, struct span payload, bool replayed)
{
    wire_put_bytes(out, RESPONSE_PAYLOAD, payload);
    wire_put_uint(out, RESPONSE_REPLAYED, replayed);
}

static void put_detail(struct buffer *out, const struct error_detail *detail)
{
    enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
    char value[24];
    snprintf(value, sizeof(value), "%" PRIu64, detail->value);
    struct span key_span = span_of_string(detail->key);
    struct span value_span = span_of_string(value);
    wire_put_header(out, RESPONSE_DETAILS,
                    wire_element_size(ENTRY_KEY, key_span.size) + wire_element_size(ENTRY_VALUE, value_span.size));
    wire_put_element(out, ENTRY_KEY, key_span);
    wire_put_element(out, ENTRY_VALUE, value_span);
}

/* A message may quote a client's text cut in the middle of a character: what is not UTF-8 is replaced. */
static void put_message(struct buffer *out, const char *message)
{
    char clean[sizeof(((struct error *)0)->message)];
    size_t size = strlen(message);
    memcpy(clean, message, size);
    for (size_t start = 0; start < size;) {
        size_t valid = validate_utf8_prefix(span_of(clean + start, size - start));
        start += valid;
        if (start < size) {
            clean[start++] = '?';
        }
    }
    wire_put_bytes(out, RESPONSE_MESSAGE, span_of(clean, size));
}

void envelope_put_error(struct buffer *out, const struct error *error)
{
    wire_put_uint(out, RESPONSE_CODE, error_reason_code(error->reason));
    wire_put_bytes(out, RESPONSE_REASON, span_of_string(error_reason_name(error->reason)));
    put_message(out, error->message);
    for (size_t i = 0; i < sizeof(error->details) / sizeof(error->details[0]); i++) {
        if (error->details[i].key) {
            put_detail(out, &error->details[i]);
        }
    }
}
