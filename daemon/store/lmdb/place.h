/* Where a conversation is, whatever layouts are in use, and access to its records there. Everything above (verbs of
 * change.c, read.c, purge.c) goes through these functions and knows no layout.
 *
 * While a migration moves a conversation in several commits it is split: messages up to a seq are in the target
 * already, the rest and the head still in the source. Each record is in exactly one layout at any commit. */
#ifndef STORE_LMDB_PLACE_H
#define STORE_LMDB_PLACE_H

#include "store/lmdb/layout.h"
#include "store/lmdb/pending.h"
#include "store/lmdb/run.h"

/* The layouts in use in a snapshot, read from _meta; a migration's state with them. */
struct layouts {
    const struct layout *home;   /* where new conversations go: the target while a migration runs */
    const struct layout *source; /* NULL unless a migration runs */
    bool split;                  /* one conversation is under way: */
    struct key split_user;
    struct key split_conversation;
    uint64_t split_seq;         /* its messages up to this seq are in home */
    uint64_t split_user_number; /* its numbers there */
    uint64_t split_conversation_number;
    bool loose; /* on the way down from a layout with runs: nothing is put into runs or the journal any more */
};

/* The part of a conversation that waits in the journal, as a transaction sees it: all above what its head at home
 * knows. */
struct journal_part {
    struct pending_chain chain; /* newest first */
    size_t first;               /* of the chain: those before it came after the snapshot */
    uint64_t home_last_seq;
};

/* A conversation that was found, or that could be created. */
struct conversation_place {
    struct place head; /* where its head is or would be; its messages, unless split */
    bool found;        /* it has its numbers */
    bool split;        /* then messages up to split_seq with their IDs, and some requests, are in `moved` */
    struct place moved;
    uint64_t split_seq;
    const struct journal_part *journal; /* NULL: nothing waits there */
};

/* Reads which layouts are in use. False: the record is damaged; then the transaction fails (MDB_CORRUPTED). */
bool layouts_load(struct txn *txn, struct layouts *ret);

/* Finds it; when no layout in use has it, the place is one in `home` without numbers. Spans are borrowed. */
enum get_result place_find(struct txn *txn, const struct layouts *layouts, struct span user, struct span conversation,
                           struct conversation_place *ret);

/* The layouts in use: 1 or 2, home first. */
size_t layouts_list(const struct layouts *layouts, const struct layout *ret_list[2]);

/* The one of them that has runs and a journal; NULL: none has. */
const struct layout *layouts_with_journal(const struct layouts *layouts);

/* True when the user has a conversation in any of them, of whatever state. */
bool place_user_has_any(struct txn *txn, const struct layouts *layouts, struct span user);

/* Gives a conversation that was not found its names and numbers, before anything of it is put; takes them away again,
 * after its head was removed. Both keep the count of users. */
void place_create(struct work *work, struct conversation_place *place);
void place_remove(struct work *work, const struct conversation_place *place);

/* Values are opened and checked. *ret is borrowed from the store until the next write. */
enum get_result place_get_head(struct txn *txn, const struct conversation_place *place, struct span *ret);
enum get_result place_get_head_near(struct cursor *heads, const struct place *place, struct span *ret); /* find_near */
enum get_result place_get_message_id(struct txn *txn, const struct conversation_place *place, struct span message_id,
                                     uint64_t *ret_seq);
enum get_result place_get_request(struct txn *txn, const struct conversation_place *place, struct span request_id,
                                  struct span *ret);

/* Writes put work->scratch, sealed, as the value. Deletes say whether there was one. */
void place_put_head(struct work *work, const struct conversation_place *place);
bool place_delete_head(struct work *work, const struct conversation_place *place);
void place_put_recency(struct work *work, const struct conversation_place *place, int64_t activity_time_us);
bool place_delete_recency(struct work *work, const struct conversation_place *place, int64_t activity_time_us);
void place_put_message_id(struct work *work, const struct conversation_place *place, struct span message_id,
                          uint64_t seq); /* makes the value itself */
void place_put_request(struct work *work, const struct conversation_place *place, struct span request_id);
bool place_delete_message_id(struct work *work, const struct conversation_place *place, struct span message_id);

/* Messages at home; what waits in the journal is not touched. Records must not point into the store. Append: above all
 * that are there. Replace: the message of this seq, which is there; an empty record removes it. Cut: removes all from
 * this seq on. (place_messages.c) */
void place_append_messages(struct work *work, const struct conversation_place *place,
                           const struct run_message *messages, size_t count);
void place_replace_message(struct work *work, const struct conversation_place *place, uint64_t seq, struct span record);
void place_cut_messages(struct work *work, const struct conversation_place *place, uint64_t seq);

/* A place among a conversation's messages, from the oldest to those in the journal. */
struct message_cursor {
    struct txn *txn;
    const struct conversation_place *place;
    const struct place *side; /* of the two, where it stands; NULL: in the journal */
    struct key prefix;
    struct cursor cursor;
    bool is_open;
    bool keeps; /* set by the caller: records stay valid until the cursor is closed, not only until it moves */
    bool peeks; /* set by the caller: only whether there is a message is wanted of the next move, and of seek; nothing
                 * is unpacked, and what is said of the message is not to be read. Not for seek_below and find. */
    struct message_batch *batches; /* unpacked */
    struct message_batch *batch;   /* the one it stands in; NULL: in none */
    size_t index;
    uint64_t seq;       /* of the message it stands at; 0: its key is damaged */
    struct span record; /* borrowed until the next write, and until the cursor moves (see keeps) */
    bool damaged;       /* the value is not what was put */
};

void message_cursor_open(struct txn *txn, const struct conversation_place *place, struct message_cursor *ret);
void message_cursor_close(struct message_cursor *cursor);

/* Finds one message, as the cursor's. A damaged record that may hold it counts as it. */
enum get_result message_cursor_find(struct message_cursor *cursor, uint64_t seq);

/* To the first message at or above seq, the last below it, the next, the one before. False: there is none. */
bool message_cursor_seek(struct message_cursor *cursor, uint64_t seq);
bool message_cursor_seek_below(struct message_cursor *cursor, uint64_t seq);
bool message_cursor_next(struct message_cursor *cursor);
bool message_cursor_previous(struct message_cursor *cursor);

#endif
