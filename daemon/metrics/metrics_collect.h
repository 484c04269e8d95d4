/* The numbers of now, from the parts that count. */
#ifndef METRICS_METRICS_COLLECT_H
#define METRICS_METRICS_COLLECT_H

#include "metrics/metrics.h"
#include "metrics/metrics_http.h"

/* False when the store cannot be read. */
bool metrics_collect(const struct metrics_config *config, int64_t start_wall_us, struct metrics_snapshot *ret);

/* What /readyz says: NULL, or why not. */
const char *metrics_unready(const struct metrics_config *config);

#endif
