/* When to fold, and how much at a time. Beside operations as fold_pace.h has it, and only so long at a time: so appends
 * slow down to what is folded, and none waits for it as a whole. While nothing comes, until the journal is empty. */
#ifndef STORE_LMDB_FOLD_DRIVER_H
#define STORE_LMDB_FOLD_DRIVER_H

#include "store/lmdb/fold.h"
#include "store/lmdb/fold_pace.h"

struct fold_driver {
    bool late;    /* only when it must: for tests */
    bool pending; /* there may be something in the journal */
    struct fold_pace pace;
    int64_t idle_from_us; /* clock_monotonic_us: not while idle before that */
};

/* Folds in the commit of the operations. True: the transaction has some of it, and may have failed by it. */
bool fold_driver_beside(struct fold_driver *driver, struct work *work);

/* Folds in a commit of its own, until an operation comes. */
void fold_driver_idle(struct fold_driver *driver, struct work *work, bool (*is_interrupted)(void *arg), void *arg);

/* After operations were committed; after a commit of fold_driver_idle failed. */
void fold_driver_used(struct fold_driver *driver);
void fold_driver_failed(struct fold_driver *driver);

/* Microseconds until fold_driver_idle is due; INT64_MAX: there is nothing to fold. */
int64_t fold_driver_wait(const struct fold_driver *driver);

#endif
