/* The lists of conversations and of users, over all layouts in use. */
#include "store/lmdb/read_waiting.h"

#include "base/wire.h"

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
    struct cursor names, heads; /* neighbours stand on the same pages: these stay where they were */
    bool more;                  /* it stands at an entry: */
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
    run->names = cursor_open(read->txn, layout->tables[KIND_HEAD]);
    run->heads = cursor_open(read->txn, layout->tables[KIND_HEAD]);
    bool more = cursor_seek(&run->cursor, key_span(&start));
    if (more && span_equal(run->cursor.key, key_span(&start))) {
        more = cursor_next(&run->cursor);
    }
    run_take(run, more);
    return 0;
}

static void run_close(struct run *run)
{
    cursor_close(&run->cursor);
    cursor_close(&run->names);
    cursor_close(&run->heads);
}

/* A page under way: entries at home in up to two layouts, and those that wait. */
struct page {
    struct run runs[2];
    struct waiting waiting;
};

/* The next entry of a page. */
struct item {
    struct run *run; /* NULL: it waits */
    int64_t activity_us;
    struct span conversation;
    bool damaged;
};

/* Of two the one whose entry comes first in the list: latest first, then by name. */
static bool item_is_before(const struct item *a, const struct item *b)
{
    const struct waiting_entry left = {.activity_us = a->activity_us, .conversation = a->conversation};
    const struct waiting_entry right = {.activity_us = b->activity_us, .conversation = b->conversation};
    return a->damaged || (!b->damaged && waiting_order(&left, &right) < 0);
}

/* Finds the next item. Returns 1, 0 at the end, or -ERROR_MEMORY_SHORT. */
static int page_first(struct read *read, struct page *page, struct item *ret)
{
    const struct waiting_entry *entry;
    bool found = false;
    for (size_t i = 0; i < 2; i++) {
        struct run *run = &page->runs[i];
        struct item item = {run, run->activity_us, run->conversation, run->damaged};
        if (run->more && (!found || item_is_before(&item, ret))) {
            *ret = item;
            found = true;
        }
    }
    int rc = waiting_look(read, &page->waiting, &entry);
    if (rc == 0 && entry) {
        struct item item = {NULL, entry->activity_us, entry->conversation, false};
        if (!found || item_is_before(&item, ret)) {
            *ret = item;
            found = true;
        }
    }
    return rc ? rc : found;
}

static void page_advance(struct page *page, const struct item *item)
{
    if (item->run) {
        run_take(item->run, cursor_next(&item->run->cursor));
    } else {
        page->waiting.next++;
    }
}

static int recency_damaged(struct read *read, const struct item *item)
{
    struct key name = key_user_prefix(read->op->user);
    if (!item->damaged) {
        name = key_conversation(read->op->user, item->conversation);
    }
    return record_damaged(read->error, "recency", key_span(&name));
}

/* What the list filters by; of what waits the head says it. */
static int item_look(struct read *read, const struct item *item, struct recency_entry *ret)
{
    if (!item->run) {
        return 1;
    }
    struct span value = item->run->cursor.value;
    return item->damaged || layout_open(item->run->place.layout, item->run->cursor.key, &value) ||
                   entry_get_recency(value, ret)
               ? recency_damaged(read, item)
               : 0;
}

/* Adds a conversation with what waits of it. */
static int waiting_add(struct read *read, const struct page *page)
{
    struct head *head = &read->head;
    int rc = waiting_load(read, &page->waiting, &page->waiting.entries[page->waiting.next]);
    if (rc || head->stale) {
        return rc;
    }
    struct recency_entry entry = record_recency(&head->record);
    if (!entry_is_wanted(read, &entry)) {
        return 0;
    }
    head_put_element(&read->result->records, read->op->record_field, head);
    return 1;
}

/* What has a checksum need not be decoded: only whose head it is. */
static bool head_is_of(const struct place *place, struct span head)
{
    struct conversation_record record;
    bool sound = place->layout->sealed || record_get_conversation(head, &record) == 0;
    return sound && span_equal(record_conversation_id(head), place->conversation);
}

/* Adds the conversation of a recency entry at home, unless it is listed with what waits of it. */
static int run_add(struct read *read, struct page *page, const struct item *item)
{
    struct conversation_place place = {.head = item->run->place};
    enum waiting_state state;
    struct span value;
    place.head.conversation = item->conversation;
    enum get_result found = place.head.layout->find_near(&item->run->names, &place.head);
    if (found != GET_FOUND) {
        return found == GET_DAMAGED ? conversation_damaged(read->error, &place) : 0;
    }
    if (place_get_head_near(&item->run->heads, &place.head, &value) != GET_FOUND || !head_is_of(&place.head, value)) {
        return conversation_damaged(read->error, &place); /* also of what is listed elsewhere: nobody else tells */
    }
    int rc = waiting_settle(read, &page->waiting, place.head.conversation_number, &state);
    if (rc || read->head.stale || state == WAITING_JOURNAL) {
        return rc;
    }
    wire_put_element(&read->result->records, read->op->record_field, value);
    return 1;
}

/* Adds the conversation of the item to the result, if it is wanted. Returns 1 when it was added, 2 when the page has no
 * room for it. */
static int item_add(struct read *read, struct page *page, const struct item *item)
{
    struct recency_entry entry;
    int rc = item_look(read, item, &entry);
    if (rc < 0 || (rc == 0 && !entry_is_wanted(read, &entry))) {
        return rc;
    }
    struct buffer *records = &read->result->records;
    size_t before = records->size;
    rc = rc == 1 ? waiting_add(read, page) : run_add(read, page, item);
    if (rc == 1 && before > 0 && records->size > read->limits->request_bytes) {
        records->size = before;
        return 2;
    }
    return rc;
}

/* Adds entries until the page is full, and tells where the next one starts. */
static int page_fill(struct read *read, struct page *page)
{
    const struct store_op *op = read->op;
    struct item last = {0}; /* everything up to it is done */
    struct item item = {0};
    size_t found = 0;
    int rc = 0;
    for (size_t scanned = 0; (rc = page_first(read, page, &item)) == 1 && !read->head.stale; scanned++) {
        rc = found == op->list.page_size || scanned == LIST_SCAN_MAX ? 2 : item_add(read, page, &item);
        if (rc < 0 || rc == 2 || read->head.stale) {
            break;
        }
        found += (size_t)rc;
        last = item;
        page_advance(page, &item);
    }
    if (rc == 2) {
        struct key position = key_position(last.activity_us, last.conversation);
        buffer_append(&read->result->next, position.bytes, position.size);
    }
    return rc < 0 ? rc : 0;
}

int read_list_conversations(struct read *read)
{
    struct span after = read->op->list.after;
    const struct layout *list[2];
    struct page page;
    memset(page.runs, 0, sizeof(page.runs));
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
        rc = run_open(read, list[i], after, &page.runs[i]);
    }
    const struct run *home =
        page.runs[1].place.layout && page.runs[1].place.layout->has_runs ? &page.runs[1] : &page.runs[0];
    bool journals = home->place.layout && home->place.layout->has_runs;
    rc = rc ? rc : waiting_open(read, journals ? &home->place : NULL, after, &page.waiting);
    if (rc == 0 && !read->head.stale) {
        rc = page_fill(read, &page);
    }
    for (size_t i = 0; i < count; i++) {
        run_close(&page.runs[i]);
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
