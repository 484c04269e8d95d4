/* The lists of conversations and of users, over all layouts in use. */
#include "store/lmdb/read_recency.h"
#include "store/lmdb/read_waiting.h"

#include "base/wire.h"

enum { LIST_SCAN_MAX = 10000 /* index entries a call looks at, so that its snapshot is short */ };

static int position_invalid(struct read *read)
{
    return error_set(read->error, ERROR_PAGE_TOKEN_INVALID, "the page token is not one of this list");
}

/* A page under way: entries at home in up to two layouts, and those that wait. */
struct page {
    struct recency_walk walks[2];
    size_t walk_count;
    struct waiting waiting;
    size_t left; /* conversations it has room for */
};

/* The next entry of a page. */
struct item {
    struct recency_walk *walk; /* NULL: it waits */
    const struct recency_row *row;
    int64_t activity_us;
    struct span conversation;
};

/* Of two the one whose entry comes first in the list: latest first, then by name. */
static bool item_is_before(const struct item *a, const struct item *b)
{
    const struct waiting_entry left = {.activity_us = a->activity_us, .conversation = a->conversation};
    const struct waiting_entry right = {.activity_us = b->activity_us, .conversation = b->conversation};
    bool left_damaged = a->row && a->row->state == RECENCY_KEY_DAMAGED;
    bool right_damaged = b->row && b->row->state == RECENCY_KEY_DAMAGED;
    return left_damaged || (!right_damaged && waiting_order(&left, &right) < 0);
}

/* Finds the next item. Returns 1, 0 at the end, or -ERROR_MEMORY_SHORT. */
static int page_first(struct read *read, struct page *page, struct item *ret)
{
    const struct waiting_entry *entry;
    bool found = false;
    for (size_t i = 0; i < page->walk_count; i++) {
        struct recency_walk *walk = &page->walks[i];
        const struct recency_row *row = recency_first(read, walk, page->left + 1); /* one more says if there is more */
        if (row) {
            struct item item = {walk, row, row->activity_us, row->conversation};
            if (!found || item_is_before(&item, ret)) {
                *ret = item;
                found = true;
            }
        }
    }
    int rc = waiting_look(read, &page->waiting, &entry);
    if (rc == 0 && entry) {
        struct item item = {NULL, NULL, entry->activity_us, entry->conversation};
        if (!found || item_is_before(&item, ret)) {
            *ret = item;
            found = true;
        }
    }
    return rc ? rc : found;
}

static void page_advance(struct page *page, const struct item *item)
{
    if (item->walk) {
        recency_advance(item->walk);
    } else {
        page->waiting.next++;
    }
}

static int recency_damaged(struct read *read, const struct recency_row *row)
{
    struct key name = key_user_prefix(read->op->user);
    if (row->state != RECENCY_KEY_DAMAGED) {
        name = key_conversation(read->op->user, row->conversation);
    }
    return record_damaged(read->error, "recency", key_span(&name));
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
    if (!recency_is_wanted(read, &entry)) {
        return 0;
    }
    head_put_element(&read->result->records, read->op->record_field, head);
    return 1;
}

/* Adds the conversation of a recency entry at home, unless it is listed with what waits of it. */
static int row_add(struct read *read, struct page *page, const struct item *item)
{
    const struct recency_row *row = item->row;
    enum waiting_state state;
    if (row->state != RECENCY_WANTED) {
        return row->state == RECENCY_UNWANTED ? 0 : recency_damaged(read, row);
    }
    recency_look_up(read->hints, item->walk, page->left);
    if (row->name == GET_MISSING) {
        return 0;
    }
    if (row->name != GET_FOUND || row->found != GET_FOUND) { /* also of what is listed elsewhere: nobody else tells */
        struct conversation_place place = {.head = item->walk->place};
        place.head.conversation = row->conversation;
        return conversation_damaged(read->error, &place);
    }
    int rc = waiting_settle(read, &page->waiting, row->conversation_number, &state);
    if (rc || read->head.stale || state == WAITING_JOURNAL) {
        return rc;
    }
    wire_put_element(&read->result->records, read->op->record_field, row->head);
    return 1;
}

/* Adds the conversation of the item to the result, if it is wanted. Returns 1 when it was added, 2 when the page has no
 * room for it. */
static int item_add(struct read *read, struct page *page, const struct item *item)
{
    struct buffer *records = &read->result->records;
    size_t before = records->size;
    int rc = item->walk ? row_add(read, page, item) : waiting_add(read, page);
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
    int rc = 0;
    page->left = op->list.page_size;
    for (size_t scanned = 0; (rc = page_first(read, page, &item)) == 1 && !read->head.stale; scanned++) {
        rc = page->left == 0 || scanned == LIST_SCAN_MAX ? 2 : item_add(read, page, &item);
        if (rc < 0 || rc == 2 || read->head.stale) {
            break;
        }
        page->left -= (size_t)rc;
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
    int64_t activity;
    struct span conversation;
    if (after.size > 0 && key_parse_position(after, &activity, &conversation)) {
        return position_invalid(read);
    }
    if (head_user_is_forgotten(read->txn, read->op->user)) {
        return 0;
    }
    int rc = 0;
    const struct place *home = NULL;
    size_t count = layouts_list(&read->layouts, list);
    for (page.walk_count = 0; page.walk_count < count && rc == 0; page.walk_count++) {
        struct recency_walk *walk = &page.walks[page.walk_count];
        rc = recency_open(read, list[page.walk_count], after, walk);
        home = walk->place.layout->has_runs ? &walk->place : home;
    }
    rc = rc ? rc : waiting_open(read, home, after, &page.waiting);
    if (rc == 0 && !read->head.stale) {
        rc = page_fill(read, &page);
    }
    for (size_t i = 0; i < page.walk_count; i++) {
        recency_close(&page.walks[i]);
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
