/* What salvage.c and salvage_copy.c share. Nobody else uses it. */
#ifndef STORE_LMDB_SALVAGE_H
#define STORE_LMDB_SALVAGE_H

#include "store/lmdb/env.h"
#include "store/lmdb/work.h"
#include "store/maintenance.h"

struct salvage {
    struct env *from;
    struct txn source;
    struct layouts layouts;
    struct env *to;
    struct work work;
    struct buffer scratch;  /* of work */
    struct buffer messages; /* copies on their way */
    size_t uncommitted;
    const struct store_config *config;
    struct store_salvage *done;
};

void salvage_tell(struct salvage *salvage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Begins and ends a transaction of the target. Returns LMDB's error. */
void salvage_begin(struct salvage *salvage);
int salvage_commit(struct salvage *salvage);

/* Copies what can be read of a conversation, under the place's names. A failure is in source.rc or work.txn.rc. */
void salvage_conversation(struct salvage *salvage, const struct conversation_place *from);

#endif
