/* Where a conversation is, whatever layouts are in use, and access to its records there. Everything above (verbs of
 * change.c, read.c, purge.c) goes through these functions and knows no layout.
 *
 * While a migration moves a conversation in several commits it is split: messages up to a seq are in the target
 * already, the rest and the head still in the source. Each record is in exactly one layout at any commit. */
#ifndef STORE_LMDB_PLACE_H
#define STORE_LMDB_PLACE_H

#include "store/lmdb/layout.h"

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
};

/* A conversation that was found, or that could be created. */
struct conversation_place {
    struct place head; /* where its head is or would be; its messages, unless split */
    bool found;        /* it has its numbers */
    bool split;        /* then messages up to split_seq with their IDs, and some requests, are in `moved` */
    struct place moved;
    uint64_t split_seq;
};

/* Reads which layouts are in use. False: the record is damaged; then the transaction fails (MDB_CORRUPTED). */
bool layouts_load(struct txn *txn, struct layouts *ret);

/* Finds it; when no layout in use has it, the place is one in `home` without numbers. Spans are borrowed. */
enum get_result place_find(struct txn *txn, const struct layouts *layouts, struct span user, struct span conversation,
                           struct conversation_place *ret);

/* The layouts in use: 1 or 2, home first. */
size_t layouts_list(const struct layouts *layouts, const struct layout *ret_list[2]);

/* True when the user has a conversation in any of them, of whatever state. */
bool place_user_has_any(struct txn *txn, const struct layouts *layouts, struct span user);

/* Gives a conversation that was not found its names and numbers, before anything of it is put; takes them away again,
 * after its head was removed. Both keep the count of users. */
void place_create(struct work *work, struct conversation_place *place);
void place_remove(struct work *work, const struct conversation_place *place);

/* Values are opened and checked. *ret is borrowed from the store until the next write. */
enum get_result place_get_head(struct txn *txn, const struct conversation_place *place, struct span *ret);
enum get_result place_get_message(struct txn *txn, const struct conversation_place *place, uint64_t seq,
                                  struct span *ret);
enum get_result place_get_message_id(struct txn *txn, const struct conversation_place *place, struct span message_id,
                                     uint64_t *ret_seq);
enum get_result place_get_request(struct txn *txn, const struct conversation_place *place, struct span request_id,
                                  struct span *ret);

/* Writes put work->scratch, sealed, as the value. Deletes say whether there was one. */
void place_put_head(struct work *work, const struct conversation_place *place);
bool place_delete_head(struct work *work, const struct conversation_place *place);
void place_put_recency(struct work *work, const struct conversation_place *place, int64_t activity_time_us);
bool place_delete_recency(struct work *work, const struct conversation_place *place, int64_t activity_time_us);
void place_put_message(struct work *work, const struct conversation_place *place, uint64_t seq);
void place_put_message_id(struct work *work, const struct conversation_place *place, struct span message_id,
                          uint64_t seq); /* makes the value itself */
void place_put_request(struct work *work, const struct conversation_place *place, struct span request_id);
bool place_delete_message(struct work *work, const struct conversation_place *place, uint64_t seq);
bool place_delete_message_id(struct work *work, const struct conversation_place *place, struct span message_id);

/* A place in the run of a conversation's messages, across the split. */
struct message_cursor {
    struct txn *txn;
    const struct conversation_place *place;
    const struct place *side; /* of the two, where it stands */
    struct key prefix;
    struct cursor cursor;
    bool is_open;
    uint64_t seq;       /* of the message it stands at; 0: its key is damaged */
    struct span record; /* borrowed */
    bool damaged;       /* the value is not what was put */
};

void message_cursor_open(struct txn *txn, const struct conversation_place *place, struct message_cursor *ret);
void message_cursor_close(struct message_cursor *cursor);

/* To the first message at or above seq, the last below it, the next, the one before. False: there is none. */
bool message_cursor_seek(struct message_cursor *cursor, uint64_t seq);
bool message_cursor_seek_below(struct message_cursor *cursor, uint64_t seq);
bool message_cursor_next(struct message_cursor *cursor);
bool message_cursor_previous(struct message_cursor *cursor);

#endif
