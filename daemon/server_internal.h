/* What the files server*.c share: the state of the server, its connections and the requests it works on.
 *
 * The daemon speaks SP's REQ/REP over nng's byte streams (nng_stream), not through nng's REP socket. In nng 1.5.2 a
 * socket's connection that closes while bytes still come in or go out can leave nng's only reaper thread waiting for
 * ever, and from then on no closed connection is given back; a client that sends 50 requests and goes away is enough.
 * (An operation begun on what is closed already never calls back, and the socket's next read can be begun so.) On a
 * stream every operation is ours, and none is begun after the close; "sent" means that the kernel has it; and a
 * connection that has enough requests under way is simply not read from. The listener death of nng #1518 is in the
 * socket's part, too.
 *
 * Memory of the network side, at most, with S = limits.request_bytes + SERVER_REQUEST_SLACK and A = the largest answer:
 *   limits.connections * (S + 21 KiB)  a request being read, the connection itself and the last token it showed
 * + SERVER_GREETINGS_MAX * 2 * 17 KiB connections whose handshake is awaited, or that are just being closed
 * + limits.requests * max(S, A)       a request worked on, later its answer until the kernel has taken it
 * + SERVER_SPARE_EXCHANGES_MAX * 10 KiB  memory of requests that is kept for later ones
 *
 * One mutex guards what more than one thread uses. nng is never called with it held. */
#ifndef SERVER_INTERNAL_H
#define SERVER_INTERNAL_H

#include "auth/session.h"
#include "server.h"
#include "server_frame.h"

#include <nng/nng.h>
#include <pthread.h>
#include <sys/types.h>

enum {
    SERVER_REQUEST_SLACK = 64 * 1024, /* so that a request a little too large gets an answer, not a closed connection */
    SERVER_GREETINGS_MAX = 256,       /* one more lets the oldest go: who only connects keeps nobody out */
    CONNECTION_BUFFER_BYTES = 16 * 1024,
    EXCHANGE_KEEP_BYTES = 4096, /* of a request's memory, for the next one */
    CONNECTION_IOV_MAX = 8,     /* what nng_aio_set_iov takes */
    EXCHANGE_HEAD_BYTES = 256,
    SERVER_SPARE_EXCHANGES_MAX = 512,
    /* Answers that may wait for the kernel before no more requests are taken: a client that asks and never reads holds
     * this many exchanges, not connection_requests, until its time is over. */
    CONNECTION_UNSENT_MAX = 32,
};

/* One request, from its last byte read until the last byte of its answer is with the kernel. Kept for another one after
 * that, with its call and a request's memory of at most EXCHANGE_KEEP_BYTES. */
struct exchange {
    struct connection *connection;
    struct rpc_call *call;
    uint8_t *request; /* the whole message: route and Request */
    size_t request_capacity;
    size_t request_size;
    size_t route_size;
    /* The answer: frame, route and the beginning of the Response, or all of it; and the rest. */
    uint8_t head[EXCHANGE_HEAD_BYTES];
    size_t head_size;
    struct buffer body;
    int64_t received_us;
    int64_t expires_us; /* when the answer must be sent */
    bool late;          /* came after server_stop began */
    struct exchange *next;
};

/* How far the receiving side is: what the next bytes belong to. */
enum connection_phase { CONNECTION_HANDSHAKE, CONNECTION_FRAME, CONNECTION_BODY };

/* A client's connection; kept for another one after it ends, so that their number bounds the memory.
 *
 * It lives as long as somebody uses it: a use is held by the connection being open, by each of its two operations of
 * nng, by each exchange and by whoever has it in hand. The last use gone, it is given back. */
struct connection {
    struct server *server;
    nng_stream *stream;
    nng_aio *receive_aio;
    nng_aio *send_aio;
    nng_aio *try_aio;       /* without a callback: to send what the kernel takes at once */
    bool typed;             /* IPC frames begin with a type */
    struct session session; /* from the take-over of the stream until it is given back */

    /* Held to begin an operation and to close the stream, so that none is begun on a closed one: it would never end.
     * Nothing but nng is called with it. */
    pthread_mutex_t operations;
    bool stream_closed;

    /* Of the thread that runs the receiving side; there is one at a time. */
    enum connection_phase phase;
    int64_t received_us; /* of the requests that are taken now */
    size_t start;        /* the first byte of buffer that is not used yet */
    size_t buffered;     /* the end of what is received */
    uint8_t *body;       /* a message too large for the buffer, while it is read */
    size_t body_size;
    size_t body_filled;
    uint8_t buffer[CONNECTION_BUFFER_BYTES];

    /* Guarded by the mutex. */
    unsigned uses;
    bool closing;
    bool greeted;   /* the peer's handshake is here */
    bool paused;    /* has not been let take another request: nothing is being received */
    bool waiting;   /* in server->waiting, to be let again */
    bool sending;   /* somebody sends: a thread, or send_aio */
    bool blocked;   /* the kernel takes no more: send_aio waits for it */
    bool held;      /* in server->held */
    unsigned corks; /* threads that will call server_send_uncork */
    unsigned unanswered;
    int64_t greet_expires_us;
    size_t greeting_left; /* bytes of our handshake still to send */
    size_t sent;          /* bytes of send_head's answer that are sent */
    size_t unsent;        /* answers from send_head on */
    size_t unsent_bytes;
    struct exchange *send_head;
    struct exchange *send_tail;
    struct connection *wait_next;
    struct connection *held_next;
    struct connection *next, *previous; /* in server->greeting or server->greeted */
};

struct connection_list {
    struct connection *head;
    struct connection *tail;
    size_t count;
};

/* What happens too often to get a line each: counted here, told by the watch, one line a second of each kind. */
enum server_event {
    SERVER_EVENT_REFUSED,
    SERVER_EVENT_STALLED,
    SERVER_EVENT_OVERSIZED,
    SERVER_EVENT_MALFORMED,
    SERVER_EVENT_SILENT,
    SERVER_EVENT_NO_MEMORY,
    SERVER_EVENT_ACCEPT_FAILED,
    SERVER_EVENT_COUNT
};

struct server_events {
    unsigned count; /* since the last line */
    uint64_t total;
    int64_t told_us;
};

struct server_listener {
    struct server *server;
    nng_stream_listener *stream;
    nng_aio *accept_aio;
    bool typed;
    bool accept_failed; /* guarded by the mutex: to be tried again by the watch */
    const char *path;   /* of the socket file, in the url; NULL for TCP */
    dev_t device;       /* of that file */
    ino_t inode;
};

struct server {
    const struct limits *limits;
    struct counters *counters;
    struct rpc *rpc;
    struct authority *authority;
    const struct log *log;
    struct server_listener *listeners;
    size_t listener_count;
    pthread_t watch;

    pthread_mutex_t mutex;
    pthread_cond_t changed;          /* an exchange or a connection ended; both on CLOCK_MONOTONIC */
    pthread_cond_t watch_wake;       /* the watch is to end */
    struct connection_list greeting; /* the oldest first */
    struct connection_list greeted;  /* at most limits.connections, and those just being closed */
    struct connection *spare_connections;
    size_t open_count;       /* of greeted, those not closing */
    size_t connection_count; /* all, until they are given back */
    struct exchange *spare_exchanges;
    size_t spare_exchange_count;
    size_t exchange_count; /* in use */
    size_t before_stop;    /* of these, those that server_stop waits for */
    struct connection *wait_head;
    struct connection *wait_tail;
    struct connection *held; /* their answers wait for one that is announced (rpc_response.more) */
    nng_aio *resume_aio;     /* calls server_receive_resume on a thread of nng's */
    bool resuming;           /* it is on its way */
    bool stopping;           /* server_stop has begun */
    bool ending;             /* takes no more requests */
    bool watch_ended;
    struct server_events events[SERVER_EVENT_COUNT];
};

/* server_listen.c: opens one more listener and begins to accept. */
int server_listen(struct server *server, const char *url, struct error *error);

/* Begins to accept; also again, after a failure. */
void server_accept(struct server_listener *listener);

/* Closes the listeners and removes their socket files, unless another process has put its own there. */
void server_listeners_close(struct server *server);

/* server_connection.c: takes over the stream of a new client, or refuses it. */
void server_connection_open(struct server *server, nng_stream *stream, bool typed);

/* The peer's handshake is here: it counts as a connection now. False when there are too many; it is closed then. */
bool server_connection_greet(struct connection *connection);

/* Ends the connection: what is not sent is dropped. Any number of times. The caller holds a use. */
void server_connection_close(struct connection *connection);

/* Gives a use back. Not with the mutex held. */
void server_connection_release(struct connection *connection);

/* The same for one that may be the last: the caller has counted it down with the mutex held. */
void server_connection_retire(struct connection *connection);

/* Frees those given back; none may be in use. */
void server_connections_free(struct server *server);

/* server_receive.c: takes what is there and receives more. The caller holds a use, which passes to the operation. */
void server_receive(struct connection *connection);
void server_receive_callback(void *connection);

/* Lets connections that wait for it take requests again, as long as there is room. */
void server_receive_resume(struct server *server);
void server_receive_resume_callback(void *server);

enum exchange_take { EXCHANGE_TAKEN, EXCHANGE_NONE_NOW, EXCHANGE_NO_MEMORY };

/* server_exchange.c: takes an exchange for this connection. NONE_NOW: the connection is paused, and is received from
 * again when there is room; the caller must not touch its receiving side any more. */
enum exchange_take server_exchange_take(struct connection *connection, struct exchange **ret_exchange);

/* Gives it a message of its own: memory (malloc'ed) is taken; NULL: the message is copied. False when memory is short.
 */
bool server_exchange_fill(struct exchange *exchange, struct span message, uint8_t *memory);

/* Hands its request to rpc. */
void server_exchange_handle(struct exchange *exchange);

/* Ends exchanges (a list, all of one connection): their memory, their place. */
void server_exchange_release(struct exchange *list);
void server_exchanges_free(struct server *server);

/* server_send.c: puts an answer at the end of the connection's queue. The exchange is the queue's from here on. more:
 * the next answer follows at once, and this one may wait for it. */
void server_send(struct exchange *exchange, bool more);

/* Sends what waits for an announced answer. */
void server_send_held(struct server *server);

/* Between these two answers wait for each other, so that one call sends many. The caller holds a use. */
void server_send_cork(struct connection *connection);
void server_send_uncork(struct connection *connection);

/* Sends what is queued, our handshake first. The caller holds a use, which passes to the operation, and has set
 * `sending`. */
void server_send_start(struct connection *connection);
void server_send_callback(void *connection);

/* Takes the queue away, unless an operation is on it. The mutex must be held. */
struct exchange *server_send_drop(struct connection *connection);

/* server_watch.c: the thread that ends connections whose time is over, tries again and tells the events. */
bool server_watch_start(struct server *server);
void server_watch_stop(struct server *server);

/* Counts an event. The mutex must be held. */
void server_event(struct server *server, enum server_event event);

/* The same for a connection that is closed for what it did. The mutex must not be held. */
void server_connection_condemn(struct connection *connection, enum server_event event);

/* Waits on the condition for at most timeout_us. The mutex must be held. */
void server_wait(struct server *server, pthread_cond_t *condition, int64_t timeout_us);

#endif
