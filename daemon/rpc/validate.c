#include "rpc/validate.h"

#include "base/wire.h"

#include <inttypes.h>
#include <utf8proc.h>
#include <xxhash.h>

enum {
    VALIDATE_MAX_DEPTH = 8,
    VALIDATE_MAX_UNKNOWN = 16, /* fields of a newer client in one message */
    VALIDATE_MAX_FIELDS = 32,  /* fields a message of the contract may have */
};

struct validation {
    const struct limits *limits;
    struct error *error;
    unsigned depth;
};

size_t validate_utf8_prefix(struct span text)
{
    size_t valid = 0;
    while (valid < text.size) {
        utf8proc_int32_t character;
        utf8proc_ssize_t size = utf8proc_iterate(text.data + valid, (utf8proc_ssize_t)(text.size - valid), &character);
        if (size <= 0 || character == 0) {
            break;
        }
        valid += (size_t)size;
    }
    return valid;
}

/* protobuf-c shows a map as repeated sub-messages of a type named ...Entry. */
static bool is_map_entry(const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label != PROTOBUF_C_LABEL_REPEATED) {
        return false;
    }
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t length = strlen(entry->short_name);
    return length > 5 && strcmp(entry->short_name + length - 5, "Entry") == 0 && entry->n_fields == 2;
}

/* A sum, so that the order of fields does not matter; `index` keeps the order within a repeated field. */
static void fingerprint_add(struct fingerprint *fingerprint, uint32_t number, uint32_t index, struct span value)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(value.data, value.size, (uint64_t)number << 32 | index);
    uint64_t low = fingerprint->low + hash.low64;
    fingerprint->high += hash.high64 + (low < hash.low64);
    fingerprint->low = low;
}

static enum wire_type wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_FIXED32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_FIXED64;
    default:
        return WIRE_VARINT;
    }
}

static int check_value(const struct validation *validation, const ProtobufCFieldDescriptor *descriptor,
                       const struct wire_field *field)
{
    if (field->type != wire_type_of(descriptor->type)) {
        return error_set(validation->error, ERROR_REQUEST_MALFORMED, "field %s has another type than in the contract",
                         descriptor->name);
    }
    if (descriptor->type == PROTOBUF_C_TYPE_STRING && validate_utf8_prefix(field->bytes) < field->bytes.size) {
        return error_set(validation->error, ERROR_FIELD_INVALID, "%s is not UTF-8 without NUL", descriptor->name);
    }
    if (descriptor->type == PROTOBUF_C_TYPE_UINT32 && field->value > UINT32_MAX) {
        return error_set(validation->error, ERROR_FIELD_INVALID, "%s is over %" PRIu32, descriptor->name, UINT32_MAX);
    }
    return 0;
}

static int check_occurrences(const struct validation *validation, const ProtobufCFieldDescriptor *descriptor,
                             uint32_t occurrences)
{
    if (descriptor->label != PROTOBUF_C_LABEL_REPEATED) {
        return 0;
    }
    uint64_t max = is_map_entry(descriptor) ? validation->limits->metadata_pairs : validation->limits->append_messages;
    if (occurrences > max) {
        error_set(validation->error, ERROR_REQUEST_TOO_LARGE, "%s has more than %" PRIu64 " entries", descriptor->name,
                  max);
        return error_add_detail(validation->error, "limit", max);
    }
    return 0;
}

static int validate_fields(struct validation *validation, const ProtobufCMessageDescriptor *descriptor,
                           struct span bytes, struct fingerprint *fingerprint);

static int validate_sub_message(struct validation *validation, const ProtobufCMessageDescriptor *descriptor,
                                struct span bytes, struct fingerprint *fingerprint)
{
    if (++validation->depth > VALIDATE_MAX_DEPTH) {
        return error_set(validation->error, ERROR_REQUEST_TOO_LARGE, "messages are nested more than %d deep",
                         VALIDATE_MAX_DEPTH);
    }
    int rc = validate_fields(validation, descriptor, bytes, fingerprint);
    validation->depth--;
    return rc;
}

/* One field the descriptor knows; `occurrences` counts it from 1. */
static int validate_field(struct validation *validation, const ProtobufCFieldDescriptor *descriptor,
                          const struct wire_field *field, uint32_t occurrences, struct fingerprint *fingerprint)
{
    int rc = check_value(validation, descriptor, field);
    if (!rc) {
        rc = check_occurrences(validation, descriptor, occurrences);
    }
    if (rc) {
        return rc;
    }
    bool ordered = descriptor->label == PROTOBUF_C_LABEL_REPEATED && !is_map_entry(descriptor);
    struct span value = field->type == WIRE_BYTES ? field->bytes : span_of(&field->value, sizeof(field->value));
    struct fingerprint inner = {0};
    if (descriptor->type == PROTOBUF_C_TYPE_MESSAGE) {
        rc = validate_sub_message(validation, descriptor->descriptor, field->bytes, fingerprint ? &inner : NULL);
        value = span_of(&inner, sizeof(inner));
    }
    if (!rc && fingerprint) {
        fingerprint_add(fingerprint, field->number, ordered ? occurrences : 0, value);
    }
    return rc;
}

static int validate_fields(struct validation *validation, const ProtobufCMessageDescriptor *descriptor,
                           struct span bytes, struct fingerprint *fingerprint)
{
    uint32_t occurrences[VALIDATE_MAX_FIELDS] = {0};
    unsigned unknown = 0;
    struct wire_field field;
    int more;
    while ((more = wire_next(&bytes, &field)) > 0) {
        const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(descriptor, field.number);
        if (!known) {
            if (++unknown > VALIDATE_MAX_UNKNOWN) {
                return error_set(validation->error, ERROR_REQUEST_TOO_LARGE, "%s has more than %d unknown fields",
                                 descriptor->short_name, VALIDATE_MAX_UNKNOWN);
            }
            if (fingerprint) {
                fingerprint_add(fingerprint, field.number, unknown, field.whole);
            }
            continue;
        }
        size_t index = (size_t)(known - descriptor->fields);
        if (index >= VALIDATE_MAX_FIELDS) {
            return error_set(validation->error, ERROR_DEFECT, "%s has too many fields", descriptor->short_name);
        }
        int rc = validate_field(validation, known, &field, ++occurrences[index], fingerprint);
        if (rc) {
            return rc;
        }
    }
    if (more < 0) {
        return error_set(validation->error, ERROR_REQUEST_MALFORMED, "the bytes are not a %s in protobuf encoding",
                         descriptor->short_name);
    }
    return 0;
}

int validate_message(const ProtobufCMessageDescriptor *descriptor, struct span bytes, const struct limits *limits,
                     struct fingerprint *fingerprint, struct error *error)
{
    struct validation validation = {.limits = limits, .error = error};
    return validate_fields(&validation, descriptor, bytes, fingerprint);
}
