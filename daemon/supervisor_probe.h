/* A client of the daemon in the daemon: asks a listener, from outside and over plain sockets, whether it answers. */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

#include <stdbool.h>

/* Connects to the URL (one that server_url_check accepts) and asks Health/Check. True when the listener is at work: it
 * answers, or closes the connection itself because too many are open. Blocks; each of the few steps at most timeout_ms.
 * TCP with port 0 is taken to work: nobody but the kernel knows where it is. */
bool supervisor_probe(const char *url, unsigned timeout_ms);

#endif
