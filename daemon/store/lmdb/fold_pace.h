/* How much to fold beside the appends of a commit, so that a sweep ends before the journal is full: the same share with
 * each of them, so that none waits for many. A sweep is as long as the journal allows: the more of a conversation
 * waits, the less a message of it costs to fold. Knows no transaction and no clock. */
#ifndef STORE_LMDB_FOLD_PACE_H
#define STORE_LMDB_FOLD_PACE_H

#include "store/lmdb/pending.h"

struct fold_pace {
    bool sweeping;
    /* What it left when it was asked last. */
    uint64_t next_id;
    size_t ahead; /* once all that was due then is folded */
    double due;   /* less than a conversation */
};

/* How many conversations the sweep is to fold now. `fill`: how full the journal is, 1 is full; more, when one that was
 * found at the start is larger. */
size_t fold_pace_due(struct fold_pace *pace, struct pending *pending, double fill);

#endif
