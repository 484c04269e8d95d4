/* The table `quarantine`: copies of records that a migration could not read, and records that belong to nothing, as
 * raw bytes with where they were found and why they are here. Nothing reads it but tools; it goes with its user. */
#ifndef STORE_LMDB_QUARANTINE_H
#define STORE_LMDB_QUARANTINE_H

#include "store/lmdb/work.h"

/* What was found and where. */
struct quarantined {
    uint32_t layout;
    enum table table;
    struct span key;
    struct span value;
    const char *reason;
};

/* What the entries of a conversation begin with; those of a user begin with key_user_prefix. */
struct key quarantine_prefix(struct span user, struct span conversation);

/* Of a conversation's record: kind and rest (what follows the conversation's prefix) tell it from others. The entry
 * goes when the conversation or its user is removed. Spans must not point into the store. */
void quarantine_put(struct work *work, struct span user, struct span conversation, enum kind kind, struct span rest,
                    const struct quarantined *found);

/* Of what belongs to no conversation; when its key begins with a user's ID the entry goes with that user. */
void quarantine_put_stray(struct work *work, const struct quarantined *found);

/* The same for what is known to be this user's (empty: nobody's). */
void quarantine_put_of_user(struct work *work, struct span user, const struct quarantined *found);

#endif
