#include "store/lmdb/fold_driver.h"

#include "base/clock.h"
#include "store/lmdb/journal.h"

enum {
    IDLE_US = 2 * CLOCK_MILLISECOND_US,    /* without an operation until it begins */
    SLICE_US = 8 * CLOCK_MILLISECOND_US,   /* of one commit while idle; an operation that comes ends it before */
    BESIDE_US = 10 * CLOCK_MILLISECOND_US, /* of a commit with operations at most */
    PAUSE_US = CLOCK_SECOND_US,            /* after a commit that failed */
    TRUNCATE_RECORDS = 4096,               /* of a commit: many times what one can append */
};

/* How full the journal is: 1 is full; more, when one that was found at the start is larger. */
static double journal_fill(struct txn *txn)
{
    uint64_t oldest;
    double entries = (double)pending_span(txn->pending, &oldest) / JOURNAL_ENTRIES_MAX;
    double pages = (double)txn_pages(txn, TABLE_3_JOURNAL) / JOURNAL_PAGES_MAX;
    return entries > pages ? entries : pages;
}

bool fold_driver_beside(struct fold_driver *driver, struct work *work)
{
    size_t due = fold_pace_due(&driver->pace, work->txn.pending, journal_fill(&work->txn));
    int64_t until_us = clock_monotonic_us() + BESIDE_US;
    size_t folded = 0;
    journal_places_learn(work->places, &work->txn);
    while (folded < due && !work->txn.rc && clock_monotonic_us() < until_us) {
        size_t count = fold_next(work, due - folded < FOLD_GROUP_MAX ? due - folded : FOLD_GROUP_MAX);
        if (count == 0) {
            break;
        }
        folded += count;
    }
    fold_truncate(work, TRUNCATE_RECORDS);
    driver->pending = true;
    return folded > 0;
}

void fold_driver_idle(struct fold_driver *driver, struct work *work, bool (*is_interrupted)(void *arg), void *arg)
{
    int64_t until_us = clock_monotonic_us() + SLICE_US;
    bool folded = false;
    while (!work->txn.rc && clock_monotonic_us() < until_us && !(folded && is_interrupted(arg)) && fold_next(work, 1)) {
        folded = true;
    }
    bool truncated = fold_truncate(work, TRUNCATE_RECORDS);
    driver->pending = folded || !truncated;
}

void fold_driver_used(struct fold_driver *driver)
{
    int64_t from = clock_monotonic_us() + IDLE_US;
    driver->idle_from_us = from > driver->idle_from_us ? from : driver->idle_from_us;
}

void fold_driver_failed(struct fold_driver *driver)
{
    driver->pending = true;
    driver->idle_from_us = clock_monotonic_us() + PAUSE_US;
}

int64_t fold_driver_wait(const struct fold_driver *driver)
{
    if (!driver->pending || driver->late) {
        return INT64_MAX;
    }
    int64_t wait = driver->idle_from_us - clock_monotonic_us();
    return wait > 0 ? wait : 0;
}
