#include "store/record.h"

#include "base/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum field_kind { FIELD_U64, FIELD_U32, FIELD_BOOL, FIELD_BYTES, FIELD_METADATA, FIELD_ETAG };

/* One row for each field of a record: its number in the contract and its place in the struct. */
struct field_row {
    uint32_t number;
    enum field_kind kind;
    size_t offset;
};

enum {
    CONVERSATION_ID_NUMBER = 1,
    MESSAGE_METADATA_NUMBER = 12,
    PAIR_KEY_NUMBER = 1,
    PAIR_VALUE_NUMBER = 2,
    ETAG_DIGITS_MAX = 20
};

/* Signed times are kept as U64: the same bits, and the same varint as protobuf's int64. */
#define ROW(number, kind, type, member)                                                                                \
    {                                                                                                                  \
        number, kind, offsetof(struct type, member)                                                                    \
    }

static const struct field_row conversation_rows[] = {
    ROW(CONVERSATION_ID_NUMBER, FIELD_BYTES, conversation_record, conversation_id),
    ROW(2, FIELD_BYTES, conversation_record, title),
    ROW(3, FIELD_METADATA, conversation_record, metadata),
    ROW(4, FIELD_BOOL, conversation_record, archived),
    ROW(5, FIELD_U64, conversation_record, expire_time_us),
    ROW(6, FIELD_ETAG, conversation_record, revision),
    ROW(7, FIELD_U64, conversation_record, create_time_us),
    ROW(8, FIELD_U64, conversation_record, update_time_us),
    ROW(9, FIELD_U64, conversation_record, activity_time_us),
    ROW(10, FIELD_U64, conversation_record, delete_time_us),
    ROW(11, FIELD_U64, conversation_record, purge_time_us),
    ROW(12, FIELD_U64, conversation_record, message_count),
    ROW(13, FIELD_U64, conversation_record, last_seq),
    ROW(14, FIELD_U64, conversation_record, content_bytes),
};

static const struct field_row message_rows[] = {
    ROW(1, FIELD_U64, message_record, seq),
    ROW(2, FIELD_U64, message_record, create_time_us),
    ROW(3, FIELD_U64, message_record, update_time_us),
    ROW(4, FIELD_U32, message_record, revision),
    ROW(5, FIELD_U64, message_record, content_size),
    ROW(6, FIELD_BYTES, message_record, message_id),
    ROW(7, FIELD_BYTES, message_record, role),
    ROW(8, FIELD_BYTES, message_record, content_type),
    ROW(9, FIELD_BYTES, message_record, author),
    ROW(10, FIELD_U32, message_record, token_count),
    ROW(11, FIELD_U64, message_record, sent_time_us),
    ROW(MESSAGE_METADATA_NUMBER, FIELD_METADATA, message_record, metadata),
    ROW(13, FIELD_BYTES, message_record, content),
};

static const struct field_row event_rows[] = {
    ROW(1, FIELD_U64, event_record, time_us),        ROW(2, FIELD_U32, event_record, action),
    ROW(3, FIELD_BYTES, event_record, principal),    ROW(4, FIELD_BYTES, event_record, user),
    ROW(5, FIELD_BYTES, event_record, conversation), ROW(6, FIELD_U64, event_record, first_seq),
    ROW(7, FIELD_U64, event_record, last_seq),       ROW(8, FIELD_BYTES, event_record, request_id),
    ROW(9, FIELD_U64, event_record, commit_id),      ROW(10, FIELD_U64, event_record, conversations),
    ROW(11, FIELD_U64, event_record, messages),      ROW(12, FIELD_U64, event_record, content_bytes),
    ROW(13, FIELD_BYTES, event_record, digest),      ROW(14, FIELD_U32, event_record, from_layout),
    ROW(15, FIELD_U32, event_record, to_layout),
};

#define ROWS(table) (table), sizeof(table) / sizeof((table)[0])

static const enum wire_type kind_wire_type[] = {
    [FIELD_U64] = WIRE_VARINT,  [FIELD_U32] = WIRE_VARINT,     [FIELD_BOOL] = WIRE_VARINT,
    [FIELD_BYTES] = WIRE_BYTES, [FIELD_METADATA] = WIRE_BYTES, [FIELD_ETAG] = WIRE_BYTES,
};

static size_t pair_size(const struct store_pair *pair)
{
    return wire_element_size(PAIR_KEY_NUMBER, pair->key.size) + wire_element_size(PAIR_VALUE_NUMBER, pair->value.size);
}

static void metadata_put(struct buffer *out, uint32_t number, const struct record_metadata *metadata)
{
    if (metadata->raw.size > 0) {
        buffer_append(out, metadata->raw.data, metadata->raw.size);
    }
    for (size_t i = 0; i < metadata->count; i++) {
        const struct store_pair *pair = &metadata->pairs[i];
        wire_put_header(out, number, pair_size(pair));
        wire_put_element(out, PAIR_KEY_NUMBER, pair->key);
        wire_put_element(out, PAIR_VALUE_NUMBER, pair->value);
    }
}

static void etag_put(struct buffer *out, uint32_t number, uint64_t revision)
{
    char etag[ETAG_DIGITS_MAX + 1];
    int size = snprintf(etag, sizeof(etag), "%" PRIu64, revision);
    wire_put_bytes(out, number, span_of(etag, (size_t)size));
}

static uint64_t number_load(const struct field_row *row, const void *member)
{
    uint64_t u64;
    uint32_t u32;
    bool truth;
    switch (row->kind) {
    case FIELD_BOOL:
        memcpy(&truth, member, sizeof(truth));
        return truth;
    case FIELD_U32:
        memcpy(&u32, member, sizeof(u32));
        return u32;
    default:
        memcpy(&u64, member, sizeof(u64));
        return u64;
    }
}

static void record_put(struct buffer *out, const struct field_row *rows, size_t count, const void *record)
{
    for (size_t i = 0; i < count; i++) {
        const void *member = (const uint8_t *)record + rows[i].offset;
        struct record_metadata metadata;
        struct span bytes;
        switch (rows[i].kind) {
        case FIELD_U64:
        case FIELD_U32:
        case FIELD_BOOL:
            wire_put_uint(out, rows[i].number, number_load(&rows[i], member));
            break;
        case FIELD_BYTES:
            memcpy(&bytes, member, sizeof(bytes));
            wire_put_bytes(out, rows[i].number, bytes);
            break;
        case FIELD_METADATA:
            memcpy(&metadata, member, sizeof(metadata));
            metadata_put(out, rows[i].number, &metadata);
            break;
        case FIELD_ETAG:
            etag_put(out, rows[i].number, number_load(&rows[i], member));
            break;
        }
    }
}

static int number_store(const struct field_row *row, uint64_t value, void *member)
{
    uint32_t u32 = (uint32_t)value;
    bool truth = value != 0;
    switch (row->kind) {
    case FIELD_BOOL:
        memcpy(member, &truth, sizeof(truth));
        return value > 1 ? -1 : 0;
    case FIELD_U32:
        memcpy(member, &u32, sizeof(u32));
        return value > UINT32_MAX ? -1 : 0;
    default:
        memcpy(member, &value, sizeof(value));
        return 0;
    }
}

/* Decimal, no leading zero: what etag_put writes. */
static int etag_parse(struct span etag, uint64_t *ret)
{
    uint64_t value = 0;
    if (etag.size == 0 || etag.size > ETAG_DIGITS_MAX || etag.data[0] == '0') {
        return -1;
    }
    for (size_t i = 0; i < etag.size; i++) {
        unsigned digit = (unsigned)etag.data[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return 0;
}

/* An entry of a map<string, string>: its key, then its value. */
static int pair_check(struct span entry)
{
    struct wire_field key, value;
    if (wire_next(&entry, &key) != 1 || key.number != PAIR_KEY_NUMBER || key.type != WIRE_BYTES) {
        return -1;
    }
    if (wire_next(&entry, &value) != 1 || value.number != PAIR_VALUE_NUMBER || value.type != WIRE_BYTES) {
        return -1;
    }
    return entry.size == 0 ? 0 : -1;
}

static int metadata_take(const struct wire_field *field, void *member)
{
    struct record_metadata metadata;
    memcpy(&metadata, member, sizeof(metadata));
    /* The entries stand side by side, because fields ascend. */
    const uint8_t *start = metadata.raw.size > 0 ? metadata.raw.data : field->whole.data;
    metadata.raw = span_of(start, metadata.raw.size + field->whole.size);
    memcpy(member, &metadata, sizeof(metadata));
    return pair_check(field->bytes);
}

static int field_take(const struct field_row *row, const struct wire_field *field, void *member)
{
    uint64_t revision;
    if (field->type != kind_wire_type[row->kind]) {
        return -1;
    }
    switch (row->kind) {
    case FIELD_BYTES:
        memcpy(member, &field->bytes, sizeof(field->bytes));
        return 0;
    case FIELD_METADATA:
        return metadata_take(field, member);
    case FIELD_ETAG:
        return etag_parse(field->bytes, &revision) ? -1 : number_store(row, revision, member);
    default:
        return number_store(row, field->value, member);
    }
}

static int record_get(struct span bytes, const struct field_row *rows, size_t count, void *record)
{
    struct wire_field field;
    size_t at = 0;
    uint32_t last = 0;
    int rc;
    while ((rc = wire_next(&bytes, &field)) == 1) {
        while (at < count && rows[at].number < field.number) {
            at++;
        }
        if (at == count || rows[at].number != field.number) {
            return -1;
        }
        if (field.number == last && rows[at].kind != FIELD_METADATA) {
            return -1;
        }
        last = field.number;
        if (field_take(&rows[at], &field, (uint8_t *)record + rows[at].offset)) {
            return -1;
        }
    }
    return rc;
}

void record_put_conversation(struct buffer *out, const struct conversation_record *record)
{
    assert(record->conversation_id.size > 0 && record->revision > 0);
    record_put(out, ROWS(conversation_rows), record);
}

void record_put_message(struct buffer *out, const struct message_record *record)
{
    assert(record->seq > 0 && record->revision > 0 && record->content_size == record->content.size);
    record_put(out, ROWS(message_rows), record);
}

void record_put_event(struct buffer *out, const struct event_record *record)
{
    assert(record->action != STORE_ACTION_NONE);
    record_put(out, ROWS(event_rows), record);
}

size_t record_message_bound(const struct message_record *record)
{
    enum { FIELD_OVERHEAD = 16 }; /* a tag and a varint take at most 15 bytes */
    size_t bound = sizeof(message_rows) / sizeof(message_rows[0]) * FIELD_OVERHEAD;
    bound += record->message_id.size + record->role.size + record->content_type.size + record->author.size;
    bound += record->metadata.raw.size + record->content.size;
    for (size_t i = 0; i < record->metadata.count; i++) {
        bound += FIELD_OVERHEAD + pair_size(&record->metadata.pairs[i]);
    }
    return bound;
}

int record_get_conversation(struct span bytes, struct conversation_record *ret)
{
    struct conversation_record record = {0};
    if (record_get(bytes, ROWS(conversation_rows), &record) || record.conversation_id.size == 0 ||
        record.revision == 0) {
        return -1;
    }
    *ret = record;
    return 0;
}

int record_get_message(struct span bytes, struct message_record *ret)
{
    struct message_record record = {0};
    if (record_get(bytes, ROWS(message_rows), &record) || record.seq == 0 || record.revision == 0 ||
        record.content_size != record.content.size) {
        return -1;
    }
    if (record.message_id.size > CHATLOG_CAP_id_bytes) { /* it is to become a part of a key */
        return -1;
    }
    *ret = record;
    return 0;
}

int record_get_event(struct span bytes, struct event_record *ret)
{
    struct event_record record = {0};
    if (record_get(bytes, ROWS(event_rows), &record) || record.action == STORE_ACTION_NONE) {
        return -1;
    }
    if (record.user.size > CHATLOG_CAP_id_bytes) { /* it is to become a part of a key */
        return -1;
    }
    *ret = record;
    return 0;
}

struct span record_conversation_id(struct span conversation)
{
    struct wire_field field;
    bool found =
        wire_next(&conversation, &field) == 1 && field.number == CONVERSATION_ID_NUMBER && field.type == WIRE_BYTES;
    return found ? field.bytes : span_of(NULL, 0);
}

struct span record_basic_view(struct span message)
{
    struct span rest = message;
    struct wire_field field;
    size_t size = 0;
    while (wire_next(&rest, &field) == 1 && field.number < MESSAGE_METADATA_NUMBER) {
        size += field.whole.size;
    }
    return span_of(message.data, size);
}

int64_t record_gone_time(const struct conversation_record *record)
{
    int64_t expire = record->expire_time_us;
    int64_t purge = record->purge_time_us;
    if (expire == 0 || purge == 0) {
        return expire ? expire : purge;
    }
    return expire < purge ? expire : purge;
}
