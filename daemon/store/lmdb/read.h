/* One read under way, within a snapshot: what a verb of the read table gets, and how it is run. Everything a read
 * brings is copied into the result; the snapshot can end as soon as read_run returns. */
#ifndef STORE_LMDB_READ_H
#define STORE_LMDB_READ_H

#include "store/lmdb/env.h"
#include "store/lmdb/head_hints.h"
#include "store/lmdb/heads.h"

struct read {
    struct txn *txn;
    struct layouts layouts; /* loaded by read_run */
    struct env *env;
    struct head_hints *hints;
    const struct store_op *op;
    const struct limits *limits;
    int64_t now_us;
    struct head head;
    struct store_result *result;
    struct error *error;
};

/* The counts of GET_STATS that a snapshot holds. */
struct store_stats read_stats(struct env *env, struct txn *txn);

/* True for the verbs of the table. */
bool read_is_verb(enum store_verb verb);

/* Returns 0, or a negative error with read->error filled; the txn may have failed, which the caller looks at. */
int read_run(struct read *read);

/* The verbs that have a file of their own. A conversation's head is loaded, live and not deleted. */
int read_list_conversations(struct read *read);
int read_list_users(struct read *read);
int read_list_messages(struct read *read);
int read_list_events(struct read *read);

#endif
