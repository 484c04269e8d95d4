/* What the benchmark asks of the daemon: one row a workload. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

/* The data every workload runs on: users with CONVERSATIONS_PER_USER conversations of `messages` messages each. */
struct dataset {
    uint64_t conversations;
    uint64_t messages;
};

enum { CONVERSATIONS_PER_USER = 100, MESSAGE_BYTES = 300 };

/* One request, encoded. */
struct request {
    const char *method;
    uint8_t *payload; /* of at least REQUEST_BYTES_MAX */
    size_t size;
};

enum { REQUEST_BYTES_MAX = 64 * 1024 };

struct workload {
    const char *name;
    const char *meaning;
    /* Fills the next request; `random` is a fresh random number. */
    void (*next)(const struct dataset *dataset, uint64_t random, struct request *request);
};

/* Ends in a row without a name. */
extern const struct workload workloads[];

/* An append that fills conversation number `conversation` with `count` messages. */
void workload_load(uint64_t conversation, size_t count, struct request *request);

#endif
