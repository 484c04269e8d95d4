/* Folding: what of a conversation waits in the journal is put where the conversation is. Changes nothing that a caller
 * of the store can see. */
#ifndef STORE_LMDB_FOLD_H
#define STORE_LMDB_FOLD_H

#include "store/lmdb/work.h"

/* Folds one conversation; without anything that waits it does nothing. A damaged entry becomes a damaged message, which
 * keeps its bytes. Beside a damaged head the messages come home all the same, and the head stays what it is. */
void fold_conversation(struct work *work, uint64_t user_number, uint64_t conversation_number);

/* Folds the conversations of the oldest entries, until this moment (clock_monotonic_us) or until is_interrupted says
 * so, but at least one. Returns how many. */
struct fold_budget {
    int64_t until_us;
    bool (*is_interrupted)(void *arg); /* NULL: never */
    void *arg;
};
size_t fold_oldest(struct work *work, const struct fold_budget *budget);

/* Removes from the journal what no conversation waits for any more, at most `records` of it. True: nothing of that is
 * left. */
bool fold_truncate(struct work *work, size_t records);

#endif
