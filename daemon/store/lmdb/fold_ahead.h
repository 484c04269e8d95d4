/* The thread that packs what is folded next, from snapshots of its own, while the writer commits and appends. */
#ifndef STORE_LMDB_FOLD_AHEAD_H
#define STORE_LMDB_FOLD_AHEAD_H

#include "store/lmdb/env.h"
#include "store/lmdb/packed_runs.h"

struct fold_ahead;

/* Starts it on what packed_runs_look tells. NULL when there is no memory or no thread; `runs` must outlive it. */
struct fold_ahead *fold_ahead_new(struct env *env, struct packed_runs *runs);

/* Ends it. */
struct fold_ahead *fold_ahead_free(struct fold_ahead *ahead);

#endif
