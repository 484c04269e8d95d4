/* The programmes of the benchmark: each starts what it measures, prints what it saw, and stops it. */
#ifndef BENCH_PROGRAMMES_H
#define BENCH_PROGRAMMES_H

#include "bench/report.h"

/* All systems, all workloads. */
void compare_run(const struct settings *settings, const struct corpus *corpus);

/* Whether chatlogd stays as fast when there is more: in all, and in one conversation. */
void growth_run(const struct settings *settings, const struct corpus *corpus);

/* Appends until folding has to keep up: throughput and the longest stall, chatlogd and Redis. */
void fold_run(const struct settings *settings, const struct corpus *corpus);

/* chatlogd's readers alone, and beside 64 writers. */
void beside_run(const struct settings *settings, const struct corpus *corpus);

#endif
