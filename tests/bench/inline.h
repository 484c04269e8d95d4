/* Systems that work inside this process, on one thread: all requests in flight are taken as one batch, so that their
 * appends can share a commit, as in a service that collects what waits for its one writer. */
#ifndef BENCH_INLINE_H
#define BENCH_INLINE_H

#include "bench/load.h"

/* What a system does with a batch. A read is done at once; appends are done when commit returns. */
struct inline_calls {
    void (*begin)(void *instance);
    void (*append)(void *instance, const struct dataset *dataset, const struct operation *operation);
    void (*commit)(void *instance);
    void (*read)(void *instance, const struct dataset *dataset, const struct operation *operation); /* NULL: never */
};

/* Runs a load to its end. */
void inline_run(const struct inline_calls *calls, void *instance, struct load *load);

#endif
