/* The connection to the daemon: one socket that is connected, greeted, lost and connected again, written to and read
 * from, never blocking. All functions are for one thread. */
#ifndef CHATLOG_LIB_CONNECTION_H
#define CHATLOG_LIB_CONNECTION_H

#include "address.h"
#include "frame.h"
#include "resolver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chatlog_connection_state {
    CONNECTION_DOWN, /* until dial_us */
    CONNECTION_RESOLVING,
    CONNECTION_CONNECTING,
    CONNECTION_GREETING, /* ours is sent, the peer's is awaited */
    CONNECTION_UP,
};

enum { CHATLOG_READ_BUFFER_BYTES = 64 * 1024 };

/* A frame to be written. The body is its sender's. */
struct chatlog_outgoing {
    uint8_t header[CHATLOG_FRAME_HEADER_MAX];
    uint8_t tail[8];
    size_t tail_length;
    const uint8_t *body;
    size_t body_length;
};

enum { CHATLOG_OUTGOING_MAX = 64 }; /* written with one call */

struct chatlog_connection {
    struct chatlog_address address;
    enum chatlog_connection_state state;
    int wake_fd; /* borrowed: wakes the thread when a name is resolved */
    int fd;      /* -1: none */
    int why;     /* errno of the last failure to connect; 0: none, or not one of the system's */
    int64_t dial_us;
    int64_t give_up_us; /* on connecting and greeting */
    unsigned failures;  /* since the last reply */
    struct chatlog_resolver *resolver;
    struct chatlog_targets targets;
    size_t next_target;

    bool writing;
    struct chatlog_outgoing frame; /* that is being written */
    size_t written;                /* of it */
    uint8_t *orphan;               /* the body, when nobody else owns it any more */

    /* What is being read. */
    uint8_t buffer[CHATLOG_READ_BUFFER_BYTES];
    size_t buffer_start;
    size_t buffer_end;
    bool reading; /* a reply's header was read */
    uint32_t reply_id;
    uint8_t *reply; /* NULL: there was no memory for it, it is skipped */
    size_t reply_length;
    size_t reply_got;
    uint8_t *delivered; /* the last reply, when it is not in the buffer */
};

/* One reply. */
struct chatlog_incoming {
    uint32_t id;
    const uint8_t *body; /* valid until the next read() or drop(); NULL: there was no memory for it */
    size_t length;
};

/* Dials at once when worked on. */
void chatlog_connection_init(struct chatlog_connection *connection, const struct chatlog_address *address, int wake_fd);

/* What to wait for: poll()'s events of connection->fd, and when to call work() at the latest. */
short chatlog_connection_events(const struct chatlog_connection *connection);
int64_t chatlog_connection_time(const struct chatlog_connection *connection);

/* Goes on with connecting; revents is what poll() found. Does nothing while up. */
void chatlog_connection_work(struct chatlog_connection *connection, int64_t now_us, short revents);

/* Dials now instead of later, unless it has only just failed. */
void chatlog_connection_hurry(struct chatlog_connection *connection, int64_t now_us);

/* A frame's header; body and tail are filled already. */
void chatlog_connection_put_header(const struct chatlog_connection *connection, uint32_t id,
                                   struct chatlog_outgoing *frame);

/* Writes frames; only while up and not writing, 1 to CHATLOG_OUTGOING_MAX. Returns as flush(). *ret_count: how many are
 * written whole. With 0, the next one is the one being written from then on, of which perhaps nothing is written yet:
 * its sender keeps the body until flush() has returned 1, or drop() or forget() was called. The rest is forgotten. */
int chatlog_connection_write(struct chatlog_connection *connection, const struct chatlog_outgoing *frames, size_t count,
                             size_t *ret_count);

/* 1: nothing is left to write; 0: the socket is full; -1: the connection is lost, call drop(). */
int chatlog_connection_flush(struct chatlog_connection *connection);

/* The frame's sender has given up. Returns true when a part is written already: then the rest will be, and the body now
 * belongs to the connection. */
bool chatlog_connection_forget(struct chatlog_connection *connection, uint8_t *body);

/* 1: a reply; 0: no whole reply is there; -1: the connection is lost, or the peer broke the protocol: call drop(). */
int chatlog_connection_read(struct chatlog_connection *connection, struct chatlog_incoming *ret_incoming);

/* Closes the socket; it is dialled again later. */
void chatlog_connection_drop(struct chatlog_connection *connection, int64_t now_us);

/* Frees what it holds. */
void chatlog_connection_fini(struct chatlog_connection *connection);

#endif
