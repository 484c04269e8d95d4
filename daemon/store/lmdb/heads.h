/* The head of a conversation, its Conversation record, with all that must follow it: its recency entry, its
 * deadline, the counters. head_put is the one place that writes them. */
#ifndef STORE_LMDB_HEADS_H
#define STORE_LMDB_HEADS_H

#include "store/lmdb/work.h"

/* A conversation as it was found. */
enum head_state {
    HEAD_MISSING,
    HEAD_LIVE,
    HEAD_GONE /* its time is over, but it was not removed yet: to every caller as good as missing */
};

struct head {
    enum head_state state;
    struct conversation_place place;   /* its names are borrowed from the caller */
    struct conversation_record record; /* unless missing; borrowed from bytes */
    struct buffer bytes;
    struct journal_part journal; /* place.journal points to it, or nowhere */
    bool stale;                  /* the snapshot is too old for what is known of the journal: take a new one */
};

/* Finds it and copies it, so that it outlives writes; what waits in the journal counts as if it were home. Returns 0,
 * -ERROR_RECORD_DAMAGED or -ERROR_MEMORY_SHORT. head->bytes may be one used before; head_free releases it in every
 * case. */
int head_load(struct txn *txn, const struct layouts *layouts, struct span user, struct span conversation,
              int64_t now_us, struct head *head, struct error *error);
void head_free(struct head *head);

/* The same for one whose place is in head->place, found. */
int head_read(struct txn *txn, int64_t now_us, struct head *head, struct error *error);

/* Finds the head at home by its numbers alone, and copies it; what waits does not count. Damaged: its place is known,
 * and its bytes are there. Missing: there is none, or the transaction has failed. */
enum get_result head_find(struct txn *txn, const struct layout *layout, uint64_t user_number,
                          uint64_t conversation_number, struct head *ret);

/* Appends the record behind a field number; what was read is copied unless the journal says more. */
void head_put_element(struct buffer *out, uint32_t field, const struct head *head);

/* Replaces `before` (NULL: there is none) by `after` (NULL: remove it) at the place where it was found or is to be.
 * Spans of both must not point into the store. Does not touch messages. */
void head_put(struct work *work, struct conversation_place *place, const struct conversation_record *before,
              const struct conversation_record *after);

/* What a list filters the conversation by. */
struct recency_entry record_recency(const struct conversation_record *record);

/* Moves a head to what the journal says of it: as head_put, but the counters know it already. */
void head_fold(struct work *work, struct conversation_place *place, const struct conversation_record *before,
               const struct conversation_record *after);

/* Counts an append that stays in the journal. */
void head_count(struct work *work, const struct conversation_record *before, const struct conversation_record *after);

/* True when the user is being forgotten: nothing of the user can be found any more. */
bool head_user_is_forgotten(struct txn *txn, struct span user);

/* The error for a record that is damaged, with its text name (keys.h). Returns -ERROR_RECORD_DAMAGED. */
int record_damaged(struct error *error, const char *kind, struct span name);

/* The same for a conversation or one of its messages. */
int conversation_damaged(struct error *error, const struct conversation_place *place);
int message_damaged(struct error *error, const struct conversation_place *place, uint64_t seq);

/* -ERROR_MEMORY_SHORT and -ERROR_CONVERSATION_NOT_FOUND. */
int memory_short(struct error *error);
int conversation_not_found(struct error *error);

#endif
