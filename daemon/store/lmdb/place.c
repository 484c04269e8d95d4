#include "store/lmdb/place.h"

#include "store/lmdb/journal_part.h"
#include "store/lmdb/marker.h"
#include "store/lmdb/work.h"

#include <assert.h>

bool layouts_load(struct txn *txn, struct layouts *ret)
{
    struct span bytes;
    struct marker marker;
    if (!txn_get(txn, TABLE_META, span_of_string(MARKER_KEY), &bytes) || marker_decode(bytes, &marker)) {
        return false;
    }
    struct layouts layouts = {.home = layout_of(marker.target)};
    const struct layout *from = layout_of(marker.layout);
    layouts.loose = from && layouts.home && from->has_runs && !layouts.home->has_runs;
    if (from && layouts.home && layout_shares_tables(from, layouts.home)) {
        layouts.home = layouts.loose ? from : layouts.home; /* all is read as what can say more */
    } else if (marker.target != marker.layout) {
        struct migration_entry entry;
        layouts.source = layout_of(marker.layout);
        if (!layouts.source || !txn_get(txn, TABLE_META, span_of_string(ENTRY_MIGRATION_KEY), &bytes) ||
            entry_get_migration(bytes, &entry)) {
            return false;
        }
        layouts.split = entry.split;
        layouts.split_user = entry.split_user;
        layouts.split_conversation = entry.split_conversation;
        layouts.split_seq = entry.split_seq;
        layouts.split_user_number = entry.split_user_number;
        layouts.split_conversation_number = entry.split_conversation_number;
    }
    if (!layouts.home) {
        return false;
    }
    *ret = layouts;
    return true;
}

size_t layouts_list(const struct layouts *layouts, const struct layout *ret_list[2])
{
    ret_list[0] = layouts->home;
    ret_list[1] = layouts->source;
    return layouts->source ? 2 : 1;
}

const struct layout *layouts_with_journal(const struct layouts *layouts)
{
    const struct layout *list[2];
    size_t count = layouts_list(layouts, list);
    for (size_t i = 0; i < count; i++) {
        if (list[i]->has_runs) {
            return list[i];
        }
    }
    return NULL;
}

static struct place place_in(const struct layout *layout, struct span user, struct span conversation)
{
    return (struct place){.layout = layout, .user = user, .conversation = conversation};
}

static bool split_is_of(const struct layouts *layouts, struct span user, struct span conversation)
{
    return layouts->split && span_equal(key_span(&layouts->split_conversation), conversation) &&
           span_equal(key_span(&layouts->split_user), user);
}

enum get_result place_find(struct txn *txn, const struct layouts *layouts, struct span user, struct span conversation,
                           struct conversation_place *ret)
{
    struct conversation_place place = {.head = place_in(layouts->home, user, conversation)};
    bool split = split_is_of(layouts, user, conversation);
    enum get_result found = GET_MISSING;
    /* The source first: it has the head of a conversation that is split, though home has its name already. */
    if (layouts->source) {
        place.head.layout = layouts->source;
        found = layouts->source->find(txn, &place.head);
    }
    if (found == GET_FOUND && split) {
        place.split = true;
        place.split_seq = layouts->split_seq;
        place.moved = place_in(layouts->home, user, conversation);
        place.moved.user_number = layouts->split_user_number;
        place.moved.conversation_number = layouts->split_conversation_number;
    } else if (found == GET_MISSING) {
        place.head = place_in(layouts->home, user, conversation);
        found = layouts->home->find(txn, &place.head);
    }
    place.found = found == GET_FOUND;
    *ret = place;
    return found;
}

bool place_user_has_any(struct txn *txn, const struct layouts *layouts, struct span user)
{
    const struct layout *list[2];
    size_t count = layouts_list(layouts, list);
    bool any = false;
    for (size_t i = 0; i < count && !any; i++) {
        struct place place = place_in(list[i], user, span_of(NULL, 0));
        any = list[i]->find(txn, &place) != GET_MISSING;
    }
    return any;
}

void place_create(struct work *work, struct conversation_place *place)
{
    assert(!place->found && !place->split);
    work->stats.users += !place_user_has_any(&work->txn, &work->layouts, place->head.user);
    place->head.layout->create(work, &place->head);
    place->found = true;
}

void place_remove(struct work *work, const struct conversation_place *place)
{
    place->head.layout->remove(work, &place->head);
    if (place->split) {
        place->moved.layout->remove(work, &place->moved);
    }
    bool last = !place_user_has_any(&work->txn, &work->layouts, place->head.user);
    work->stats.users -= last && work->stats.users > 0;
}

/* A record in the one layout or, of a split conversation, in the other. */

static enum get_result record_get(struct txn *txn, const struct place *place, enum kind kind, struct key key,
                                  struct span *ret)
{
    struct span value;
    if (!txn_get(txn, place->layout->tables[kind], key_span(&key), &value)) {
        return GET_MISSING;
    }
    if (layout_open(place->layout, key_span(&key), &value)) {
        return GET_DAMAGED;
    }
    *ret = value;
    return GET_FOUND;
}

static void record_put(struct work *work, const struct place *place, enum kind kind, struct key key)
{
    layout_seal(place->layout, key_span(&key), work->scratch);
    work_put_scratch(work, place->layout->tables[kind], key_span(&key));
}

static bool record_delete(struct work *work, const struct place *place, enum kind kind, struct key key)
{
    return txn_delete(&work->txn, place->layout->tables[kind], key_span(&key));
}

/* Where the message is or would be. */
static const struct place *message_place(const struct conversation_place *place, uint64_t seq)
{
    return place->split && seq <= place->split_seq ? &place->moved : &place->head;
}

enum get_result place_get_head(struct txn *txn, const struct conversation_place *place, struct span *ret)
{
    return record_get(txn, &place->head, KIND_HEAD, place->head.layout->head_key(&place->head), ret);
}

enum get_result place_get_head_near(struct cursor *heads, const struct place *place, struct span *ret)
{
    struct key key = place->layout->head_key(place);
    if (!cursor_find(heads, key_span(&key))) {
        return GET_MISSING;
    }
    struct span value = heads->value;
    if (layout_open(place->layout, heads->key, &value)) {
        return GET_DAMAGED;
    }
    *ret = value;
    return GET_FOUND;
}

enum get_result place_get_message_id(struct txn *txn, const struct conversation_place *place, struct span message_id,
                                     uint64_t *ret_seq)
{
    const struct place *side = &place->head;
    struct span value;
    enum get_result found =
        record_get(txn, side, KIND_MESSAGE_ID, side->layout->message_id_key(side, message_id), &value);
    if (found == GET_MISSING && place->split) {
        side = &place->moved;
        found = record_get(txn, side, KIND_MESSAGE_ID, side->layout->message_id_key(side, message_id), &value);
    }
    if (found == GET_MISSING && place->journal) {
        return journal_part_find_id(txn, place, message_id, ret_seq);
    }
    return found == GET_FOUND && key_parse_seq(value, ret_seq) ? GET_DAMAGED : found;
}

enum get_result place_get_request(struct txn *txn, const struct conversation_place *place, struct span request_id,
                                  struct span *ret)
{
    const struct place *side = &place->head;
    enum get_result found = record_get(txn, side, KIND_REQUEST, side->layout->request_key(side, request_id), ret);
    if (found == GET_MISSING && place->split) {
        side = &place->moved;
        found = record_get(txn, side, KIND_REQUEST, side->layout->request_key(side, request_id), ret);
    }
    if (found == GET_MISSING && place->journal) {
        return journal_part_find_request(txn, place, request_id, ret);
    }
    return found;
}

void place_put_head(struct work *work, const struct conversation_place *place)
{
    record_put(work, &place->head, KIND_HEAD, place->head.layout->head_key(&place->head));
}

bool place_delete_head(struct work *work, const struct conversation_place *place)
{
    return record_delete(work, &place->head, KIND_HEAD, place->head.layout->head_key(&place->head));
}

void place_put_recency(struct work *work, const struct conversation_place *place, int64_t activity_time_us)
{
    const struct place *head = &place->head;
    record_put(work, head, KIND_RECENCY, head->layout->recency_key(head, activity_time_us));
}

bool place_delete_recency(struct work *work, const struct conversation_place *place, int64_t activity_time_us)
{
    const struct place *head = &place->head;
    return record_delete(work, head, KIND_RECENCY, head->layout->recency_key(head, activity_time_us));
}

void place_put_message_id(struct work *work, const struct conversation_place *place, struct span message_id,
                          uint64_t seq)
{
    const struct place *side = message_place(place, seq);
    struct key value = key_seq_value(seq);
    buffer_clear(work->scratch);
    buffer_append(work->scratch, value.bytes, value.size);
    record_put(work, side, KIND_MESSAGE_ID, side->layout->message_id_key(side, message_id));
}

void place_put_request(struct work *work, const struct conversation_place *place, struct span request_id)
{
    const struct place *side = place->split ? &place->moved : &place->head; /* it need not be moved any more */
    record_put(work, side, KIND_REQUEST, side->layout->request_key(side, request_id));
}

bool place_delete_message_id(struct work *work, const struct conversation_place *place, struct span message_id)
{
    const struct place *side = &place->head;
    bool deleted = record_delete(work, side, KIND_MESSAGE_ID, side->layout->message_id_key(side, message_id));
    if (!deleted && place->split) {
        side = &place->moved;
        deleted = record_delete(work, side, KIND_MESSAGE_ID, side->layout->message_id_key(side, message_id));
    }
    return deleted;
}
