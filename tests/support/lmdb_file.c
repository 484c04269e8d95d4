#include "support/lmdb_file.h"

#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAP_BYTES = 1 << 30, TABLES_MAX = 32, VALUE_BYTES = 4096 };

struct lmdb_file {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    int rc; /* of opening the table */
};

static struct lmdb_file file_open(const char *directory, const char *table)
{
    struct lmdb_file file;
    assert_int_equal(mdb_env_create(&file.env), 0);
    assert_int_equal(mdb_env_set_maxdbs(file.env, TABLES_MAX), 0);
    assert_int_equal(mdb_env_set_mapsize(file.env, MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(file.env, directory, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(file.env, NULL, 0, &file.txn), 0);
    file.rc = mdb_dbi_open(file.txn, table, 0, &file.table);
    return file;
}

static void file_close(struct lmdb_file *file)
{
    assert_int_equal(mdb_txn_commit(file->txn), 0);
    mdb_env_close(file->env);
}

void lmdb_file_put(const char *directory, const char *table, struct span key, struct span value)
{
    uint8_t key_bytes[512];
    uint8_t value_bytes[VALUE_BYTES];
    assert_true(key.size <= sizeof(key_bytes) && value.size <= sizeof(value_bytes));
    memcpy(key_bytes, key.data, key.size);
    memcpy(value_bytes, value.data ? value.data : key_bytes, value.size);
    MDB_val lmdb_key = {.mv_size = key.size, .mv_data = key_bytes};
    MDB_val lmdb_value = {.mv_size = value.size, .mv_data = value_bytes};
    struct lmdb_file file = file_open(directory, table);
    assert_int_equal(file.rc, 0);
    if (value.size > 0) {
        assert_int_equal(mdb_put(file.txn, file.table, &lmdb_key, &lmdb_value, 0), 0);
    } else {
        assert_int_equal(mdb_del(file.txn, file.table, &lmdb_key, NULL), 0);
    }
    file_close(&file);
}

size_t lmdb_file_find(const char *directory, const char *table, struct span key, uint8_t *value, size_t size)
{
    uint8_t key_bytes[512];
    assert_true(key.size <= sizeof(key_bytes));
    memcpy(key_bytes, key.data, key.size);
    MDB_val lmdb_key = {.mv_size = key.size, .mv_data = key_bytes};
    MDB_val lmdb_value = {0};
    struct lmdb_file file = file_open(directory, table);
    assert_int_equal(file.rc, 0);
    int rc = mdb_get(file.txn, file.table, &lmdb_key, &lmdb_value);
    assert_true(rc == 0 || rc == MDB_NOTFOUND);
    size_t found = lmdb_value.mv_size;
    assert_true(found <= size);
    if (found > 0) {
        memcpy(value, lmdb_value.mv_data, found);
    }
    file_close(&file);
    return found;
}

size_t lmdb_file_get(const char *directory, const char *table, struct span key, uint8_t *value, size_t size)
{
    size_t found = lmdb_file_find(directory, table, key, value, size);
    assert_true(found > 0);
    return found;
}

size_t lmdb_file_count(const char *directory, const char *table)
{
    struct lmdb_file file = file_open(directory, table);
    MDB_stat stat = {0};
    if (file.rc == 0) {
        assert_int_equal(mdb_stat(file.txn, file.table, &stat), 0);
    }
    file_close(&file);
    return stat.ms_entries;
}

bool lmdb_file_has(const char *directory, const char *table)
{
    struct lmdb_file file = file_open(directory, table);
    file_close(&file);
    return file.rc == 0;
}

void lmdb_file_drop(const char *directory, const char *table)
{
    struct lmdb_file file = file_open(directory, table);
    assert_int_equal(file.rc, 0);
    assert_int_equal(mdb_drop(file.txn, file.table, 1), 0);
    file_close(&file);
}
