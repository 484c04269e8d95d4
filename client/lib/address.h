/* Where a daemon listens: a URL taken apart. */
#ifndef CHATLOG_LIB_ADDRESS_H
#define CHATLOG_LIB_ADDRESS_H

#include "chatlog.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct chatlog_address {
    bool ipc;
    struct sockaddr_un path; /* of ipc:// */
    char host[256];          /* of tcp://: a name or a number, IPv6 without its brackets */
    char port[6];
};

/* Accepts ipc://PATH, tcp://HOST:PORT and tcp://[IPV6]:PORT. Error: INVALID_ARGUMENT / URL_INVALID. */
int chatlog_address_parse(const char *url, struct chatlog_address *ret_address, struct chatlog_error *error);

#endif
