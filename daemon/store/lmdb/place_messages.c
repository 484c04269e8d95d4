/* Putting messages where a conversation is: as records of their own, or packed in runs in a layout that has them. */
#include "store/lmdb/work.h"

#include <assert.h>
#include <stdlib.h>

static void record_put(struct work *work, const struct place *side, uint64_t seq, struct span record)
{
    struct key key = side->layout->message_key(side, seq);
    buffer_clear(work->scratch);
    buffer_append(work->scratch, record.data, record.size);
    layout_seal(side->layout, key_span(&key), work->scratch);
    work_put_scratch(work, side->layout->tables[KIND_MESSAGE], key_span(&key));
}

static void records_put(struct work *work, const struct place *side, const struct run_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        record_put(work, side, messages[i].seq, messages[i].record);
    }
}

static void runs_put(struct work *work, const struct place *side, const struct run_message *messages, size_t count)
{
    for (size_t taken; count > 0 && !work->txn.rc; messages += taken, count -= taken) {
        taken = run_pack(messages, count, work->txn.packing, work->scratch);
        if (taken > 0) {
            struct key key = side->layout->message_key(side, messages[taken - 1].seq);
            layout_seal(side->layout, key_span(&key), work->scratch);
            work_put_scratch(work, side->layout->tables[KIND_MESSAGE], key_span(&key));
        } else if (work->scratch->failed) {
            txn_fail_memory(&work->txn);
        } else {
            taken = 1;
            record_put(work, side, messages[0].seq, messages[0].record);
        }
    }
}

/* A run taken out of the store, to be put back otherwise. */
struct opened {
    struct key key;
    struct buffer raw;
    struct run_message messages[RUN_MESSAGES_MAX];
    size_t count;
};

/* Copies the run the cursor is at. False: it is none that can be read, or memory is short. */
static bool run_copy(struct work *work, const struct place *side, const struct cursor *cursor, struct opened *ret)
{
    struct span value = cursor->value;
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct run_info info;
    uint64_t last_seq;
    if (side->layout->parse_message(cursor->key, key_span(&prefix), &last_seq) ||
        layout_open(side->layout, cursor->key, &value) || !run_is(value) || run_info_get(value, &info)) {
        return false;
    }
    buffer_clear(&ret->raw);
    int rc = run_unpack(&info, last_seq, &ret->raw, ret->messages);
    if (ret->raw.failed) {
        txn_fail_memory(&work->txn);
    }
    ret->count = info.count;
    ret->key = cursor_copy_key(cursor);
    return rc == 0;
}

static void run_delete(struct work *work, const struct place *side, const struct opened *run)
{
    txn_delete(&work->txn, side->layout->tables[KIND_MESSAGE], key_span(&run->key));
}

/* Finds the run that a message of the seq is in, or could be. */
static bool run_find(struct work *work, const struct place *side, uint64_t seq, struct opened *ret)
{
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct key key = side->layout->message_key(side, seq);
    struct cursor cursor = cursor_open(&work->txn, side->layout->tables[KIND_MESSAGE]);
    bool found = cursor_seek(&cursor, key_span(&key)) && span_starts_with(cursor.key, key_span(&prefix)) &&
                 run_copy(work, side, &cursor, ret);
    cursor_close(&cursor);
    return found;
}

/* Finds the conversation's last run, if it stands last and has room. */
static bool tail_find(struct work *work, const struct place *side, struct opened *ret)
{
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct key end = key_end_of(prefix);
    struct cursor cursor = cursor_open(&work->txn, side->layout->tables[KIND_MESSAGE]);
    bool found = cursor_seek_below(&cursor, key_span(&end)) && span_starts_with(cursor.key, key_span(&prefix)) &&
                 cursor.value.size < RUN_FULL_BYTES && run_copy(work, side, &cursor, ret);
    cursor_close(&cursor);
    return found;
}

/* The tail's messages and the new ones, packed together. */
static void tail_extend(struct work *work, const struct place *side, struct opened *tail,
                        const struct run_message *messages, size_t count)
{
    struct run_message *all = calloc(tail->count + count, sizeof(*all));
    if (!all) {
        txn_fail_memory(&work->txn);
        return;
    }
    memcpy(all, tail->messages, tail->count * sizeof(*all));
    memcpy(all + tail->count, messages, count * sizeof(*all));
    run_delete(work, side, tail);
    runs_put(work, side, all, tail->count + count);
    free(all);
}

void place_append_messages(struct work *work, const struct conversation_place *place,
                           const struct run_message *messages, size_t count)
{
    const struct place *side = &place->head;
    if (!side->layout->has_runs || work->layouts.loose) {
        records_put(work, side, messages, count);
        return;
    }
    struct opened tail = {0};
    if (count > 0 && tail_find(work, side, &tail) && tail.messages[tail.count - 1].seq < messages[0].seq) {
        tail_extend(work, side, &tail, messages, count);
    } else {
        runs_put(work, side, messages, count);
    }
    buffer_free(&tail.raw);
}

/* Where the message is or would be. */
static const struct place *message_side(const struct conversation_place *place, uint64_t seq)
{
    return place->split && seq <= place->split_seq ? &place->moved : &place->head;
}

static void run_replace(struct work *work, const struct place *side, struct opened *run, uint64_t seq,
                        struct span record)
{
    size_t at = 0;
    while (at < run->count && run->messages[at].seq != seq) {
        at++;
    }
    assert(at < run->count); /* the caller has just read it */
    if (record.size > 0) {
        run->messages[at].record = record;
    } else {
        run->count--;
        memmove(&run->messages[at], &run->messages[at + 1], (run->count - at) * sizeof(run->messages[0]));
    }
    run_delete(work, side, run);
    if (work->layouts.loose) {
        records_put(work, side, run->messages, run->count);
    } else {
        runs_put(work, side, run->messages, run->count);
    }
}

void place_replace_message(struct work *work, const struct conversation_place *place, uint64_t seq, struct span record)
{
    const struct place *side = message_side(place, seq);
    struct opened run = {0};
    if (side->layout->has_runs && run_find(work, side, seq, &run)) {
        run_replace(work, side, &run, seq, record);
    } else if (record.size > 0) {
        record_put(work, side, seq, record);
    } else {
        struct key key = side->layout->message_key(side, seq);
        txn_delete(&work->txn, side->layout->tables[KIND_MESSAGE], key_span(&key));
    }
    buffer_free(&run.raw);
}

/* Removes everything at and above the seq on one side. */
static void side_cut(struct work *work, const struct place *side, uint64_t seq)
{
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct key key = side->layout->message_key(side, seq);
    struct opened run = {0};
    bool found = side->layout->has_runs && run_find(work, side, seq, &run);
    if (found) {
        size_t kept = 0;
        while (kept < run.count && run.messages[kept].seq < seq) {
            kept++;
        }
        run.count = kept;
    }
    struct cursor cursor = cursor_open(&work->txn, side->layout->tables[KIND_MESSAGE]);
    while (cursor_seek(&cursor, key_span(&key)) && span_starts_with(cursor.key, key_span(&prefix))) {
        cursor_delete(&cursor);
    }
    cursor_close(&cursor);
    if (found && work->layouts.loose) {
        records_put(work, side, run.messages, run.count);
    } else if (found) {
        runs_put(work, side, run.messages, run.count);
    }
    buffer_free(&run.raw);
}

void place_cut_messages(struct work *work, const struct conversation_place *place, uint64_t seq)
{
    if (place->split && seq <= place->split_seq) {
        side_cut(work, &place->moved, seq);
    }
    side_cut(work, &place->head, seq);
}
