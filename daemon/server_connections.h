/* The open connections by their number, and what each owes and is owed. Knows no sockets. Not thread-safe: the server
 * holds its mutex around every call. */
#ifndef SERVER_CONNECTIONS_H
#define SERVER_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection {
    uint32_t id;
    unsigned unanswered;      /* requests received whose answer nng has not taken yet */
    uint64_t handed;          /* answers that nng has taken */
    uint64_t written;         /* of these, how many the kernel has taken, when we last looked */
    int64_t waiting_since_us; /* since when handed > written without progress; 0: it is not */
    bool condemned;           /* passed a limit: it is being closed, what still comes from it is dropped */
    struct connection *next;  /* in the same bucket */
};

struct connections {
    struct connection **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    size_t limit;
    size_t unwritten; /* connections whose handed > written */
};

/* False when memory is short. limit: how many there may be at once. */
bool connections_init(struct connections *connections, size_t limit);
void connections_free(struct connections *connections);

/* False when there are `limit` already, when memory is short, or when it is there. */
bool connections_add(struct connections *connections, uint32_t id);

/* NULL when it is not there. */
struct connection *connections_find(const struct connections *connections, uint32_t id);

/* False when it is not there. */
bool connections_remove(struct connections *connections, uint32_t id);

/* An answer was handed over at this time. */
void connections_handed(struct connections *connections, struct connection *connection, int64_t now_us);

/* The kernel has taken this many of its answers in all, seen at this time. */
void connections_written(struct connections *connections, struct connection *connection, uint64_t written,
                         int64_t now_us);

#endif
