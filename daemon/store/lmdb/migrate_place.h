/* Migration between layouts that share their tables, where a conversation stays where it is: on the way up its messages
 * are packed into runs, on the way down runs become records again. And the journal, which must be empty first on every
 * way down. What migrate.c is made of, and nobody else uses. */
#ifndef STORE_LMDB_MIGRATE_PLACE_H
#define STORE_LMDB_MIGRATE_PLACE_H

#include "store/lmdb/migrate_move.h"

/* Takes home what waits in the journal and empties it; nothing is put there any more. True: it is empty. */
bool place_empty_journal(struct mover *mover);

/* Changes the form of what stands behind the entry's position (numbers and seq), which moves on. True: there is nothing
 * left. */
bool place_change_forms(struct mover *mover);

#endif
