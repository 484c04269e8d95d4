#include "store/lmdb/migrate_pack.h"

#include "store/lmdb/digest.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PACK_MESSAGES = 4 * RUN_MESSAGES_MAX,
    PACK_BYTES = 4 * RUN_RAW_MAX, /* so that most messages are put in a run once, not at its end and again */
    FIELD_BYTES = 8,              /* at most, of a record's head in a run */
};

struct pack {
    const struct place *side;
    struct span names;
    bool begun; /* the run below was looked at */
    struct run_message messages[PACK_MESSAGES];
    size_t count;
    size_t counted;      /* the first of them, from a run taken up again: in the digests already */
    struct buffer bytes; /* of the messages; reserved at once, so that they stay where they are */
    struct buffer raw;
    struct buffer value;
    struct run_message opened[RUN_MESSAGES_MAX]; /* of the run read last */
    struct buffer opened_raw;
};

struct pack *pack_new(void)
{
    struct pack *pack = calloc(1, sizeof(*pack));
    if (pack && !buffer_extend(&pack->bytes, PACK_BYTES)) {
        return pack_free(pack);
    }
    if (pack) {
        buffer_clear(&pack->bytes);
    }
    return pack;
}

struct pack *pack_free(struct pack *pack)
{
    if (pack) {
        buffer_free(&pack->bytes);
        buffer_free(&pack->raw);
        buffer_free(&pack->value);
        buffer_free(&pack->opened_raw);
        free(pack);
    }
    return NULL;
}

void pack_begin(struct mover *mover, const struct place *side, struct span names)
{
    struct pack *pack = mover->pack;
    assert(side->layout->has_runs && pack->count == 0);
    pack->side = side;
    pack->names = names;
    pack->begun = false;
}

static bool memory_check(struct mover *mover, const struct buffer *buffer)
{
    if (buffer->failed) {
        txn_fail_memory(&mover->work->txn);
    }
    return !mover_failed(mover);
}

/* Opens a value found in the store as a run. Returns how many messages it has, in pack->opened; 0: it is none. */
static size_t run_open(struct mover *mover, const struct place *side, struct span key, struct span value)
{
    struct pack *pack = mover->pack;
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct run_info info;
    uint64_t seq;
    buffer_clear(&pack->opened_raw);
    if (!run_is(value) || layout_open(side->layout, key, &value) || run_info_get(value, &info) ||
        side->layout->parse_message(key, key_span(&prefix), &seq)) {
        return 0;
    }
    bool sound = run_unpack(&info, seq, &pack->opened_raw, pack->opened) == 0;
    return memory_check(mover, &pack->opened_raw) && sound ? info.count : 0;
}

static void message_digest(uint64_t digest[2], struct span names, const struct run_message *message)
{
    struct key name = {0};
    key_add(&name, names);
    key_add_digits(&name, message->seq, KEY_SEQ_DIGITS);
    digest_add(&digest[0], &digest[1], key_span(&name), message->record);
}

static void target_count(struct mover *mover, struct span names, const struct run_message *message)
{
    message_digest(mover->entry.target_digest, names, message);
    mover->entry.target_records++;
}

static void value_put(struct mover *mover, const struct place *side, const struct key *key)
{
    struct buffer *value = &mover->pack->value;
    layout_seal(side->layout, key_span(key), value);
    if (memory_check(mover, value)) {
        txn_put(&mover->work->txn, side->layout->tables[KIND_MESSAGE], key_span(key), buffer_span(value));
    }
}

static bool value_get(struct mover *mover, const struct place *side, const struct key *key, struct span *ret)
{
    struct txn *txn = &mover->work->txn;
    bool found = !mover_failed(mover) && txn_get(txn, side->layout->tables[KIND_MESSAGE], key_span(key), ret);
    if (!found && !mover_failed(mover)) {
        mover_fail(mover, "what was put is not there");
    }
    return found;
}

/* Puts one message as a record of its own, and returns it as it is read back, for as long as nothing else is put. */
static struct run_message record_put(struct mover *mover, const struct place *side, const struct run_message *message)
{
    struct key key = side->layout->message_key(side, message->seq);
    struct span stored = {0};
    buffer_clear(&mover->pack->value);
    buffer_append(&mover->pack->value, message->record.data, message->record.size);
    mover->bytes += message->record.size; /* many times what the run took */
    value_put(mover, side, &key);
    if (value_get(mover, side, &key, &stored) &&
        (layout_open(side->layout, key_span(&key), &stored) || !span_equal(stored, message->record))) {
        mover_fail(mover, "a record that was put reads back otherwise");
    }
    return (struct run_message){message->seq, stored};
}

/* Puts pack->value, the run of these messages, and reads it back. */
static void run_put(struct mover *mover, const struct run_message *messages, size_t count)
{
    struct pack *pack = mover->pack;
    struct key key = pack->side->layout->message_key(pack->side, messages[count - 1].seq);
    struct span stored = {0};
    value_put(mover, pack->side, &key);
    if (!value_get(mover, pack->side, &key, &stored)) {
        return;
    }
    bool same = run_open(mover, pack->side, key_span(&key), stored) == count;
    for (size_t i = 0; i < count && same; i++) {
        same = pack->opened[i].seq == messages[i].seq && span_equal(pack->opened[i].record, messages[i].record);
    }
    if (!same && !mover_failed(mover)) {
        mover_fail(mover, "a run that was packed reads back otherwise");
    }
}

/* Puts a run of the first of these messages. Returns how many it took. */
static size_t some_put(struct mover *mover, size_t from)
{
    struct pack *pack = mover->pack;
    const struct run_message *messages = &pack->messages[from];
    size_t taken = run_pack(messages, pack->count - from, &pack->raw, &pack->value);
    if (!memory_check(mover, &pack->raw) || !memory_check(mover, &pack->value)) {
        return 0;
    }
    if (taken > 0) {
        run_put(mover, messages, taken);
    } else { /* its record does not begin as it should */
        taken = 1;
        pack->opened[0] = record_put(mover, pack->side, messages);
    }
    for (size_t i = 0; i < taken && !mover_failed(mover); i++) {
        if (from + i >= pack->counted) {
            target_count(mover, pack->names, &pack->opened[i]);
        }
    }
    return taken;
}

/* Takes the first `count` away. */
static void messages_drop(struct pack *pack, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += pack->messages[i].record.size;
    }
    pack->bytes.size -= bytes;
    memmove(pack->bytes.data, pack->bytes.data + bytes, pack->bytes.size);
    pack->count -= count;
    pack->counted = pack->counted > count ? pack->counted - count : 0;
    memmove(pack->messages, &pack->messages[count], pack->count * sizeof(pack->messages[0]));
    const uint8_t *data = pack->bytes.data;
    for (size_t i = 0; i < pack->count; i++) {
        pack->messages[i].record.data = data;
        data += pack->messages[i].record.size;
    }
}

/* Puts runs until what is left may be less than one run takes, or all. */
static void runs_put(struct mover *mover, bool all)
{
    struct pack *pack = mover->pack;
    size_t done = 0;
    size_t left = pack->bytes.size + FIELD_BYTES * pack->count;
    while (done < pack->count && !mover_failed(mover) &&
           (all || left > RUN_RAW_MAX || pack->count - done > RUN_MESSAGES_MAX)) {
        for (size_t taken = some_put(mover, done); taken > 0; taken--, done++) {
            left -= FIELD_BYTES + pack->messages[done].record.size;
        }
    }
    messages_drop(pack, mover_failed(mover) ? pack->count : done);
}

static void message_take(struct pack *pack, uint64_t seq, struct span record)
{
    size_t at = pack->bytes.size;
    assert(pack->count < PACK_MESSAGES && record.size <= PACK_BYTES - at);
    buffer_append(&pack->bytes, record.data, record.size);
    pack->messages[pack->count++] = (struct run_message){seq, span_of(pack->bytes.data + at, record.size)};
}

/* Takes up the run that stands last below the seq, if it has room: a slice before this one may have ended there. */
static void tail_take(struct mover *mover, uint64_t seq)
{
    struct pack *pack = mover->pack;
    struct key prefix = pack->side->layout->conversation_prefix(pack->side, KIND_MESSAGE);
    struct key key = pack->side->layout->message_key(pack->side, seq);
    struct cursor cursor = cursor_open(&mover->work->txn, pack->side->layout->tables[KIND_MESSAGE]);
    size_t count = 0;
    if (cursor_seek_below(&cursor, key_span(&key)) && span_starts_with(cursor.key, key_span(&prefix)) &&
        cursor.value.size < RUN_FULL_BYTES) {
        count = run_open(mover, pack->side, cursor.key, cursor.value);
    }
    if (count > 0) {
        cursor_delete(&cursor);
    }
    cursor_close(&cursor);
    for (size_t i = 0; i < count; i++) {
        message_take(pack, pack->opened[i].seq, pack->opened[i].record);
    }
    pack->counted = count;
    pack->begun = true;
}

bool pack_takes(struct span record)
{
    return record.size <= RUN_RAW_MAX - FIELD_BYTES;
}

void pack_count_source(struct mover *mover, struct span names, uint64_t seq, struct span record)
{
    const struct run_message message = {seq, record};
    message_digest(mover->entry.source_digest, names, &message);
    mover->entry.source_records++;
}

bool pack_add(struct mover *mover, uint64_t seq, struct span record, bool damaged)
{
    struct pack *pack = mover->pack;
    if (damaged || !pack_takes(record)) {
        pack_flush(mover);
        return false;
    }
    if (!pack->begun) {
        tail_take(mover, seq);
    }
    if (pack->count == PACK_MESSAGES || record.size > PACK_BYTES - pack->bytes.size) {
        runs_put(mover, false);
    }
    if (!mover_failed(mover)) {
        message_take(pack, seq, record);
    }
    return true;
}

void pack_flush(struct mover *mover)
{
    runs_put(mover, true);
    mover->pack->begun = false;
}

size_t pack_look(struct mover *mover, const struct place *side, const struct cursor *cursor)
{
    return run_open(mover, side, cursor->key, cursor->value);
}

size_t pack_take_apart(struct mover *mover, const struct place *side, struct cursor *cursor, struct span names)
{
    struct pack *pack = mover->pack;
    size_t count = run_open(mover, side, cursor->key, cursor->value);
    if (count > 0) {
        cursor_delete(cursor);
    }
    for (size_t i = 0; i < count && !mover_failed(mover); i++) {
        struct run_message stored = record_put(mover, side, &pack->opened[i]);
        if (names.size > 0 && !mover_failed(mover)) {
            pack_count_source(mover, names, pack->opened[i].seq, pack->opened[i].record);
            target_count(mover, names, &stored);
        }
    }
    return mover_failed(mover) ? 0 : count;
}
