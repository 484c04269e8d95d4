/* Removal for good, in bounded steps: of a conversation (deleted, expired, past its purge time) and of a user.
 *
 * Every layout in use is looked through. The rest of a removal may be in a layout under neither head nor name, so a
 * migration can end only when purge_is_pending is false, and must leave alone what purge entries stand for.
 *
 * What is small goes in one commit. Of a larger conversation the head goes first, so that it no longer exists, and an
 * entry in the table `purges` stands for the rest; of a user such an entry hides everything from the first commit
 * on. The writer's thread works the entries off in slices; they survive a restart. */
#ifndef STORE_LMDB_PURGE_H
#define STORE_LMDB_PURGE_H

#include "store/lmdb/heads.h"

enum {
    /* What one commit may remove beside the head; above it a purge entry stands for the rest. */
    PURGE_INLINE_RECORDS = 1000,
    PURGE_INLINE_BYTES = 64 * 1024 * 1024,
    PURGE_RETRY_MS = 200,
};

/* What one slice may do. */
struct purge_budget {
    size_t records;
    int64_t until_us; /* clock_monotonic_us */
};

/* True when records of a removed conversation of this ID are still there, to be removed by slices. */
bool purge_is_running(struct txn *txn, struct span user, struct span conversation);

/* True when the conversation has more than one commit may remove. */
bool purge_is_large(struct txn *txn, const struct conversation_place *place);

/* Removes the conversation whose record (not pointing into the store) this is: at once, or with a purge entry for the
 * rest when it is large. The place is not its any more. Returns how many records it removed. */
size_t purge_conversation(struct work *work, struct conversation_place *place,
                          const struct conversation_record *record);

/* The same of one whose time is over, with an event in the audit trail. */
size_t purge_gone(struct work *work, struct conversation_place *place, const struct conversation_record *record);

/* Hides the user and begins the removal, unless that was done before. Returns 1, or 0 when there is nothing to remove,
 * or -ERROR_RECORD_DAMAGED when it cannot be found out what is the user's. */
int purge_begin_user(struct work *work, struct span user, struct error *error);

/* Removes conversations whose time is over. Returns how many records it removed. */
size_t purge_due(struct work *work, const struct purge_budget *budget);

/* A removal that was completed by a slice. */
struct purge_done {
    bool user_forgotten; /* else nobody waits for it */
    struct key user;
    struct purge_entry receipt;
};

/* Works on one entry of `purges`: the first one above *rotation, around the table, which it moves on. Returns false
 * when there is none. */
bool purge_slice(struct work *work, struct key *rotation, const struct purge_budget *budget, struct purge_done *ret);

/* Whether slices have work, and when the next deadline is (INT64_MAX: none). */
bool purge_is_pending(struct txn *txn);
int64_t purge_next_deadline(struct txn *txn);

#endif
