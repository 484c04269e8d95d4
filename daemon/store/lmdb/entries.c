#include "store/lmdb/entries.h"

#include "base/wire.h"

#include <assert.h>

enum { ENTRY_NUMBERS_MAX = 6, HASH_BYTES = 16 };

/* The fields of a remembered answer. */
enum { REQUEST_FIRST_SEQ = 1, REQUEST_LAST_SEQ, REQUEST_CREATE_TIME, REQUEST_ETAG, REQUEST_RECORD };

/* Most entries are a few numbers: field 1, 2, ... */
static void numbers_put(struct buffer *out, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wire_put_uint(out, (uint32_t)i + 1, numbers[i]);
    }
}

static int numbers_get(struct span bytes, uint64_t *numbers, size_t count)
{
    struct wire_field field;
    int rc;
    while ((rc = wire_next(&bytes, &field)) == 1) {
        if (field.number > count || field.type != WIRE_VARINT) {
            return -1;
        }
        numbers[field.number - 1] = field.value;
    }
    return rc;
}

void entry_put_recency(struct buffer *out, const struct recency_entry *entry)
{
    /* Offset by one: the first number is never 0, so the value is never empty. */
    const uint64_t numbers[] = {1u + entry->archived, entry->deleted, (uint64_t)entry->gone_time_us};
    numbers_put(out, numbers, 3);
}

int entry_get_recency(struct span bytes, struct recency_entry *ret)
{
    uint64_t numbers[3] = {0};
    if (numbers_get(bytes, numbers, 3) || numbers[0] < 1 || numbers[0] > 2 || numbers[1] > 1) {
        return -1;
    }
    *ret = (struct recency_entry){
        .archived = numbers[0] == 2, .deleted = numbers[1] == 1, .gone_time_us = (int64_t)numbers[2]};
    return 0;
}

void entry_put_purge(struct buffer *out, const struct purge_entry *entry)
{
    const uint64_t numbers[] = {entry->conversations, entry->messages,   entry->content_bytes,
                                entry->digest_high,   entry->digest_low, entry->begun};
    assert(entry->begun == 1);
    numbers_put(out, numbers, 6);
}

int entry_get_purge(struct span bytes, struct purge_entry *ret)
{
    uint64_t numbers[ENTRY_NUMBERS_MAX] = {0};
    if (numbers_get(bytes, numbers, ENTRY_NUMBERS_MAX) || numbers[5] != 1) {
        return -1;
    }
    *ret = (struct purge_entry){.conversations = numbers[0],
                                .messages = numbers[1],
                                .content_bytes = numbers[2],
                                .digest_high = numbers[3],
                                .digest_low = numbers[4],
                                .begun = numbers[5]};
    return 0;
}

void entry_put_stats(struct buffer *out, const struct stats_entry *entry)
{
    const uint64_t numbers[] = {entry->users, entry->conversations, entry->messages, entry->content_bytes};
    numbers_put(out, numbers, 4);
}

int entry_get_stats(struct span bytes, struct stats_entry *ret)
{
    uint64_t numbers[4] = {0};
    if (numbers_get(bytes, numbers, 4)) {
        return -1;
    }
    *ret = (struct stats_entry){
        .users = numbers[0], .conversations = numbers[1], .messages = numbers[2], .content_bytes = numbers[3]};
    return 0;
}

static void hash_put(struct buffer *out, const uint64_t hash[2])
{
    uint8_t bytes[HASH_BYTES];
    for (size_t i = 0; i < HASH_BYTES; i++) {
        bytes[i] = (uint8_t)(hash[i / 8] >> (8 * (i % 8)));
    }
    buffer_append(out, bytes, sizeof(bytes));
}

void entry_put_request(struct buffer *out, const struct store_op *op, const struct store_result *result)
{
    hash_put(out, op->request_hash);
    wire_put_uint(out, REQUEST_FIRST_SEQ, result->first_seq);
    wire_put_uint(out, REQUEST_LAST_SEQ, result->last_seq);
    wire_put_uint(out, REQUEST_CREATE_TIME, (uint64_t)result->create_time_us);
    wire_put_bytes(out, REQUEST_ETAG, span_of_string(result->etag));
    struct span records = buffer_span(&result->records);
    struct wire_field field;
    while (wire_next(&records, &field) == 1) {
        wire_put_element(out, REQUEST_RECORD, field.bytes);
    }
}

int entry_get_request_hash(struct span bytes, uint64_t ret_hash[2])
{
    if (bytes.size < HASH_BYTES) {
        return -1;
    }
    ret_hash[0] = ret_hash[1] = 0;
    for (size_t i = 0; i < HASH_BYTES; i++) {
        ret_hash[i / 8] |= (uint64_t)bytes.data[i] << (8 * (i % 8));
    }
    return 0;
}

static int request_field_take(const struct wire_field *field, uint32_t record_field, struct store_result *result)
{
    bool is_bytes = field->type == WIRE_BYTES;
    if (is_bytes != (field->number == REQUEST_ETAG || field->number == REQUEST_RECORD)) {
        return -1;
    }
    switch (field->number) {
    case REQUEST_FIRST_SEQ:
        result->first_seq = field->value;
        return 0;
    case REQUEST_LAST_SEQ:
        result->last_seq = field->value;
        return 0;
    case REQUEST_CREATE_TIME:
        result->create_time_us = (int64_t)field->value;
        return 0;
    case REQUEST_ETAG:
        if (field->bytes.size >= sizeof(result->etag)) {
            return -1;
        }
        memset(result->etag, 0, sizeof(result->etag));
        memcpy(result->etag, field->bytes.data, field->bytes.size);
        return 0;
    case REQUEST_RECORD:
        wire_put_element(&result->records, record_field, field->bytes);
        return 0;
    default:
        return -1;
    }
}

int entry_get_request(struct span bytes, uint32_t record_field, struct store_result *result)
{
    if (bytes.size < HASH_BYTES) {
        return -1;
    }
    struct span answer = span_of(bytes.data + HASH_BYTES, bytes.size - HASH_BYTES);
    struct wire_field field;
    int rc;
    while ((rc = wire_next(&answer, &field)) == 1) {
        if (request_field_take(&field, record_field, result)) {
            return -1;
        }
    }
    result->replayed = true;
    return rc;
}
