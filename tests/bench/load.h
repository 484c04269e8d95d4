/* The load generator: a closed loop of some lanes, each with one request in flight, and what it sees. A system asks it
 * for each lane's next request and tells when it is answered; what is measured and how is here, the same for all. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/workload.h"

#include <stdbool.h>

struct load;

enum { LOAD_SECONDS_MAX = 3600 };

/* What is to be run. Either `seconds` or `limit` is set. */
struct load_plan {
    const struct dataset *dataset;
    const struct workload *workload; /* NULL: fill the dataset */
    unsigned in_flight;
    unsigned first_measured; /* lanes below it are a load only: their requests are not measured */
    double seconds;          /* after a tenth of it that is not measured */
    uint64_t limit;          /* so many requests, all measured; a fill has its own */
    uint64_t seed;           /* the same for the same requests */
};

struct load *load_new(const struct load_plan *plan);
struct load *load_free(struct load *load);

/* For the systems. A lane is one thread's at a time. */

unsigned load_in_flight(const struct load *load);
const struct dataset *load_dataset(const struct load *load);

/* The lane's next request, whose time begins now. False: the lane has ended. */
bool load_next(struct load *load, unsigned lane, struct operation *ret);

/* It was answered, as it must be: a system ends the program when a request fails. */
void load_done(struct load *load, unsigned lane);

/* Blocks until every lane has ended: for systems that answer on threads of their own. */
void load_wait(struct load *load);

/* For those who measure, after all lanes have ended. */
struct load_result {
    double ops_per_s;
    double p50_us;
    double p99_us;
    double max_us;
    double gap_us;         /* the longest time without an answer */
    uint64_t operations;   /* all of them, measured or not */
    double seconds;        /* from the first request to the end of the last lane */
    uint32_t second_least; /* answers in the slowest, the median, the fastest of the whole seconds; 0: there was none */
    uint32_t second_median;
    uint32_t second_most;
};
struct load_result load_result(const struct load *load);

#endif
