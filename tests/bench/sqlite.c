/* SQLite in this process: WAL, synchronous FULL, one thread that reads and writes; appends in flight share a
 * transaction. */
#include "bench/fail.h"
#include "bench/inline.h"
#include "bench/system.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum statement { BEGIN, COMMIT, TOUCH, INSERT, READ, LIST, CREATE, STATEMENTS };

struct sqlite {
    char *directory;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
};

/* ---- Start and stop ---------------------------------------------------------------------------------------------- */

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -262144; PRAGMA mmap_size = 34359738368;"
    "PRAGMA wal_autocheckpoint = 10000;"
    "CREATE TABLE conversation (user_id TEXT, conversation_id TEXT, number INTEGER, last_seq INTEGER, title TEXT, "
    "updated INTEGER, PRIMARY KEY (user_id, conversation_id)) WITHOUT ROWID;"
    "CREATE TABLE message (conversation INTEGER, seq INTEGER, role TEXT, content BLOB, PRIMARY KEY (conversation, "
    "seq)) "
    "WITHOUT ROWID;";

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [TOUCH] = "UPDATE conversation SET last_seq = last_seq + ?3, updated = unixepoch() WHERE user_id = ?1 AND "
              "conversation_id = ?2 RETURNING number, last_seq",
    [INSERT] = "INSERT INTO message VALUES (?1, ?2, ?3, ?4)",
    [READ] = "SELECT seq, role, content FROM message WHERE conversation = (SELECT number FROM conversation "
             "WHERE user_id = ?1 AND conversation_id = ?2) ORDER BY seq DESC LIMIT ?3",
    [LIST] = "SELECT conversation_id, title, last_seq, updated FROM conversation WHERE user_id = ?1 "
             "ORDER BY updated DESC LIMIT ?2",
    [CREATE] = "INSERT OR IGNORE INTO conversation VALUES (?1, ?2, ?3, 0, ?2, 0)",
};

static void check(const struct sqlite *sqlite, bool well)
{
    if (!well) {
        bench_fail("sqlite: %s", sqlite3_errmsg(sqlite->database));
    }
}

static void *sqlite_start(const char *directory)
{
    struct sqlite *sqlite = bench_allocate(1, sizeof(*sqlite));
    sqlite->directory = server_directory(directory, "sqlite", NULL);
    char *path = bench_format("%s/data.db", sqlite->directory);
    check(sqlite, sqlite3_open(path, &sqlite->database) == SQLITE_OK);
    check(sqlite, sqlite3_exec(sqlite->database, schema, NULL, NULL, NULL) == SQLITE_OK);
    for (size_t i = 0; i < STATEMENTS; i++) {
        check(sqlite, sqlite3_prepare_v3(sqlite->database, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                         &sqlite->statements[i], NULL) == SQLITE_OK);
    }
    free(path);
    return sqlite;
}

static void sqlite_stop(void *instance)
{
    struct sqlite *sqlite = instance;
    for (size_t i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(sqlite->statements[i]);
    }
    sqlite3_close(sqlite->database);
    free(sqlite->directory);
    free(sqlite);
}

static double sqlite_memory(void *instance)
{
    (void)instance;
    return (double)sqlite3_memory_used();
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static void text_bind(sqlite3_stmt *statement, int place, const char *text)
{
    sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

static void statement_run(const struct sqlite *sqlite, sqlite3_stmt *statement)
{
    check(sqlite, sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
}

static void sqlite_begin(void *instance)
{
    struct sqlite *sqlite = instance;
    statement_run(sqlite, sqlite->statements[BEGIN]);
}

static void sqlite_commit(void *instance)
{
    struct sqlite *sqlite = instance;
    statement_run(sqlite, sqlite->statements[COMMIT]);
}

static void sqlite_append(void *instance, const struct dataset *dataset, const struct operation *operation)
{
    struct sqlite *sqlite = instance;
    struct dataset_names names = dataset_names(operation->conversation);
    sqlite3_stmt *touch = sqlite->statements[TOUCH];
    text_bind(touch, 1, names.user);
    text_bind(touch, 2, names.conversation);
    sqlite3_bind_int64(touch, 3, operation->messages);
    check(sqlite, sqlite3_step(touch) == SQLITE_ROW);
    sqlite3_int64 number = sqlite3_column_int64(touch, 0);
    sqlite3_int64 last_seq = sqlite3_column_int64(touch, 1);
    statement_run(sqlite, touch);
    sqlite3_stmt *insert = sqlite->statements[INSERT];
    for (unsigned i = 0; i < operation->messages; i++) {
        sqlite3_bind_int64(insert, 1, number);
        sqlite3_bind_int64(insert, 2, last_seq - operation->messages + i + 1);
        text_bind(insert, 3, dataset_role(i));
        sqlite3_bind_blob(insert, 4, dataset_text(dataset, operation->text + i), DATASET_MESSAGE_BYTES, SQLITE_STATIC);
        statement_run(sqlite, insert);
    }
}

static void sqlite_read(void *instance, const struct dataset *dataset, const struct operation *operation)
{
    struct sqlite *sqlite = instance;
    struct dataset_names names = dataset_names(operation->conversation);
    bool lists = operation->kind == OPERATION_LIST_CONVERSATIONS;
    sqlite3_stmt *statement = sqlite->statements[lists ? LIST : READ];
    text_bind(statement, 1, names.user);
    if (!lists) {
        text_bind(statement, 2, names.conversation);
    }
    sqlite3_bind_int(statement, lists ? 2 : 3, WORKLOAD_NEWEST);
    unsigned rows = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        rows += sqlite3_column_bytes(statement, lists ? 0 : 2) > 0;
    }
    check(sqlite, code == SQLITE_DONE);
    sqlite3_reset(statement);
    if (rows != workload_items(dataset, operation->kind)) {
        bench_fail("sqlite answers a request for %d rows with %u", WORKLOAD_NEWEST, rows);
    }
}

/* ---- Load -------------------------------------------------------------------------------------------------------- */

static const struct inline_calls calls = {sqlite_begin, sqlite_append, sqlite_commit, sqlite_read};

static void sqlite_run(void *instance, struct load *load)
{
    inline_run(&calls, instance, load);
}

static void checkpoint(const struct sqlite *sqlite)
{
    check(sqlite, sqlite3_exec(sqlite->database, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) == SQLITE_OK);
}

static void sqlite_load(void *instance, const struct dataset *dataset)
{
    struct sqlite *sqlite = instance;
    sqlite3_stmt *create = sqlite->statements[CREATE];
    sqlite_begin(sqlite);
    for (uint64_t i = 0; i < dataset->conversations; i++) {
        struct dataset_names names = dataset_names(dataset->first_conversation + i);
        text_bind(create, 1, names.user);
        text_bind(create, 2, names.conversation);
        sqlite3_bind_int64(create, 3, (sqlite3_int64)(dataset->first_conversation + i));
        statement_run(sqlite, create);
    }
    sqlite_commit(sqlite);
    system_fill(&system_sqlite, sqlite, dataset, WORKLOAD_IN_FLIGHT_MAX);
    checkpoint(sqlite);
}

static struct system_disk sqlite_disk(void *instance, const struct dataset *dataset)
{
    (void)dataset;
    struct sqlite *sqlite = instance;
    checkpoint(sqlite);
    double bytes = server_disk_bytes(sqlite->directory);
    return (struct system_disk){bytes, bytes};
}

const struct system system_sqlite = {
    .name = "sqlite",
    .meaning = "in this process on one thread, WAL, synchronous FULL; appends in flight share a transaction",
    .start = sqlite_start,
    .load = sqlite_load,
    .run = sqlite_run,
    .memory = sqlite_memory,
    .disk = sqlite_disk,
    .stop = sqlite_stop,
};
