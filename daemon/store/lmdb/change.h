/* One change under way: what a verb of the change table gets, and how it is run within the writer's transaction.
 *
 * The rule every verb keeps: all checks come before the first write. A verb that returns an error has written
 * nothing, so the other operations of the same commit are not touched by it. */
#ifndef STORE_LMDB_CHANGE_H
#define STORE_LMDB_CHANGE_H

#include "store/lmdb/heads.h"

struct change {
    struct work *work;
    const struct store_op *op;
    const struct limits *limits;
    int64_t deleted_retention_us;
    bool has_room;
    bool remembered;              /* the request is remembered already */
    bool waits;                   /* FORGET_USER: the answer comes when the removal is done */
    bool has_message_ids;         /* of an append: one of its messages has one; append_fits_journal says so */
    struct cached_head *recalled; /* the head is from there (append_recall.h) */
    struct head head;
    struct event_record event; /* what the verb tells of itself for the audit trail, if it made a change */
    struct store_result *result;
    struct error *error;
};

/* Does the change in work's transaction. Returns 0, or a negative error with change->error filled and nothing
 * written; in both cases work->txn may have failed, which the caller looks at. */
int change_run(struct change *change);

/* Now, or the time of the conversation's last change if the clock went back behind it. */
int64_t change_time(const struct change *change);

/* Writes `after` over the conversation with its revision and update time moved on, and tells the new etag. */
void change_put_head(struct change *change, struct conversation_record *after);

/* Moves its revision and update time on, and tells the new etag. */
void change_step_head(struct change *change, struct conversation_record *after);

/* Brings home what of the conversation waits in the journal, before anything else of it is written. */
void change_fold(struct change *change);

/* Appends the conversation as it is now to the result. */
void change_add_conversation(struct change *change, const struct conversation_record *record);

/* Before a conversation is created where there is none, or one whose time is over: -ERROR_PURGE_RUNNING while
 * records of the old one are still there and too many to remove at once. */
int change_check_creation(struct change *change);

/* The new conversation's record; removes what an old one left. Call change_put_head or head_put with it. */
struct conversation_record change_begin_creation(struct change *change);

/* The verbs. Each one's head is loaded and, by its row in the table, live and not deleted. */
int change_create_conversation(struct change *change);
int change_update_conversation(struct change *change);
int change_delete_conversation(struct change *change);
int change_undelete_conversation(struct change *change);
int change_append_messages(struct change *change);
int change_update_message(struct change *change);
int change_delete_message(struct change *change);
int change_pop_messages(struct change *change);
int change_forget_user(struct change *change);
int change_note_event(struct change *change);

#endif
