/* What the changes of messages share. */
#ifndef STORE_LMDB_MESSAGES_H
#define STORE_LMDB_MESSAGES_H

#include "store/lmdb/change.h"

/* Decodes what place_get_message brought for this seq. Returns 0, -ERROR_MESSAGE_NOT_FOUND or -ERROR_RECORD_DAMAGED. */
int message_decode(const struct conversation_place *place, uint64_t seq, enum get_result found, struct span value,
                   struct message_record *ret, struct error *error);

/* The same for the message a cursor stands at. */
int message_decode_at(const struct message_cursor *cursor, struct message_record *ret, struct error *error);

/* Whether a cursor stands at a sound message: what has a checksum need not be decoded for that. */
int message_check_at(const struct message_cursor *cursor, struct error *error);

int message_id_damaged(struct error *error, const struct conversation_place *place, struct span message_id);

int message_not_found(struct error *error, uint64_t seq);

/* The newest messages of the conversation: those from `seq` on. */
struct tail {
    uint64_t seq;
    uint64_t count;
    uint64_t content_bytes;
};

/* Counts the messages from seq on, up to limit + 1 of them, and decodes each. Writes nothing. */
int tail_count(struct change *change, uint64_t seq, uint64_t limit, struct tail *ret);

/* Removes what tail_count found, with its message_ids, and takes it off the counts of *head. */
void tail_remove(struct change *change, const struct tail *tail, struct conversation_record *head);

/* -ERROR_LAST_SEQ_MISMATCH when the conversation's last_seq (0 when there is none) is not the expected one. */
int last_seq_check(struct change *change, const struct store_expected *expected);

#endif
