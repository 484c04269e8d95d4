/* A run of messages around an anchor. */
#include "store/lmdb/messages.h"
#include "store/lmdb/read.h"

#include "base/wire.h"

#include <assert.h>

enum { RUN_MAX = CHATLOG_CAP_append_messages, KEPT_BYTES_MAX = 16 * 1024 * 1024 };

/* One side of the anchor: messages from the nearest outwards, as spans into the snapshot. */
struct side {
    size_t count; /* found */
    bool more;    /* there is at least one beyond them */
    size_t taken; /* into the run */
    struct side_entry {
        uint64_t seq;
        struct span record; /* in the view asked for */
        const void *whole;  /* the same for neighbours that stand side by side as a reply has them: in one run */
    } * entries;            /* RUN_MAX of them */
};

/* A list under way. */
struct run {
    struct read *read;
    struct message_cursor cursor;
    struct side below;
    struct side above;
    size_t bytes; /* of the chosen ones in the result */
};

static struct side_entry entry_take(const struct run *run)
{
    const struct message_cursor *cursor = &run->cursor;
    const struct store_op *op = run->read->op;
    bool whole = cursor->side && cursor->batch && !op->messages.basic && op->record_field == RUN_FIELD;
    return (struct side_entry){
        .seq = cursor->seq,
        .record = op->messages.basic ? record_basic_view(cursor->record) : cursor->record,
        .whole = whole ? cursor->batch : NULL,
    };
}

/* Collects up to the limit, from where the cursor is. */
static int side_collect(struct run *run, struct side *side, bool found, bool (*step)(struct message_cursor *cursor))
{
    struct read *read = run->read;
    size_t limit = read->op->messages.limit;
    size_t shown = 0;
    size_t bytes = 0; /* kept by the cursor: also of what view BASIC leaves out */
    while (found && side->count < limit && bytes <= KEPT_BYTES_MAX && shown <= read->op->messages.max_bytes) {
        int rc = message_check_at(&run->cursor, read->error);
        if (rc) {
            return rc;
        }
        side->entries[side->count] = entry_take(run);
        shown += side->entries[side->count].record.size;
        bytes += run->cursor.record.size;
        side->count++;
        run->cursor.peeks = side->count == limit;
        found = step(&run->cursor);
    }
    run->cursor.peeks = false;
    side->more = found;
    return 0;
}

static bool seek(struct run *run, uint64_t seq)
{
    return message_cursor_seek(&run->cursor, seq);
}

static bool seek_below(struct run *run, uint64_t seq)
{
    return message_cursor_seek_below(&run->cursor, seq);
}

/* Both sides as the anchor wants them. The anchor's own message, for AROUND, is the first one above. */
static int run_collect(struct run *run)
{
    uint64_t seq = run->read->op->messages.seq;
    bool found;
    switch (run->read->op->messages.anchor) {
    case STORE_LATEST:
        return side_collect(run, &run->below, seek_below(run, UINT64_MAX), message_cursor_previous);
    case STORE_BEFORE:
        return side_collect(run, &run->below, seek_below(run, seq), message_cursor_previous);
    case STORE_AFTER:
        found = seek(run, seq < UINT64_MAX ? seq + 1 : seq);
        run->below.more = found && run->cursor.batch && run->cursor.index > 0; /* else it is looked for */
        return side_collect(run, &run->above, found, message_cursor_next);
    case STORE_AROUND:
        break;
    }
    int rc = side_collect(run, &run->above, seek(run, seq), message_cursor_next);
    return rc ? rc : side_collect(run, &run->below, seek_below(run, seq), message_cursor_previous);
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
        run->bytes = bytes;
    }
}

/* The chosen ones in the order of their seqs. */
static const struct side_entry *run_entry(const struct run *run, size_t index)
{
    size_t below = run->below.taken;
    return index < below ? &run->below.entries[below - 1 - index] : &run->above.entries[index - below];
}

static void run_add_records(struct run *run)
{
    struct buffer *records = &run->read->result->records;
    uint32_t field = run->read->op->record_field;
    size_t count = run->below.taken + run->above.taken;
    buffer_extend(records, run->bytes);
    records->size = 0; /* the memory is there now */
    for (size_t i = 0; i < count;) {
        const struct side_entry *first = run_entry(run, i++);
        const struct side_entry *last = first;
        if (!first->whole) {
            wire_put_element(records, field, first->record);
            continue;
        }
        while (i < count && run_entry(run, i)->whole == first->whole) {
            last = run_entry(run, i++);
        }
        size_t head_size = wire_element_size(field, first->record.size) - first->record.size;
        const uint8_t *begin = first->record.data - head_size;
        buffer_append(records, begin, (size_t)(last->record.data - begin) + last->record.size);
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
    enum store_anchor anchor = run->read->op->messages.anchor;
    bool below = run->below.more || run->below.taken < run->below.count;
    bool above = run->above.more || run->above.taken < run->above.count;
    result->has_more_before = below || (anchor == STORE_AFTER && seek_below(run, first));
    run->cursor.peeks = true;
    result->has_more_after = anchor == STORE_BEFORE ? seek(run, last < UINT64_MAX ? last + 1 : last) : above;
}

int read_list_messages(struct read *read)
{
    const struct store_op *op = read->op;
    struct side_entry below[RUN_MAX], above[RUN_MAX]; /* not cleared: most pages are far smaller */
    struct run run = {.read = read, .below.entries = below, .above.entries = above};
    assert(op->messages.limit >= 1 && op->messages.limit <= RUN_MAX);
    message_cursor_open(read->txn, &read->head.place, &run.cursor);
    run.cursor.keeps = true; /* KEPT_BYTES_MAX on each side, and one message or run more */
    int rc = run_collect(&run);
    if (rc == 0) {
        run_choose(&run);
        run_add_records(&run);
        run_look_beyond(&run);
        read->result->last_seq = read->head.record.last_seq;
    }
    message_cursor_close(&run.cursor);
    return rc;
}
