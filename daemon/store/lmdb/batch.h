/* One group commit: operations taken from the queue, done in one transaction, committed once, then answered. */
#ifndef STORE_LMDB_BATCH_H
#define STORE_LMDB_BATCH_H

#include "store/lmdb/env.h"
#include "store/lmdb/heads.h"
#include "store/lmdb/queue.h"

enum {
    BATCH_OPS_MAX = 256,
    /* Of requests and answers together; the operation that passes it is the batch's last. So a commit changes far
     * fewer pages than LMDB can hold (512 MiB), and the answers kept until it are bounded by this and one more. */
    BATCH_BYTES_MAX = 16 * 1024 * 1024,
    FORGETS_WAITING_MAX = 1024,
};

struct batch_slot {
    struct store_op *op;
    size_t op_size; /* op may be gone once it is answered */
    int rc;
    bool waits; /* not answered now: it goes to batch->forgets */
    struct error error;
    struct store_result result;
};

struct batch_config {
    struct env *env;
    struct queue *queue;
    const struct limits *limits;
    int64_t deleted_retention_us;
    struct buffer *scratch;
};

struct batch {
    struct batch_config config;
    struct batch_slot slots[BATCH_OPS_MAX];
    size_t count;
    size_t changed; /* of them, those that wrote something */
    size_t bytes;
    struct store_op *forgets; /* FORGET_USER under way, in no order */
    size_t forgets_count;
};

/* Takes operations off the queue and does them in work's transaction, which may fail. */
void batch_fill(struct batch *batch, struct work *work, bool has_room);

/* Does one of them again, in another transaction, after the common one stored nothing. */
void batch_redo_one(struct batch *batch, size_t index, struct work *work, bool has_room);

/* Answers one of them: by its own outcome, or, when rc is LMDB's error of the commit, with that. */
void batch_answer_one(struct batch *batch, size_t index, int rc);

/* The same for all of them, each of which says whether another follows. */
void batch_answer_all(struct batch *batch, int rc);

/* Answers the FORGET_USER operations of the user with this result. */
void batch_answer_forgets(struct batch *batch, struct span user, struct store_result *result);

/* Answers all that still wait: SHUTTING_DOWN. */
void batch_refuse_forgets(struct batch *batch);

#endif
