/* What the daemon counts of itself, besides the requests (method_meters.h) and what the store counts. Written by the
 * server, rpc and auth, read by AdminService.GetStats and the metrics. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdatomic.h>

struct counters {
    atomic_ullong connections; /* open now */
    atomic_ullong connections_accepted;
    atomic_ullong connections_refused; /* over the limit, or closed for passing one */
    atomic_ullong damaged_records;     /* answers DATA_LOSS */
    atomic_ullong slow_requests;
    atomic_ullong tokens_verified; /* but for those a connection shows again and again */
    atomic_ullong tokens_refused;
};

#endif
