/* The connection to the daemon: one nng REQ socket with one dialer that connects in the background, again and again. */
#ifndef CHATLOG_LIB_CONNECTION_H
#define CHATLOG_LIB_CONNECTION_H

#include "chatlog.h"

#include <nng/nng.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct chatlog_connection {
    char *url;
    nng_socket socket;
    nng_dialer dialer;             /* of the thread that calls redial */
    atomic_int pipes;              /* connected: 1 or more */
    _Atomic int64_t down_since_us; /* when the connection was lost, or dialled by us */
};

/* Does not block. *connection must stay where it is until close.
 * Errors: INVALID_ARGUMENT / URL_INVALID, RESOURCE_EXHAUSTED / CLIENT_MEMORY, INTERNAL. */
int chatlog_connection_open(struct chatlog_connection *connection, const char *url, struct chatlog_error *error);

bool chatlog_connection_up(struct chatlog_connection *connection);

/* When redial should be called if a request is waiting then; INT64_MAX while connected. */
int64_t chatlog_connection_redial_time(struct chatlog_connection *connection);

/* Replaces the dialer by a new one. For one thread, which must hold no lock. */
void chatlog_connection_redial(struct chatlog_connection *connection);

/* No operation may be under way on the socket. Blocks shortly. */
void chatlog_connection_close(struct chatlog_connection *connection);

#endif
