/* Which exchange is on the wire, which waits, which is over: slots, queue and timer of one client.
 *
 * Bounds: at most CHATLOG_SLOTS requests of a client are on the wire at once, the next ones wait for their turn; at
 * most CHATLOG_CALLS_MAX calls of CHATLOG_CALL_BYTES_MAX bytes together are under way, further ones are refused. A call
 * holds its encoded request, at most one copy of it in nng, and at most one reply. */
#ifndef CHATLOG_LIB_SCHEDULER_H
#define CHATLOG_LIB_SCHEDULER_H

#include "chatlog_limits.h"
#include "connection.h"
#include "exchange.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    /* Half of what a server allows a connection, unless it is configured otherwise: calls that were given up may still
     * be unanswered there. */
    CHATLOG_SLOTS = CHATLOG_LIMIT_connection_requests / 2,
    CHATLOG_CALLS_MAX = 1024,
};
#define CHATLOG_CALL_BYTES_MAX ((size_t)CHATLOG_MIB * 1024)

/* One request on the wire: an nng context and the operation under way on it. */
struct chatlog_slot {
    struct chatlog_scheduler *scheduler;
    struct chatlog_slot *next_idle;
    struct chatlog_exchange *exchange; /* NULL: idle, or given up and not yet ended */
    nng_ctx context;
    nng_aio *operation;
    bool receiving; /* the request is sent */
};

struct chatlog_scheduler {
    struct chatlog_connection *connection;
    atomic_size_t calls; /* reserved */
    atomic_size_t bytes;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;  /* on CLOCK_MONOTONIC */
    pthread_t timer;
    int64_t wake_us; /* when the timer looks again by itself */
    bool closing;
    struct chatlog_exchange_list all;
    struct chatlog_exchange_list waiting;
    struct chatlog_slot *idle;
    struct chatlog_slot slots[CHATLOG_SLOTS];
};

/* *scheduler must stay where it is until stop. */
int chatlog_scheduler_start(struct chatlog_scheduler *scheduler, struct chatlog_connection *connection,
                            struct chatlog_error *error);

/* Counts a call of so many bytes in, before anything is allocated for it; false when that passes the bounds. */
bool chatlog_scheduler_reserve(struct chatlog_scheduler *scheduler, size_t bytes);
void chatlog_scheduler_release(struct chatlog_scheduler *scheduler, size_t bytes);

/* Gives it an exchange with a message: to send now, or (state DELAYED) at retry_us. False when the client is being
 * closed: then the exchange stays the caller's. */
bool chatlog_scheduler_submit(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange);

/* Cancels every exchange and waits for their completions. */
void chatlog_scheduler_stop(struct chatlog_scheduler *scheduler);

#endif
