/* The audit trail: an event for every change that is not an append, put in the transaction of the change. Two tables:
 * `audit` has the events in the order of their time, so that a put goes to the end and the oldest go first;
 * `audit_users` has for each user the keys of his, so that a list and a removal of one user's look at no other's. An
 * event belongs to no layout. It has at most some 800 bytes: five IDs and numbers.
 *
 * When the clock was set back, events stand where it said; their commit_id tells the order they came in. */
#ifndef STORE_LMDB_AUDIT_H
#define STORE_LMDB_AUDIT_H

#include "store/lmdb/work.h"

/* Puts the event; its time and commit_id are filled in here. Spans must not point into the store or work->scratch. */
void audit_put(struct work *work, const struct event_record *event);

/* Says that the event is about all of a conversation's messages. */
void audit_set_whole(struct event_record *event, const struct conversation_record *conversation);

/* Reads the event that has this key in `audit`. -1: it is damaged. */
int audit_get(struct span key, struct span value, struct event_record *ret);

/* Events of ForgetUser stay when the user is forgotten: they are its receipt. */
bool audit_stays(uint32_t action);

/* Events of the user that do not stay: whether there are any, and the removal of the first. False: there is none. */
bool audit_user_has_any(struct txn *txn, struct span user);
bool audit_remove_one_of_user(struct work *work, struct span user);

/* The time of the oldest event; INT64_MAX: there is none. */
int64_t audit_oldest(struct txn *txn);

/* Removes events older than that, the oldest first, at most so many. Returns how many. */
size_t audit_remove_old(struct work *work, int64_t before_us, size_t most);

#endif
