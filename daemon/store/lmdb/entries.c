#include "store/lmdb/entries.h"

#include "base/wire.h"

#include <assert.h>
#include <xxhash.h>

enum { PURGE_NUMBERS = 13, HASH_BYTES = 16, SUM_BYTES = 8 };

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
    const struct purge_place *places = entry->places;
    const uint64_t numbers[PURGE_NUMBERS] = {
        entry->conversations,    entry->messages,       entry->content_bytes,
        entry->digest_high,      entry->digest_low,     entry->begun,
        places[0].layout,        places[0].user_number, places[0].conversation_number,
        places[1].layout,        places[1].user_number, places[1].conversation_number,
        entry->journal_position,
    };
    assert(entry->begun == 1);
    numbers_put(out, numbers, PURGE_NUMBERS);
}

int entry_get_purge(struct span bytes, struct purge_entry *ret)
{
    uint64_t numbers[PURGE_NUMBERS] = {0};
    if (numbers_get(bytes, numbers, PURGE_NUMBERS) || numbers[5] != 1) {
        return -1;
    }
    *ret = (struct purge_entry){.conversations = numbers[0],
                                .messages = numbers[1],
                                .content_bytes = numbers[2],
                                .digest_high = numbers[3],
                                .digest_low = numbers[4],
                                .begun = numbers[5],
                                .journal_position = numbers[12]};
    for (size_t i = 0; i < 2; i++) {
        const uint64_t *place = &numbers[6 + 3 * i];
        ret->places[i] = (struct purge_place){
            .layout = (uint32_t)place[0], .user_number = place[1], .conversation_number = place[2]};
    }
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

/* Closes a value that began at `start` with a sum over it. */
static void sum_put(struct buffer *out, size_t start)
{
    size_t end = out->size;
    uint8_t *bytes = buffer_extend(out, SUM_BYTES); /* first: a value without any field may be in no memory yet */
    uint64_t sum = bytes ? XXH3_64bits(out->data + start, end - start) : 0;
    for (size_t i = 0; bytes && i < SUM_BYTES; i++) {
        bytes[i] = (uint8_t)(sum >> (8 * i));
    }
}

static int sum_take(struct span *bytes)
{
    if (bytes->size < SUM_BYTES) {
        return -1;
    }
    uint64_t sum = 0;
    bytes->size -= SUM_BYTES;
    for (size_t i = 0; i < SUM_BYTES; i++) {
        sum |= (uint64_t)bytes->data[bytes->size + i] << (8 * i);
    }
    return sum == XXH3_64bits(bytes->data, bytes->size) ? 0 : -1;
}

void entry_put_numbers(struct buffer *out, const struct numbers_entry *entry)
{
    const uint64_t numbers[] = {entry->user, entry->conversation};
    size_t start = out->size;
    numbers_put(out, numbers, 2);
    sum_put(out, start);
}

int entry_get_numbers(struct span bytes, struct numbers_entry *ret)
{
    uint64_t numbers[2] = {0};
    if (sum_take(&bytes) || numbers_get(bytes, numbers, 2)) {
        return -1;
    }
    *ret = (struct numbers_entry){.user = numbers[0], .conversation = numbers[1]};
    return 0;
}

/* The fields of a migration: first the numbers, then the bytes. */
enum { MIGRATION_NUMBERS = 21, MIGRATION_SPLIT_USER, MIGRATION_SPLIT_CONVERSATION, MIGRATION_ERROR };

void entry_put_migration(struct buffer *out, const struct migration_entry *entry)
{
    const uint64_t numbers[MIGRATION_NUMBERS] = {
        entry->from,
        entry->to,
        entry->state,
        entry->attempts,
        entry->messages_total,
        entry->messages_moved,
        entry->conversations_total,
        entry->conversations_moved,
        entry->quarantined,
        entry->source_digest[0],
        entry->source_digest[1],
        entry->target_digest[0],
        entry->target_digest[1],
        (uint64_t)entry->started_us,
        entry->split,
        entry->split_seq,
        entry->split_user_number,
        entry->split_conversation_number,
        entry->source_records,
        entry->target_records,
        (uint64_t)entry->finished_us,
    };
    size_t start = out->size;
    numbers_put(out, numbers, MIGRATION_NUMBERS);
    wire_put_bytes(out, MIGRATION_SPLIT_USER, key_span(&entry->split_user));
    wire_put_bytes(out, MIGRATION_SPLIT_CONVERSATION, key_span(&entry->split_conversation));
    wire_put_bytes(out, MIGRATION_ERROR,
                   span_of(entry->last_error, strnlen(entry->last_error, sizeof(entry->last_error) - 1)));
    sum_put(out, start);
}

static void migration_numbers_take(struct migration_entry *entry, const uint64_t numbers[MIGRATION_NUMBERS])
{
    entry->from = (uint32_t)numbers[0];
    entry->to = (uint32_t)numbers[1];
    entry->state = (uint32_t)numbers[2];
    entry->attempts = (uint32_t)numbers[3];
    entry->messages_total = numbers[4];
    entry->messages_moved = numbers[5];
    entry->conversations_total = numbers[6];
    entry->conversations_moved = numbers[7];
    entry->quarantined = numbers[8];
    memcpy(entry->source_digest, &numbers[9], sizeof(entry->source_digest));
    memcpy(entry->target_digest, &numbers[11], sizeof(entry->target_digest));
    entry->started_us = (int64_t)numbers[13];
    entry->split = numbers[14] != 0;
    entry->split_seq = numbers[15];
    entry->split_user_number = numbers[16];
    entry->split_conversation_number = numbers[17];
    entry->source_records = numbers[18];
    entry->target_records = numbers[19];
    entry->finished_us = (int64_t)numbers[20];
}

static int key_take(struct key *key, struct span bytes)
{
    if (bytes.size > sizeof(key->bytes)) {
        return -1;
    }
    memcpy(key->bytes, bytes.data, bytes.size);
    key->size = bytes.size;
    return 0;
}

static int migration_bytes_take(struct migration_entry *entry, const struct wire_field *field)
{
    switch (field->number) {
    case MIGRATION_SPLIT_USER:
        return key_take(&entry->split_user, field->bytes);
    case MIGRATION_SPLIT_CONVERSATION:
        return key_take(&entry->split_conversation, field->bytes);
    case MIGRATION_ERROR:
        if (field->bytes.size >= sizeof(entry->last_error)) {
            return -1;
        }
        memcpy(entry->last_error, field->bytes.data, field->bytes.size);
        return 0;
    default:
        return -1;
    }
}

int entry_get_migration(struct span bytes, struct migration_entry *ret)
{
    uint64_t numbers[MIGRATION_NUMBERS] = {0};
    struct migration_entry entry = {0};
    struct wire_field field;
    int rc = sum_take(&bytes);
    while (rc == 0 && (rc = wire_next(&bytes, &field)) == 1) {
        rc = 0;
        if (field.type == WIRE_VARINT && field.number <= MIGRATION_NUMBERS) {
            numbers[field.number - 1] = field.value;
        } else {
            rc = field.type == WIRE_BYTES ? migration_bytes_take(&entry, &field) : -1;
        }
    }
    if (rc) {
        return -1;
    }
    migration_numbers_take(&entry, numbers);
    *ret = entry;
    return 0;
}
