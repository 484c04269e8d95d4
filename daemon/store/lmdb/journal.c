#include "store/lmdb/journal.h"

#include "base/wire.h"

#include <assert.h>

enum { NUMBER_BYTES = 8 };

/* The fields of a value; the order they stand in. */
enum {
    FIELD_REVISION = 1,
    FIELD_MESSAGE_COUNT,
    FIELD_CONTENT_BYTES,
    FIELD_UPDATE_TIME,
    FIELD_ACTIVITY_TIME,
    FIELD_HAS_IDS,
    FIELD_REQUEST_ID,
    FIELD_REQUEST,
    NUMBERS = FIELD_HAS_IDS,
};

static struct key id_key(uint64_t id)
{
    struct key key = {0};
    key_add_number(&key, id);
    return key;
}

static struct key entry_key(const struct journal_entry *entry)
{
    struct key key = id_key(entry->id);
    key_add_number(&key, entry->user_number);
    key_add_number(&key, entry->conversation_number);
    key_add_number(&key, entry->last_seq);
    return key;
}

static int key_parse(struct span key, struct journal_entry *ret)
{
    if (key.size != JOURNAL_KEY_BYTES) {
        return -1;
    }
    *ret = (struct journal_entry){
        .id = key_get_number(key.data),
        .user_number = key_get_number(key.data + NUMBER_BYTES),
        .conversation_number = key_get_number(key.data + 2 * NUMBER_BYTES),
        .last_seq = key_get_number(key.data + 3 * NUMBER_BYTES),
    };
    return 0;
}

void journal_put_head(struct buffer *out, const struct journal_entry *entry)
{
    wire_put_uint(out, FIELD_REVISION, entry->revision);
    wire_put_uint(out, FIELD_MESSAGE_COUNT, entry->message_count);
    wire_put_uint(out, FIELD_CONTENT_BYTES, entry->content_bytes);
    wire_put_uint(out, FIELD_UPDATE_TIME, (uint64_t)entry->update_time_us);
    wire_put_uint(out, FIELD_ACTIVITY_TIME, (uint64_t)entry->activity_time_us);
    wire_put_uint(out, FIELD_HAS_IDS, entry->has_ids);
    wire_put_bytes(out, FIELD_REQUEST_ID, entry->request_id);
    wire_put_bytes(out, FIELD_REQUEST, entry->request);
}

void journal_put(struct work *work, const struct journal_entry *entry)
{
    struct key key = entry_key(entry);
    layout_seal(&layout_3, key_span(&key), work->scratch);
    if (work->scratch->failed) {
        txn_fail_memory(&work->txn);
        return;
    }
    txn_put_last(&work->txn, TABLE_3_JOURNAL, key_span(&key), buffer_span(work->scratch));
}

void journal_put_fold(struct work *work, uint64_t id, uint64_t user_number, uint64_t conversation_number)
{
    const struct journal_entry mark = {
        .id = id, .user_number = user_number, .conversation_number = conversation_number};
    buffer_clear(work->scratch);
    wire_put_uint(work->scratch, FIELD_REVISION, 1); /* so that the value is not empty */
    journal_put(work, &mark);
}

int journal_parse_value(struct span value, struct journal_entry *entry)
{
    uint64_t numbers[NUMBERS + 1] = {0};
    struct wire_field field;
    struct span rest = value;
    int found;
    while ((found = wire_next(&value, &field)) == 1 && field.number <= FIELD_REQUEST) {
        if (field.type == WIRE_VARINT && field.number <= NUMBERS) {
            numbers[field.number] = field.value;
        } else if (field.type == WIRE_BYTES && field.number == FIELD_REQUEST_ID) {
            entry->request_id = field.bytes;
        } else if (field.type == WIRE_BYTES && field.number == FIELD_REQUEST) {
            entry->request = field.bytes;
        } else {
            return -1;
        }
        rest = value;
    }
    entry->revision = numbers[FIELD_REVISION];
    entry->message_count = numbers[FIELD_MESSAGE_COUNT];
    entry->content_bytes = numbers[FIELD_CONTENT_BYTES];
    entry->update_time_us = (int64_t)numbers[FIELD_UPDATE_TIME];
    entry->activity_time_us = (int64_t)numbers[FIELD_ACTIVITY_TIME];
    entry->has_ids = numbers[FIELD_HAS_IDS] != 0;
    entry->messages = rest;
    return found < 0 ? -1 : 0;
}

static enum get_result entry_open(struct span key, struct span value, struct journal_entry *entry)
{
    return layout_open(&layout_3, key, &value) || journal_parse_value(value, entry) ? GET_DAMAGED : GET_FOUND;
}

bool journal_find(struct txn *txn, uint64_t id, struct span *ret_key, struct span *ret_value)
{
    struct key key = id_key(id);
    struct cursor cursor = cursor_open(txn, TABLE_3_JOURNAL);
    bool found = cursor_seek(&cursor, key_span(&key)) && span_starts_with(cursor.key, key_span(&key));
    if (found) {
        *ret_key = cursor.key;
        *ret_value = cursor.value;
    }
    cursor_close(&cursor);
    return found;
}

enum get_result journal_get(struct txn *txn, uint64_t id, struct journal_entry *ret)
{
    struct span key, value;
    if (!journal_find(txn, id, &key, &value) || key_parse(key, ret)) {
        return GET_MISSING;
    }
    return entry_open(key, value, ret);
}

int journal_next_message(struct journal_entry *entry, struct message_record *ret, struct span *ret_bytes)
{
    struct wire_field field;
    int found = wire_next(&entry->messages, &field);
    if (found != 1) {
        return found;
    }
    if (field.number != JOURNAL_MESSAGE_FIELD || field.type != WIRE_BYTES || record_get_message(field.bytes, ret)) {
        return -1;
    }
    *ret_bytes = field.bytes;
    return 1;
}

static bool key_is_below(struct span key, uint64_t id)
{
    return key.size < NUMBER_BYTES || key_get_number(key.data) < id;
}

bool journal_truncate(struct work *work, uint64_t id, size_t records)
{
    struct cursor cursor = cursor_open(&work->txn, TABLE_3_JOURNAL);
    bool more = cursor_first(&cursor) && key_is_below(cursor.key, id);
    for (; more && records > 0; records--) {
        more = cursor_delete_next(&cursor) && key_is_below(cursor.key, id);
    }
    cursor_close(&cursor);
    return !more;
}

bool journal_scan(struct txn *txn, uint64_t from, journal_visit *visit, void *arg)
{
    struct key key = id_key(from);
    struct cursor cursor = cursor_open(txn, TABLE_3_JOURNAL);
    bool going = true;
    for (bool more = cursor_seek(&cursor, key_span(&key)); more && going; more = cursor_next(&cursor)) {
        struct journal_entry entry;
        if (key_parse(cursor.key, &entry) == 0) {
            entry.value_size = cursor.value.size;
            going = visit(arg, &entry, entry_open(cursor.key, cursor.value, &entry) == GET_DAMAGED);
        }
    }
    cursor_close(&cursor);
    return going && !txn->rc;
}

void journal_delete(struct work *work, const struct journal_entry *entry)
{
    struct key key = entry_key(entry);
    txn_delete(&work->txn, TABLE_3_JOURNAL, key_span(&key));
}

/* Entries of a user, found by a scan. */
enum { SEARCH_LOOKS = 20000, SEARCH_FINDS = 500 };
struct search {
    uint64_t user_number;
    uint64_t position;
    size_t looks;
    size_t count;
    struct journal_entry found[SEARCH_FINDS];
};

static bool search_visit(void *arg, const struct journal_entry *entry, bool damaged)
{
    struct search *search = arg;
    (void)damaged;
    if (search->looks == SEARCH_LOOKS || search->count == SEARCH_FINDS) {
        return false;
    }
    search->looks++;
    search->position = entry->id + 1;
    if (entry->user_number == search->user_number) {
        search->found[search->count++] = *entry;
    }
    return true;
}

bool journal_remove_user(struct work *work, uint64_t user_number, uint64_t *position, size_t *removed)
{
    struct search search = {.user_number = user_number, .position = *position};
    bool done = journal_scan(&work->txn, *position, search_visit, &search);
    for (size_t i = 0; i < search.count; i++) {
        journal_delete(work, &search.found[i]);
    }
    *position = search.position;
    *removed += search.count;
    return done;
}

uint64_t journal_last(struct txn *txn)
{
    struct cursor cursor = cursor_open(txn, TABLE_3_JOURNAL);
    struct key end = id_key(UINT64_MAX);
    bool found = cursor_seek_below(&cursor, key_span(&end)) && cursor.key.size == JOURNAL_KEY_BYTES;
    uint64_t last = found ? key_get_number(cursor.key.data) : 0;
    cursor_close(&cursor);
    return last;
}

uint64_t journal_span(struct txn *txn)
{
    struct cursor cursor = cursor_open(txn, TABLE_3_JOURNAL);
    bool found = cursor_first(&cursor) && cursor.key.size == JOURNAL_KEY_BYTES;
    uint64_t first = found ? key_get_number(cursor.key.data) : 0;
    cursor_close(&cursor);
    uint64_t last = found ? journal_last(txn) : 0;
    return last > 0 ? last - first + 1 : 0;
}
