/* What is asked of every system: one row a workload. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench/dataset.h"

enum { WORKLOAD_IN_FLIGHT_MAX = 256, WORKLOAD_NEWEST = 50, WORKLOAD_TURN_MESSAGES = 4, WORKLOAD_LOAD_MESSAGES = 50 };

enum operation_kind { OPERATION_APPEND, OPERATION_READ_NEWEST, OPERATION_LIST_CONVERSATIONS };

/* One request to a system. */
struct operation {
    enum operation_kind kind;
    uint64_t conversation;
    unsigned messages; /* of an append: 1, WORKLOAD_TURN_MESSAGES or, while loading, up to WORKLOAD_LOAD_MESSAGES */
    uint64_t text;     /* of an append: number of its first message's text */
    uint64_t number;   /* no other has it */
};

struct workload {
    const char *name;
    const char *meaning;
    unsigned in_flight[5]; /* how many requests are kept in flight, one row each; ends in 0 */
    /* The operation of a lane (one of those in flight) for a fresh random number. */
    void (*next)(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret);
};

/* Ends in a row without a name. */
extern const struct workload workloads[];

/* W3 beside so many writers: the first lanes append, the others read. */
enum { WORKLOAD_WRITERS = 64 };
extern const struct workload workload_beside;

/* How many appends fill the dataset, and number N of them. */
uint64_t workload_load_count(const struct dataset *dataset);
void workload_load(const struct dataset *dataset, uint64_t number, struct operation *ret);

/* How many items the answer to a read or a list must have. */
unsigned workload_items(const struct dataset *dataset, enum operation_kind kind);

#endif
