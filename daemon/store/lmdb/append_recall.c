#include "store/lmdb/append_recall.h"

#include "store/lmdb/append_journal.h"

/* Reads all request_ids of the conversation into its filter. */
static void requests_learn(struct change *change, struct cached_head *known)
{
    struct txn *txn = &change->work->txn;
    const struct place *place = &change->head.place.head;
    struct key prefix = place->layout->conversation_prefix(place, KIND_REQUEST);
    struct cursor cursor = cursor_open(txn, place->layout->tables[KIND_REQUEST]);
    size_t count = 0;
    bool more = cursor_seek(&cursor, key_span(&prefix));
    for (; more && count < HEAD_CACHE_REQUESTS_MAX && span_starts_with(cursor.key, key_span(&prefix)); count++) {
        head_cache_add_request(known, pending_tag(cursor.key.data + prefix.size, cursor.key.size - prefix.size));
        more = cursor_next(&cursor);
    }
    cursor_close(&cursor);
    if (count == HEAD_CACHE_REQUESTS_MAX) {
        head_cache_fill_requests(known);
    }
    struct pending_chain chain;
    pending_chain(txn->pending, known->conversation_number, true, &chain);
    for (size_t i = 0; i < chain.count; i++) {
        head_cache_add_request(known, chain.tags[i]);
    }
    known->requests_known = !txn->rc;
}

static bool request_may_be_there(struct change *change, struct cached_head *known)
{
    struct span id = change->op->request_id;
    struct span ignored;
    if (id.size == 0) {
        return false;
    }
    if (!known->requests_known) {
        requests_learn(change, known);
    }
    uint32_t tag = pending_tag(id.data, id.size);
    if (known->requests_known && !head_cache_may_have_request(known, tag)) {
        return false;
    }
    return pending_has_tag(change->work->txn.pending, known->conversation_number, tag) ||
           place_get_request(&change->work->txn, &change->head.place, id, &ignored) != GET_MISSING;
}

static struct head head_of(const struct change *change, const struct cached_head *known)
{
    const struct store_op *op = change->op;
    return (struct head){
        .state = HEAD_LIVE,
        .place =
            {
                .head =
                    {
                        .layout = change->work->layouts.home,
                        .user = op->user,
                        .conversation = op->conversation,
                        .user_number = known->user_number,
                        .conversation_number = known->conversation_number,
                    },
                .found = true,
            },
        .record =
            {
                .conversation_id = op->conversation,
                .revision = known->revision,
                .message_count = known->message_count,
                .last_seq = known->last_seq,
                .content_bytes = known->content_bytes,
                .update_time_us = known->update_time_us,
                .activity_time_us = known->activity_time_us,
            },
    };
}

bool append_recall(struct change *change)
{
    const struct store_op *op = change->op;
    if (op->append.replace_after_seq.given || change->work->layouts.source) {
        return false;
    }
    struct cached_head *known = head_cache_find(change->work->heads, op->user, op->conversation);
    if (!known) {
        return false;
    }
    change->head = head_of(change, known);
    if (!append_fits_journal(change) || change->has_message_ids || request_may_be_there(change, known)) {
        change->head = (struct head){0};
        return false;
    }
    change->recalled = known;
    return true;
}

void append_remember(struct change *change, const struct conversation_record *head)
{
    const struct store_op *op = change->op;
    const struct place *place = &change->head.place.head;
    struct cached_head *known = change->recalled;
    if (!known && record_gone_time(head) == 0) {
        known = head_cache_put(change->work->heads, op->user, op->conversation);
    }
    if (!known) {
        return;
    }
    known->user_number = place->user_number;
    known->conversation_number = place->conversation_number;
    known->revision = head->revision;
    known->message_count = head->message_count;
    known->last_seq = head->last_seq;
    known->content_bytes = head->content_bytes;
    known->update_time_us = head->update_time_us;
    known->activity_time_us = head->activity_time_us;
    if (op->request_id.size > 0) {
        head_cache_add_request(known, pending_tag(op->request_id.data, op->request_id.size));
    }
}
