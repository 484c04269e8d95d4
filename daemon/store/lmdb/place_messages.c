/* Putting messages where a conversation is: as records of their own, or packed in runs in a layout that has them. */
#include "store/lmdb/run_opened.h"
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

static void run_put(struct work *work, const struct place *side, uint64_t last_seq)
{
    struct key key = side->layout->message_key(side, last_seq);
    layout_seal(side->layout, key_span(&key), work->scratch);
    work_put_scratch(work, side->layout->tables[KIND_MESSAGE], key_span(&key));
}

static void runs_put(struct work *work, const struct place *side, const struct run_message *messages, size_t count)
{
    for (size_t taken; count > 0 && !work->txn.rc; messages += taken, count -= taken) {
        taken = run_pack(messages, count, work->txn.packing, work->scratch);
        if (taken > 0) {
            run_put(work, side, messages[taken - 1].seq);
        } else if (work->scratch->failed) {
            txn_fail_memory(&work->txn);
        } else {
            taken = 1;
            record_put(work, side, messages[0].seq, messages[0].record);
        }
    }
}

static void packed_put(struct work *work, const struct place *side, const struct packed *packed)
{
    for (size_t i = 0; i < packed->count; i++) {
        const struct packed_run *run = &packed->runs[i];
        buffer_clear(work->scratch);
        buffer_append(work->scratch, run->value.data, run->value.size);
        run_put(work, side, run->last_seq);
    }
}

static void run_delete(struct work *work, const struct place *side, struct key key)
{
    txn_delete(&work->txn, side->layout->tables[KIND_MESSAGE], key_span(&key));
}

/* Packs the messages together with those of the tail. */
static void tail_extend(struct work *work, const struct place *side, const struct run_tail *tail,
                        const struct run_message *messages, size_t count)
{
    struct run_opened opened;
    size_t all_count = 0;
    run_opened_init(&opened);
    struct run_message *all = run_tail_extend(&work->txn, tail, messages, count, &opened, &all_count);
    if (opened.count > 0) {
        run_delete(work, side, opened.key);
    }
    runs_put(work, side, all, all_count);
    free(all);
    run_opened_release(&opened);
}

void place_append_messages(struct work *work, const struct conversation_place *place,
                           const struct run_message *messages, size_t count)
{
    const struct place *side = &place->head;
    if (!side->layout->has_runs || work->layouts.loose) {
        records_put(work, side, messages, count);
        return;
    }
    if (count == 0) {
        return;
    }
    struct run_tail tail = run_tail_find(&work->txn, side);
    if (tail.last_seq >= messages[0].seq) {
        runs_put(work, side, messages, count);
        return;
    }
    const struct packed_input input = {.tail = tail.value, .messages = messages, .count = count};
    const struct packed *packed = packed_runs_find(work->packed, side->conversation_number, &input);
    if (!packed) {
        tail_extend(work, side, &tail, messages, count);
        return;
    }
    if (tail.value.size > 0) {
        run_delete(work, side, tail.key);
    }
    packed_put(work, side, packed);
}

/* Where the message is or would be. */
static const struct place *message_side(const struct conversation_place *place, uint64_t seq)
{
    return place->split && seq <= place->split_seq ? &place->moved : &place->head;
}

static void run_replace(struct work *work, const struct place *side, struct run_opened *run, uint64_t seq,
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
    run_delete(work, side, run->key);
    if (work->layouts.loose) {
        records_put(work, side, run->messages, run->count);
    } else {
        runs_put(work, side, run->messages, run->count);
    }
}

void place_replace_message(struct work *work, const struct conversation_place *place, uint64_t seq, struct span record)
{
    const struct place *side = message_side(place, seq);
    struct run_opened run;
    run_opened_init(&run);
    if (side->layout->has_runs && run_opened_find(&work->txn, side, seq, &run)) {
        run_replace(work, side, &run, seq, record);
    } else if (record.size > 0) {
        record_put(work, side, seq, record);
    } else {
        struct key key = side->layout->message_key(side, seq);
        txn_delete(&work->txn, side->layout->tables[KIND_MESSAGE], key_span(&key));
    }
    run_opened_release(&run);
}

/* Removes everything at and above the seq on one side. */
static void side_cut(struct work *work, const struct place *side, uint64_t seq)
{
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct key key = side->layout->message_key(side, seq);
    struct run_opened run;
    run_opened_init(&run);
    bool found = side->layout->has_runs && run_opened_find(&work->txn, side, seq, &run);
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
    run_opened_release(&run);
}

void place_cut_messages(struct work *work, const struct conversation_place *place, uint64_t seq)
{
    if (place->split && seq <= place->split_seq) {
        side_cut(work, &place->moved, seq);
    }
    side_cut(work, &place->head, seq);
}
