/* Redis over a Unix socket through hiredis: a list a conversation (RPUSH, LRANGE), appendfsync always, one connection
 * for each request in flight. The user's conversations are a sorted set with a hash each, filled once: an append does
 * not touch them. */
#include "bench/events.h"
#include "bench/fail.h"
#include "bench/system.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 2 * DATASET_ID_BYTES + 8, LOAD_IN_FLIGHT = 16, PIPELINE = 1000 };

/* Instead of hiredis' objects: answers are checked, not unpacked, as chatlogd's are. */
struct answer {
    int type;
    size_t elements;
};

struct redis {
    struct server *server;
    char *directory;
    char *socket;
    struct load *load;
    redisContext *connections[WORKLOAD_IN_FLIGHT_MAX];
    int sockets[WORKLOAD_IN_FLIGHT_MAX];
    struct answer answers[WORKLOAD_IN_FLIGHT_MAX];
    unsigned items[WORKLOAD_IN_FLIGHT_MAX]; /* that the answer must have; 0: it is a number */
    unsigned count;
};

/* ---- Start and stop ---------------------------------------------------------------------------------------------- */

static bool is_ready(void *instance)
{
    const struct redis *redis = instance;
    redisContext *connection = redisConnectUnix(redis->socket);
    bool ready = connection && !connection->err;
    redisFree(connection);
    return ready;
}

static void *redis_start(const char *directory)
{
    struct redis *redis = bench_allocate(1, sizeof(*redis));
    redis->directory = server_directory(directory, "redis", NULL);
    redis->socket = bench_format("%s/socket", redis->directory);
    const char *arguments[] = {"redis-server",
                               "--port",
                               "0",
                               "--unixsocket",
                               redis->socket,
                               "--dir",
                               redis->directory,
                               "--save",
                               "",
                               "--appendonly",
                               "yes",
                               "--appendfsync",
                               "always",
                               "--auto-aof-rewrite-percentage",
                               "0", /* no rewriting in the middle of a measurement */
                               "--maxclients",
                               "1000",
                               "--daemonize",
                               "no",
                               NULL};
    redis->server = server_start(directory, "redis", arguments, NULL);
    server_wait_ready(redis->server, is_ready, redis);
    return redis;
}

static void redis_stop(void *instance)
{
    struct redis *redis = instance;
    server_stop(redis->server, SIGTERM);
    free(redis->directory);
    free(redis->socket);
    free(redis);
}

static struct server *redis_server(void *instance)
{
    return ((struct redis *)instance)->server;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static void append_send(const struct dataset *dataset, const struct operation *operation, redisContext *connection)
{
    struct dataset_names names = dataset_names(operation->conversation);
    const char *arguments[2 + WORKLOAD_LOAD_MESSAGES];
    size_t sizes[2 + WORKLOAD_LOAD_MESSAGES];
    char key[KEY_BYTES];
    arguments[0] = "RPUSH";
    sizes[0] = strlen(arguments[0]);
    arguments[1] = key;
    sizes[1] = (size_t)snprintf(key, sizeof(key), "%s:%s", names.user, names.conversation);
    for (unsigned i = 0; i < operation->messages; i++) {
        arguments[2 + i] = dataset_text(dataset, operation->text + i);
        sizes[2 + i] = DATASET_MESSAGE_BYTES;
    }
    redisAppendCommandArgv(connection, 2 + (int)operation->messages, arguments, sizes);
}

static void request_send(const struct dataset *dataset, const struct operation *operation, redisContext *connection)
{
    struct dataset_names names = dataset_names(operation->conversation);
    switch (operation->kind) {
    case OPERATION_APPEND:
        append_send(dataset, operation, connection);
        break;
    case OPERATION_READ_NEWEST:
        redisAppendCommand(connection, "LRANGE %s:%s -%d -1", names.user, names.conversation, WORKLOAD_NEWEST);
        break;
    case OPERATION_LIST_CONVERSATIONS:
        redisAppendCommand(connection,
                           "SORT of:%s BY nosort DESC LIMIT 0 %d GET # GET about:*->title GET about:*->messages "
                           "GET about:*->updated",
                           names.user, WORKLOAD_NEWEST);
        break;
    }
    for (int done = 0; !done;) { /* a request fits in the socket's buffer */
        if (redisBufferWrite(connection, &done) != REDIS_OK) {
            bench_fail("redis: %s", connection->errstr);
        }
    }
}

/* ---- Replies ----------------------------------------------------------------------------------------------------- */

static void *answer_begin(const redisReadTask *task, size_t elements)
{
    struct answer *answer = task->privdata;
    if (!task->parent) {
        *answer = (struct answer){task->type, elements};
    }
    return answer;
}

static void *answer_string(const redisReadTask *task, char *text, size_t size)
{
    if (task->type == REDIS_REPLY_ERROR) {
        bench_fail("redis answers %.*s", (int)size, text);
    }
    return answer_begin(task, 0);
}

static void *answer_array(const redisReadTask *task, int elements)
{
    return answer_begin(task, (size_t)elements);
}

static void *answer_number(const redisReadTask *task, long long number)
{
    (void)number;
    return answer_begin(task, 0);
}

static void *answer_nothing(const redisReadTask *task)
{
    return answer_begin(task, 0);
}

static void answer_free(void *answer)
{
    (void)answer;
}

static redisReplyObjectFunctions answer_functions = {answer_string, answer_array, answer_number, answer_nothing,
                                                     answer_free};

static void answer_check(const struct answer *answer, unsigned items)
{
    if (items == 0 ? answer->type != REDIS_REPLY_INTEGER
                   : answer->type != REDIS_REPLY_ARRAY || answer->elements != items) {
        bench_fail("redis answers a request for %u items with type %d and %zu", items, answer->type, answer->elements);
    }
}

/* ---- Load -------------------------------------------------------------------------------------------------------- */

static bool lane_next(struct redis *redis, unsigned lane)
{
    static const unsigned parts[] = {[OPERATION_READ_NEWEST] = 1, [OPERATION_LIST_CONVERSATIONS] = 4};
    struct operation operation;
    if (!load_next(redis->load, lane, &operation)) {
        return false;
    }
    const struct dataset *dataset = load_dataset(redis->load);
    redis->items[lane] = parts[operation.kind] * workload_items(dataset, operation.kind);
    request_send(dataset, &operation, redis->connections[lane]);
    return true;
}

static bool lane_readable(void *arg, unsigned lane)
{
    struct redis *redis = arg;
    redisContext *connection = redis->connections[lane];
    void *reply = NULL;
    if (redisBufferRead(connection) != REDIS_OK || redisGetReplyFromReader(connection, &reply) != REDIS_OK) {
        bench_fail("redis: %s", connection->errstr);
    }
    if (!reply) {
        return true;
    }
    answer_check(reply, redis->items[lane]);
    load_done(redis->load, lane);
    return lane_next(redis, lane);
}

static redisContext *connection_open(const struct redis *redis)
{
    redisContext *connection = redisConnectUnix(redis->socket);
    if (!connection || connection->err) {
        bench_fail("redis: %s", connection ? connection->errstr : "out of memory");
    }
    return connection;
}

static void redis_open(void *instance, unsigned in_flight)
{
    struct redis *redis = instance;
    redis->count = in_flight;
    for (unsigned i = 0; i < in_flight; i++) {
        redis->connections[i] = connection_open(redis);
        redis->connections[i]->flags &= ~REDIS_BLOCK;
        redis->connections[i]->reader->fn = &answer_functions;
        redis->connections[i]->reader->privdata = &redis->answers[i];
        redis->connections[i]->reader->maxbuf = 0; /* keeps its buffer */
        redis->sockets[i] = redis->connections[i]->fd;
        fcntl(redis->sockets[i], F_SETFL, O_NONBLOCK);
    }
}

static void redis_run(void *instance, struct load *load)
{
    struct redis *redis = instance;
    redis->load = load;
    unsigned running = 0;
    for (unsigned lane = 0; lane < redis->count; lane++) {
        running += lane_next(redis, lane); /* once the load is over it is so for all lanes that follow */
    }
    events_run(redis->sockets, running, lane_readable, redis);
}

static void redis_close(void *instance)
{
    struct redis *redis = instance;
    for (unsigned i = 0; i < redis->count; i++) {
        redisFree(redis->connections[i]);
    }
}

/* ---- Filling ----------------------------------------------------------------------------------------------------- */

static void command(redisContext *connection, const char *text)
{
    redisReply *reply = redisCommand(connection, text);
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        bench_fail("redis: %s: %s", text, reply ? reply->str : connection->errstr);
    }
    freeReplyObject(reply);
}

static void replies_take(redisContext *connection, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        void *reply = NULL;
        if (redisGetReply(connection, &reply) != REDIS_OK) {
            bench_fail("redis: %s", connection->errstr);
        }
        if (((const redisReply *)reply)->type != REDIS_REPLY_INTEGER) {
            bench_fail("redis answers %s", ((const redisReply *)reply)->str);
        }
        freeReplyObject(reply);
    }
}

static void fill_conversations(redisContext *connection, const struct dataset *dataset)
{
    unsigned waiting = 0;
    for (uint64_t i = 0; i < dataset->conversations; i++) {
        unsigned long long number = dataset->first_conversation + i;
        struct dataset_names names = dataset_names(number);
        redisAppendCommand(connection, "ZADD of:%s %llu %s", names.user, number, names.conversation);
        redisAppendCommand(connection, "HSET about:%s title %s messages %llu updated %llu", names.conversation,
                           names.conversation, (unsigned long long)dataset->messages, number);
        waiting += 2;
        if (waiting >= PIPELINE || i + 1 == dataset->conversations) {
            replies_take(connection, waiting);
            waiting = 0;
        }
    }
}

static void redis_load(void *instance, const struct dataset *dataset)
{
    redisContext *connection = connection_open(instance);
    command(connection, "CONFIG SET appendfsync no");
    system_fill(&system_redis, instance, dataset, LOAD_IN_FLIGHT);
    fill_conversations(connection, dataset);
    command(connection, "CONFIG SET appendfsync always");
    redisFree(connection);
}

static struct system_disk redis_disk(void *instance, const struct dataset *dataset)
{
    (void)dataset;
    double bytes = server_disk_bytes(((struct redis *)instance)->directory);
    return (struct system_disk){bytes, bytes};
}

const struct system system_redis = {
    .name = "redis",
    .meaning = "RPUSH and LRANGE, appendfsync always, over a Unix socket, a connection for each request in flight",
    .start = redis_start,
    .load = redis_load,
    .open = redis_open,
    .run = redis_run,
    .close = redis_close,
    .server = redis_server,
    .disk = redis_disk,
    .stop = redis_stop,
};
