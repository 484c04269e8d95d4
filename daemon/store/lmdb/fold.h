/* Folding: what of a conversation waits in the journal is put where the conversation is. Changes nothing that a caller
 * of the store can see. */
#ifndef STORE_LMDB_FOLD_H
#define STORE_LMDB_FOLD_H

#include "store/lmdb/work.h"

/* Folds one conversation; without anything that waits it does nothing. A damaged entry becomes a damaged message, which
 * keeps its bytes. Beside a damaged head the messages come home all the same, and the head stays what it is. */
void fold_conversation(struct work *work, uint64_t user_number, uint64_t conversation_number);

enum { FOLD_GROUP_MAX = 4 };

/* Folds the conversations that the sweep comes to next, up to `most` of them (1..FOLD_GROUP_MAX), which costs each less
 * than alone; after the last it begins again. Returns how many; 0: none waits. */
size_t fold_next(struct work *work, size_t most);

/* Removes from the journal what no conversation waits for any more, at most `records` of it. True: nothing of that is
 * left. */
bool fold_truncate(struct work *work, size_t records);

#endif
