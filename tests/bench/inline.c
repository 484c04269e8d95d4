#include "bench/inline.h"

#include <assert.h>

struct batch {
    const struct inline_calls *calls;
    void *instance;
    struct load *load;
    bool running[WORKLOAD_IN_FLIGHT_MAX];
    struct operation operations[WORKLOAD_IN_FLIGHT_MAX];
};

/* Returns how many requests there are. */
static unsigned batch_take(struct batch *batch)
{
    unsigned count = 0;
    for (unsigned lane = 0; lane < load_in_flight(batch->load); lane++) {
        batch->running[lane] = batch->running[lane] && load_next(batch->load, lane, &batch->operations[lane]);
        count += batch->running[lane];
    }
    return count;
}

static void batch_read(struct batch *batch)
{
    for (unsigned lane = 0; lane < load_in_flight(batch->load); lane++) {
        const struct operation *operation = &batch->operations[lane];
        if (batch->running[lane] && operation->kind != OPERATION_APPEND) {
            batch->calls->read(batch->instance, load_dataset(batch->load), operation);
            load_done(batch->load, lane);
        }
    }
}

static void batch_append(struct batch *batch)
{
    unsigned appends[WORKLOAD_IN_FLIGHT_MAX];
    unsigned count = 0;
    for (unsigned lane = 0; lane < load_in_flight(batch->load); lane++) {
        if (batch->running[lane] && batch->operations[lane].kind == OPERATION_APPEND) {
            appends[count++] = lane;
        }
    }
    if (count == 0) {
        return;
    }
    batch->calls->begin(batch->instance);
    for (unsigned i = 0; i < count; i++) {
        batch->calls->append(batch->instance, load_dataset(batch->load), &batch->operations[appends[i]]);
    }
    batch->calls->commit(batch->instance);
    for (unsigned i = 0; i < count; i++) {
        load_done(batch->load, appends[i]);
    }
}

void inline_run(const struct inline_calls *calls, void *instance, struct load *load)
{
    assert(load_in_flight(load) <= WORKLOAD_IN_FLIGHT_MAX);
    struct batch batch = {.calls = calls, .instance = instance, .load = load};
    for (unsigned lane = 0; lane < load_in_flight(load); lane++) {
        batch.running[lane] = true;
    }
    while (batch_take(&batch) > 0) {
        batch_read(&batch);
        batch_append(&batch);
    }
}
