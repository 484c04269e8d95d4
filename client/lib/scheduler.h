/* Which call is on the wire, which waits, which is over: queue, deadlines and the one thread of a client.
 *
 * Bounds: at most CHATLOG_SLOTS requests of a client are on the wire at once, the next ones wait for their turn; at
 * most CHATLOG_CALLS_MAX calls of CHATLOG_CALL_BYTES_MAX bytes together are under way, further ones are refused. A call
 * holds its encoded request; one reply at a time is read. */
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
     * be unanswered there. A power of two: the lowest bits of a request id are the slot. */
    CHATLOG_SLOTS = CHATLOG_LIMIT_connection_requests / 2,
    CHATLOG_CALLS_MAX = 1024,
};
#define CHATLOG_CALL_BYTES_MAX ((size_t)CHATLOG_MIB * 1024)

_Static_assert((CHATLOG_SLOTS & (CHATLOG_SLOTS - 1)) == 0, "a power of two");

/* One request on the wire. */
struct chatlog_slot {
    struct chatlog_exchange *exchange; /* NULL: free */
    uint32_t id;                       /* of its request */
};

struct chatlog_scheduler {
    atomic_size_t calls; /* reserved */
    atomic_size_t bytes;
    int wake_fd; /* an eventfd: ends the thread's poll() */
    pthread_t thread;

    pthread_mutex_t lock; /* of the next three */
    struct chatlog_exchange_list submitted;
    bool closing;
    bool asleep; /* the thread is in poll(), or about to be */

    /* The thread's own. */
    struct chatlog_connection connection;
    struct chatlog_exchange_list all;
    struct chatlog_exchange_list waiting;
    int64_t sweep_us; /* the next deadline or retry, or an earlier time */
    struct chatlog_slot slots[CHATLOG_SLOTS];
    unsigned slots_taken;
    unsigned last_slot;
    uint32_t next_id;
    struct chatlog_exchange *writing; /* whose frame the connection writes; NULL: none, or one that was given up */
};

/* *scheduler must stay where it is until stop. */
int chatlog_scheduler_start(struct chatlog_scheduler *scheduler, const struct chatlog_address *address,
                            struct chatlog_error *error);

/* Counts a call of so many bytes in, before anything is allocated for it; false when that passes the bounds. */
bool chatlog_scheduler_reserve(struct chatlog_scheduler *scheduler, size_t bytes);
void chatlog_scheduler_release(struct chatlog_scheduler *scheduler, size_t bytes);

/* Gives it an exchange to send. False when the client is being closed: then the exchange stays the caller's. */
bool chatlog_scheduler_submit(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange);

/* Cancels every exchange and waits for their completions. */
void chatlog_scheduler_stop(struct chatlog_scheduler *scheduler);

/* For an exchange on the scheduler's thread: sends it again at retry_us. */
void chatlog_scheduler_delay(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange);

/* For the same: whether the daemon is connected, and if not, why (an errno; 0: not known). */
bool chatlog_scheduler_connected(const struct chatlog_scheduler *scheduler, int *ret_why);

#endif
