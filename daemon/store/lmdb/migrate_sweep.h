/* What is left in the source of a migration once its conversations are moved, and what belongs to none: into
 * quarantine. What migrate.c is made of, and nobody else uses. */
#ifndef STORE_LMDB_MIGRATE_SWEEP_H
#define STORE_LMDB_MIGRATE_SWEEP_H

#include "store/lmdb/migrate_move.h"

/* True when no table of the source has an entry. */
bool sweep_is_done(struct mover *mover);

/* Puts one entry of the source in quarantine. */
void sweep_remove(struct mover *mover, enum table table, struct span key);

/* Puts all that the source has left there. False: there is more, or it failed. */
bool sweep_run(struct mover *mover);

#endif
