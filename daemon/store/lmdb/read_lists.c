/* The lists of conversations and of users, over all layouts in use. */
#include "store/lmdb/read.h"

#include "base/wire.h"

#include <assert.h>

enum { LIST_SCAN_MAX = 10000 /* index entries a call looks at, so that its snapshot is short */ };

static int position_invalid(struct read *read)
{
    return error_set(read->error, ERROR_PAGE_TOKEN_INVALID, "the page token is not one of this list");
}

static bool entry_is_wanted(const struct read *read, const struct recency_entry *entry)
{
    static const bool archived_wanted[][2] = {
        [STORE_ARCHIVED_EXCLUDE] = {true, false},
        [STORE_ARCHIVED_ONLY] = {false, true},
        [STORE_ARCHIVED_INCLUDE] = {true, true},
    };
    bool gone = entry->gone_time_us != 0 && entry->gone_time_us <= read->now_us;
    return !gone && archived_wanted[read->op->list.archived][entry->archived] &&
           (read->op->list.show_deleted || !entry->deleted);
}

/* The user's recency entries in one layout, from a position on. */
struct run {
    struct place place;
    struct key prefix;
    struct cursor cursor;
    bool more; /* it stands at an entry: */
    bool damaged;
    int64_t activity_us;
    struct span conversation; /* borrowed */
};

static void run_take(struct run *run, bool found)
{
    run->more = found && span_starts_with(run->cursor.key, key_span(&run->prefix));
    run->damaged = run->more && run->place.layout->parse_recency(run->cursor.key, key_span(&run->prefix),
                                                                 &run->activity_us, &run->conversation);
}

/* Opens it behind the entry `after` names, or at the first one. Returns 0 or -ERROR_RECORD_DAMAGED. */
static int run_open(struct read *read, const struct layout *layout, struct span after, struct run *run)
{
    *run = (struct run){.place = {.layout = layout, .user = read->op->user}};
    enum get_result found = layout->find(read->txn, &run->place);
    if (found == GET_DAMAGED) {
        return record_damaged(read->error, "user", read->op->user);
    }
    if (found == GET_MISSING) {
        return 0;
    }
    run->prefix = layout->recency_prefix(&run->place);
    struct key start = run->prefix;
    int64_t activity;
    if (after.size > 0 && key_parse_position(after, &activity, &run->place.conversation) == 0) {
        start = layout->recency_key(&run->place, activity);
    }
    run->cursor = cursor_open(read->txn, layout->tables[KIND_RECENCY]);
    bool more = cursor_seek(&run->cursor, key_span(&start));
    if (more && span_equal(run->cursor.key, key_span(&start))) {
        more = cursor_next(&run->cursor);
    }
    run_take(run, more);
    return 0;
}

/* Of two the one whose entry comes first in the list: latest first, then by name. NULL when both are at the end. */
static struct run *run_first(struct run runs[2])
{
    if (!runs[0].more || !runs[1].more) {
        return runs[0].more ? &runs[0] : runs[1].more ? &runs[1] : NULL;
    }
    if (runs[0].damaged || runs[1].damaged) {
        return runs[0].damaged ? &runs[0] : &runs[1];
    }
    if (runs[0].activity_us != runs[1].activity_us) {
        return runs[0].activity_us > runs[1].activity_us ? &runs[0] : &runs[1];
    }
    return span_order(runs[0].conversation, runs[1].conversation) < 0 ? &runs[0] : &runs[1];
}

static int recency_damaged(struct read *read, const struct run *run)
{
    struct key name = key_user_prefix(read->op->user);
    if (!run->damaged) {
        name = key_conversation(read->op->user, run->conversation);
    }
    return record_damaged(read->error, "recency", key_span(&name));
}

/* Adds the conversation of the run's entry to the result, if it is wanted. Returns 1 when it was added, 2 when the
 * page has no room for it. */
static int entry_add(struct read *read, const struct run *run)
{
    const struct store_op *op = read->op;
    struct recency_entry entry;
    struct span value = run->cursor.value;
    struct conversation_record record;
    struct conversation_place place;
    if (run->damaged || layout_open(run->place.layout, run->cursor.key, &value) || entry_get_recency(value, &entry)) {
        return recency_damaged(read, run);
    }
    if (!entry_is_wanted(read, &entry)) {
        return 0;
    }
    enum get_result found = place_find(read->txn, &read->layouts, op->user, run->conversation, &place);
    found = found == GET_FOUND ? place_get_head(read->txn, &place, &value) : found;
    if (found == GET_MISSING) {
        return 0;
    }
    if (found == GET_DAMAGED || record_get_conversation(value, &record) ||
        !span_equal(record.conversation_id, run->conversation)) {
        return conversation_damaged(read->error, &place);
    }
    struct buffer *records = &read->result->records;
    if (records->size > 0 &&
        records->size + wire_element_size(op->record_field, value.size) > read->limits->request_bytes) {
        return 2;
    }
    wire_put_element(records, op->record_field, value);
    return 1;
}

/* Adds entries until the page is full, and tells where the next one starts. */
static int page_fill(struct read *read, struct run runs[2])
{
    const struct store_op *op = read->op;
    struct key last = {0}; /* everything up to it is done */
    struct run *run;
    size_t found = 0;
    int rc = 0;
    for (size_t scanned = 0; (run = run_first(runs)); scanned++) {
        rc = found == op->list.page_size || scanned == LIST_SCAN_MAX ? 2 : entry_add(read, run);
        if (rc < 0 || rc == 2) {
            break;
        }
        found += (size_t)rc;
        last = key_position(run->activity_us, run->conversation);
        run_take(run, cursor_next(&run->cursor));
    }
    if (rc == 2) {
        buffer_append(&read->result->next, last.bytes, last.size);
    }
    return rc < 0 ? rc : 0;
}

int read_list_conversations(struct read *read)
{
    struct span after = read->op->list.after;
    const struct layout *list[2];
    struct run runs[2] = {0};
    int64_t activity;
    struct span conversation;
    if (after.size > 0 && key_parse_position(after, &activity, &conversation)) {
        return position_invalid(read);
    }
    if (head_user_is_forgotten(read->txn, read->op->user)) {
        return 0;
    }
    int rc = 0;
    size_t count = layouts_list(&read->layouts, list);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = run_open(read, list[i], after, &runs[i]);
    }
    rc = rc ? rc : page_fill(read, runs);
    for (size_t i = 0; i < count; i++) {
        cursor_close(&runs[i].cursor);
    }
    return rc;
}

/* The first user above this one in any layout in use. */
static bool user_next(struct read *read, struct span after, struct key *ret)
{
    const struct layout *list[2];
    size_t count = layouts_list(&read->layouts, list);
    struct key first = {0};
    for (size_t i = 0; i < count; i++) {
        struct key user;
        if (list[i]->next_user(read->txn, after, &user) &&
            (first.size == 0 || span_order(key_span(&user), key_span(&first)) < 0)) {
            first = user;
        }
    }
    if (first.size > 0) {
        *ret = first;
    }
    return first.size > 0;
}

int read_list_users(struct read *read)
{
    const struct store_op *op = read->op;
    struct key last = {0}; /* the user looked at last */
    struct key user;
    if (op->list.after.size > 0 && !key_is_id(op->list.after)) {
        return position_invalid(read);
    }
    key_add(&last, op->list.after);
    size_t found = 0;
    for (size_t scanned = 0; user_next(read, key_span(&last), &user); scanned++) {
        if (found == op->list.page_size || scanned == LIST_SCAN_MAX) {
            buffer_append(&read->result->next, last.bytes, last.size);
            break;
        }
        last = user;
        if (!head_user_is_forgotten(read->txn, key_span(&last))) {
            wire_put_element(&read->result->records, op->record_field, key_span(&last));
            found++;
        }
    }
    return 0;
}
