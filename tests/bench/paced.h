/* A load at a steady pace beside whatever else the daemon does: one client reads, one appends. */
#ifndef BENCH_PACED_H
#define BENCH_PACED_H

#include <stddef.h>
#include <stdint.h>

enum { PACED_READS = 400, PACED_APPENDS = 100 }; /* in a second */

/* Of one kind of request, each in microseconds. One that had to wait for the one before it counts from when it was
 * due. */
struct paced_latency {
    float *sorted_us;
    size_t count;
};

struct paced_result {
    struct paced_latency reads;   /* the newest 50 messages of any conversation */
    struct paced_latency appends; /* of one message to any conversation */
    uint64_t errors;
    char first_error[256];
};

struct paced;

/* Begins on the conversations of support/history.h with numbers below `conversations`; no two seeds ask for the same
 * ones. Ends the program when it cannot. */
struct paced *paced_start(const char *url, uint64_t conversations, uint64_t seed);

/* Ends it and frees it. The result is to be freed, or given to paced_add. */
struct paced_result paced_stop(struct paced *paced);

/* The time that this share of the requests was not slower than: 0.99, or 1 for the slowest. 0 when there is none. */
double paced_at(const struct paced_latency *latency, double share);

/* Adds what another load measured, and frees that. */
void paced_add(struct paced_result *total, struct paced_result *more);
void paced_result_free(struct paced_result *result);

#endif
