/* A hash table of connections, chained. Its memory: one pointer per connection allowed and one struct per open one. */
#include "server_connections.h"

#include <assert.h>
#include <stdlib.h>

static struct connection **bucket_of(const struct connections *connections, uint32_t id)
{
    return &connections
                ->buckets[id & (connections->bucket_count - 1)]; /* nng counts ids up: they spread by themselves */
}

bool connections_init(struct connections *connections, size_t limit)
{
    assert(limit > 0);
    size_t bucket_count = 1;
    while (bucket_count < limit) {
        bucket_count *= 2;
    }
    struct connection **buckets = calloc(bucket_count, sizeof(struct connection *));
    if (!buckets) {
        return false;
    }
    *connections = (struct connections){.buckets = buckets, .bucket_count = bucket_count, .limit = limit};
    return true;
}

void connections_free(struct connections *connections)
{
    for (size_t i = 0; i < connections->bucket_count; i++) {
        while (connections->buckets[i]) {
            struct connection *connection = connections->buckets[i];
            connections->buckets[i] = connection->next;
            free(connection);
        }
    }
    free(connections->buckets);
    *connections = (struct connections){0};
}

bool connections_add(struct connections *connections, uint32_t id)
{
    if (connections->count >= connections->limit || connections_find(connections, id)) {
        return false;
    }
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        return false;
    }
    struct connection **bucket = bucket_of(connections, id);
    connection->id = id;
    connection->next = *bucket;
    *bucket = connection;
    connections->count++;
    return true;
}

struct connection *connections_find(const struct connections *connections, uint32_t id)
{
    struct connection *connection = *bucket_of(connections, id);
    while (connection && connection->id != id) {
        connection = connection->next;
    }
    return connection;
}

bool connections_remove(struct connections *connections, uint32_t id)
{
    struct connection **link = bucket_of(connections, id);
    while (*link && (*link)->id != id) {
        link = &(*link)->next;
    }
    struct connection *connection = *link;
    if (!connection) {
        return false;
    }
    *link = connection->next;
    connections->count--;
    connections->unwritten -= connection->handed > connection->written;
    free(connection);
    return true;
}

void connections_handed(struct connections *connections, struct connection *connection, int64_t now_us)
{
    if (connection->handed == connection->written) {
        connection->waiting_since_us = now_us;
        connections->unwritten++;
    }
    connection->handed++;
}

void connections_written(struct connections *connections, struct connection *connection, uint64_t written,
                         int64_t now_us)
{
    if (written > connection->handed) {
        written = connection->handed; /* written before nng told us that it took it: its callback is on the way */
    }
    if (written <= connection->written) {
        return;
    }
    connection->written = written;
    connection->waiting_since_us = now_us;
    if (written == connection->handed) {
        connection->waiting_since_us = 0;
        connections->unwritten--;
    }
}
