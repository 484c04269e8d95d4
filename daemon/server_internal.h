/* What the files server*.c share: the state of the server and of the requests it works on.
 *
 * Memory of the network side, at most, with S = limits.request_bytes + SERVER_REQUEST_SLACK and A = the largest answer:
 *   limits.connections * (S + A)  what nng holds for each connection: one message being read, one being written
 * + limits.requests * (S + A)     what the exchanges hold: one request, later its answer
 * A connection without a finished handshake holds a file descriptor for at most 10 s and counts against RLIMIT_NOFILE.
 *
 * One mutex guards everything that is not constant after server_start. nng is never called with it held: nng calls us
 * with locks of its own. */
#ifndef SERVER_INTERNAL_H
#define SERVER_INTERNAL_H

#include "server.h"
#include "server_connections.h"

#include <nng/nng.h>
#include <pthread.h>
#include <sys/types.h>

enum {
    SERVER_EXCHANGES_AT_START = 8,
    SERVER_REQUEST_SLACK = 64 * 1024, /* so that a request a little too large gets an answer, not a closed connection */
    SERVER_LINGER_MS = 200,
};

enum exchange_state {
    EXCHANGE_RECEIVING,
    EXCHANGE_HANDLING,
    EXCHANGE_SENDING,
    EXCHANGE_ENDED,
};

/* One nng context and the request it works on: receive, hand to rpc, send the answer, receive again. */
struct exchange {
    struct server *server;
    nng_ctx context;
    nng_aio *aio;
    nng_msg *request; /* while HANDLING */
    nng_pipe pipe;    /* whose request it is */
    enum exchange_state state;
    bool before_stop;        /* was under way when server_stop began */
    int64_t send_expires_us; /* while SENDING */
    struct exchange *send_next, *send_previous;
};

/* What happens too often to get a line each: counted here, told by the watcher, one line a second of each kind. */
enum server_event {
    SERVER_EVENT_REFUSED,
    SERVER_EVENT_FLOODED,
    SERVER_EVENT_STALLED,
    SERVER_EVENT_NO_MEMORY,
    SERVER_EVENT_RECEIVE_FAILED,
    SERVER_EVENT_COUNT
};

struct server_events {
    unsigned count; /* since the last line */
    int64_t told_us;
};

struct server_listener {
    nng_listener listener;
    const char *path; /* of the socket file, in the url; NULL for TCP */
    dev_t device;     /* of that file */
    ino_t inode;
};

struct server {
    nng_socket socket;
    const struct limits *limits;
    struct counters *counters;
    struct rpc *rpc;
    const struct log *log;
    struct server_listener *listeners;
    size_t listener_count;
    pthread_t watch;

    pthread_mutex_t mutex;
    pthread_cond_t changed;    /* an exchange ended or finished; both on CLOCK_MONOTONIC */
    pthread_cond_t watch_wake; /* the watcher is to end */
    struct connections connections;
    struct exchange **exchanges;
    size_t exchange_count;      /* at most limits.requests */
    size_t receiving;           /* exchanges in that state */
    size_t under_way;           /* HANDLING or SENDING */
    size_t before_stop;         /* of these, with before_stop set */
    struct exchange *send_head; /* SENDING, the first to expire first */
    struct exchange *send_tail;
    bool receives_ended; /* an exchange that finishes ends instead of receiving again */
    bool watch_ended;
    struct server_events events[SERVER_EVENT_COUNT];
};

/* server_listen.c: opens one more listener and adds it to the server. */
int server_listen(struct server *server, const char *url, struct error *error);

/* Closes them and removes their socket files, unless another process has put its own there. */
void server_listeners_close(struct server *server);

/* server_exchange.c: one more exchange, receiving. False when memory is short or limits.requests are there. */
bool server_exchange_add(struct server *server);

/* Frees those there are. None may be under way or receiving, and the socket must be closed. */
void server_exchanges_free(struct server *server);

/* server_watch.c: starts and ends the thread that cuts connections whose answers wait too long and tells the events. */
bool server_watch_start(struct server *server);
void server_watch_stop(struct server *server);

/* Counts an event. The mutex must be held. */
void server_event(struct server *server, enum server_event event);

/* Marks a connection that passed a limit, counts it and the event. False when it is marked already. The caller closes
 * the pipe, without the mutex, which must be held here. */
bool server_connection_condemn(struct server *server, struct connection *connection, enum server_event event);

/* Asks nng how many answers the kernel has taken of each connection. Returns how many connections still have one to
 * give away. The mutex must not be held. */
size_t server_watch_written(struct server *server);

/* Waits on the condition for at most timeout_us. The mutex must be held. */
void server_wait(struct server *server, pthread_cond_t *condition, int64_t timeout_us);

#endif
