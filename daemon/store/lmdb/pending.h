/* Which appends wait in the journal: in memory, from a conversation to its entries there, rebuilt from the journal at
 * start. One writer changes it, in step with its transactions; any thread reads what was committed.
 *
 * Entries have consecutive numbers. Removing takes all of a conversation at once (they were folded home, or the
 * conversation is gone); the entries before the oldest that is left may leave the journal.
 *
 * Memory: at most PENDING_ENTRY_BYTES an entry, for at most `entries_max` between the oldest and the newest, and 32 for
 * each conversation that the largest transaction changed. It is reserved at once and costs something once it is used.
 */
#ifndef STORE_LMDB_PENDING_H
#define STORE_LMDB_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending;

enum {
    PENDING_ENTRY_BYTES = 86,    /* when every entry is of another conversation; 34 when five are of one */
    PENDING_CHAIN_MAX = 32,      /* entries of a conversation */
    PENDING_CHAIN_BYTES = 65536, /* of their values */
    PENDING_USER_MAX = 256,      /* conversations of a user */
};

struct pending_entry {
    uint64_t id; /* in the journal: the one before plus 1; any higher when no entry is left */
    uint64_t user_number;
    uint64_t conversation_number;
    int64_t activity_us;  /* of the conversation from then on */
    uint32_t request_tag; /* of its request_id (pending_tag); 0: it has none */
    uint32_t bytes;       /* of its value */
    bool has_ids;         /* one of its messages has a message_id */
};

/* The entries of a conversation, newest first. */
struct pending_chain {
    size_t count;
    uint64_t ids[PENDING_CHAIN_MAX];
    uint32_t tags[PENDING_CHAIN_MAX];
    bool has_ids; /* any of them */
    /* The last commit that removed entries of any conversation. A reader whose snapshot is older must take a new one,
     * and look again: what it misses here may not be home there. */
    uint64_t removal_commit;
};

/* A conversation of a user. */
struct pending_conversation {
    uint64_t conversation_number;
    uint64_t newest_id; /* of its entries */
    int64_t activity_us;
};

struct pending_user {
    size_t count;
    struct pending_conversation conversations[PENDING_USER_MAX]; /* latest activity first, then by number */
    uint64_t removal_commit;
};

/* NULL when memory is short. */
struct pending *pending_new(size_t entries_max);
struct pending *pending_free(struct pending *pending);

/* The tag of a request_id: never 0. */
uint32_t pending_tag(const uint8_t *request_id, size_t size);

/* The writer's. `uncommitted` changes are seen by the writer alone until pending_commit. */

/* Whether an entry may be pushed: there is room for one more in all, in its conversation and its user. What the writer
 * has removed gives its room in the conversation and the user back at once, its room in all with the commit. */
bool pending_has_room(struct pending *pending, const struct pending_entry *entry);

/* Have the processor fetch what the functions here will look at for the conversation: call the second a little later.
 */
void pending_prefetch_place(const struct pending *pending, uint64_t user_number, uint64_t conversation_number);
void pending_prefetch(const struct pending *pending, uint64_t user_number, uint64_t conversation_number);

/* Adds one, for which there must be room. */
void pending_push(struct pending *pending, const struct pending_entry *entry);

/* Uses up the numbers up to this one for what waits for nothing. -1: there is no room for them in all, which is an
 * eighth larger than for entries. Where no entry is left there always is, and pending_rollback does not give them back.
 */
int pending_skip(struct pending *pending, uint64_t id);

/* The number of the next entry, as the writer sees it; at least 1. */
uint64_t pending_next_id(const struct pending *pending);

/* A way over the conversation's entries, newest first, for what is to be fetched from memory before it is looked at:
 * each step has the processor fetch what the next one looks at. */
struct pending_walk {
    uint64_t id;
    size_t left;  /* entries; 0: it has ended */
    size_t bytes; /* of a value, in the mean */
};
struct pending_walk pending_walk_begin(const struct pending *pending, uint64_t conversation_number);
void pending_walk_next(const struct pending *pending, struct pending_walk *walk);

/* Takes the conversation's entries away. Without any it does nothing. */
void pending_remove(struct pending *pending, uint64_t conversation_number);

/* After the transaction was committed as this commit, or undone. */
void pending_commit(struct pending *pending, uint64_t commit_id);
void pending_rollback(struct pending *pending);

/* A conversation, by its numbers. */
struct pending_place {
    uint64_t user_number;
    uint64_t conversation_number;
};

/* The sweep goes over the conversations that wait, as the writer sees them, in the order in which they stand at home.
 * One that begins to wait behind it is left to the next sweep. So a whole sweep finds whatever waited when it began,
 * and what it removes for good may leave the journal up to there. The first begins again; the second moves on to the
 * next ones, at most `most` (1..PENDING_SWEEP_MAX), and returns how many (0: there is none ahead); the third tells how
 * many are ahead, and the number of the entry that was to come next when it began. A rollback does not move it back. */
enum { PENDING_SWEEP_MAX = 64 };
void pending_begin_sweep(struct pending *pending);
size_t pending_sweep(struct pending *pending, size_t most, struct pending_place *ret);
size_t pending_sweep_ahead(const struct pending *pending, uint64_t *ret_begun_id);

/* The writer's: the ones the sweep is to come to next behind a place (NULL: behind where it is), without moving it;
 * those that are far away are left out. And whether it has yet to come to where the place is. */
size_t pending_look_ahead(const struct pending *pending, const struct pending_place *behind, size_t most,
                          struct pending_place *ret);
bool pending_is_ahead(const struct pending *pending, struct pending_place place);

/* Any thread: while somebody holds it no removal is published, so that a snapshot begun then is new enough: the writer
 * waits in pending_commit. For no longer than a read takes. */
void pending_hold(struct pending *pending);
void pending_let_go(struct pending *pending);

/* Any thread, as committed: entries between the oldest left and the newest (0: there is none), and the number of the
 * oldest: of the next one to come when there is none (0: there never was one). */
size_t pending_span(struct pending *pending, uint64_t *ret_oldest_id);

/* Any thread: fill *ret as committed; `writer`: as the writer sees it, with its uncommitted changes. */
void pending_chain(struct pending *pending, uint64_t conversation_number, bool writer, struct pending_chain *ret);
void pending_user(struct pending *pending, uint64_t user_number, bool writer, struct pending_user *ret);

/* The writer's: whether one of the conversation's entries has this tag. */
bool pending_has_tag(const struct pending *pending, uint64_t conversation_number, uint32_t tag);

#endif
