/* A bad network between clients and the daemon, in a process of its own: it cuts connections anywhere, holds answers
 * back, and sends requests a second time, at once or later, as the resending of SP does. */
#ifndef FAULT_NETWORK_PROXY_H
#define FAULT_NETWORK_PROXY_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* What it has done so far; shared with its process. */
struct proxy_tally {
    pid_t process;
    atomic_ullong connections;
    atomic_ullong cuts;
    atomic_ullong duplicates;
    atomic_ullong delays;
};

/* Listens at `path` and connects to the daemon at `server`. Ends the program when it cannot. */
struct proxy_tally *proxy_start(const char *path, const char *server, uint64_t seed);
void proxy_stop(struct proxy_tally *proxy);

#endif
