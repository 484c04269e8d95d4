#include "bench/postgresql_fill.h"

#include "bench/fail.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, ROW_BYTES_MAX = 1024 };

/* COPY's binary format, sent a chunk at a time. */
struct copy {
    PGconn *connection;
    size_t used;
    char chunk[CHUNK_BYTES];
};

static void copy_flush(struct copy *copy)
{
    if (PQputCopyData(copy->connection, copy->chunk, (int)copy->used) != 1) {
        bench_fail("postgresql: %s", PQerrorMessage(copy->connection));
    }
    copy->used = 0;
}

static void copy_bytes(struct copy *copy, const void *bytes, size_t size)
{
    memcpy(copy->chunk + copy->used, bytes, size);
    copy->used += size;
}

static void copy_row(struct copy *copy, uint16_t fields)
{
    if (copy->used > CHUNK_BYTES - ROW_BYTES_MAX) {
        copy_flush(copy);
    }
    fields = htobe16(fields);
    copy_bytes(copy, &fields, sizeof(fields));
}

static void copy_field(struct copy *copy, const void *bytes, size_t size)
{
    uint32_t length = htobe32((uint32_t)size);
    copy_bytes(copy, &length, sizeof(length));
    copy_bytes(copy, bytes, size);
}

static void copy_number(struct copy *copy, uint64_t number)
{
    number = htobe64(number);
    copy_field(copy, &number, sizeof(number));
}

static void command(PGconn *connection, const char *text, ExecStatusType expected)
{
    PGresult *result = PQexec(connection, text);
    if (PQresultStatus(result) != expected) {
        bench_fail("postgresql: %s: %s", text, PQerrorMessage(connection));
    }
    PQclear(result);
}

static void copy_begin(struct copy *copy, const char *text)
{
    static const char head[19] = "PGCOPY\n\377\r\n"; /* the signature ends in a NUL; no flags, no extension */
    command(copy->connection, text, PGRES_COPY_IN);
    copy->used = 0;
    copy_bytes(copy, head, sizeof(head));
}

static void copy_end(struct copy *copy)
{
    uint16_t end = UINT16_MAX;
    copy_bytes(copy, &end, sizeof(end));
    copy_flush(copy);
    PQputCopyEnd(copy->connection, NULL);
    PGresult *result;
    while ((result = PQgetResult(copy->connection)) != NULL) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            bench_fail("postgresql: COPY: %s", PQerrorMessage(copy->connection));
        }
        PQclear(result);
    }
}

static void copy_conversations(struct copy *copy, const struct dataset *dataset)
{
    copy_begin(copy,
               "COPY conversation (user_id, conversation_id, number, last_seq, title) FROM STDIN (FORMAT binary)");
    for (uint64_t i = 0; i < dataset->conversations; i++) {
        struct dataset_names names = dataset_names(dataset->first_conversation + i);
        copy_row(copy, 5);
        copy_field(copy, names.user, strlen(names.user));
        copy_field(copy, names.conversation, strlen(names.conversation));
        copy_number(copy, dataset->first_conversation + i);
        copy_number(copy, dataset->messages);
        copy_field(copy, names.conversation, strlen(names.conversation));
    }
    copy_end(copy);
}

static void copy_messages(struct copy *copy, const struct dataset *dataset)
{
    copy_begin(copy, "COPY message FROM STDIN (FORMAT binary)");
    for (uint64_t i = 0; i < dataset->conversations; i++) {
        uint64_t conversation = dataset->first_conversation + i;
        for (uint64_t k = 0; k < dataset->messages; k++) {
            copy_row(copy, 4);
            copy_number(copy, conversation);
            copy_number(copy, k + 1);
            copy_field(copy, dataset_role(k), strlen(dataset_role(k)));
            copy_field(copy, dataset_text(dataset, conversation * dataset->messages + k), DATASET_MESSAGE_BYTES);
        }
    }
    copy_end(copy);
}

static PGconn *connection_open(const char *conninfo)
{
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        bench_fail("postgresql: %s", PQerrorMessage(connection));
    }
    return connection;
}

void postgresql_fill(const char *conninfo, const struct dataset *dataset)
{
    struct copy *copy = bench_allocate(1, sizeof(*copy));
    copy->connection = connection_open(conninfo);
    /* Room in the pages, so that an update of a conversation touches no index. */
    static const char *const before[] = {
        "CREATE TABLE conversation (user_id text, conversation_id text, number bigint, last_seq bigint, title text, "
        "updated timestamptz DEFAULT now()) WITH (fillfactor = 70)",
        "CREATE TABLE message (conversation bigint, seq bigint, role text, content bytea)",
    };
    static const char *const after[] = {
        "ALTER TABLE conversation ADD PRIMARY KEY (user_id, conversation_id)",
        "ALTER TABLE message ADD PRIMARY KEY (conversation, seq)",
        "VACUUM ANALYZE conversation",
        "VACUUM ANALYZE message",
        "CHECKPOINT",
    };
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        command(copy->connection, before[i], PGRES_COMMAND_OK);
    }
    copy_conversations(copy, dataset);
    copy_messages(copy, dataset);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        command(copy->connection, after[i], PGRES_COMMAND_OK);
    }
    PQfinish(copy->connection);
    free(copy);
}

double postgresql_table_bytes(const char *conninfo)
{
    PGconn *connection = connection_open(conninfo);
    PGresult *result = PQexec(connection, "SELECT pg_total_relation_size('conversation') + "
                                          "pg_total_relation_size('message')");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        bench_fail("postgresql: %s", PQerrorMessage(connection));
    }
    double bytes = strtod(PQgetvalue(result, 0, 0), NULL);
    PQclear(result);
    PQfinish(connection);
    return bytes;
}
