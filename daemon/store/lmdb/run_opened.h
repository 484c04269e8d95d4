/* A run taken out of the store to be put back otherwise. */
#ifndef STORE_LMDB_RUN_OPENED_H
#define STORE_LMDB_RUN_OPENED_H

#include "store/lmdb/layout.h"
#include "store/lmdb/run.h"

/* The run that stands last in a conversation and has room for more messages. */
struct run_tail {
    struct key key;
    struct span value; /* borrowed until the next write, its seal taken off; empty: there is none */
    uint64_t last_seq;
};

struct run_tail run_tail_find(struct txn *txn, const struct place *side);

/* Its messages, which outlive writes. */
struct run_opened {
    struct key key;
    struct buffer raw;
    size_t count; /* 0: there is no run */
    struct run_message messages[RUN_MESSAGES_MAX];
};

/* None. The messages, of which there may be many, are left as they are. */
static inline void run_opened_init(struct run_opened *run)
{
    run->raw = (struct buffer){0};
    run->count = 0;
}

void run_opened_release(struct run_opened *run);

/* Fills *ret, in which there is none, with the run that a message of the seq is in or could be. False: there is none
 * that can be read, or the transaction has failed. Release it in any case. */
bool run_opened_find(struct txn *txn, const struct place *side, uint64_t seq, struct run_opened *ret);

/* The messages of the tail and, behind them, those that are appended: what is to be packed. To be freed; those of the
 * tail are borrowed from *opened, which is empty when it cannot be read. NULL: the transaction has failed. */
struct run_message *run_tail_extend(struct txn *txn, const struct run_tail *tail, const struct run_message *messages,
                                    size_t count, struct run_opened *opened, size_t *ret_count);

#endif
