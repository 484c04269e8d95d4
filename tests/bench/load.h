/* A closed loop: keeps a number of requests in flight for some time and takes each one's latency. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/workload.h"
#include "chatlog.h"

struct load_result {
    double ops_per_s;
    uint32_t p50_us;
    uint32_t p99_us;
    uint32_t max_us;
    uint64_t errors;
};

/* Fills the dataset through the client. Ends the program when that fails. */
void load_fill(struct chatlog *client, const struct dataset *dataset);

/* Runs a workload. Blocks for about `seconds`. */
struct load_result load_run(struct chatlog *client, const struct dataset *dataset, const struct workload *workload,
                            unsigned in_flight, double seconds);

#endif
