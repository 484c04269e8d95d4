/* A conversation's messages in order: those in `moved` of one that is split, those beside the head, those in the
 * journal. Each may be a record of its own, or in a run. */
#include "store/lmdb/journal_part.h"

#include <stdlib.h>

void message_cursor_open(struct txn *txn, const struct conversation_place *place, struct message_cursor *ret)
{
    *ret = (struct message_cursor){.txn = txn, .place = place};
}

static void lmdb_cursor_close(struct message_cursor *cursor)
{
    if (cursor->is_open) {
        cursor_close(&cursor->cursor);
        cursor->is_open = false;
    }
}

static void batches_free(struct message_cursor *cursor)
{
    while (cursor->batches) {
        struct message_batch *batch = cursor->batches;
        cursor->batches = batch->next;
        buffer_free(&batch->raw);
        free(batch);
    }
    cursor->batch = NULL;
}

void message_cursor_close(struct message_cursor *cursor)
{
    lmdb_cursor_close(cursor);
    batches_free(cursor);
}

static void side_open(struct message_cursor *cursor, const struct place *side)
{
    if (cursor->is_open && cursor->side == side) {
        return;
    }
    lmdb_cursor_close(cursor);
    cursor->side = side;
    cursor->prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    cursor->cursor = cursor_open(cursor->txn, side->layout->tables[KIND_MESSAGE]);
    cursor->is_open = true;
}

static void batch_keep(struct message_cursor *cursor, struct message_batch *batch)
{
    if (!cursor->keeps) {
        batches_free(cursor);
    }
    batch->next = cursor->batches;
    cursor->batches = batch;
    cursor->batch = batch;
}

/* Stands at a message of the batch. */
static bool batch_take(struct message_cursor *cursor, size_t index)
{
    const struct run_message *message = &cursor->batch->messages[index];
    cursor->index = index;
    cursor->seq = message->seq;
    cursor->record = message->record;
    cursor->damaged = message->record.size == 0;
    return true;
}

/* Unpacks the run it stands at. False: it is damaged, or memory is short. */
static bool run_load(struct message_cursor *cursor, struct span value)
{
    struct run_info info;
    if (run_info_get(value, &info)) {
        return false;
    }
    struct message_batch *batch = calloc(1, sizeof(*batch) + info.count * sizeof(batch->messages[0]));
    if (!batch) {
        txn_fail_memory(cursor->txn);
        return false;
    }
    batch->count = info.count;
    batch_keep(cursor, batch);
    bool sound = run_unpack(&info, cursor->seq, &batch->raw, batch->messages) == 0;
    if (batch->raw.failed) {
        txn_fail_memory(cursor->txn);
    }
    if (!sound) {
        cursor->batch = NULL;
    }
    return sound;
}

/* Takes over what the inner cursor found, if it is one of the side's. Of a run, where it is entered: its last message,
 * its first, or the first at or above a seq. */
enum entrance { ENTER_LAST, ENTER_FIRST };

static bool side_take(struct message_cursor *cursor, bool found, enum entrance entrance, uint64_t seq)
{
    const struct place *side = cursor->side;
    struct span key = cursor->cursor.key;
    cursor->batch = NULL;
    if (!found || !span_starts_with(key, key_span(&cursor->prefix))) {
        return false;
    }
    if (cursor->peeks) {
        return true;
    }
    cursor->seq = 0;
    cursor->record = cursor->cursor.value;
    cursor->damaged = side->layout->parse_message(key, key_span(&cursor->prefix), &cursor->seq) ||
                      layout_open(side->layout, key, &cursor->record);
    if (cursor->damaged || !side->layout->has_runs || !run_is(cursor->record)) {
        return true;
    }
    if (!run_load(cursor, cursor->record)) {
        cursor->damaged = true;
        return !cursor->txn->rc;
    }
    size_t index = entrance == ENTER_LAST ? cursor->batch->count - 1 : 0;
    while (entrance == ENTER_FIRST && cursor->batch->messages[index].seq < seq) {
        index++; /* the last is not below: its seq is the key's */
    }
    return batch_take(cursor, index);
}

static bool side_first(struct message_cursor *cursor, const struct place *side)
{
    side_open(cursor, side);
    return side_take(cursor, cursor_seek(&cursor->cursor, key_span(&cursor->prefix)), ENTER_FIRST, 0);
}

static bool side_last(struct message_cursor *cursor, const struct place *side)
{
    side_open(cursor, side);
    struct key end = key_end_of(cursor->prefix);
    return side_take(cursor, cursor_seek_below(&cursor->cursor, key_span(&end)), ENTER_LAST, 0);
}

/* To the first in the journal at or above seq. */
static bool journal_first(struct message_cursor *cursor, uint64_t seq)
{
    struct message_batch *batch = cursor->place->journal ? journal_part_messages(cursor->txn, cursor->place) : NULL;
    if (!batch) {
        return false;
    }
    cursor->side = NULL;
    batch_keep(cursor, batch);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->messages[i].seq >= seq) {
            return batch_take(cursor, i);
        }
    }
    return false;
}

/* To the last in the journal below seq. */
static bool journal_last_below(struct message_cursor *cursor, uint64_t seq)
{
    if (!journal_first(cursor, 0)) {
        return false;
    }
    for (size_t i = cursor->batch->count; i > 0; i--) {
        if (cursor->batch->messages[i - 1].seq < seq) {
            return batch_take(cursor, i - 1);
        }
    }
    return false;
}

static bool home_seek(struct message_cursor *cursor, const struct place *side, uint64_t seq)
{
    side_open(cursor, side);
    struct key key = side->layout->message_key(side, seq);
    return side_take(cursor, cursor_seek(&cursor->cursor, key_span(&key)), ENTER_FIRST, seq);
}

bool message_cursor_seek(struct message_cursor *cursor, uint64_t seq)
{
    const struct conversation_place *place = cursor->place;
    bool moved = place->split && seq <= place->split_seq;
    if (seq > KEY_SEQ_MAX) {
        return false;
    }
    if (place->journal && seq > place->journal->home_last_seq) {
        return journal_first(cursor, seq);
    }
    return home_seek(cursor, moved ? &place->moved : &place->head, seq) ||
           (moved && side_first(cursor, &place->head)) || journal_first(cursor, 0);
}

static bool record_seek_below(struct message_cursor *cursor, const struct place *side, uint64_t seq)
{
    side_open(cursor, side);
    struct key key = side->layout->message_key(side, seq);
    return side_take(cursor, cursor_seek_below(&cursor->cursor, key_span(&key)), ENTER_LAST, 0);
}

/* Of what stands at or above seq a run may hold messages below it; so may something damaged, unless it has that very
 * key or all up to seq is before it. */
static bool run_seek_below(struct message_cursor *cursor, const struct place *side, uint64_t seq)
{
    if (!home_seek(cursor, side, seq)) {
        return record_seek_below(cursor, side, seq);
    }
    if (cursor->batch && cursor->index > 0) {
        return batch_take(cursor, cursor->index - 1);
    }
    bool may_hold = cursor->damaged && cursor->seq > seq;
    bool found = side_take(cursor, cursor_previous(&cursor->cursor), ENTER_LAST, 0);
    uint64_t before = found ? cursor->seq : 0;
    return may_hold && before + 1 < seq ? home_seek(cursor, side, seq) : found;
}

static bool home_seek_below(struct message_cursor *cursor, uint64_t seq)
{
    const struct conversation_place *place = cursor->place;
    bool moved = place->split && seq <= place->split_seq;
    bool found;
    if (seq > KEY_SEQ_MAX) {
        found = side_last(cursor, &place->head);
    } else if ((moved ? place->moved : place->head).layout->has_runs) {
        found = run_seek_below(cursor, moved ? &place->moved : &place->head, seq);
    } else {
        found = record_seek_below(cursor, moved ? &place->moved : &place->head, seq);
    }
    return found || (place->split && !moved && side_last(cursor, &place->moved));
}

bool message_cursor_seek_below(struct message_cursor *cursor, uint64_t seq)
{
    const struct journal_part *journal = cursor->place->journal;
    return (journal && seq > journal->home_last_seq && journal_last_below(cursor, seq)) || home_seek_below(cursor, seq);
}

bool message_cursor_next(struct message_cursor *cursor)
{
    if (cursor->batch && cursor->index + 1 < cursor->batch->count) {
        return batch_take(cursor, cursor->index + 1);
    }
    if (!cursor->side) {
        return false;
    }
    bool moved = cursor->side == &cursor->place->moved;
    return side_take(cursor, cursor_next(&cursor->cursor), ENTER_FIRST, 0) ||
           (moved && side_first(cursor, &cursor->place->head)) || journal_first(cursor, 0);
}

bool message_cursor_previous(struct message_cursor *cursor)
{
    if (cursor->batch && cursor->index > 0) {
        return batch_take(cursor, cursor->index - 1);
    }
    if (!cursor->side) {
        return home_seek_below(cursor, UINT64_MAX);
    }
    bool moved = cursor->side == &cursor->place->moved;
    return side_take(cursor, cursor_previous(&cursor->cursor), ENTER_LAST, 0) ||
           (cursor->place->split && !moved && side_last(cursor, &cursor->place->moved));
}

enum get_result message_cursor_find(struct message_cursor *cursor, uint64_t seq)
{
    if (!message_cursor_seek(cursor, seq)) {
        return GET_MISSING;
    }
    if (cursor->damaged && (cursor->seq == seq || !cursor->side || cursor->side->layout->has_runs)) {
        return GET_DAMAGED;
    }
    return cursor->seq == seq ? GET_FOUND : GET_MISSING;
}
