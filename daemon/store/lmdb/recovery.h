/* What waits in the journal is known again after a start. */
#ifndef STORE_LMDB_RECOVERY_H
#define STORE_LMDB_RECOVERY_H

#include "store/lmdb/journal.h"
#include "store/lmdb/pending.h"

/* Makes the index of what the journal holds and no fold mark has taken home. NULL: memory is short, the journal is
 * damaged, or the txn failed. */
struct pending *recovery_run(struct txn *txn);

#endif
