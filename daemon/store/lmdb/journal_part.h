/* What of one conversation waits in the journal, as a transaction sees it: a part of the conversation like that at
 * home. */
#ifndef STORE_LMDB_JOURNAL_PART_H
#define STORE_LMDB_JOURNAL_PART_H

#include "store/lmdb/heads.h"
#include "store/lmdb/journal.h"

/* Messages that were unpacked: of a run, or of the journal. An empty record is a damaged one. */
struct message_batch {
    struct message_batch *next;
    struct buffer raw; /* what a run's records are borrowed from */
    size_t count;
    size_t capacity;
    struct run_message messages[];
};

/* Looks whether something of the conversation waits, and takes the counters of its head over into head->record. The
 * head is that of home; sets head->place.journal. Returns 1 when the snapshot is too old for what the index says: begin
 * a new one. */
int journal_part_load(struct txn *txn, struct head *head);

/* An entry that waits. Of a damaged one only id, first_seq and last_seq are known: told by the entries around it where
 * they tell, and else by its key where that can be. */
struct journal_item {
    struct journal_entry entry; /* borrowed from the store */
    uint64_t first_seq;         /* of a damaged one */
    bool damaged;
};

/* Lists the entries of the chain that the transaction has and that are not home, oldest first; their last_seq ascend.
 * items[] has room for chain->count. Returns how many. */
size_t journal_part_list(struct txn *txn, const struct pending_chain *chain, uint64_t home_last_seq,
                         struct journal_item *items);

/* Takes over what the next one says of the head. */
void journal_part_counters(struct conversation_record *record, const struct journal_item *item);

/* Its messages, oldest first, each damaged one by itself; NULL when the txn has failed. */
struct message_batch *journal_part_messages(struct txn *txn, const struct conversation_place *place);

enum get_result journal_part_find_id(struct txn *txn, const struct conversation_place *place, struct span message_id,
                                     uint64_t *ret_seq);
enum get_result journal_part_find_request(struct txn *txn, const struct conversation_place *place,
                                          struct span request_id, struct span *ret);

#endif
