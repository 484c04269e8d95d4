#include "store/lmdb/batch.h"

#include "base/clock.h"
#include "store/lmdb/change.h"

#include <assert.h>

enum { RETRY_FORGETS_MS = 1000, RETRY_STOPPING_MS = 1000, GROUP_OPS = 16 };

static int slot_check(const struct batch *batch, const struct batch_slot *slot, struct error *error)
{
    const struct store_op *op = slot->op;
    if (op->deadline_us != 0 && clock_monotonic_us() > op->deadline_us) {
        return error_set(error, ERROR_DEADLINE_PASSED, "the time was over before the work began; nothing was done");
    }
    if (op->verb == STORE_FORGET_USER && batch->forgets_count + batch->count > FORGETS_WAITING_MAX) {
        error_set(error, ERROR_QUEUE_FULL, "too many removals of users are under way");
        return error_add_detail(error, "retry_delay_ms", RETRY_FORGETS_MS);
    }
    return 0;
}

static void slot_run(struct batch *batch, struct batch_slot *slot, struct work *work, bool has_room)
{
    slot->rc = slot_check(batch, slot, &slot->error);
    if (slot->rc || work->txn.rc) {
        return;
    }
    struct change change = {
        .work = work,
        .op = slot->op,
        .limits = batch->config.limits,
        .deleted_retention_us = batch->config.deleted_retention_us,
        .has_room = has_room,
        .result = &slot->result,
        .error = &slot->error,
    };
    uint64_t writes = work->txn.writes;
    slot->rc = change_run(&change);
    batch->changed += work->txn.writes > writes;
    slot->waits = slot->rc == 0 && change.waits;
    head_free(&change.head);
}

/* Takes some operations off the queue. Only the last of them may be one whose answer has records. */
static void group_take(struct batch *batch)
{
    struct store_op *op;
    bool appends = true;
    for (size_t left = GROUP_OPS; left > 0 && appends && batch->count < BATCH_OPS_MAX &&
                                  batch->bytes < BATCH_BYTES_MAX && (op = queue_take(batch->config.queue));
         left--) {
        batch->slots[batch->count++] = (struct batch_slot){.op = op, .op_size = op->size};
        batch->bytes += op->size;
        appends = op->verb == STORE_APPEND_MESSAGES;
    }
}

/* What the appends of a group will look at comes from the memory for all of them at once, not for one after the other:
 * each step finds what the one before has asked for. */
static void group_prefetch(const struct batch *batch, size_t first, const struct work *work)
{
    const struct cached_head *heads[GROUP_OPS];
    size_t count = batch->count - first;
    const struct batch_slot *slots = &batch->slots[first];
    for (size_t i = 0; i < count; i++) {
        head_cache_prefetch_place(work->heads, slots[i].op->user, slots[i].op->conversation);
    }
    for (size_t i = 0; i < count; i++) {
        heads[i] = head_cache_prefetch(work->heads, slots[i].op->user, slots[i].op->conversation);
    }
    for (size_t i = 0; i < count; i++) {
        if (heads[i]) {
            pending_prefetch_place(work->txn.pending, heads[i]->user_number, heads[i]->conversation_number);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (heads[i]) {
            pending_prefetch(work->txn.pending, heads[i]->user_number, heads[i]->conversation_number);
        }
    }
}

void batch_fill(struct batch *batch, struct work *work, bool has_room)
{
    size_t first;
    batch->count = 0;
    batch->changed = 0;
    batch->bytes = 0;
    do {
        first = batch->count;
        group_take(batch);
        if (batch->count - first > 1) {
            group_prefetch(batch, first, work);
        }
        for (size_t i = first; i < batch->count; i++) {
            slot_run(batch, &batch->slots[i], work, has_room);
            batch->bytes += batch->slots[i].result.records.size;
        }
    } while (batch->count > first && !work->txn.rc);
}

static void op_answer(struct batch *batch, struct store_op *op, int rc, const struct error *error,
                      struct store_result *result)
{
    queue_release(batch->config.queue, op->size);
    op->done(op, rc ? error : NULL, rc ? NULL : result);
}

static void forget_keep(struct batch *batch, struct batch_slot *slot)
{
    /* It has its own bound from here on, so that a long removal does not fill the queue. */
    queue_release(batch->config.queue, slot->op_size);
    slot->op->next = batch->forgets;
    batch->forgets = slot->op;
    batch->forgets_count++;
}

static void slot_clear(struct batch_slot *slot)
{
    buffer_free(&slot->result.records);
    buffer_free(&slot->result.next);
}

void batch_redo_one(struct batch *batch, size_t index, struct work *work, bool has_room)
{
    struct batch_slot *slot = &batch->slots[index];
    assert(index < batch->count);
    slot_clear(slot);
    *slot = (struct batch_slot){.op = slot->op, .op_size = slot->op_size};
    batch->changed = 0;
    slot_run(batch, slot, work, has_room);
}

void batch_answer_one(struct batch *batch, size_t index, int rc)
{
    struct batch_slot *slot = &batch->slots[index];
    assert(index < batch->count);
    if (rc) {
        slot->rc = txn_error(rc, &slot->error); /* also a refusal: it may rest on what is now undone */
    }
    if (slot->rc == 0 && slot->waits) {
        forget_keep(batch, slot);
    } else {
        op_answer(batch, slot->op, slot->rc, &slot->error, &slot->result);
    }
    slot_clear(slot);
}

void batch_answer_all(struct batch *batch, int rc)
{
    size_t last = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_slot *slot = &batch->slots[i];
        last = rc || slot->rc || !slot->waits ? i : last;
    }
    for (size_t i = 0; i < batch->count; i++) {
        batch->slots[i].op->more = i < last;
        batch_answer_one(batch, i, rc);
    }
}

static void forget_answer(struct batch *batch, struct store_op *op, const struct error *error,
                          struct store_result *result)
{
    batch->forgets_count--;
    op->done(op, error, error ? NULL : result);
}

void batch_answer_forgets(struct batch *batch, struct span user, struct store_result *result)
{
    struct store_op **link = &batch->forgets;
    while (*link) {
        struct store_op *op = *link;
        if (span_equal(op->user, user)) {
            *link = op->next;
            forget_answer(batch, op, NULL, result);
        } else {
            link = &op->next;
        }
    }
}

void batch_refuse_forgets(struct batch *batch)
{
    struct error error = {0};
    error_set(&error, ERROR_SHUTTING_DOWN, "the daemon is stopping; the removal goes on when it starts again");
    error_add_detail(&error, "retry_delay_ms", RETRY_STOPPING_MS);
    while (batch->forgets) {
        struct store_op *op = batch->forgets;
        batch->forgets = op->next;
        forget_answer(batch, op, &error, NULL);
    }
}
