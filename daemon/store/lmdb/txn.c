#include "store/lmdb/txn.h"

#include <assert.h>
#include <errno.h>

enum { RETRY_DISK_MS = 5000, RETRY_MEMORY_MS = 1000 };

static MDB_val value_of(struct span span)
{
    /* LMDB takes pointers to what it only reads without const. */
    union {
        const uint8_t *in;
        void *out;
    } pointer = {.in = span.data};
    return (MDB_val){.mv_size = span.size, .mv_data = pointer.out};
}

static bool txn_keep(struct txn *txn, int rc)
{
    if (rc == MDB_SUCCESS) {
        return true;
    }
    if (rc != MDB_NOTFOUND) {
        txn->rc = rc;
    }
    return false;
}

bool txn_get(struct txn *txn, enum table table, struct span key, struct span *ret)
{
    if (txn->rc || txn->tables[table] == TXN_TABLE_CLOSED) {
        return false;
    }
    MDB_val lmdb_key = value_of(key);
    MDB_val value;
    if (!txn_keep(txn, mdb_get(txn->handle, txn->tables[table], &lmdb_key, &value))) {
        return false;
    }
    *ret = span_of(value.mv_data, value.mv_size);
    return true;
}

static int value_put(struct txn *txn, enum table table, struct span key, struct span value, unsigned flags)
{
    assert(key.size > 0 && value.size > 0);
    MDB_val lmdb_key = value_of(key);
    MDB_val lmdb_value = value_of(value);
    return mdb_put(txn->handle, txn->tables[table], &lmdb_key, &lmdb_value, flags);
}

void txn_put(struct txn *txn, enum table table, struct span key, struct span value)
{
    if (!txn->rc) {
        txn->writes++;
        txn_keep(txn, value_put(txn, table, key, value, 0));
    }
}

void txn_put_last(struct txn *txn, enum table table, struct span key, struct span value)
{
    if (!txn->rc) {
        int rc = value_put(txn, table, key, value, MDB_APPEND);
        txn->writes++;
        txn_keep(txn, rc == MDB_KEYEXIST ? value_put(txn, table, key, value, 0) : rc);
    }
}

bool txn_delete(struct txn *txn, enum table table, struct span key)
{
    if (txn->rc) {
        return false;
    }
    MDB_val lmdb_key = value_of(key);
    if (!txn_keep(txn, mdb_del(txn->handle, txn->tables[table], &lmdb_key, NULL))) {
        return false;
    }
    txn->writes++;
    return true;
}

uint64_t txn_count(struct txn *txn, enum table table)
{
    MDB_stat stat = {0};
    if (!txn->rc && txn->tables[table] != TXN_TABLE_CLOSED) {
        txn->rc = mdb_stat(txn->handle, txn->tables[table], &stat);
    }
    return stat.ms_entries;
}

uint64_t txn_pages(struct txn *txn, enum table table)
{
    MDB_stat stat = {0};
    if (!txn->rc && txn->tables[table] != TXN_TABLE_CLOSED) {
        txn->rc = mdb_stat(txn->handle, txn->tables[table], &stat);
    }
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

uint64_t txn_id(const struct txn *txn)
{
    assert(txn->handle);
    return mdb_txn_id(txn->handle);
}

void txn_fail_memory(struct txn *txn)
{
    if (!txn->rc) {
        txn->rc = ENOMEM;
    }
}

void txn_fail_damaged(struct txn *txn)
{
    if (!txn->rc) {
        txn->rc = MDB_CORRUPTED;
    }
}

struct cursor cursor_open(struct txn *txn, enum table table)
{
    struct cursor cursor = {.txn = txn};
    if (!txn->rc && txn->tables[table] != TXN_TABLE_CLOSED) {
        txn->rc = mdb_cursor_open(txn->handle, txn->tables[table], &cursor.handle);
    }
    return cursor;
}

void cursor_close(struct cursor *cursor)
{
    if (cursor->handle) {
        mdb_cursor_close(cursor->handle);
    }
    *cursor = (struct cursor){0};
}

static bool cursor_move(struct cursor *cursor, struct span key, MDB_cursor_op move)
{
    if (cursor->txn->rc || !cursor->handle) {
        return false;
    }
    MDB_val lmdb_key = value_of(key);
    MDB_val value;
    if (!txn_keep(cursor->txn, mdb_cursor_get(cursor->handle, &lmdb_key, &value, move))) {
        return false;
    }
    if (lmdb_key.mv_size > KEY_LMDB_MAX) { /* of a page that is damaged: LMDB does not look */
        txn_fail_damaged(cursor->txn);
        return false;
    }
    cursor->key = span_of(lmdb_key.mv_data, lmdb_key.mv_size);
    cursor->value = span_of(value.mv_data, value.mv_size);
    return true;
}

struct key cursor_copy_key(const struct cursor *cursor)
{
    struct key key = key_empty();
    key_add(&key, cursor->key);
    return key;
}

bool cursor_first(struct cursor *cursor)
{
    return cursor_move(cursor, span_of(NULL, 0), MDB_FIRST);
}

/* Where keys of a branch page are damaged, LMDB comes to the wrong side of what was looked for, and does not look. */
static bool order_check(struct cursor *cursor, bool in_order)
{
    if (!in_order) {
        txn_fail_damaged(cursor->txn);
    }
    return in_order;
}

bool cursor_seek(struct cursor *cursor, struct span key)
{
    return cursor_move(cursor, key, MDB_SET_RANGE) && order_check(cursor, span_order(cursor->key, key) >= 0);
}

bool cursor_find(struct cursor *cursor, struct span key)
{
    return cursor_move(cursor, key, MDB_SET_KEY);
}

bool cursor_seek_below(struct cursor *cursor, struct span key)
{
    bool found = cursor_seek(cursor, key) ? cursor_previous(cursor) : cursor_move(cursor, span_of(NULL, 0), MDB_LAST);
    return found && order_check(cursor, span_order(cursor->key, key) < 0);
}

bool cursor_next(struct cursor *cursor)
{
    return cursor_move(cursor, span_of(NULL, 0), MDB_NEXT);
}

bool cursor_previous(struct cursor *cursor)
{
    return cursor_move(cursor, span_of(NULL, 0), MDB_PREV);
}

void cursor_delete(struct cursor *cursor)
{
    if (!cursor->txn->rc) {
        cursor->txn->writes++;
        cursor->txn->rc = mdb_cursor_del(cursor->handle, 0);
    }
}

bool cursor_delete_next(struct cursor *cursor)
{
    cursor_delete(cursor);
    return cursor_next(cursor); /* LMDB knows that the cursor is at the next one already */
}

bool cursor_put(struct cursor *cursor, struct span key, struct span value)
{
    assert(key.size > 0 && value.size > 0);
    if (cursor->txn->rc) {
        return false;
    }
    MDB_val lmdb_key = value_of(key);
    MDB_val lmdb_value = value_of(value);
    int rc = mdb_cursor_put(cursor->handle, &lmdb_key, &lmdb_value, MDB_APPEND);
    if (rc == MDB_KEYEXIST) {
        rc = mdb_cursor_put(cursor->handle, &lmdb_key, &lmdb_value, 0);
    }
    cursor->txn->writes++;
    return txn_keep(cursor->txn, rc) && cursor_move(cursor, span_of(NULL, 0), MDB_GET_CURRENT);
}

/* The errors that leave nothing stored and nothing broken, and those that name damage. Others are a defect. */
static const struct {
    int rc;
    enum error_reason reason;
    uint64_t retry_delay_ms;
    const char *text;
} txn_errors[] = {
    {MDB_MAP_FULL, ERROR_DISK_FULL, RETRY_DISK_MS, "the data file has reached its largest size (map-size)"},
    {MDB_TXN_FULL, ERROR_DISK_FULL, RETRY_DISK_MS, "too many pages changed in one commit"},
    {ENOSPC, ERROR_DISK_FULL, RETRY_DISK_MS, "the disk is full"},
    {EDQUOT, ERROR_DISK_FULL, RETRY_DISK_MS, "the disk quota is used up"},
    {EFBIG, ERROR_DISK_FULL, RETRY_DISK_MS, "the data file has reached the file size limit"},
    {ENOMEM, ERROR_MEMORY_SHORT, RETRY_MEMORY_MS, "the daemon is short of memory"},
    {MDB_CORRUPTED, ERROR_RECORD_DAMAGED, 0, "a page of the data file is damaged"},
    {MDB_PAGE_NOTFOUND, ERROR_RECORD_DAMAGED, 0, "a page of the data file is damaged"},
};

int txn_error(int rc, struct error *error)
{
    assert(rc != MDB_SUCCESS);
    for (size_t i = 0; i < sizeof(txn_errors) / sizeof(txn_errors[0]); i++) {
        if (txn_errors[i].rc == rc) {
            error_set(error, txn_errors[i].reason, "%s", txn_errors[i].text);
            if (txn_errors[i].retry_delay_ms > 0) {
                error_add_detail(error, "retry_delay_ms", txn_errors[i].retry_delay_ms);
            }
            return -(int)error->reason;
        }
    }
    return error_set(error, ERROR_DEFECT, "the store failed: %s", mdb_strerror(rc));
}

bool txn_error_is_passing(int rc)
{
    for (size_t i = 0; i < sizeof(txn_errors) / sizeof(txn_errors[0]); i++) {
        if (txn_errors[i].rc == rc) {
            return txn_errors[i].retry_delay_ms > 0;
        }
    }
    return false;
}
