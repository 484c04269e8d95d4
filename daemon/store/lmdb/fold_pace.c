#include "store/lmdb/fold_pace.h"

/* Of what the journal holds at most. What waits when the first sweep begins is gone when it ends; in the next ones what
 * came while the one before went on. */
static const double FILL_BEGIN = 0.20; /* below, folding is left to when nothing comes */
static const double FILL_SWEEP = 0.70; /* may come while a sweep goes on */
static const double FILL_HIGH = 0.80;  /* more than comes of that: where appends go shifts, so the sweep hurries */
static const double FILL_MOST = 0.98;  /* here it would have to be at its end */

/* How many entries the journal holds at most when they are as large as those that are in it. */
static double entries_most(struct pending *pending, double fill)
{
    uint64_t oldest_id;
    pending_span(pending, &oldest_id);
    return (double)(pending_next_id(pending) - oldest_id) / fill;
}

/* How many more may come until the sweep has to be at its end. */
static double entries_left(struct pending *pending, double fill)
{
    uint64_t begun_id;
    pending_sweep_ahead(pending, &begun_id);
    double left = FILL_SWEEP * entries_most(pending, fill) - (double)(pending_next_id(pending) - begun_id);
    if (fill > FILL_HIGH) {
        left *= (FILL_MOST - fill) / (FILL_MOST - FILL_HIGH);
    }
    return left > 1 ? left : 1;
}

/* How many conversations may be folded at once: each leaves a mark in the journal, too. */
static size_t folds_most(struct pending *pending, double fill)
{
    double room = fill < 1 ? (1 - fill) * entries_most(pending, fill) / 2 : (double)SIZE_MAX / 2;
    return (size_t)room;
}

size_t fold_pace_due(struct fold_pace *pace, struct pending *pending, double fill)
{
    uint64_t begun_id;
    uint64_t next_id = pending_next_id(pending);
    size_t ahead = pending_sweep_ahead(pending, &begun_id);
    bool goes_on = pace->sweeping && ahead > 0;
    if (fill < FILL_BEGIN) {
        *pace = (struct fold_pace){.sweeping = false};
        return 0;
    }
    if (!goes_on) {
        pending_begin_sweep(pending);
        ahead = pending_sweep_ahead(pending, &begun_id);
    }
    /* What came ahead of the sweep is to be folded beside the rest. */
    size_t more = goes_on && ahead > pace->ahead ? ahead - pace->ahead : 0;
    double came = goes_on && next_id > pace->next_id ? (double)(next_id - pace->next_id) : 1;
    double share = came / entries_left(pending, fill);
    double due = pace->due + (double)more + (double)(ahead - more) * share;
    size_t most = folds_most(pending, fill);
    most = most < ahead ? most : ahead;
    size_t count = due < (double)most ? (size_t)due : most;
    *pace = (struct fold_pace){
        .sweeping = true, .next_id = next_id, .ahead = ahead - count, .due = count < most ? due - (double)count : 0};
    return count;
}
