#include "store/lmdb/migrate_move.h"

#include "base/clock.h"
#include "store/lmdb/digest.h"
#include "store/lmdb/migrate_pack.h"
#include "store/lmdb/quarantine.h"

#include <sched.h>
#include <stdio.h>

enum { CLOCK_EVERY = 16 };

bool mover_failed(const struct mover *mover)
{
    return mover->failed || mover->work->txn.rc != 0;
}

void mover_fail(struct mover *mover, const char *why)
{
    if (!mover->failed) {
        mover->failed = true;
        snprintf(mover->why, MIGRATE_WHY_BYTES, "%s", why);
    }
}

bool mover_has_budget(const struct mover *mover)
{
    const struct migrate_budget *budget = mover->budget;
    if (mover->moved == 0) {
        return true;
    }
    if (mover->moved >= budget->records || mover->bytes >= budget->bytes) {
        return false;
    }
    if (mover->moved % CLOCK_EVERY != 0) {
        return true;
    }
    sched_yield(); /* to a request that waits for this core */
    return clock_monotonic_us() < budget->until_us && !(budget->is_interrupted && budget->is_interrupted(budget->arg));
}

/* The records of one kind of one conversation. Keys are made in place, from what all of them begin with: a struct key
 * is half a kilobyte, and passing one by value costs as much as putting a record. */
struct run {
    enum kind kind;
    const struct place *from;
    const struct place *to;
    struct cursor source;
    struct cursor target;
    struct key prefix; /* in the source */
    struct key source_key;
    struct key target_key;
    struct key canonical; /* what a record is called in every layout */
    size_t target_prefix;
    size_t canonical_prefix;
};

static void run_begin(struct run *run, struct mover *mover)
{
    run->target = cursor_open(&mover->work->txn, mover->target->tables[run->kind]);
    run->canonical = key_conversation(run->from->user, run->from->conversation);
    if (run->kind == KIND_HEAD) {
        run->target_key = mover->target->head_key(run->to);
    } else {
        run->target_key = mover->target->conversation_prefix(run->to, run->kind);
        key_add_byte(&run->canonical, 0);
    }
    run->target_prefix = run->target_key.size;
    run->canonical_prefix = run->canonical.size;
}

/* Makes the keys of the record that is called so. */
static void run_name(struct run *run, uint64_t seq, struct span id)
{
    run->target_key.size = run->target_prefix;
    run->canonical.size = run->canonical_prefix;
    if (run->kind == KIND_MESSAGE) {
        run->to->layout->add_seq(&run->target_key, seq);
        key_add_digits(&run->canonical, seq, KEY_SEQ_DIGITS);
    } else {
        key_add_id(&run->target_key, id);
        key_add_id(&run->canonical, id);
    }
}

static bool request_is_sound(struct span record, struct buffer *answer)
{
    struct store_result result = {.records = *answer};
    buffer_clear(&result.records);
    bool sound = entry_get_request(record, 1, &result) == 0;
    *answer = result.records;
    return sound;
}

const char *record_damage(enum kind kind, struct span record, uint64_t seq, struct span conversation,
                          struct buffer *answer)
{
    struct message_record message;
    struct conversation_record head;
    uint64_t value;
    bool sound = true;
    switch (kind) {
    case KIND_MESSAGE:
        sound = record_get_message(record, &message) == 0 && message.seq == seq;
        break;
    case KIND_MESSAGE_ID:
        sound = key_parse_seq(record, &value) == 0;
        break;
    case KIND_REQUEST:
        sound = request_is_sound(record, answer);
        break;
    case KIND_HEAD:
        sound = record_get_conversation(record, &head) == 0 && span_equal(head.conversation_id, conversation);
        break;
    case KIND_RECENCY:
    case KIND_COUNT:
        break;
    }
    return sound ? NULL : "the bytes are not such a record";
}

/* Puts scratch in the target, reads it back and adds what it finds to the target's digest. */
static void target_put(struct mover *mover, struct run *run)
{
    struct txn *txn = &mover->work->txn;
    struct buffer *scratch = mover->work->scratch;
    struct span key = key_span(&run->target_key);
    size_t size = scratch->size;
    layout_seal(mover->target, key, scratch);
    if (scratch->failed) {
        txn_fail_memory(txn);
        return;
    }
    if (!cursor_put(&run->target, key, buffer_span(scratch)) && txn->rc) {
        return;
    }
    struct span stored = run->target.value;
    if (!span_equal(run->target.key, key) || layout_open(mover->target, run->target.key, &stored) ||
        !span_equal(stored, span_of(scratch->data, size))) {
        mover_fail(mover, "a record that was moved reads back otherwise");
        return;
    }
    digest_add(&mover->entry.target_digest[0], &mover->entry.target_digest[1], key_span(&run->canonical), stored);
    mover->entry.target_records++;
}

/* Copies the value that is to be moved into scratch, as the bytes the target is to have: without a checksum, or, when
 * that is wrong, with it, so that they stay damaged. Returns what is wrong with it, or NULL. */
static const char *source_take(struct mover *mover, enum kind kind, struct span key, struct span value, uint64_t seq,
                               const struct place *from)
{
    struct buffer *scratch = mover->work->scratch;
    struct span record = value;
    const char *damage = layout_open(mover->source, key, &record) ? "its checksum is wrong" : NULL;
    damage = damage ? damage : record_damage(kind, record, seq, from->conversation, &mover->answer);
    buffer_clear(scratch);
    buffer_append(scratch, record.data, record.size);
    return damage;
}

static void source_count(struct mover *mover, struct span canonical)
{
    digest_add(&mover->entry.source_digest[0], &mover->entry.source_digest[1], canonical,
               buffer_span(mover->work->scratch));
    mover->entry.source_records++;
    mover->moved++;
    mover->bytes += canonical.size + mover->work->scratch->size;
}

static void quarantine_copy(struct mover *mover, const struct place *from, enum kind kind, struct span rest,
                            const struct key *key, const char *damage)
{
    const struct quarantined found = {
        .layout = mover->source->number,
        .table = mover->source->tables[kind],
        .key = key_span(key),
        .value = buffer_span(mover->work->scratch),
        .reason = damage,
    };
    quarantine_put(mover->work, from->user, from->conversation, kind, rest, &found);
    mover->entry.quarantined++;
}

/* Messages go into runs where the target has them. */
static bool is_packed(const struct mover *mover, enum kind kind)
{
    return kind == KIND_MESSAGE && mover->target->has_runs;
}

/* A run is taken apart where it stands, so that only records are moved. */
static bool run_is_met(struct mover *mover, enum kind kind, const struct place *from, struct cursor *cursor)
{
    return kind == KIND_MESSAGE && mover->source->has_runs &&
           pack_take_apart(mover, from, cursor, span_of(NULL, 0)) > 0;
}

/* Moves the record the source's cursor is at, and the cursor to the one behind it. False: there is none. */
static bool record_move(struct mover *mover, struct run *run, uint64_t *ret_seq)
{
    enum kind kind = run->kind;
    uint64_t seq = 0;
    run->source_key.size = 0;
    key_add(&run->source_key, run->source.key);
    struct span key = key_span(&run->source_key);
    struct span rest = span_of(key.data + run->prefix.size, key.size - run->prefix.size);
    bool has_place =
        kind == KIND_MESSAGE ? mover->source->parse_message(key, key_span(&run->prefix), &seq) == 0 : key_is_id(rest);
    const char *damage = source_take(mover, kind, key, run->source.value, seq, run->from);
    if (mover->work->scratch->failed) {
        txn_fail_memory(&mover->work->txn);
        return false;
    }
    has_place = has_place && run->source.value.size > 0;
    if (damage || !has_place) {
        quarantine_copy(mover, run->from, kind, rest, &run->source_key, has_place ? damage : "its key has no place");
    }
    if (has_place) {
        run_name(run, seq, rest);
        source_count(mover, key_span(&run->canonical));
        if (!is_packed(mover, kind) || !pack_add(mover, seq, buffer_span(mover->work->scratch), damage != NULL)) {
            target_put(mover, run);
        }
        *ret_seq = kind == KIND_MESSAGE ? seq : *ret_seq;
        mover->entry.messages_moved += kind == KIND_MESSAGE;
    } else {
        mover->moved++;
    }
    return cursor_delete_next(&run->source);
}

/* Moves the conversation's records of a kind. False: there are more, or it failed. */
static bool kind_move(struct mover *mover, enum kind kind, const struct place *from, const struct place *to,
                      uint64_t *ret_seq)
{
    struct run run = {.kind = kind, .from = from, .to = to};
    run.prefix = mover->source->conversation_prefix(from, kind);
    run.source = cursor_open(&mover->work->txn, mover->source->tables[kind]);
    bool more =
        cursor_seek(&run.source, key_span(&run.prefix)) && span_starts_with(run.source.key, key_span(&run.prefix));
    if (more) {
        run_begin(&run, mover);
    }
    struct key names = key_conversation(from->user, from->conversation);
    key_add_byte(&names, 0);
    if (is_packed(mover, kind)) {
        pack_begin(mover, to, key_span(&names));
    }
    while (more && !mover_failed(mover) && mover_has_budget(mover)) {
        more = run_is_met(mover, kind, from, &run.source) ? cursor_seek(&run.source, key_span(&run.prefix))
                                                          : record_move(mover, &run, ret_seq);
        more = more && span_starts_with(run.source.key, key_span(&run.prefix));
    }
    if (is_packed(mover, kind)) {
        pack_flush(mover);
    }
    cursor_close(&run.source);
    cursor_close(&run.target);
    return !more && !mover_failed(mover);
}

static void recency_put(struct mover *mover, const struct place *to, int64_t activity_us,
                        const struct recency_entry *entry)
{
    struct buffer *scratch = mover->work->scratch;
    struct key key = mover->target->recency_key(to, activity_us);
    buffer_clear(scratch);
    entry_put_recency(scratch, entry);
    layout_seal(mover->target, key_span(&key), scratch);
    work_put_scratch(mover->work, mover->target->tables[KIND_RECENCY], key_span(&key));
}

/* Of a conversation whose head cannot be read: looks for its recency entry among all of the user's. */
static void recency_find_and_move(struct mover *mover, const struct place *from, const struct place *to)
{
    enum table table = mover->source->tables[KIND_RECENCY];
    struct key prefix = mover->source->recency_prefix(from);
    struct cursor cursor = cursor_open(&mover->work->txn, table);
    struct recency_entry entry = {0};
    struct key found = {0};
    int64_t activity = 0;
    bool more = cursor_seek(&cursor, key_span(&prefix));
    while (more && found.size == 0 && span_starts_with(cursor.key, key_span(&prefix))) {
        struct span conversation;
        struct span value = cursor.value;
        if (mover->source->parse_recency(cursor.key, key_span(&prefix), &activity, &conversation) == 0 &&
            span_equal(conversation, from->conversation) && layout_open(mover->source, cursor.key, &value) == 0 &&
            entry_get_recency(value, &entry) == 0) {
            found = cursor_copy_key(&cursor);
        }
        more = cursor_next(&cursor);
    }
    cursor_close(&cursor);
    if (found.size > 0) {
        txn_delete(&mover->work->txn, table, key_span(&found));
        recency_put(mover, to, activity, &entry);
    }
}

static void recency_move(struct mover *mover, const struct place *from, const struct place *to,
                         const struct conversation_record *head)
{
    const struct recency_entry entry = {
        .archived = head->archived, .deleted = head->delete_time_us != 0, .gone_time_us = record_gone_time(head)};
    struct key key = mover->source->recency_key(from, head->activity_time_us);
    int64_t activity = head->activity_time_us; /* head points into scratch, which is used next */
    txn_delete(&mover->work->txn, mover->source->tables[KIND_RECENCY], key_span(&key));
    recency_put(mover, to, activity, &entry);
}

static void head_move(struct mover *mover, const struct place *from, const struct place *to)
{
    struct txn *txn = &mover->work->txn;
    struct key source = mover->source->head_key(from);
    struct run run = {.kind = KIND_HEAD, .from = from, .to = to};
    struct conversation_record head = {0};
    struct span value;
    if (!txn_get(txn, mover->source->tables[KIND_HEAD], key_span(&source), &value)) {
        return; /* the transaction failed: the caller has seen the head */
    }
    const char *damage = source_take(mover, KIND_HEAD, key_span(&source), value, 0, from);
    if (mover->work->scratch->failed) {
        txn_fail_memory(txn);
        return;
    }
    run_begin(&run, mover);
    source_count(mover, key_span(&run.canonical));
    size_t size = mover->work->scratch->size; /* the target's checksum goes behind it */
    txn_delete(txn, mover->source->tables[KIND_HEAD], key_span(&source));
    if (damage) {
        quarantine_copy(mover, from, KIND_HEAD, span_of(NULL, 0), &source, damage);
    }
    target_put(mover, &run);
    cursor_close(&run.target);
    if (damage) {
        recency_find_and_move(mover, from, to);
    } else if (!mover_failed(mover) && record_get_conversation(span_of(mover->work->scratch->data, size), &head) == 0) {
        recency_move(mover, from, to, &head);
    }
    mover->source->remove(mover->work, from);
    mover->entry.conversations_moved++;
}

bool mover_move(struct mover *mover, const struct place *from, const struct place *to, uint64_t *seq)
{
    /* The head last: until then the conversation is the source's. */
    static const enum kind kinds[] = {KIND_MESSAGE_ID, KIND_REQUEST, KIND_MESSAGE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!kind_move(mover, kinds[i], from, to, seq)) {
            return false;
        }
    }
    if (!mover_has_budget(mover)) {
        return false;
    }
    head_move(mover, from, to);
    return !mover_failed(mover);
}
