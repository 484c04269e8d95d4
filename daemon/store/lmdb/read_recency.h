/* The recency entries of a user at home, in one layout, for the list of his conversations, each with the head that it
 * leads to. They are read ahead, first some entries, then the numbers of all these, then their heads: what one lookup
 * needs of memory is fetched while the next ones go on, where row by row each would wait for its own. */
#ifndef STORE_LMDB_READ_RECENCY_H
#define STORE_LMDB_READ_RECENCY_H

#include "store/lmdb/read.h"

enum {
    RECENCY_AHEAD = 64 /* rows, so that a walk takes 5 KiB */
};

enum recency_state {
    RECENCY_KEY_DAMAGED, /* whose it is cannot be told */
    RECENCY_DAMAGED,
    RECENCY_UNWANTED, /* the list filters it out */
    RECENCY_WANTED,
};

/* Spans are borrowed from the snapshot. */
struct recency_row {
    enum recency_state state;
    int64_t activity_us;
    struct span conversation;
    /* Of one that is wanted, once looked up. */
    enum get_result name;  /* MISSING: its name is gone from this layout */
    enum get_result found; /* the head; DAMAGED also when it is another's or there is none */
    uint64_t conversation_number;
    struct span head;
};

struct recency_walk {
    struct place place; /* of the user */
    struct key prefix;
    struct cursor entries;      /* at the first entry that is not among the rows */
    struct cursor names, heads; /* neighbours stand on the same pages: these stay where they were */
    bool more;                  /* there is such an entry */
    size_t at;                  /* the row that the list has come to */
    size_t looked_up;           /* rows before it are */
    size_t count;
    struct recency_row rows[RECENCY_AHEAD];
};

/* Whether the list asked for shows a conversation that this is said of. */
bool recency_is_wanted(const struct read *read, const struct recency_entry *entry);

/* Begins behind the entry that `after` names, a position, or at the first one; of a user who is not in this layout
 * there is none. Returns 0 or -ERROR_RECORD_DAMAGED. Close it in any case. */
int recency_open(struct read *read, const struct layout *layout, struct span after, struct recency_walk *ret);
void recency_close(struct recency_walk *walk);

/* The row that the list has come to; NULL: there is none. `ahead`: how many may be needed, at least 1. */
const struct recency_row *recency_first(struct read *read, struct recency_walk *walk, size_t ahead);

/* Has that row looked up, with those behind it of `ahead`. */
void recency_look_up(struct head_hints *hints, struct recency_walk *walk, size_t ahead);

void recency_advance(struct recency_walk *walk);

#endif
