/* A write transaction with what every change in it needs: the counters that are kept in _meta and the layouts in use.
 * Knows no record of a conversation. */
#ifndef STORE_LMDB_WORK_H
#define STORE_LMDB_WORK_H

#include "store/lmdb/entries.h"
#include "store/lmdb/head_cache.h"
#include "store/lmdb/journal_places.h"
#include "store/lmdb/packed_runs.h"
#include "store/lmdb/place.h"

struct work {
    struct txn txn;
    struct layouts layouts;
    struct stats_entry stats;
    struct stats_entry stats_stored;
    struct numbers_entry numbers; /* given out last */
    struct numbers_entry numbers_stored;
    int64_t now_us;                /* wall clock */
    struct buffer *scratch;        /* for one value on its way into the store */
    struct head_cache *heads;      /* NULL: nothing is kept from one append to the next */
    struct journal_places *places; /* NULL: nothing is known of them */
    struct packed_runs *packed;    /* NULL: nothing is packed but by the writer */
    uint64_t audit_events;         /* put in this transaction */
    uint64_t folds;                /* conversations folded in it */
};

/* Reads the counters and the layouts in use, and writes the counters back if they changed. A damaged count of what is
 * stored begins again at zero, damaged numbers above all others; damaged layouts fail the transaction. */
void work_load(struct work *work);
void work_save(struct work *work);

/* The counts alone, for a read. */
struct stats_entry work_read_stats(struct txn *txn);

/* Puts scratch as the value, or fails the transaction when memory was short. */
void work_put_scratch(struct work *work, enum table table, struct span key);

#endif
