/* What the daemon counts of itself. Written by the server and by rpc, read by AdminService.GetStats. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdatomic.h>

struct counters {
    atomic_ullong connections; /* open now */
    atomic_ullong connections_accepted;
    atomic_ullong connections_refused; /* over the limit, or closed for passing one */
    atomic_ullong damaged_records;     /* answers DATA_LOSS */
};

struct method_count {
    const char *name;
    atomic_ullong calls;
    atomic_ullong errors;
};

#endif
