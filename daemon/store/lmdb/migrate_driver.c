#include "store/lmdb/migrate_driver.h"

#include "base/clock.h"
#include "store/lmdb/marker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    SLICE_IDLE_US = 40 * CLOCK_MILLISECOND_US, /* an operation that comes ends it before */
    SLICE_IDLE_TIMES = 32,                     /* the bytes of a busy one */
    /* It yields every few records, its commit does not, and takes half a millisecond of a processor whatever is in it:
     * few long slices disturb less than many short ones. */
    SLICE_BUSY_US = 2 * CLOCK_MILLISECOND_US,
    BUSY_REST = 6, /* times what a slice took of a processor, until the next: a seventh of one */
    WAIT_US = 20 * CLOCK_MILLISECOND_US,
    PAUSE_US = CLOCK_SECOND_US,
    LINE_US = 10 * CLOCK_SECOND_US,
    RATE_US = CLOCK_SECOND_US,
    LINE_BYTES = 300,
    SLICE_BYTES_LEAST = 16 * 1024,
    SHRINK = 4,
    TENTHS = 1000, /* of a percent of the whole */
};

void migrate_driver_init(struct migrate_driver *driver, const struct migrate_driver_config *config)
{
    *driver = (struct migrate_driver){.config = *config, .slice_bytes = MIGRATE_SLICE_BYTES};
    pthread_mutex_init(&driver->mutex, NULL);
}

void migrate_driver_destroy(struct migrate_driver *driver)
{
    pthread_mutex_destroy(&driver->mutex);
}

static void __attribute__((format(printf, 3, 4)))
tell(const struct migrate_driver *driver, enum store_event event, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    if (!driver->config.event) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    driver->config.event(driver->config.event_arg, event, line);
}

static void show(struct migrate_driver *driver, enum store_migration_state state, const char *why)
{
    pthread_mutex_lock(&driver->mutex);
    driver->shown.state = state;
    snprintf(driver->shown.last_error, sizeof(driver->shown.last_error), "%s", why);
    pthread_mutex_unlock(&driver->mutex);
}

static uint64_t tenths_done(const struct migration_entry *entry)
{
    if (entry->messages_total == 0) {
        return 0;
    }
    uint64_t moved = entry->messages_moved < entry->messages_total ? entry->messages_moved : entry->messages_total;
    return moved * TENTHS / entry->messages_total;
}

static int64_t seconds_left(uint64_t total, uint64_t moved, uint64_t rate)
{
    if (rate == 0) {
        return -1;
    }
    return total > moved ? (int64_t)((total - moved) / rate) : 0;
}

static void tell_progress(const struct migrate_driver *driver)
{
    const struct migration_entry *entry = &driver->entry;
    uint64_t tenths = tenths_done(entry);
    uint64_t rate = driver->shown.messages_per_second; /* only this thread writes it */
    tell(driver, STORE_EVENT_PROGRESS,
         "migration from key layout %" PRIu32 " to %" PRIu32 ": %" PRIu64 ".%" PRIu64 " %%, %" PRIu64
         " messages/s, %" PRId64 " s left",
         entry->from, entry->to, tenths / 10, tenths % 10, rate,
         seconds_left(entry->messages_total, entry->messages_moved, rate));
}

static void tell_done(const struct migrate_driver *driver)
{
    const struct migration_entry *entry = &driver->entry;
    int64_t took = entry->finished_us - entry->started_us;
    tell(driver, STORE_EVENT_MIGRATION_END,
         "migration from key layout %" PRIu32 " to %" PRIu32 " is done: %" PRIu64 " messages and %" PRIu64
         " conversations in %" PRId64 " s, counts and digests of both sides are equal, %" PRIu64
         " records in quarantine",
         entry->from, entry->to, entry->messages_moved, entry->conversations_moved, took / CLOCK_SECOND_US,
         entry->quarantined);
}

void migrate_driver_look(struct migrate_driver *driver, struct txn *txn)
{
    struct marker marker;
    bool held = driver->config.mode == STORE_MIGRATE_HOLD;
    if (!migrate_read_marker(txn, &marker)) {
        return;
    }
    if (marker.state == MARKER_MIGRATING) {
        if (!migrate_progress(txn, &driver->entry)) {
            return;
        }
        driver->active = driver->to_start = !held;
        driver->to_resume = !held && driver->entry.state == MIGRATION_HALTED;
        show(driver, held ? STORE_MIGRATION_HELD : STORE_MIGRATION_MOVING, "");
    } else if (marker.layout != driver->config.to) {
        driver->active = driver->to_start = driver->to_begin = !held;
        driver->shown.from = marker.layout;
        show(driver, held ? STORE_MIGRATION_HELD : STORE_MIGRATION_MOVING, "");
    }
}

void migrate_driver_begin(struct migrate_driver *driver, struct work *work)
{
    if (driver->to_begin) {
        migrate_begin(work, driver->shown.from, driver->config.to);
    }
    if (driver->to_resume) {
        migrate_resume(work);
    }
    migrate_progress(&work->txn, &driver->entry);
}

void migrate_driver_begun(struct migrate_driver *driver)
{
    const struct migration_entry *entry = &driver->entry;
    int64_t now = clock_monotonic_us();
    uint64_t tenths = tenths_done(entry);
    tell(driver, STORE_EVENT_MIGRATION_BEGIN,
         "migration from key layout %" PRIu32 " to %" PRIu32 " %s: %" PRIu64 " messages, %" PRIu64
         " conversations, %" PRIu64 ".%" PRIu64 " %% done",
         entry->from, entry->to, driver->to_begin ? "begins" : "goes on", entry->messages_total,
         entry->conversations_total, tenths / 10, tenths % 10);
    driver->to_start = driver->to_begin = driver->to_resume = false;
    driver->mark_moved = entry->messages_moved;
    driver->mark_us = now;
    driver->next_line_us = now + LINE_US;
}

int64_t migrate_driver_wait(const struct migrate_driver *driver)
{
    if (!driver->active) {
        return INT64_MAX;
    }
    int64_t wait = driver->next_us - clock_monotonic_us();
    return wait > 0 ? wait : 0;
}

struct migrate_budget migrate_driver_budget(struct migrate_driver *driver, bool busy)
{
    driver->used_us = clock_thread_us();
    return (struct migrate_budget){
        .records = driver->config.slice_records ? driver->config.slice_records : MIGRATE_RECORDS_MAX,
        .bytes = busy ? driver->slice_bytes : SLICE_IDLE_TIMES * driver->slice_bytes,
        .until_us = clock_monotonic_us() + (busy ? SLICE_BUSY_US : SLICE_IDLE_US),
    };
}

/* The rate over the last second or so, smoothed. */
static void rate_update(struct migrate_driver *driver, int64_t now)
{
    int64_t passed = now - driver->mark_us;
    if (passed < RATE_US) {
        return;
    }
    uint64_t moved = driver->entry.messages_moved - driver->mark_moved;
    uint64_t rate = moved * CLOCK_SECOND_US / (uint64_t)passed;
    uint64_t before = driver->shown.messages_per_second;
    driver->mark_moved = driver->entry.messages_moved;
    driver->mark_us = now;
    pthread_mutex_lock(&driver->mutex);
    driver->shown.messages_per_second = before ? (3 * before + rate) / 4 : rate;
    pthread_mutex_unlock(&driver->mutex);
}

void migrate_driver_moved(struct migrate_driver *driver, enum migrate_result result,
                          const struct migration_entry *entry, bool busy)
{
    int64_t now = clock_monotonic_us();
    bool paused = driver->shown.state == STORE_MIGRATION_PAUSED;
    driver->entry = *entry;
    driver->slice_bytes = driver->slice_bytes < MIGRATE_SLICE_BYTES / 2 ? 2 * driver->slice_bytes : MIGRATE_SLICE_BYTES;
    if (result == MIGRATE_DONE) {
        driver->active = false;
        show(driver, STORE_MIGRATION_NONE, "");
        tell_done(driver);
        return;
    }
    if (paused) {
        tell(driver, STORE_EVENT_MIGRATION_RESUME, "migration goes on: there is room again");
    }
    if (driver->shown.state != STORE_MIGRATION_MOVING || driver->shown.last_error[0]) {
        show(driver, STORE_MIGRATION_MOVING, "");
    }
    rate_update(driver, now);
    if (now >= driver->next_line_us) {
        tell_progress(driver);
        driver->next_line_us = now + LINE_US;
    }
    driver->next_us = busy ? now + BUSY_REST * (clock_thread_us() - driver->used_us) : now;
    if (result == MIGRATE_WAITS) {
        driver->next_us = now + WAIT_US;
    }
}

void migrate_driver_pause(struct migrate_driver *driver, const char *why)
{
    if (driver->shown.state != STORE_MIGRATION_PAUSED) {
        tell(driver, STORE_EVENT_MIGRATION_PAUSE, "migration pauses: %s; it goes on by itself when there is room", why);
    }
    show(driver, STORE_MIGRATION_PAUSED, why);
    driver->next_us = clock_monotonic_us() + PAUSE_US;
}

void migrate_driver_shrink(struct migrate_driver *driver, const char *why)
{
    if (driver->slice_bytes > SLICE_BYTES_LEAST) {
        driver->slice_bytes /= SHRINK;
    } else {
        migrate_driver_pause(driver, why);
    }
}

void migrate_driver_failed(struct migrate_driver *driver, const char *why, const struct migration_entry *entry)
{
    driver->next_us = clock_monotonic_us() + PAUSE_US;
    if (entry) {
        driver->entry = *entry;
    }
    if (driver->entry.state == MIGRATION_HALTED) {
        driver->active = false;
        show(driver, STORE_MIGRATION_HALTED, why);
        tell(driver, STORE_EVENT_MIGRATION_HALT,
             "migration from key layout %" PRIu32 " to %" PRIu32 " is halted: %s; the data is served in both layouts, "
             "the next start tries again",
             driver->entry.from, driver->entry.to, why);
    } else {
        show(driver, STORE_MIGRATION_MOVING, why);
        tell(driver, STORE_EVENT_PROGRESS, "migration: a step failed and is tried again: %s", why);
    }
}

void migrate_driver_show(struct migrate_driver *driver, struct store_migration *migration)
{
    pthread_mutex_lock(&driver->mutex);
    struct migrate_shown shown = driver->shown;
    pthread_mutex_unlock(&driver->mutex);
    bool under_way = migration->finish_time_us == 0 && migration->from != 0;
    if (!under_way && shown.state == STORE_MIGRATION_NONE) {
        migration->state = STORE_MIGRATION_NONE;
        return;
    }
    if (!under_way) { /* held back, or about to begin */
        *migration = (struct store_migration){.from = shown.from, .to = driver->config.to};
    }
    /* Just done, but read before that. */
    migration->state = shown.state == STORE_MIGRATION_NONE ? STORE_MIGRATION_MOVING : shown.state;
    migration->messages_per_second = shown.state == STORE_MIGRATION_MOVING ? shown.messages_per_second : 0;
    migration->seconds_left =
        seconds_left(migration->messages_total, migration->messages_moved, migration->messages_per_second);
    if (shown.last_error[0]) {
        snprintf(migration->last_error, sizeof(migration->last_error), "%s", shown.last_error);
    }
}
