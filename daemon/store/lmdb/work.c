#include "store/lmdb/work.h"

static const char stats_key[] = "stats";

void work_put_scratch(struct work *work, enum table table, struct span key)
{
    if (work->scratch->failed) {
        txn_fail_memory(&work->txn);
        return;
    }
    txn_put(&work->txn, table, key, buffer_span(work->scratch));
}

struct stats_entry work_read_stats(struct txn *txn)
{
    struct stats_entry stats = {0};
    struct span value;
    if (txn_get(txn, TABLE_META, span_of_string(stats_key), &value)) {
        entry_get_stats(value, &stats);
    }
    return stats;
}

void work_load(struct work *work)
{
    struct span value;
    bool damaged = false;
    work->stats = work->stats_stored = work_read_stats(&work->txn);
    work->numbers = (struct numbers_entry){0};
    if (txn_get(&work->txn, TABLE_META, span_of_string(ENTRY_NUMBERS_KEY), &value) &&
        entry_get_numbers(value, &work->numbers)) {
        damaged = true;
    }
    work->numbers_stored = work->numbers;
    if (damaged) {
        /* Far above all that were given out: fewer than one in each microsecond since 1970. */
        work->numbers.user = work->numbers.conversation = (uint64_t)work->now_us;
    }
    if (!layouts_load(&work->txn, &work->layouts)) {
        txn_fail_damaged(&work->txn);
    }
}

static void stats_save(struct work *work)
{
    if (memcmp(&work->stats, &work->stats_stored, sizeof(work->stats)) == 0) {
        return;
    }
    buffer_clear(work->scratch);
    entry_put_stats(work->scratch, &work->stats);
    if (work->scratch->size == 0 && !work->scratch->failed) {
        txn_delete(&work->txn, TABLE_META, span_of_string(stats_key)); /* all are zero */
    } else {
        work_put_scratch(work, TABLE_META, span_of_string(stats_key));
    }
}

void work_save(struct work *work)
{
    stats_save(work);
    if (memcmp(&work->numbers, &work->numbers_stored, sizeof(work->numbers)) != 0) {
        buffer_clear(work->scratch);
        entry_put_numbers(work->scratch, &work->numbers);
        work_put_scratch(work, TABLE_META, span_of_string(ENTRY_NUMBERS_KEY));
    }
}
