/* Messages into runs and out of them within a slice of a migration: what is put is read back and compared, and goes to
 * the digests. What migrate_move.c and migrate_place.c are made of, and nobody else uses. */
#ifndef STORE_LMDB_MIGRATE_PACK_H
#define STORE_LMDB_MIGRATE_PACK_H

#include "store/lmdb/migrate_move.h"

/* Messages of one conversation on their way into runs: taken from where they were, and put once there are enough of
 * them. About 0.6 MiB. */
struct pack;

/* NULL when memory is short. */
struct pack *pack_new(void);
struct pack *pack_free(struct pack *pack);

/* Begins with a conversation of a layout that has runs. Digests know its messages by `names` and the digits of their
 * seq. Both are borrowed until pack_flush. */
void pack_begin(struct mover *mover, const struct place *side, struct span names);

/* True for a record that may be in a run. */
bool pack_takes(struct span record);

/* Counts a message in the source's digest. */
void pack_count_source(struct mover *mover, struct span names, uint64_t seq, struct span record);

/* Takes a message whose source was counted, above all it took before; the run that stands right below the first one is
 * taken up again if it has room. False, when the record cannot be in a run (damaged ones are not to be): then all
 * before it were put, and the caller puts it as a record of its own. */
bool pack_add(struct mover *mover, uint64_t seq, struct span record, bool damaged);

/* Puts all that were taken, so that nothing is on its way. */
void pack_flush(struct mover *mover);

/* How many messages the run the cursor is at has; 0: it is no run that can be read. */
size_t pack_look(struct mover *mover, const struct place *side, const struct cursor *cursor);

/* Puts the messages of the run the cursor is at in its place, as records of their own; seek before the cursor is used
 * again. With names they are counted in both digests, as above. Returns how many; 0: it is no run that can be read, and
 * is left as it is. */
size_t pack_take_apart(struct mover *mover, const struct place *side, struct cursor *cursor, struct span names);

#endif
