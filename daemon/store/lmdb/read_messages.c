/* A run of messages around an anchor. */
#include "store/lmdb/messages.h"
#include "store/lmdb/read.h"

#include "base/wire.h"

#include <assert.h>

enum { RUN_MAX = CHATLOG_CAP_append_messages };

/* One side of the anchor: messages from the nearest outwards, as spans into the snapshot. */
struct side {
    struct {
        uint64_t seq;
        struct span record; /* in the view asked for */
    } entries[RUN_MAX];
    size_t count; /* found */
    size_t taken; /* into the run */
};

/* A list under way. */
struct run {
    struct read *read;
    struct key prefix;
    struct cursor cursor;
    struct side below;
    struct side above;
};

/* Where a seq's key is or would be; a seq no message can have counts as beyond the last. */
static struct key run_key(const struct run *run, uint64_t seq)
{
    const struct store_op *op = run->read->op;
    return seq <= KEY_SEQ_MAX ? key_message(op->user, op->conversation, seq)
                              : key_conversation_end(op->user, op->conversation);
}

static bool cursor_seek_seq(struct run *run, uint64_t seq)
{
    struct key key = run_key(run, seq);
    return cursor_seek(&run->cursor, key_span(&key));
}

static bool cursor_seek_below_seq(struct run *run, uint64_t seq)
{
    struct key key = run_key(run, seq);
    return cursor_seek_below(&run->cursor, key_span(&key));
}

static bool cursor_is_inside(const struct run *run)
{
    return span_starts_with(run->cursor.key, key_span(&run->prefix));
}

/* Collects up to the limit, from where the cursor is, as long as it is inside the conversation. */
static int side_collect(struct run *run, struct side *side, bool found, bool (*step)(struct cursor *cursor))
{
    struct read *read = run->read;
    size_t limit = read->op->messages.limit;
    while (found && side->count < limit && cursor_is_inside(run)) {
        struct message_record record;
        struct span value = run->cursor.value;
        uint64_t seq = 0;
        key_parse_message(run->cursor.key, key_span(&run->prefix), &seq); /* stays 0 for a damaged key */
        int rc = message_decode(run->cursor.key, value, seq, &record, read->error);
        if (rc) {
            return rc;
        }
        side->entries[side->count].seq = seq;
        side->entries[side->count].record = read->op->messages.basic ? record_basic_view(value) : value;
        side->count++;
        found = step(&run->cursor);
    }
    return 0;
}

/* Both sides as the anchor wants them. The anchor's own message, for AROUND, is the first one above. */
static int run_collect(struct run *run)
{
    uint64_t seq = run->read->op->messages.seq;
    switch (run->read->op->messages.anchor) {
    case STORE_LATEST:
        return side_collect(run, &run->below, cursor_seek_below_seq(run, UINT64_MAX), cursor_previous);
    case STORE_BEFORE:
        return side_collect(run, &run->below, cursor_seek_below_seq(run, seq), cursor_previous);
    case STORE_AFTER:
        return side_collect(run, &run->above, cursor_seek_seq(run, seq < UINT64_MAX ? seq + 1 : seq), cursor_next);
    case STORE_AROUND:
        break;
    }
    int rc = side_collect(run, &run->above, cursor_seek_seq(run, seq), cursor_next);
    return rc ? rc : side_collect(run, &run->below, cursor_seek_below_seq(run, seq), cursor_previous);
}

/* Takes the nearest first, from both sides in turn, until the limit or the bytes are reached. */
static void run_choose(struct run *run)
{
    const struct store_op *op = run->read->op;
    size_t bytes = 0;
    while (run->below.taken + run->above.taken < op->messages.limit) {
        bool below_left = run->below.taken < run->below.count;
        bool above_left = run->above.taken < run->above.count;
        if (!below_left && !above_left) {
            break;
        }
        bool upwards = above_left && (!below_left || run->above.taken <= run->below.taken);
        struct side *side = upwards ? &run->above : &run->below;
        bytes += wire_element_size(op->record_field, side->entries[side->taken].record.size);
        if (bytes > op->messages.max_bytes && run->below.taken + run->above.taken > 0) {
            break;
        }
        side->taken++;
    }
}

static void run_add_records(struct run *run)
{
    struct buffer *records = &run->read->result->records;
    uint32_t field = run->read->op->record_field;
    for (size_t i = run->below.taken; i > 0; i--) {
        wire_put_element(records, field, run->below.entries[i - 1].record);
    }
    for (size_t i = 0; i < run->above.taken; i++) {
        wire_put_element(records, field, run->above.entries[i].record);
    }
}

/* Whether there is more on each side of the run; of an empty one, of the anchor. */
static void run_look_beyond(struct run *run)
{
    struct store_result *result = run->read->result;
    uint64_t first = run->read->op->messages.seq;
    uint64_t last = first;
    if (run->below.taken + run->above.taken == 0 && run->read->op->messages.anchor == STORE_LATEST) {
        return; /* the conversation is empty */
    }
    if (run->above.taken > 0) {
        first = run->above.entries[0].seq;
        last = run->above.entries[run->above.taken - 1].seq;
    }
    if (run->below.taken > 0) {
        first = run->below.entries[run->below.taken - 1].seq;
        last = run->above.taken > 0 ? last : run->below.entries[0].seq;
    }
    result->has_more_before = cursor_seek_below_seq(run, first) && cursor_is_inside(run);
    result->has_more_after = cursor_seek_seq(run, last < UINT64_MAX ? last + 1 : last) && cursor_is_inside(run);
}

int read_list_messages(struct read *read)
{
    const struct store_op *op = read->op;
    struct run run = {.read = read, .prefix = key_conversation_prefix(op->user, op->conversation)};
    assert(op->messages.limit >= 1 && op->messages.limit <= RUN_MAX);
    run.cursor = cursor_open(read->txn, TABLE_MESSAGES);
    int rc = run_collect(&run);
    if (rc == 0) {
        run_choose(&run);
        run_add_records(&run);
        run_look_beyond(&run);
        read->result->last_seq = read->head.record.last_seq;
    }
    cursor_close(&run.cursor);
    return rc;
}
