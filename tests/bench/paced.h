/* A load at a steady pace beside whatever else the daemon does: one client reads, one appends. */
#ifndef BENCH_PACED_H
#define BENCH_PACED_H

#include <stddef.h>
#include <stdint.h>

enum { PACED_READS = 400, PACED_APPENDS = 100 }; /* in a second */

/* Of one kind of request, in microseconds. One that had to wait for the one before it counts from when it was due. */
struct paced_latency {
    size_t count;
    double p50_us;
    double p99_us;
    double max_us;
};

struct paced_result {
    struct paced_latency reads;   /* the newest 50 messages of any conversation */
    struct paced_latency appends; /* of one message to any conversation */
    uint64_t errors;
    char first_error[256];
};

struct paced;

/* Begins on the conversations of support/history.h with numbers below `conversations`. Ends the program when it
 * cannot. */
struct paced *paced_start(const char *url, uint64_t conversations);

/* Ends it and frees it. */
struct paced_result paced_stop(struct paced *paced);

#endif
