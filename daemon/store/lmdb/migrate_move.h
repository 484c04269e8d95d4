/* Moving one conversation from layout to layout within a slice: what migrate.c is made of, and nobody else uses. */
#ifndef STORE_LMDB_MIGRATE_MOVE_H
#define STORE_LMDB_MIGRATE_MOVE_H

#include "store/lmdb/migrate.h"

/* One slice under way. */
struct mover {
    struct work *work;
    struct migration_entry entry;
    const struct layout *source;
    const struct layout *target;
    const struct migrate_budget *budget;
    size_t moved;         /* records, in this slice */
    size_t bytes;         /* of them */
    struct buffer answer; /* for decoding a remembered answer */
    struct pack *pack;    /* NULL unless one of the layouts has runs (migrate_pack.h) */
    char *why;            /* filled when it failed of itself */
    bool failed;
};

/* False when the slice should end; true at least until one record was moved. */
bool mover_has_budget(const struct mover *mover);

/* True when the slice failed, of itself or with its transaction. */
bool mover_failed(const struct mover *mover);

void mover_fail(struct mover *mover, const char *why);

/* Moves what is left of the conversation at `from` to `to`, the head last. False: there is more, or it failed. Moves
 * *seq up to the last message that was moved. */
bool mover_move(struct mover *mover, const struct place *from, const struct place *to, uint64_t *seq);

/* Why the record of this kind that was found under a key cannot be used; NULL: it can. A message's seq and what its key
 * ends in are checked by the caller. `answer` is for decoding. */
const char *record_damage(enum kind kind, struct span record, uint64_t seq, struct span conversation,
                          struct buffer *answer);

#endif
