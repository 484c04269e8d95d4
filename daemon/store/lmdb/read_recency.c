#include "store/lmdb/read_recency.h"

#include <assert.h>

bool recency_is_wanted(const struct read *read, const struct recency_entry *entry)
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

static void entry_take(struct recency_walk *walk, bool found)
{
    walk->more = found && span_starts_with(walk->entries.key, key_span(&walk->prefix));
}

int recency_open(struct read *read, const struct layout *layout, struct span after, struct recency_walk *ret)
{
    ret->place = (struct place){.layout = layout, .user = read->op->user};
    ret->entries = ret->names = ret->heads = (struct cursor){0};
    ret->more = false;
    ret->at = ret->looked_up = ret->count = 0;
    enum get_result found = layout->find(read->txn, &ret->place);
    if (found == GET_DAMAGED) {
        return record_damaged(read->error, "user", read->op->user);
    }
    if (found == GET_MISSING) {
        return 0;
    }
    ret->prefix = layout->recency_prefix(&ret->place);
    struct key start = ret->prefix;
    int64_t activity;
    if (after.size > 0 && key_parse_position(after, &activity, &ret->place.conversation) == 0) {
        start = layout->recency_key(&ret->place, activity);
    }
    ret->entries = cursor_open(read->txn, layout->tables[KIND_RECENCY]);
    ret->names = cursor_open(read->txn, layout->tables[KIND_HEAD]);
    ret->heads = cursor_open(read->txn, layout->tables[KIND_HEAD]);
    bool more = cursor_seek(&ret->entries, key_span(&start));
    if (more && span_equal(ret->entries.key, key_span(&start))) {
        more = cursor_next(&ret->entries);
    }
    entry_take(ret, more);
    return 0;
}

void recency_close(struct recency_walk *walk)
{
    cursor_close(&walk->entries);
    cursor_close(&walk->names);
    cursor_close(&walk->heads);
}

static enum recency_state row_read(const struct read *read, const struct recency_walk *walk, struct recency_row *row)
{
    const struct layout *layout = walk->place.layout;
    struct span value = walk->entries.value;
    struct recency_entry entry;
    if (layout->parse_recency(walk->entries.key, key_span(&walk->prefix), &row->activity_us, &row->conversation)) {
        return RECENCY_KEY_DAMAGED;
    }
    if (layout_open(layout, walk->entries.key, &value) || entry_get_recency(value, &entry)) {
        return RECENCY_DAMAGED;
    }
    return recency_is_wanted(read, &entry) ? RECENCY_WANTED : RECENCY_UNWANTED;
}

const struct recency_row *recency_first(struct read *read, struct recency_walk *walk, size_t ahead)
{
    assert(ahead > 0);
    if (walk->at == walk->count) {
        walk->at = walk->looked_up = walk->count = 0;
        while (walk->more && walk->count < ahead && walk->count < RECENCY_AHEAD) {
            struct recency_row *row = &walk->rows[walk->count++];
            row->state = row_read(read, walk, row);
            entry_take(walk, cursor_next(&walk->entries));
        }
    }
    return walk->at < walk->count ? &walk->rows[walk->at] : NULL;
}

/* What has a checksum need not be decoded: only whose head it is. */
static bool head_is_of(const struct place *place, struct span head)
{
    struct conversation_record record;
    bool sound = place->layout->sealed || record_get_conversation(head, &record) == 0;
    return sound && span_equal(record_conversation_id(head), place->conversation);
}

void recency_look_up(struct head_hints *hints, struct recency_walk *walk, size_t ahead)
{
    if (walk->at < walk->looked_up) {
        return;
    }
    size_t end = ahead < walk->count - walk->at ? walk->at + ahead : walk->count;
    struct place place = walk->place;
    for (size_t i = walk->at; i < end; i++) {
        struct recency_row *row = &walk->rows[i];
        if (row->state == RECENCY_WANTED) {
            place.conversation = row->conversation;
            row->name = place.layout->find_near(&walk->names, &place);
            row->conversation_number = place.conversation_number;
        }
    }
    for (size_t i = walk->at; i < end; i++) { /* all at once: among the searches for names they gained half as much */
        if (walk->rows[i].state == RECENCY_WANTED) {
            head_hints_fetch(hints, walk->rows[i].conversation_number);
        }
    }
    for (size_t i = walk->at; i < end; i++) {
        struct recency_row *row = &walk->rows[i];
        if (row->state == RECENCY_WANTED && row->name == GET_FOUND) {
            place.conversation = row->conversation;
            place.conversation_number = row->conversation_number;
            row->found = GET_DAMAGED;
            if (place_get_head_near(&walk->heads, &place, &row->head) == GET_FOUND && head_is_of(&place, row->head)) {
                row->found = GET_FOUND;
                head_hints_note(hints, row->conversation_number, walk->heads.key.data);
            }
        }
    }
    walk->looked_up = end;
}

void recency_advance(struct recency_walk *walk)
{
    assert(walk->at < walk->count);
    walk->at++;
}
