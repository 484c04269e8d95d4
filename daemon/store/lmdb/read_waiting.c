#include "store/lmdb/read_waiting.h"

#include "store/lmdb/journal.h"

#include <stdlib.h>

int waiting_order(const struct waiting_entry *a, const struct waiting_entry *b)
{
    if (a->activity_us != b->activity_us) {
        return a->activity_us > b->activity_us ? -1 : 1;
    }
    return span_order(a->conversation, b->conversation);
}

static int number_order(const void *a, const void *b)
{
    const struct waiting_known *left = a;
    const struct waiting_known *right = b;
    return (left->conversation_number > right->conversation_number) -
           (left->conversation_number < right->conversation_number);
}

/* The name of a conversation known by its numbers; empty: it is damaged or gone. */
static struct span name_find(struct read *read, const struct place *place)
{
    struct span value;
    struct conversation_record record;
    struct key key = place->layout->head_key(place);
    if (!txn_get(read->txn, place->layout->tables[KIND_HEAD], key_span(&key), &value) ||
        layout_open(place->layout, key_span(&key), &value) || record_get_conversation(value, &record)) {
        return span_of(NULL, 0);
    }
    return record.conversation_id;
}

static void entry_insert(struct waiting *waiting, const struct waiting_entry *entry)
{
    size_t at = waiting->count++;
    for (; at > waiting->next && waiting_order(&waiting->entries[at - 1], entry) > 0; at--) {
        waiting->entries[at] = waiting->entries[at - 1];
    }
    waiting->entries[at] = *entry;
}

int waiting_load(struct read *read, const struct waiting *waiting, const struct waiting_entry *entry)
{
    read->head.place = (struct conversation_place){.head = waiting->home, .found = true};
    read->head.place.head.conversation = entry->conversation;
    read->head.place.head.conversation_number = entry->conversation_number;
    return head_read(read->txn, read->now_us, &read->head, read->error);
}

/* It was on a page before: the snapshot sees all that is known of it, and that it stands there. */
static bool has_passed(const struct waiting *waiting, const struct pending_conversation *known)
{
    return waiting->after.conversation.size > 0 && known->newest_id <= waiting->last_id && known->activity_us > 0 &&
           known->activity_us > waiting->after.activity_us;
}

/* Settles one by reading it, unless it is settled, and keeps it when it waits and belongs behind the page's beginning.
 */
static int known_settle(struct read *read, struct waiting *waiting, size_t at)
{
    const struct pending_conversation *known = &waiting->user.conversations[at];
    if (waiting->states[at] != WAITING_UNSETTLED) {
        return 0;
    }
    if (has_passed(waiting, known)) {
        waiting->states[at] = WAITING_JOURNAL;
        return 0;
    }
    struct place place = waiting->home;
    place.conversation_number = known->conversation_number;
    struct waiting_entry entry = {.conversation = name_find(read, &place),
                                  .conversation_number = known->conversation_number};
    int rc = entry.conversation.size == 0 ? 0 : waiting_load(read, waiting, &entry);
    if (rc == -ERROR_MEMORY_SHORT) {
        return rc;
    }
    bool waits = rc == 0 && entry.conversation.size > 0 && read->head.place.journal;
    waiting->states[at] = waits ? WAITING_JOURNAL : WAITING_HOME; /* damage is told when its turn comes */
    if (waits) {
        entry.activity_us = read->head.record.activity_time_us;
        if (waiting->after.conversation.size == 0 || waiting_order(&entry, &waiting->after) > 0) {
            entry_insert(waiting, &entry);
        }
    }
    return 0;
}

int waiting_settle(struct read *read, struct waiting *waiting, uint64_t conversation_number, enum waiting_state *ret)
{
    const struct waiting_known wanted = {.conversation_number = conversation_number};
    const struct waiting_known *known =
        bsearch(&wanted, waiting->by_number, waiting->user.count, sizeof(wanted), number_order);
    int rc = known ? known_settle(read, waiting, known->at) : 0;
    *ret = known && rc == 0 ? waiting->states[known->at] : WAITING_HOME;
    return rc;
}

int waiting_open(struct read *read, const struct place *home, struct span after, struct waiting *ret)
{
    struct pending *pending = read->txn->pending;
    ret->user.count = ret->looked = ret->next = ret->count = 0;
    ret->after = (struct waiting_entry){0};
    if (!pending || !home) {
        return 0;
    }
    pending_user(pending, home->user_number, read->txn->is_write, &ret->user);
    read->head.stale = ret->user.removal_commit > txn_id(read->txn);
    if (ret->user.count == 0 || read->head.stale) {
        return 0;
    }
    ret->home = *home;
    ret->last_id = journal_last(read->txn);
    if (after.size > 0 && key_parse_position(after, &ret->after.activity_us, &ret->after.conversation)) {
        ret->after = (struct waiting_entry){0};
    }
    for (size_t i = 0; i < ret->user.count; i++) {
        ret->states[i] = WAITING_UNSETTLED;
        ret->by_number[i] = (struct waiting_known){ret->user.conversations[i].conversation_number, i};
    }
    qsort(ret->by_number, ret->user.count, sizeof(ret->by_number[0]), number_order);
    int rc = 0;
    /* The newest entry of these is damaged, so that what they are sorted by is not known. */
    for (size_t i = ret->user.count;
         i > 0 && ret->user.conversations[i - 1].activity_us <= 0 && rc == 0 && !read->head.stale; i--) {
        rc = known_settle(read, ret, i - 1);
    }
    return rc;
}

int waiting_look(struct read *read, struct waiting *waiting, const struct waiting_entry **ret)
{
    int rc = 0;
    while (rc == 0 && !read->head.stale && waiting->looked < waiting->user.count) {
        const struct pending_conversation *known = &waiting->user.conversations[waiting->looked];
        bool later = waiting->next < waiting->count;
        if (known->activity_us <= 0 || (later && known->activity_us < waiting->entries[waiting->next].activity_us)) {
            break; /* no later than known: behind what was read */
        }
        rc = known_settle(read, waiting, waiting->looked++);
    }
    *ret = waiting->next < waiting->count ? &waiting->entries[waiting->next] : NULL;
    return rc;
}
