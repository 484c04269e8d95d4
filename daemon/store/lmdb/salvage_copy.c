/* One conversation from a damaged file into a new one: its messages one by one, their IDs, the remembered requests, and
 * a head that says what there is. */
#include "store/lmdb/salvage.h"

#include "store/lmdb/heads.h"
#include "store/lmdb/journal_part.h"

#include <inttypes.h>

enum { BATCH_MESSAGES = 128, BATCH_BYTES = 1 << 20, COMMIT_BYTES = 4 << 20 };

struct copy {
    struct salvage *salvage;
    struct head head; /* as it was found */
    bool head_sound;
    struct conversation_place to;
    size_t offsets[BATCH_MESSAGES]; /* in salvage->messages */
    uint64_t seqs[BATCH_MESSAGES];
    size_t count;
    struct conversation_record sum; /* of what was copied */
};

static void messages_flush(struct copy *copy)
{
    struct salvage *salvage = copy->salvage;
    struct run_message messages[BATCH_MESSAGES];
    for (size_t i = 0; i < copy->count; i++) {
        size_t end = i + 1 < copy->count ? copy->offsets[i + 1] : salvage->messages.size;
        messages[i] = (struct run_message){
            .seq = copy->seqs[i], .record = span_of(salvage->messages.data + copy->offsets[i], end - copy->offsets[i])};
    }
    if (salvage->messages.failed) {
        txn_fail_memory(&salvage->work.txn);
    } else if (copy->count > 0) {
        place_append_messages(&salvage->work, &copy->to, messages, copy->count);
    }
    salvage->uncommitted += salvage->messages.size;
    buffer_clear(&salvage->messages);
    copy->count = 0;
    if (salvage->uncommitted > COMMIT_BYTES && !salvage->work.txn.rc) {
        int rc = salvage_commit(salvage);
        salvage_begin(salvage);
        salvage->work.txn.rc = rc ? rc : salvage->work.txn.rc;
    }
}

static void message_take(struct copy *copy, const struct message_cursor *cursor)
{
    struct salvage *salvage = copy->salvage;
    const struct place *place = &copy->head.place.head;
    struct message_record message;
    if (cursor->damaged || cursor->seq == 0 || record_get_message(cursor->record, &message) ||
        message.seq != cursor->seq) {
        salvage->done->lost++;
        salvage_tell(salvage, "message %.*s/%.*s/%" PRIu64 " is damaged", SPAN_FORMAT(place->user),
                     SPAN_FORMAT(place->conversation), cursor->seq);
        return;
    }
    if (copy->count == BATCH_MESSAGES || salvage->messages.size > BATCH_BYTES) {
        messages_flush(copy);
    }
    copy->offsets[copy->count] = salvage->messages.size;
    copy->seqs[copy->count++] = message.seq;
    buffer_append(&salvage->messages, cursor->record.data, cursor->record.size);
    copy->sum.message_count++;
    copy->sum.content_bytes += message.content_size;
    copy->sum.last_seq = message.seq;
    copy->sum.create_time_us = copy->sum.create_time_us ? copy->sum.create_time_us : message.create_time_us;
    copy->sum.activity_time_us = message.create_time_us;
    if (message.message_id.size > 0) {
        place_put_message_id(&salvage->work, &copy->to, message.message_id, message.seq);
    }
}

static void messages_copy(struct copy *copy)
{
    struct message_cursor cursor;
    message_cursor_open(&copy->salvage->source, &copy->head.place, &cursor);
    for (bool more = message_cursor_seek(&cursor, 1); more; more = message_cursor_next(&cursor)) {
        message_take(copy, &cursor);
    }
    message_cursor_close(&cursor);
    messages_flush(copy);
}

static void request_put(struct copy *copy, struct span request_id, struct span value)
{
    struct work *work = &copy->salvage->work;
    buffer_clear(work->scratch);
    buffer_append(work->scratch, value.data, value.size);
    if (key_is_id(request_id)) {
        place_put_request(work, &copy->to, request_id);
    }
}

static void requests_copy_side(struct copy *copy, const struct place *side)
{
    struct salvage *salvage = copy->salvage;
    struct key prefix = side->layout->conversation_prefix(side, KIND_REQUEST);
    struct cursor cursor = cursor_open(&salvage->source, side->layout->tables[KIND_REQUEST]);
    bool more = cursor_seek(&cursor, key_span(&prefix));
    for (; more && span_starts_with(cursor.key, key_span(&prefix)); more = cursor_next(&cursor)) {
        struct span value = cursor.value;
        if (layout_open(side->layout, cursor.key, &value)) {
            salvage->done->lost++;
            salvage_tell(salvage, "a remembered request of %.*s/%.*s is damaged", SPAN_FORMAT(side->user),
                         SPAN_FORMAT(side->conversation));
        } else {
            request_put(copy, span_of(cursor.key.data + prefix.size, cursor.key.size - prefix.size), value);
        }
    }
    cursor_close(&cursor);
}

static void requests_copy(struct copy *copy)
{
    const struct conversation_place *place = &copy->head.place;
    requests_copy_side(copy, &place->head);
    if (place->split) {
        requests_copy_side(copy, &place->moved);
    }
    if (place->journal) {
        struct journal_item items[PENDING_CHAIN_MAX];
        size_t count =
            journal_part_list(&copy->salvage->source, &place->journal->chain, place->journal->home_last_seq, items);
        for (size_t i = 0; i < count; i++) {
            if (!items[i].damaged && items[i].entry.request_id.size > 0) {
                request_put(copy, items[i].entry.request_id, items[i].entry.request);
            }
        }
    }
}

static void head_take(struct copy *copy)
{
    struct salvage *salvage = copy->salvage;
    const struct place *place = &copy->head.place.head;
    struct span bytes;
    enum get_result found = place_get_head(&salvage->source, &copy->head.place, &bytes);
    copy->head_sound = found == GET_FOUND && record_get_conversation(bytes, &copy->head.record) == 0;
    if (!copy->head_sound) {
        copy->head.record = (struct conversation_record){.conversation_id = place->conversation};
        salvage->done->lost++;
        salvage_tell(salvage, "the head of %.*s/%.*s is damaged: title and metadata are lost", SPAN_FORMAT(place->user),
                     SPAN_FORMAT(place->conversation));
    }
    journal_part_load(&salvage->source, &copy->head);
}

static void head_write(struct copy *copy)
{
    struct conversation_record head = copy->head.record;
    int64_t now_us = copy->salvage->work.now_us;
    head.conversation_id = copy->to.head.conversation;
    head.message_count = copy->sum.message_count;
    head.content_bytes = copy->sum.content_bytes;
    head.last_seq = copy->sum.last_seq > head.last_seq ? copy->sum.last_seq : head.last_seq;
    if (!copy->head_sound) {
        head.create_time_us = copy->sum.create_time_us ? copy->sum.create_time_us : now_us;
        head.activity_time_us = copy->sum.activity_time_us ? copy->sum.activity_time_us : now_us;
        head.update_time_us = now_us;
        head.revision = (uint64_t)now_us; /* as that of a new one */
    }
    head_put(&copy->salvage->work, &copy->to, NULL, &head);
}

void salvage_conversation(struct salvage *salvage, const struct conversation_place *from)
{
    struct copy copy = {.salvage = salvage, .head = {.state = HEAD_LIVE, .place = *from}};
    struct work *work = &salvage->work;
    enum get_result there = place_find(&work->txn, &work->layouts, from->head.user, from->head.conversation, &copy.to);
    if (there != GET_MISSING) {
        salvage->done->lost++;
        salvage_tell(salvage, "conversation %.*s/%.*s is there twice: the second one is left out",
                     SPAN_FORMAT(from->head.user), SPAN_FORMAT(from->head.conversation));
        return;
    }
    place_create(work, &copy.to);
    head_take(&copy);
    messages_copy(&copy);
    requests_copy(&copy);
    head_write(&copy);
    salvage->done->conversations++;
    salvage->done->messages += copy.sum.message_count;
}
