#include "store/lmdb/fold_pace.h"

/* Of what the journal holds at most. What waits when the first sweep begins is gone when it ends; in the next ones what
 * came while the one before went on. */
static const double FILL_BEGIN = 0.25; /* below, folding is left to when nothing comes */
static const double FILL_SWEEP = 0.70; /* may come while a sweep goes on */
static const double FILL_MOST = 0.98;

/* How many more entries may come until the sweep has to be at its end. */
static double entries_left(struct pending *pending, double fill)
{
    uint64_t begun_id, oldest_id;
    pending_sweep_ahead(pending, &begun_id);
    uint64_t next_id = pending_next_id(pending);
    pending_span(pending, &oldest_id);
    double entries = (double)(next_id - oldest_id) / fill; /* that the journal has room for, as large as those are */
    double of_sweep = FILL_SWEEP * entries - (double)(next_id - begun_id);
    double of_room = (FILL_MOST - fill) * entries;
    double left = of_sweep < of_room ? of_sweep : of_room;
    return left > 1 ? left : 1;
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
    size_t count = due < (double)ahead ? (size_t)due : ahead;
    *pace = (struct fold_pace){
        .sweeping = true, .next_id = next_id, .ahead = ahead - count, .due = count < ahead ? due - (double)count : 0};
    return count;
}
