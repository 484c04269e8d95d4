/* The conversations of a user that have something in the journal, for their list: where they stand in it the journal
 * says, not their recency entry at home. Of many that wait only those are read that may be on the page. */
#ifndef STORE_LMDB_READ_WAITING_H
#define STORE_LMDB_READ_WAITING_H

#include "store/lmdb/read.h"

struct waiting_entry {
    int64_t activity_us;
    struct span conversation; /* borrowed from the snapshot */
    uint64_t conversation_number;
};

/* Where a list takes a conversation from that the journal knows. It is settled once, when the conversation is met
 * first: the writer may publish meanwhile, and asked again the index might say otherwise, so that the conversation
 * would be listed twice or not at all. */
enum waiting_state {
    WAITING_UNSETTLED,
    WAITING_JOURNAL, /* it is one of the entries, or was on a page before */
    WAITING_HOME,    /* nothing of it waits in this snapshot: its recency entry at home says where it stands */
};

struct waiting_known {
    uint64_t conversation_number;
    size_t at; /* in user.conversations */
};

struct waiting {
    struct place home; /* of the user, where the journal belongs to */
    struct pending_user user;
    enum waiting_state states[PENDING_USER_MAX]; /* of user.conversations */
    struct waiting_known by_number[PENDING_USER_MAX];
    uint64_t last_id;           /* of the journal in this snapshot: what came later it does not see */
    struct waiting_entry after; /* the page begins behind it; no conversation: at the first */
    size_t looked;              /* those of user.conversations before it are settled */
    size_t next;                /* the one the list has come to */
    size_t count;
    struct waiting_entry entries[PENDING_USER_MAX]; /* those read, in the list's order */
};

/* The order of the list: latest activity first, then by name. */
int waiting_order(const struct waiting_entry *a, const struct waiting_entry *b);

/* Begins at the page behind `after` (empty: the first). `home` is the user in the layout with the journal; NULL: there
 * is none. Sets read->head.stale when a new snapshot must be taken. Returns 0 or -ERROR_MEMORY_SHORT. */
int waiting_open(struct read *read, const struct place *home, struct span after, struct waiting *ret);

/* The next entry, where it stands; NULL in *ret: there is none. Sets stale and returns as above. */
int waiting_look(struct read *read, struct waiting *waiting, const struct waiting_entry **ret);

/* Reads the conversation of an entry into read->head, as head_load does. */
int waiting_load(struct read *read, const struct waiting *waiting, const struct waiting_entry *entry);

/* Settles where the conversation of a recency entry at home is taken from; what the journal does not know, from home.
 * Sets stale and returns as above. */
int waiting_settle(struct read *read, struct waiting *waiting, uint64_t conversation_number, enum waiting_state *ret);

#endif
