/* PostgreSQL over a Unix socket through libpq: prepared statements, one connection for each request in flight. An
 * append updates the conversation and inserts the messages in one statement. Sensibly tuned, with everything durable.
 */
#include "bench/events.h"
#include "bench/fail.h"
#include "bench/postgresql_fill.h"
#include "bench/system.h"

#include <glob.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARAMETERS_MAX = 2 + WORKLOAD_TURN_MESSAGES, BINARY = 1 };

struct postgresql {
    struct server *server;
    char *directory;
    char *conninfo;
    struct load *load;
    PGconn *connections[WORKLOAD_IN_FLIGHT_MAX];
    int sockets[WORKLOAD_IN_FLIGHT_MAX];
    int rows[WORKLOAD_IN_FLIGHT_MAX]; /* that the answer must have */
    unsigned count;
};

/* $1 and $2 are the user and the conversation, the rest are texts. */
#define STATEMENT_APPEND(count, rows)                                                                                  \
    "WITH c AS (UPDATE conversation SET last_seq = last_seq + " count ", updated = now() "                             \
    "WHERE user_id = $1 AND conversation_id = $2 RETURNING number, last_seq) "                                         \
    "INSERT INTO message SELECT number, last_seq - " count " + v.place, v.role, v.content "                            \
    "FROM c, (VALUES " rows ") AS v (place, role, content) RETURNING seq"

static const struct statement {
    const char *name;
    const char *text;
} statements[] = {
    {"append", STATEMENT_APPEND("1", "(1, 'user', $3::bytea)")},
    {"turn", STATEMENT_APPEND("4", "(1, 'user', $3::bytea), (2, 'assistant', $4::bytea), (3, 'tool', $5::bytea), "
                                   "(4, 'tool', $6::bytea)")},
    {"read", "SELECT seq, role, content FROM message WHERE conversation = (SELECT number FROM conversation "
             "WHERE user_id = $1 AND conversation_id = $2) ORDER BY seq DESC LIMIT 50"},
    {"list", "SELECT conversation_id, title, last_seq, updated FROM conversation WHERE user_id = $1 "
             "ORDER BY updated DESC LIMIT 50"},
};
_Static_assert(WORKLOAD_TURN_MESSAGES == 4 && WORKLOAD_NEWEST == 50, "as the statements say");

/* ---- Start and stop ---------------------------------------------------------------------------------------------- */

/* Debian keeps the server's programs out of the way. */
static char *program_find(const char *name)
{
    char *pattern = bench_format("/usr/lib/postgresql/*/bin/%s", name);
    glob_t found;
    bool any = glob(pattern, 0, NULL, &found) == 0;
    char *path = bench_format("%s", any ? found.gl_pathv[found.gl_pathc - 1] : name);
    globfree(&found);
    free(pattern);
    return path;
}

static bool is_ready(void *instance)
{
    return PQping(((struct postgresql *)instance)->conninfo) == PQPING_OK;
}

static void *postgresql_start(const char *directory)
{
    static const char user[] = "postgres"; /* the server refuses to run as root */
    struct postgresql *postgresql = bench_allocate(1, sizeof(*postgresql));
    postgresql->directory = server_directory(directory, "postgresql", user);
    char *data = bench_format("%s/data", postgresql->directory);
    char *initdb = program_find("initdb");
    const char *create[] = {initdb,  "-D",         data, "-A",   "trust",     "-U",
                            "bench", "--locale=C", "-E", "UTF8", "--no-sync", NULL};
    server_command(directory, "initdb", create, user);
    char *program = program_find("postgres");
    const char *arguments[] = {program,
                               "-D",
                               data,
                               "-k",
                               postgresql->directory,
                               "-clisten_addresses=",
                               "-cmax_connections=300",
                               "-cshared_buffers=1GB",
                               "-cmax_wal_size=8GB",
                               "-cwal_level=minimal",
                               "-cmax_wal_senders=0",
                               "-cplan_cache_mode=force_generic_plan",
                               "-cjit=off",
                               NULL};
    postgresql->server = server_start(directory, "postgresql", arguments, user);
    postgresql->conninfo = bench_format("host=%s user=bench dbname=postgres", postgresql->directory);
    server_wait_ready(postgresql->server, is_ready, postgresql);
    free(data);
    free(initdb);
    free(program);
    return postgresql;
}

static void postgresql_stop(void *instance)
{
    struct postgresql *postgresql = instance;
    server_stop(postgresql->server, SIGQUIT); /* at once: its data is not needed any more */
    free(postgresql->directory);
    free(postgresql->conninfo);
    free(postgresql);
}

static struct server *postgresql_server(void *instance)
{
    return ((struct postgresql *)instance)->server;
}

/* ---- Load -------------------------------------------------------------------------------------------------------- */

static const char *parameters_set(const struct dataset *dataset, const struct operation *operation,
                                  const struct dataset_names *names, const char *ret_values[PARAMETERS_MAX],
                                  int *ret_count)
{
    ret_values[0] = names->user;
    ret_values[1] = names->conversation;
    *ret_count = 2;
    switch (operation->kind) {
    case OPERATION_APPEND:
        for (unsigned i = 0; i < operation->messages; i++) {
            ret_values[(*ret_count)++] = dataset_text(dataset, operation->text + i);
        }
        return operation->messages == 1 ? "append" : "turn";
    case OPERATION_LIST_CONVERSATIONS:
        *ret_count = 1;
        return "list";
    case OPERATION_READ_NEWEST:
        break;
    }
    return "read";
}

static bool lane_next(struct postgresql *postgresql, unsigned lane)
{
    static const int sizes[PARAMETERS_MAX] = {
        0, 0, DATASET_MESSAGE_BYTES, DATASET_MESSAGE_BYTES, DATASET_MESSAGE_BYTES, DATASET_MESSAGE_BYTES};
    static const int formats[PARAMETERS_MAX] = {0, 0, BINARY, BINARY, BINARY, BINARY};
    struct operation operation;
    if (!load_next(postgresql->load, lane, &operation)) {
        return false;
    }
    const struct dataset *dataset = load_dataset(postgresql->load);
    struct dataset_names names = dataset_names(operation.conversation);
    const char *values[PARAMETERS_MAX];
    int count;
    const char *statement = parameters_set(dataset, &operation, &names, values, &count);
    postgresql->rows[lane] =
        operation.kind == OPERATION_APPEND ? (int)operation.messages : (int)workload_items(dataset, operation.kind);
    PGconn *connection = postgresql->connections[lane];
    if (!PQsendQueryPrepared(connection, statement, count, values, sizes, formats, BINARY)) {
        bench_fail("postgresql: %s", PQerrorMessage(connection));
    }
    return true;
}

static bool lane_readable(void *arg, unsigned lane)
{
    struct postgresql *postgresql = arg;
    PGconn *connection = postgresql->connections[lane];
    if (!PQconsumeInput(connection)) {
        bench_fail("postgresql: %s", PQerrorMessage(connection));
    }
    while (!PQisBusy(connection)) {
        PGresult *result = PQgetResult(connection);
        if (!result) {
            load_done(postgresql->load, lane);
            return lane_next(postgresql, lane);
        }
        if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != postgresql->rows[lane]) {
            bench_fail("postgresql answers a request for %d rows with %d; %s", postgresql->rows[lane],
                       PQntuples(result), PQresultErrorMessage(result));
        }
        PQclear(result);
    }
    return true;
}

static void postgresql_open(void *instance, unsigned in_flight)
{
    struct postgresql *postgresql = instance;
    postgresql->count = in_flight;
    for (unsigned i = 0; i < in_flight; i++) {
        PGconn *connection = PQconnectdb(postgresql->conninfo);
        for (size_t k = 0; k < sizeof(statements) / sizeof(statements[0]); k++) {
            PGresult *result = PQprepare(connection, statements[k].name, statements[k].text, 0, NULL);
            if (PQresultStatus(result) != PGRES_COMMAND_OK) {
                bench_fail("postgresql: %s", PQerrorMessage(connection));
            }
            PQclear(result);
        }
        postgresql->connections[i] = connection;
        postgresql->sockets[i] = PQsocket(connection);
    }
}

static void postgresql_run(void *instance, struct load *load)
{
    struct postgresql *postgresql = instance;
    postgresql->load = load;
    unsigned running = 0;
    for (unsigned lane = 0; lane < postgresql->count; lane++) {
        running += lane_next(postgresql, lane); /* once the load is over it is so for all lanes that follow */
    }
    events_run(postgresql->sockets, running, lane_readable, postgresql);
}

/* Waits until the server's processes for them have ended, so that this is not counted to what comes next. */
static void postgresql_close(void *instance)
{
    static const char count[] = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    struct postgresql *postgresql = instance;
    for (unsigned i = 1; i < postgresql->count; i++) {
        PQfinish(postgresql->connections[i]);
    }
    bool others = true;
    while (others) {
        PGresult *result = PQexec(postgresql->connections[0], count);
        if (PQresultStatus(result) != PGRES_TUPLES_OK) {
            bench_fail("postgresql: %s", PQerrorMessage(postgresql->connections[0]));
        }
        others = strcmp(PQgetvalue(result, 0, 0), "1") != 0;
        PQclear(result);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    PQfinish(postgresql->connections[0]);
}

static void postgresql_load(void *instance, const struct dataset *dataset)
{
    postgresql_fill(((struct postgresql *)instance)->conninfo, dataset);
}

static struct system_disk postgresql_disk(void *instance, const struct dataset *dataset)
{
    (void)dataset;
    double bytes = postgresql_table_bytes(((struct postgresql *)instance)->conninfo);
    return (struct system_disk){bytes, bytes};
}

const struct system system_postgresql = {
    .name = "postgresql",
    .meaning = "prepared statements over a Unix socket, a connection for each request in flight",
    .start = postgresql_start,
    .load = postgresql_load,
    .open = postgresql_open,
    .run = postgresql_run,
    .close = postgresql_close,
    .server = postgresql_server,
    .disk = postgresql_disk,
    .stop = postgresql_stop,
};
