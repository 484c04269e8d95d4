#include "store/lmdb/migrate.h"

#include "base/clock.h"
#include "store/lmdb/audit.h"
#include "store/lmdb/heads.h"
#include "store/lmdb/marker.h"
#include "store/lmdb/migrate_move.h"
#include "store/lmdb/migrate_pack.h"
#include "store/lmdb/migrate_place.h"
#include "store/lmdb/migrate_sweep.h"

#include <stdio.h>

static const struct migrate_step steps[] = {
    {1, 2, .loss = NULL}, {1, 3, .loss = NULL}, {2, 1, .loss = "checksums of records"},
    {2, 3, .loss = NULL}, {3, 2, .loss = NULL}, {3, 1, .loss = "checksums of records"},
};

const struct migrate_step *migrate_step_find(uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].from == from && steps[i].to == to) {
            return &steps[i];
        }
    }
    return NULL;
}

bool migrate_read_marker(struct txn *txn, struct marker *ret)
{
    struct span bytes;
    return txn_get(txn, TABLE_META, span_of_string(MARKER_KEY), &bytes) && marker_decode(bytes, ret) == 0;
}

static void marker_change(struct work *work, uint32_t layout, uint32_t target)
{
    struct marker marker;
    uint8_t bytes[MARKER_BYTES];
    if (!migrate_read_marker(&work->txn, &marker)) {
        txn_fail_damaged(&work->txn);
        return;
    }
    uint32_t needed = layout > target ? layout : target;
    marker.layout = (uint16_t)layout;
    marker.target = (uint16_t)target;
    marker.min_reader = marker.min_writer = (uint16_t)needed;
    marker.state = layout == target ? MARKER_AT_REST : MARKER_MIGRATING;
    marker_encode(&marker, bytes);
    txn_put(&work->txn, TABLE_META, span_of_string(MARKER_KEY), span_of(bytes, sizeof(bytes)));
}

static void layouts_reload(struct work *work)
{
    if (!work->txn.rc && !layouts_load(&work->txn, &work->layouts)) {
        txn_fail_damaged(&work->txn);
    }
}

static void entry_save(struct work *work, const char *name, const struct migration_entry *entry)
{
    buffer_clear(work->scratch);
    entry_put_migration(work->scratch, entry);
    work_put_scratch(work, TABLE_META, span_of_string(name));
}

static bool entry_load(struct txn *txn, const char *name, struct migration_entry *ret)
{
    struct span bytes;
    if (!txn_get(txn, TABLE_META, span_of_string(name), &bytes)) {
        return false;
    }
    if (entry_get_migration(bytes, ret)) {
        txn_fail_damaged(txn);
        return false;
    }
    return true;
}

bool migrate_progress(struct txn *txn, struct migration_entry *ret)
{
    return entry_load(txn, ENTRY_MIGRATION_KEY, ret);
}

bool migrate_last(struct txn *txn, struct migration_entry *ret)
{
    return entry_load(txn, MIGRATE_LAST_KEY, ret);
}

struct store_migration migrate_tell(const struct migration_entry *entry)
{
    static const enum store_migration_state states[] = {[MIGRATION_NONE] = STORE_MIGRATION_NONE,
                                                        [MIGRATION_MOVING] = STORE_MIGRATION_MOVING,
                                                        [MIGRATION_HALTED] = STORE_MIGRATION_HALTED};
    struct store_migration told = {
        .state = entry->state <= MIGRATION_HALTED ? states[entry->state] : STORE_MIGRATION_HALTED,
        .from = entry->from,
        .to = entry->to,
        .messages_total = entry->messages_total,
        .messages_moved = entry->messages_moved,
        .conversations_total = entry->conversations_total,
        .conversations_moved = entry->conversations_moved,
        .quarantined = entry->quarantined,
        .seconds_left = -1,
        .start_time_us = entry->started_us,
        .finish_time_us = entry->finished_us,
    };
    memcpy(told.last_error, entry->last_error, sizeof(told.last_error));
    return told;
}

static void event_put(struct work *work, enum store_action action, const struct migration_entry *entry)
{
    bool begins = action == STORE_ACTION_MIGRATION_BEGIN;
    audit_put(work, &(struct event_record){
                        .action = action,
                        .conversations = begins ? entry->conversations_total : entry->conversations_moved,
                        .messages = begins ? entry->messages_total : entry->messages_moved,
                        .from_layout = entry->from,
                        .to_layout = entry->to,
                    });
}

void migrate_begin(struct work *work, uint32_t from, uint32_t to)
{
    assert(layout_of(from) && layout_of(to) && from != to);
    const struct migration_entry entry = {
        .from = from,
        .to = to,
        .state = MIGRATION_MOVING,
        .messages_total = work->stats.messages,
        .conversations_total = work->stats.conversations,
        .started_us = work->now_us,
    };
    marker_change(work, from, to);
    entry_save(work, ENTRY_MIGRATION_KEY, &entry);
    layouts_reload(work);
    event_put(work, STORE_ACTION_MIGRATION_BEGIN, &entry);
}

void migrate_note_failure(struct work *work, const char *why)
{
    struct migration_entry entry;
    if (migrate_progress(&work->txn, &entry)) {
        entry.attempts++;
        entry.state = entry.attempts < MIGRATE_ATTEMPTS_MAX ? MIGRATION_MOVING : MIGRATION_HALTED;
        snprintf(entry.last_error, sizeof(entry.last_error), "%s", why);
        entry_save(work, ENTRY_MIGRATION_KEY, &entry);
    }
}

void migrate_resume(struct work *work)
{
    struct migration_entry entry;
    if (migrate_progress(&work->txn, &entry) && entry.state == MIGRATION_HALTED) {
        entry.state = MIGRATION_MOVING;
        entry.attempts = 0;
        entry_save(work, ENTRY_MIGRATION_KEY, &entry);
    }
}

/* Where the conversation that is partly moved stands. False: it has no head any more, its removal does the rest. */
static bool split_find(struct mover *mover, struct place *ret_from, struct place *ret_to)
{
    const struct migration_entry *entry = &mover->entry;
    struct place from = {.layout = mover->source,
                         .user = key_span(&entry->split_user),
                         .conversation = key_span(&entry->split_conversation)};
    struct span head;
    if (mover->source->find(&mover->work->txn, &from) != GET_FOUND) {
        return false;
    }
    struct key key = mover->source->head_key(&from);
    if (!txn_get(&mover->work->txn, mover->source->tables[KIND_HEAD], key_span(&key), &head)) {
        return false;
    }
    *ret_from = from;
    *ret_to = (struct place){.layout = mover->target,
                             .user = from.user,
                             .conversation = from.conversation,
                             .user_number = entry->split_user_number,
                             .conversation_number = entry->split_conversation_number};
    return true;
}

static void split_set(struct mover *mover, const struct place *to, uint64_t seq)
{
    struct migration_entry *entry = &mover->entry;
    struct key user = {.size = to->user.size};
    struct key conversation = {.size = to->conversation.size};
    memcpy(user.bytes, to->user.data, user.size);
    memcpy(conversation.bytes, to->conversation.data, conversation.size);
    entry->split = true;
    entry->split_user = user;
    entry->split_conversation = conversation;
    entry->split_seq = seq;
    entry->split_user_number = to->user_number;
    entry->split_conversation_number = to->conversation_number;
}

static void split_clear(struct migration_entry *entry)
{
    entry->split = false;
    entry->split_user.size = entry->split_conversation.size = 0;
    entry->split_seq = entry->split_user_number = entry->split_conversation_number = 0;
}

/* Goes on with the conversation that is partly moved. */
static bool split_move(struct mover *mover)
{
    struct place from, to;
    uint64_t seq = mover->entry.split_seq;
    if (!split_find(mover, &from, &to)) {
        split_clear(&mover->entry);
        return true;
    }
    bool done = mover_move(mover, &from, &to, &seq);
    if (done) {
        split_clear(&mover->entry);
    } else {
        mover->entry.split_seq = seq;
    }
    return done;
}

static bool whole_move(struct mover *mover, const struct place *from)
{
    struct place to = {.layout = mover->target, .user = from->user, .conversation = from->conversation};
    uint64_t seq = 0;
    mover->target->create(mover->work, &to);
    bool done = mover_move(mover, from, &to, &seq);
    if (!done) {
        split_set(mover, &to, seq);
    }
    return done;
}

/* The first conversation in the source, but for those of users being forgotten. Names are kept in *memory. What should
 * name one and is damaged goes to quarantine. */
static bool next_find(struct mover *mover, struct buffer memory[2], struct place *ret)
{
    struct place place = {.layout = mover->source};
    struct place next;
    for (size_t i = 0; mover->source->next_conversation(&mover->work->txn, &place, &next, &memory[i % 2]); i++) {
        if (next.damaged.size > 0) {
            sweep_remove(mover, next.damaged_table, next.damaged);
            continue;
        }
        if (!head_user_is_forgotten(&mover->work->txn, next.user)) {
            *ret = next;
            return true;
        }
        if (clock_monotonic_us() > mover->budget->until_us) {
            return false; /* its removal goes on meanwhile */
        }
        place = next;
    }
    return false;
}

static bool removals_are_pending(struct txn *txn)
{
    struct cursor cursor = cursor_open(txn, TABLE_PURGES);
    bool found = cursor_first(&cursor);
    cursor_close(&cursor);
    return found;
}

/* Every record that was read in the source was read again in the target. */
static enum migrate_result migration_finish(struct mover *mover)
{
    struct migration_entry *entry = &mover->entry;
    if (entry->source_records != entry->target_records ||
        memcmp(entry->source_digest, entry->target_digest, sizeof(entry->source_digest)) != 0) {
        mover_fail(mover, "the counts or digests of source and target differ");
        return MIGRATE_FAILED;
    }
    entry->state = MIGRATION_NONE;
    entry->finished_us = mover->work->now_us;
    marker_change(mover->work, entry->to, entry->to);
    txn_delete(&mover->work->txn, TABLE_META, span_of_string(ENTRY_MIGRATION_KEY));
    entry_save(mover->work, MIGRATE_LAST_KEY, entry);
    layouts_reload(mover->work);
    event_put(mover->work, STORE_ACTION_MIGRATION_END, entry);
    return MIGRATE_DONE;
}

/* No conversation is left. */
static enum migrate_result rest_move(struct mover *mover)
{
    if (sweep_is_done(mover)) {
        return migration_finish(mover);
    }
    if (removals_are_pending(&mover->work->txn)) {
        return mover->moved > 0 ? MIGRATE_MORE : MIGRATE_WAITS;
    }
    return sweep_run(mover) ? migration_finish(mover) : MIGRATE_MORE;
}

static enum migrate_result conversations_move(struct mover *mover, struct buffer memory[2])
{
    while (!mover_failed(mover) && mover_has_budget(mover)) {
        struct place from;
        bool done;
        if (mover->entry.split) {
            if (head_user_is_forgotten(&mover->work->txn, key_span(&mover->entry.split_user))) {
                return MIGRATE_WAITS;
            }
            done = split_move(mover);
        } else if (next_find(mover, memory, &from)) {
            done = whole_move(mover, &from);
        } else {
            return mover_failed(mover) ? MIGRATE_FAILED : rest_move(mover);
        }
        if (!done) {
            break;
        }
    }
    return MIGRATE_MORE;
}

/* A slice of any kind. */
static enum migrate_result slice_run(struct mover *mover, struct buffer memory[2])
{
    if (mover->source->has_runs && !mover->target->has_runs && !place_empty_journal(mover)) {
        return MIGRATE_MORE;
    }
    if (!layout_shares_tables(mover->source, mover->target)) {
        return conversations_move(mover, memory);
    }
    return place_change_forms(mover) ? migration_finish(mover) : MIGRATE_MORE;
}

enum migrate_result migrate_slice(struct work *work, const struct migrate_budget *budget, char why[MIGRATE_WHY_BYTES])
{
    struct mover mover = {.work = work, .budget = budget, .why = why};
    struct buffer memory[2] = {{0}};
    why[0] = '\0';
    if (!migrate_progress(&work->txn, &mover.entry)) {
        return MIGRATE_FAILED;
    }
    assert(mover.entry.state == MIGRATION_MOVING);
    mover.source = layout_of(mover.entry.from);
    mover.target = layout_of(mover.entry.to);
    bool packs = mover.source->has_runs || mover.target->has_runs;
    mover.pack = packs ? pack_new() : NULL;
    if (packs && !mover.pack) {
        txn_fail_memory(&work->txn);
    }
    enum migrate_result result = mover_failed(&mover) ? MIGRATE_FAILED : slice_run(&mover, memory);
    if (mover.moved > 0) {
        mover.entry.attempts = 0;
        mover.entry.last_error[0] = '\0';
    }
    if (result == MIGRATE_MORE || result == MIGRATE_WAITS) {
        entry_save(work, ENTRY_MIGRATION_KEY, &mover.entry);
    }
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
    buffer_free(&mover.answer);
    mover.pack = pack_free(mover.pack);
    return mover_failed(&mover) ? MIGRATE_FAILED : result;
}
