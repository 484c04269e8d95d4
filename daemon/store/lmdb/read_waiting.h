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

struct waiting {
    struct place home; /* of the user, where the journal belongs to */
    struct pending_user user;
    struct pending_conversation by_number[PENDING_USER_MAX];
    uint64_t last_id;           /* of the journal in this snapshot: what came later it does not see */
    struct waiting_entry after; /* the page begins behind it; no conversation: at the first */
    size_t looked;              /* those of user.conversations before it were read, or are not on the page */
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

/* What is known of a conversation; NULL: nothing of it waits. */
const struct pending_conversation *waiting_find(const struct waiting *waiting, uint64_t conversation_number);

/* True when a recency entry with this activity is out of date, as the journal has a later one. False: it may be. */
bool waiting_outdates(const struct waiting *waiting, const struct pending_conversation *known, int64_t activity_us);

#endif
