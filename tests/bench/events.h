/* One thread that serves many sockets, for clients whose library gives one connection a request in flight. */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stdbool.h>

/* Calls readable(arg, lane) whenever bytes have come on the lane's socket, until it has returned false for each of
 * them. */
void events_run(const int *sockets, unsigned lanes, bool (*readable)(void *arg, unsigned lane), void *arg);

#endif
