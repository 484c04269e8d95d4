/* What a key layout is: how a conversation and its records are addressed in the data file, and how a value is sealed
 * against damage. The values themselves are the same in every layout (record.h, entries.h), so that a migration moves
 * records without translating them.
 *
 * A layout is one frozen file under layouts/ and one row in layout.c. Two can be in use at once while a migration
 * runs: then a conversation is in the one or the other, and place_find (place.h) tells in which. Tables that belong to
 * no layout: _meta (marker, counters, migration), purges, deadlines, quarantine, audit
 * and audit_users. */
#ifndef STORE_LMDB_LAYOUT_H
#define STORE_LMDB_LAYOUT_H

#include "base/buffer.h"
#include "store/lmdb/keys.h"
#include "store/lmdb/txn.h"

struct work;

enum { LAYOUT_SEAL_BYTES = 4 };

/* The kinds of records a conversation has. */
enum kind { KIND_HEAD, KIND_MESSAGE, KIND_MESSAGE_ID, KIND_REQUEST, KIND_RECENCY, KIND_COUNT };

/* What looking a record up brings. Damaged: it is there, but its bytes are not those that were put. */
enum get_result { GET_MISSING, GET_FOUND, GET_DAMAGED };

/* A conversation as one layout addresses it. The numbers are 0 in a layout that has none. */
struct place {
    const struct layout *layout;
    struct span user;
    struct span conversation; /* empty: a user as a whole */
    uint64_t user_number;
    uint64_t conversation_number;
    /* Of next_conversation alone: the key, in that table, of an entry that should name a user or a conversation and is
     * damaged; then all above but the layout is empty. */
    struct span damaged;
    enum table damaged_table;
};

struct layout {
    uint32_t number;
    enum table tables[KIND_COUNT]; /* where records of each kind are; two kinds may share a table */
    const enum table *own_tables;  /* all that are this layout's, names included */
    size_t own_table_count;
    bool sealed;    /* values carry a CRC32C over key and value */
    bool has_runs;  /* messages may stand in runs and in the journal */
    bool has_names; /* every user and every conversation has one entry more, which names it */

    /* Keys. A KIND_HEAD or KIND_RECENCY key needs a place that was found or created. */
    struct key (*head_key)(const struct place *place);
    struct key (*message_key)(const struct place *place, uint64_t seq);
    struct key (*message_id_key)(const struct place *place, struct span message_id);
    struct key (*request_key)(const struct place *place, struct span request_id);
    struct key (*recency_key)(const struct place *place, int64_t activity_time_us);

    /* What every key of that kind of the conversation begins with, and no other key of its table. A message's seq
     * follows it, or a message_id or request_id as it is. */
    struct key (*conversation_prefix)(const struct place *place, enum kind kind);
    void (*add_seq)(struct key *key, uint64_t seq);

    /* What the user's recency keys begin with, and no other key of their table. */
    struct key (*recency_prefix)(const struct place *place);

    /* What every key of the user begins with in each table of `tables`, and no key of another user. */
    struct key (*user_prefix)(const struct place *place);

    /* Parse a key found in the store: 0, or -1 when it is not such a key. Spans are borrowed from the key. */
    int (*parse_message)(struct span key, struct span prefix, uint64_t *ret_seq);
    int (*parse_recency)(struct span key, struct span prefix, int64_t *ret_activity_us, struct span *ret_conversation);

    /* Finds the conversation by name and fills in its numbers; a user's number that is there is believed. With an empty
     * conversation: the user, who is there as long as he has one. */
    enum get_result (*find)(struct txn *txn, struct place *place);

    /* The same of a conversation, of a user whose number is there, through a cursor in the table of heads: cheaper when
     * conversations of one user are looked up one after the other. */
    enum get_result (*find_near)(struct cursor *cursor, struct place *place);

    /* Gives a conversation that this layout does not have (and whose user is not damaged in it) its names and
     * numbers. */
    void (*create)(struct work *work, struct place *place);

    /* Removes the names of a conversation whose head was removed, and of its user when that was the last one, unless
     * he is being forgotten. Without names there is nothing to do. */
    void (*remove)(struct work *work, const struct place *place);

    /* Removes the name of a user who is forgotten. */
    void (*remove_user)(struct work *work, const struct place *place);

    /* The first conversation above the place in the layout's order, in ascending order of user and conversation as
     * bytes; both empty: the very first, an empty conversation: the first of that user or a later one. Fills names
     * (copied into *memory, where `after` may not be) and numbers. False: there is none. Skips nothing: an entry that
     * is damaged is told in ret->damaged, and met again until it is removed. */
    bool (*next_conversation)(struct txn *txn, const struct place *after, struct place *ret, struct buffer *memory);

    /* The same over users that have a conversation; skips what is damaged. */
    bool (*next_user)(struct txn *txn, struct span after, struct key *ret_user);

    /* Moves the numbers of a place (at first 0) on to the next conversation that has any content, named or not. False:
     * there is none. Of layouts that share their tables. */
    bool (*next_content)(struct txn *txn, struct place *place);
};

extern const struct layout layout_1;
extern const struct layout layout_2;
extern const struct layout layout_3;

/* The layout of a number; NULL when this daemon does not know it. */
const struct layout *layout_of(uint32_t number);

/* True when data of the one is data of the other where it stands. */
bool layout_shares_tables(const struct layout *layout, const struct layout *other);

/* The newest: what a new data directory gets and migrations lead to. */
const struct layout *layout_newest(void);

/* A value sealed by a CRC32C over key and value, which stands behind it; -1 when it is not the value that was put under
 * this key. */
void seal_add(struct span key, struct buffer *value);
int seal_open(struct span key, struct span *value);

/* A value on its way into the store: appends the CRC32C when the layout seals. */
void layout_seal(const struct layout *layout, struct span key, struct buffer *value);

/* A value as it was found: takes the CRC32C off again. -1 when it is not the value that was put under this key. */
int layout_open(const struct layout *layout, struct span key, struct span *value);

#endif
