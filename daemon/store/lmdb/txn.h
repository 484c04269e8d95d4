/* One LMDB transaction with a sticky error: after the first failure every operation does nothing and finds nothing,
 * and whoever ends the transaction looks at `rc` once. What functions in between conclude from a failed
 * transaction ("not found") is thrown away there. Knows no key and no record. */
#ifndef STORE_LMDB_TXN_H
#define STORE_LMDB_TXN_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/span.h"
#include "store/lmdb/keys.h"

#include <lmdb.h>

struct pending;

enum table {
    TABLE_META,
    TABLE_DEADLINES,
    TABLE_PURGES,
    TABLE_QUARANTINE,
    TABLE_AUDIT,
    TABLE_AUDIT_USERS,
    TABLE_SHARED_COUNT, /* those below belong to a layout */
    /* Layout 1. */
    TABLE_CONVERSATIONS = TABLE_SHARED_COUNT,
    TABLE_MESSAGES,
    TABLE_MESSAGE_IDS,
    TABLE_RECENCY,
    TABLE_REQUESTS,
    /* Layout 2. */
    TABLE_2_USERS,
    TABLE_2_DATA,
    /* Layout 3. */
    TABLE_3_JOURNAL,
    TABLE_COUNT
};

/* In txn.tables: the data file has no such table, and it counts as empty. */
#define TXN_TABLE_CLOSED UINT32_MAX

struct txn {
    MDB_txn *handle; /* NULL when it did not begin */
    const MDB_dbi *tables;
    int rc;          /* of LMDB: the first failure */
    uint64_t writes; /* puts and removals so far */
    bool is_write;
    struct buffer *packing;  /* of the environment: memory for run_pack; of a write transaction */
    struct pending *pending; /* of the environment: what it says is of this transaction, or of the last commit */
};

/* *ret is borrowed, valid until the next write. False: there is none. */
bool txn_get(struct txn *txn, enum table table, struct span key, struct span *ret);

void txn_put(struct txn *txn, enum table table, struct span key, struct span value);

/* The same, cheaper when the key is above all others of the table. */
void txn_put_last(struct txn *txn, enum table table, struct span key, struct span value);

/* False: there was none. */
bool txn_delete(struct txn *txn, enum table table, struct span key);

/* How many entries the table has, and how many pages. */
uint64_t txn_count(struct txn *txn, enum table table);
uint64_t txn_pages(struct txn *txn, enum table table);

/* The number of the commit it will be, or that it sees. The transaction must have begun. */
uint64_t txn_id(const struct txn *txn);

/* Makes the transaction fail as LMDB would: ENOMEM. */
void txn_fail_memory(struct txn *txn);

/* The same for a record without which nothing can go on: MDB_CORRUPTED. */
void txn_fail_damaged(struct txn *txn);

/* A place in a table. Key and value are borrowed until the next write; after one that is not through the cursor, seek.
 * Close it before the txn ends. Not to be moved. */
struct cursor {
    struct txn *txn;
    MDB_cursor *handle;
    struct span key; /* borrowed like *ret of txn_get */
    struct span value;
};

struct cursor cursor_open(struct txn *txn, enum table table);
void cursor_close(struct cursor *cursor);

/* Copies the key the cursor is at, to outlive it. */
struct key cursor_copy_key(const struct cursor *cursor);

/* Move to the first entry, the first at or above the key, the last below it, the next, the one before. False: there
 * is none. What a seek finds on the other side of the key is damage, and the transaction fails. */
bool cursor_first(struct cursor *cursor);
bool cursor_seek(struct cursor *cursor, struct span key);
bool cursor_seek_below(struct cursor *cursor, struct span key);
bool cursor_next(struct cursor *cursor);
bool cursor_previous(struct cursor *cursor);

/* Moves to exactly this key; cheaper than txn_get when it stands on the page where the cursor was before. False: there
 * is none, and the cursor is nowhere. */
bool cursor_find(struct cursor *cursor, struct span key);

/* Removes the entry the cursor is at; seek before using the cursor again. */
void cursor_delete(struct cursor *cursor);

/* The same, and moves to the entry behind it. False: there is none. */
bool cursor_delete_next(struct cursor *cursor);

/* Puts the entry and moves to it; cheaper than txn_put when the key is above all others of the table, where pages are
 * filled to the end. False: it failed. */
bool cursor_put(struct cursor *cursor, struct span key, struct span value);

/* What an LMDB error means for the answer to an operation that stored nothing. Returns -error->reason. */
int txn_error(int rc, struct error *error);

/* True when a transaction that failed so has stored nothing and the next may succeed: no room, no memory. */
bool txn_error_is_passing(int rc);

#endif
