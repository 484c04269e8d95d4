#include "store/lmdb/purge_range.h"

#include "base/clock.h"
#include "store/lmdb/digest.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/quarantine.h"

/* What a conversation has beside its head. Messages last: they are counted in the store's statistics, so that those
 * tell truly when a removal is over. */
static const enum kind content_kinds[] = {KIND_MESSAGE_ID, KIND_REQUEST, KIND_MESSAGE};
enum { CONTENT_KIND_COUNT = sizeof(content_kinds) / sizeof(content_kinds[0]) };

bool tally_may_go_on(const struct tally *tally)
{
    return tally->removed < tally->budget->records &&
           (tally->removed == 0 || clock_monotonic_us() < tally->budget->until_us);
}

static void count_lower(uint64_t *counter, uint64_t by)
{
    *counter -= by < *counter ? by : *counter;
}

static void message_count(struct tally *tally, const struct message_record *record)
{
    count_lower(&tally->work->stats.messages, 1);
    count_lower(&tally->work->stats.content_bytes, record->content_size);
    if (tally->entry) {
        tally->entry->messages++;
        tally->entry->content_bytes += record->content_size;
    }
}

static void conversation_count(struct tally *tally)
{
    count_lower(&tally->work->stats.conversations, 1);
    if (tally->entry) {
        tally->entry->conversations++;
    }
}

/* The receipt's digest is over text names and records, so that it is the same in every layout. */
static void digest_record(struct tally *tally, struct key name, struct span record)
{
    if (tally->entry) {
        digest_add(&tally->entry->digest_high, &tally->entry->digest_low, key_span(&name), record);
    }
}

/* The messages of a run. False: it is none, or damaged. */
static bool run_open(struct tally *tally, struct span value, uint64_t last_seq, struct buffer *raw,
                     struct run_message *messages, size_t *ret_count)
{
    struct run_info info;
    if (!run_is(value) || run_info_get(value, &info)) {
        return false;
    }
    bool sound = run_unpack(&info, last_seq, raw, messages) == 0;
    if (raw->failed) {
        txn_fail_memory(&tally->work->txn);
    }
    *ret_count = info.count;
    return sound;
}

static void record_visit(struct tally *tally, const struct place *place, uint64_t seq, struct span value)
{
    struct message_record record = {0};
    record_get_message(value, &record);
    digest_record(tally, key_message(place->user, place->conversation, seq), value);
    message_count(tally, &record);
}

/* How many more messages than one a damaged run says it holds, if its head can still be read. */
static size_t run_count_lost(struct span value)
{
    struct run_info info;
    return run_is(value) && run_info_get(value, &info) == 0 ? info.count - 1 : 0;
}

/* A message, or a run of them, before it is removed; a damaged one counts without content. */
static void message_visit(struct tally *tally, const struct place *place, struct span key, struct span value)
{
    struct key prefix = place->layout->conversation_prefix(place, KIND_MESSAGE);
    struct run_message messages[RUN_MESSAGES_MAX];
    struct buffer raw = {0};
    uint64_t seq = 0;
    size_t count = 1;
    size_t lost = 0;
    place->layout->parse_message(key, key_span(&prefix), &seq);
    bool damaged = layout_open(place->layout, key, &value) != 0;
    if (damaged || !run_open(tally, value, seq, &raw, messages, &count)) {
        messages[0] = (struct run_message){seq, value};
        count = 1;
        lost = run_count_lost(value);
    }
    for (size_t i = 0; i < count; i++) {
        record_visit(tally, place, messages[i].seq, messages[i].record);
    }
    for (size_t i = 0; i < lost; i++) {
        message_count(tally, &(struct message_record){0});
    }
    buffer_free(&raw);
}

/* What damage has cut off from its conversation is known by its value only. */
static void leftover_visit(struct tally *tally, const struct place *user, struct span key, struct span value)
{
    struct run_message messages[RUN_MESSAGES_MAX];
    struct buffer raw = {0};
    struct message_record message;
    struct conversation_record head;
    size_t count = 1;
    if (layout_open(user->layout, key, &value)) {
        return;
    }
    if (!run_open(tally, value, 0, &raw, messages, &count)) {
        messages[0].record = value;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (record_get_message(messages[i].record, &message) == 0) {
            message_count(tally, &message);
        } else if (record_get_conversation(messages[i].record, &head) == 0) {
            conversation_count(tally);
        }
    }
    buffer_free(&raw);
}

typedef void range_visit(struct tally *tally, const struct place *place, struct span key, struct span value);

static bool range_remove(struct tally *tally, const struct place *place, enum table table, struct key prefix,
                         range_visit *visit)
{
    struct cursor cursor = cursor_open(&tally->work->txn, table);
    bool found;
    while ((found = cursor_seek(&cursor, key_span(&prefix)) && span_starts_with(cursor.key, key_span(&prefix))) &&
           tally_may_go_on(tally)) {
        if (visit) {
            visit(tally, place, cursor.key, cursor.value);
        }
        cursor_delete(&cursor);
        tally->removed++;
    }
    cursor_close(&cursor);
    return !found;
}

bool range_is_empty(struct txn *txn, enum table table, struct span prefix)
{
    struct cursor cursor = cursor_open(txn, table);
    bool found = cursor_seek(&cursor, prefix) && span_starts_with(cursor.key, prefix);
    cursor_close(&cursor);
    return !found;
}

void range_measure(struct txn *txn, const struct place *place, size_t *count, size_t *bytes)
{
    for (size_t i = 0; i < CONTENT_KIND_COUNT; i++) {
        struct key prefix = place->layout->conversation_prefix(place, content_kinds[i]);
        struct cursor cursor = cursor_open(txn, place->layout->tables[content_kinds[i]]);
        bool found = cursor_seek(&cursor, key_span(&prefix));
        while (found && *count <= PURGE_INLINE_RECORDS && *bytes <= PURGE_INLINE_BYTES &&
               span_starts_with(cursor.key, key_span(&prefix))) {
            *count += 1;
            *bytes += cursor.value.size;
            found = cursor_next(&cursor);
        }
        cursor_close(&cursor);
    }
}

bool range_remove_content(struct tally *tally, const struct place *place)
{
    bool empty = true;
    for (size_t i = 0; i < CONTENT_KIND_COUNT && empty; i++) {
        enum kind kind = content_kinds[i];
        empty = range_remove(tally, place, place->layout->tables[kind], place->layout->conversation_prefix(place, kind),
                             kind == KIND_MESSAGE ? message_visit : NULL);
    }
    return empty &&
           range_remove(tally, place, TABLE_QUARANTINE, quarantine_prefix(place->user, place->conversation), NULL);
}

bool range_remove_rest(struct tally *tally, struct span user, struct span conversation, const struct purge_entry *entry)
{
    const struct layout *list[2];
    size_t count = layouts_list(&tally->work->layouts, list);
    bool empty = true;
    for (size_t i = 0; i < 2 && empty; i++) {
        struct place place = {.user = user,
                              .conversation = conversation,
                              .user_number = entry->places[i].user_number,
                              .conversation_number = entry->places[i].conversation_number};
        uint32_t number = entry->places[i].layout;
        const struct layout *layout = layout_of(i == 0 && number == 0 ? layout_1.number : number);
        for (size_t k = 0; k < count && layout; k++) {
            if (layout_shares_tables(list[k], layout)) {
                place.layout = list[k];
                empty = range_remove_content(tally, &place);
            }
        }
    }
    return empty;
}

/* The deadline of the recency entry the cursor is at; empty: it has none. */
static struct key deadline_of(const struct place *user, const struct cursor *cursor, struct span prefix)
{
    struct recency_entry entry;
    int64_t activity;
    struct span conversation;
    struct span value = cursor->value;
    if (user->layout->parse_recency(cursor->key, prefix, &activity, &conversation) ||
        layout_open(user->layout, cursor->key, &value) || entry_get_recency(value, &entry) || entry.gone_time_us == 0) {
        return (struct key){0};
    }
    return key_deadline(entry.gone_time_us, user->user, conversation);
}

bool range_remove_recency(struct tally *tally, const struct place *user)
{
    struct txn *txn = &tally->work->txn;
    struct key prefix = user->layout->recency_prefix(user);
    enum table table = user->layout->tables[KIND_RECENCY];
    bool found = true;
    while (found && tally_may_go_on(tally)) {
        struct key deadline = {0};
        struct cursor cursor = cursor_open(txn, table);
        found = cursor_seek(&cursor, key_span(&prefix)) && span_starts_with(cursor.key, key_span(&prefix));
        if (found) {
            deadline = deadline_of(user, &cursor, key_span(&prefix));
            cursor_delete(&cursor);
            tally->removed++;
        }
        cursor_close(&cursor);
        if (deadline.size > 0 && txn_delete(txn, TABLE_DEADLINES, key_span(&deadline))) {
            tally->removed++;
        }
    }
    return !found || range_is_empty(txn, table, key_span(&prefix));
}

void range_remove_head(struct tally *tally, const struct place *place)
{
    struct txn *txn = &tally->work->txn;
    struct key key = place->layout->head_key(place);
    enum table table = place->layout->tables[KIND_HEAD];
    struct span value;
    if (txn_get(txn, table, key_span(&key), &value)) {
        layout_open(place->layout, key_span(&key), &value);
        digest_record(tally, key_conversation(place->user, place->conversation), value);
        conversation_count(tally);
        txn_delete(txn, table, key_span(&key));
        tally->removed++;
    }
}

bool range_remove_leftovers(struct tally *tally, const struct place *user)
{
    struct key prefix = user->layout->user_prefix(user);
    bool empty = true;
    for (size_t i = 0; i < KIND_COUNT && empty; i++) {
        empty = range_remove(tally, user, user->layout->tables[i], prefix, leftover_visit);
    }
    return empty && range_remove(tally, user, TABLE_QUARANTINE, key_user_prefix(user->user), NULL);
}

bool range_remove_journal(struct tally *tally, const struct place *user)
{
    struct pending *pending = tally->work->txn.pending;
    struct pending_user waiting;
    pending_user(pending, user->user_number, true, &waiting);
    for (size_t i = 0; i < waiting.count; i++) { /* of conversations that damage has cut off */
        pending_remove(pending, waiting.conversations[i].conversation_number);
    }
    return journal_remove_user(tally->work, user->user_number, &tally->entry->journal_position, &tally->removed);
}
