/* Appending to the journal. */
#ifndef STORE_LMDB_APPEND_JOURNAL_H
#define STORE_LMDB_APPEND_JOURNAL_H

#include "store/lmdb/change.h"

/* The message as it is stored. */
struct message_record append_message(const struct store_message *message, uint64_t seq, int64_t now_us);

/* True when looking for the message_ids of the append in what waits would take long: fold that first. */
bool append_must_fold(const struct change *change);

/* Whether the append can go to the journal. False: it has to go home (too large, or the journal or the conversation's
 * part of it is full, or the layout has none). Fills change->has_message_ids. */
bool append_fits_journal(struct change *change);

/* Puts the append, which fits, into the journal, with its request: `head` is what the conversation becomes, and
 * change->result says what the messages became. */
void append_to_journal(struct change *change, struct conversation_record *head);

#endif
