/* A ceiling: what LMDB does in this process when messages are put at the end of one table, in arrival order, and
 * nothing else; appends in flight share a commit. Each run begins with the pages of the one before free. */
#include "bench/fail.h"
#include "bench/inline.h"
#include "bench/system.h"

#include <endian.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

struct journal {
    char *directory;
    MDB_env *env;
    MDB_dbi table;
    MDB_txn *txn;
    uint64_t last; /* key */
};

static void check(int code)
{
    if (code) {
        bench_fail("lmdb_journal: %s", mdb_strerror(code));
    }
}

static void journal_begin(void *instance)
{
    struct journal *journal = instance;
    check(mdb_txn_begin(journal->env, NULL, 0, &journal->txn));
}

static void journal_commit(void *instance)
{
    check(mdb_txn_commit(((struct journal *)instance)->txn));
}

static void *journal_start(const char *directory)
{
    struct journal *journal = bench_allocate(1, sizeof(*journal));
    journal->directory = server_directory(directory, "lmdb_journal", NULL);
    check(mdb_env_create(&journal->env));
    check(mdb_env_set_mapsize(journal->env, (size_t)1 << 40));
    check(mdb_env_open(journal->env, journal->directory, MDB_NOTLS, 0600));
    journal_begin(journal);
    check(mdb_dbi_open(journal->txn, NULL, 0, &journal->table));
    journal_commit(journal);
    return journal;
}

static void journal_stop(void *instance)
{
    struct journal *journal = instance;
    mdb_env_close(journal->env);
    free(journal->directory);
    free(journal);
}

static void journal_append(void *instance, const struct dataset *dataset, const struct operation *operation)
{
    struct journal *journal = instance;
    for (unsigned i = 0; i < operation->messages; i++) {
        uint64_t number = htobe64(++journal->last);
        MDB_val key = {sizeof(number), &number};
        MDB_val value = {DATASET_MESSAGE_BYTES, NULL};
        check(mdb_put(journal->txn, journal->table, &key, &value, MDB_APPEND | MDB_RESERVE));
        memcpy(value.mv_data, dataset_text(dataset, operation->text + i), DATASET_MESSAGE_BYTES);
    }
}

static const struct inline_calls calls = {journal_begin, journal_append, journal_commit, NULL};

static void journal_open(void *instance, unsigned in_flight)
{
    (void)in_flight;
    struct journal *journal = instance;
    journal_begin(journal);
    check(mdb_drop(journal->txn, journal->table, 0));
    journal_commit(journal);
}

static void journal_run(void *instance, struct load *load)
{
    inline_run(&calls, instance, load);
}

const struct system system_lmdb_journal = {
    .name = "lmdb_journal",
    .meaning = "ceiling: messages put in arrival order in this process; appends in flight share a commit",
    .appends_only = true,
    .start = journal_start,
    .open = journal_open,
    .run = journal_run,
    .stop = journal_stop,
};
