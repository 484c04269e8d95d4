/* Appending to a conversation that was appended to lately: what the head cache knows of it. */
#ifndef STORE_LMDB_APPEND_RECALL_H
#define STORE_LMDB_APPEND_RECALL_H

#include "store/lmdb/change.h"

/* Fills change->head for an append that can go to the journal with what is known: its request is new, and nothing else
 * of the conversation need be looked at. False: find the head in the data file. */
bool append_recall(struct change *change);

/* Keeps for the next append what this one, which went to the journal, has made of the conversation. */
void append_remember(struct change *change, const struct conversation_record *head);

#endif
