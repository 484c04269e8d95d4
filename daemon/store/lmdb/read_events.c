/* The audit trail, the newest first: all of it in one run, or a user's in two (what stays when he is forgotten is kept
 * apart), which are merged. */
#include "store/lmdb/audit.h"
#include "store/lmdb/read.h"

#include "base/wire.h"

enum { EVENTS_SCAN_MAX = 10000 /* entries a call looks at, so that its snapshot is short */ };

/* The events below a position in one table. */
struct event_run {
    struct cursor cursor;
    struct key prefix; /* of its keys there */
    bool more;
    struct span event; /* key in `audit` of the one it stands at, borrowed */
};

static void event_run_take(struct event_run *run, bool found)
{
    run->more = found && span_starts_with(run->cursor.key, key_span(&run->prefix));
    if (run->more) {
        run->event = span_of(run->cursor.key.data + run->prefix.size, run->cursor.key.size - run->prefix.size);
    }
}

static void event_run_open(struct read *read, enum table table, struct key prefix, const struct key *below,
                           struct event_run *run)
{
    struct key end = prefix;
    key_add(&end, key_span(below));
    run->prefix = prefix;
    run->cursor = cursor_open(read->txn, table);
    event_run_take(run, cursor_seek_below(&run->cursor, key_span(&end)));
}

/* Of two the one whose event is the newer. NULL when both are at the end. */
static struct event_run *event_run_newest(struct event_run runs[2])
{
    if (!runs[0].more || !runs[1].more) {
        return runs[0].more ? &runs[0] : runs[1].more ? &runs[1] : NULL;
    }
    return span_order(runs[0].event, runs[1].event) > 0 ? &runs[0] : &runs[1];
}

/* Adds the event to the result; of a damaged one what its key says. Returns 1 when it was added, 2 when the page has
 * no room for it. */
static int event_add(struct read *read, struct span event)
{
    const struct store_op *op = read->op;
    struct buffer *records = &read->result->records;
    struct buffer damaged = {0};
    struct event_record record = {.action = STORE_ACTION_DAMAGED, .user = op->user};
    struct span value;
    uint64_t counter;
    if (!txn_get(read->txn, TABLE_AUDIT, event, &value)) {
        return 0; /* of a damaged event that is gone, its entry among the user's stays */
    }
    if (audit_get(event, value, &record) == 0) {
        value.size -= LAYOUT_SEAL_BYTES;
    } else if (key_parse_event(event, &record.time_us, &counter) == 0) {
        record_put_event(&damaged, &record);
        value = buffer_span(&damaged);
    } else {
        return 0;
    }
    int rc = 0;
    if (op->user.size == 0 || span_equal(record.user, op->user)) {
        size_t size = records->size + wire_element_size(op->record_field, value.size);
        rc = records->size > 0 && size > read->limits->request_bytes ? 2 : 1;
    }
    if (rc == 1) {
        wire_put_element(records, op->record_field, value);
    }
    records->failed |= damaged.failed;
    buffer_free(&damaged);
    return rc;
}

static void events_fill(struct read *read, struct event_run runs[2])
{
    const struct store_op *op = read->op;
    const struct key oldest = key_event(op->events.since_us, 0);
    struct key last = {0}; /* everything down to it is done */
    struct event_run *run;
    size_t found = 0;
    int rc = 0;
    for (size_t scanned = 0; (run = event_run_newest(runs)); scanned++) {
        if (span_order(run->event, key_span(&oldest)) < 0) {
            return;
        }
        rc = found == op->events.page_size || scanned == EVENTS_SCAN_MAX ? 2 : event_add(read, run->event);
        if (rc == 2) {
            buffer_append(&read->result->next, last.bytes, last.size);
            return;
        }
        found += (size_t)rc;
        last.size = 0;
        key_add(&last, run->event);
        event_run_take(run, cursor_previous(&run->cursor));
    }
}

int read_list_events(struct read *read)
{
    const struct store_op *op = read->op;
    struct key below = key_event(INT64_MAX, UINT64_MAX);
    struct event_run runs[2] = {0};
    int64_t time_us;
    uint64_t counter;
    if (op->events.until_us > 0) {
        below = key_event(op->events.until_us, 0);
    }
    if (op->events.after.size > 0) {
        if (key_parse_event(op->events.after, &time_us, &counter)) {
            return error_set(read->error, ERROR_PAGE_TOKEN_INVALID, "the page token is not one of this list");
        }
        below = span_order(op->events.after, key_span(&below)) < 0 ? key_event(time_us, counter) : below;
    }
    if (op->user.size == 0) {
        event_run_open(read, TABLE_AUDIT, (struct key){0}, &below, &runs[0]);
    } else {
        event_run_open(read, TABLE_AUDIT_USERS, key_event_of_user(op->user, false, span_of(NULL, 0)), &below, &runs[0]);
        event_run_open(read, TABLE_AUDIT_USERS, key_event_of_user(op->user, true, span_of(NULL, 0)), &below, &runs[1]);
    }
    events_fill(read, runs);
    cursor_close(&runs[0].cursor);
    cursor_close(&runs[1].cursor);
    return 0;
}
