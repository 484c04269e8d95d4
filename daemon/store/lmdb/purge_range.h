/* Removal of ranges of records, whatever layout they are in, counted and bounded: what the removals of purge.c are made
 * of. */
#ifndef STORE_LMDB_PURGE_RANGE_H
#define STORE_LMDB_PURGE_RANGE_H

#include "store/lmdb/purge.h"

/* A removal under way. */
struct tally {
    struct work *work;
    const struct purge_budget *budget;
    struct purge_entry *entry; /* of a user, for the receipt; NULL for a conversation, which gets none */
    size_t removed;
};

/* The first record goes in any case, so that every slice gets on. */
bool tally_may_go_on(const struct tally *tally);

/* Each returns true when nothing is left of what it removes, false when the budget is used up. */

/* Message IDs, remembered requests and messages of a conversation, in one layout. Its names are for the digest. */
bool range_remove_content(struct tally *tally, const struct place *place);

/* The same of a purge entry, wherever it says they are. */
bool range_remove_rest(struct tally *tally, struct span user, struct span conversation,
                       const struct purge_entry *entry);

/* The user's recency entries in one layout, and the deadlines that are known from them. */
bool range_remove_recency(struct tally *tally, const struct place *user);

/* The head, counted; its recency entry and deadline stay. */
void range_remove_head(struct tally *tally, const struct place *place);

/* Whatever else begins with the user in one layout: what damage has cut off. */
bool range_remove_leftovers(struct tally *tally, const struct place *user);

/* True when no entry of the table begins so. */
bool range_is_empty(struct txn *txn, enum table table, struct span prefix);

/* Counts a conversation's content in one layout on top of *count and *bytes, no further than one commit may remove. */
void range_measure(struct txn *txn, const struct place *place, size_t *count, size_t *bytes);

/* Removes what is left of the user in the journal. True: nothing is. */
bool range_remove_journal(struct tally *tally, const struct place *user);

#endif
