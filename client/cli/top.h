/* What `chatlog top` shows: two looks at a daemon as lines of text. Pure: knows neither a terminal nor the daemon. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "chatlog.h"

#include <stdio.h>

struct top_sample {
    struct chatlog_stats stats;
    struct chatlog_migration migration;
};

/* Writes the lines, of at most 100 columns. before: what was seen earlier, for rates; NULL: rates since the daemon's
 * start, as also when it was started anew in between. */
void top_frame(FILE *out, const char *url, const struct top_sample *before, const struct top_sample *now);

/* The latency in microseconds that this share of the calls did not exceed, about: between the bounds of the bucket it
 * falls in. counts: as chatlog_method_stats.latency_counts. 0 without calls. */
double top_quantile(const uint64_t *counts, size_t count, double share);

#endif
