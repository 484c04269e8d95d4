/* From a host and a port to socket addresses, without blocking the caller. */
#ifndef CHATLOG_LIB_RESOLVER_H
#define CHATLOG_LIB_RESOLVER_H

#include <stddef.h>
#include <sys/socket.h>

enum { CHATLOG_TARGETS_MAX = 8 };

/* Addresses to try, in order. */
struct chatlog_targets {
    size_t count;
    struct chatlog_target {
        struct sockaddr_storage address;
        socklen_t length;
    } list[CHATLOG_TARGETS_MAX];
};

struct chatlog_resolver;

/* 1 with *ret_targets filled when host is a number; 0 when it is a name: then a thread looks it up and, when it is
 * done, writes to the eventfd wake_fd; -1 when that cannot be started (*ret_resolver is NULL then). */
int chatlog_resolver_start(const char *host, const char *port, int wake_fd, struct chatlog_resolver **ret_resolver,
                           struct chatlog_targets *ret_targets);

/* 1 with *ret_targets filled, 0 while it goes on, -1 when there is no such name. */
int chatlog_resolver_poll(struct chatlog_resolver *resolver, struct chatlog_targets *ret_targets);

/* Does not wait for the thread. NULL is allowed. Returns NULL. */
struct chatlog_resolver *chatlog_resolver_free(struct chatlog_resolver *resolver);

#endif
