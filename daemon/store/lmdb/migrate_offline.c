/* store_status and store_migrate_to, and the loop behind them. */
#include "store/lmdb/migrate_offline.h"

#include "base/clock.h"
#include "store/lmdb/marker.h"
#include "store/lmdb/purge.h"
#include "store/lmdb/survey.h"
#include "store/maintenance.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    SLICE_BYTES = 8 * 1024 * 1024,
    SLICE_BYTES_LEAST = 16 * 1024,
    SHRINK = 4,
    SLICE_US = 200 * CLOCK_MILLISECOND_US,
    PURGE_RECORDS = 10000,
    LINE_US = 2 * CLOCK_SECOND_US,
    LINE_BYTES = 200,
    RETRY_US = 100 * CLOCK_MILLISECOND_US,
    TENTHS = 1000,
};

/* What a loop keeps in mind. */
struct run {
    const struct offline *offline;
    struct buffer scratch;
    struct key rotation;
    int64_t next_line_us;
    int64_t line_us; /* when the last was said, and what was moved then */
    uint64_t line_moved;
    size_t slice_bytes; /* less while there is little room */
};

static struct work run_begin(struct run *run)
{
    int64_t now = run->offline->wall_clock_us();
    struct work work = {.txn = env_begin(run->offline->env), .now_us = now > 0 ? now : 1, .scratch = &run->scratch};
    work_load(&work);
    return work;
}

static int run_commit(struct run *run, struct work *work)
{
    work_save(work);
    return env_commit(run->offline->env, &work->txn);
}

static void run_tell(struct run *run, const struct migration_entry *entry)
{
    int64_t now = clock_monotonic_us();
    char line[LINE_BYTES];
    if (!run->offline->event || now < run->next_line_us) {
        return;
    }
    uint64_t total = entry->messages_total;
    uint64_t moved = entry->messages_moved < total ? entry->messages_moved : total;
    uint64_t tenths = total ? moved * TENTHS / total : TENTHS;
    uint64_t rate = (entry->messages_moved - run->line_moved) * CLOCK_SECOND_US / (uint64_t)(now - run->line_us);
    snprintf(line, sizeof(line),
             "layout %" PRIu32 " to %" PRIu32 ": %" PRIu64 ".%" PRIu64 " %%, %" PRIu64 " messages/s, %" PRIu64
             " s left",
             entry->from, entry->to, tenths / 10, tenths % 10, rate, rate ? (total - moved) / rate : 0);
    run->offline->event(run->offline->event_arg, STORE_EVENT_PROGRESS, line);
    run->line_us = now;
    run->line_moved = entry->messages_moved;
    run->next_line_us = now + LINE_US;
}

static int lmdb_fail(int rc, struct error *error)
{
    struct error cause = {0};
    txn_error(rc, &cause);
    return error_set(error, ERROR_STARTUP, "the migration stopped: %s; nothing is lost, run it again", cause.message);
}

/* A slice met LMDB's error. Returns 0 when a smaller one is to be tried. */
static int slice_fail(struct run *run, int rc, struct error *error)
{
    struct error cause;
    if (txn_error(rc, &cause) == -ERROR_DISK_FULL && run->slice_bytes > SLICE_BYTES_LEAST) {
        run->slice_bytes /= SHRINK;
        return 0;
    }
    return lmdb_fail(rc, error);
}

/* Removals under way keep records in the source. */
static int removals_run(struct run *run, struct error *error)
{
    struct purge_done done = {0};
    struct purge_budget budget = {.records = PURGE_RECORDS, .until_us = clock_monotonic_us() + SLICE_US};
    struct work work = run_begin(run);
    purge_slice(&work, &run->rotation, &budget, &done);
    int rc = run_commit(run, &work);
    return rc ? lmdb_fail(rc, error) : 0;
}

static int attempt_note(struct run *run, const char *why, struct error *error)
{
    struct migration_entry entry = {0};
    struct work work = run_begin(run);
    migrate_note_failure(&work, why);
    migrate_progress(&work.txn, &entry);
    int rc = run_commit(run, &work);
    if (rc == 0 && entry.state != MIGRATION_HALTED) {
        usleep(RETRY_US);
        return 0;
    }
    return error_set(error, ERROR_STARTUP,
                     "the migration failed %d times at one place: %s; everything is served as it "
                     "was",
                     MIGRATE_ATTEMPTS_MAX, why);
}

/* One slice. Returns 1 when the migration is done, 0 when there is more, or a negative error. */
static int slice_run(struct run *run, struct error *error)
{
    char why[MIGRATE_WHY_BYTES];
    struct migration_entry entry;
    size_t records = run->offline->slice_records;
    struct migrate_budget budget = {.records = records ? records : MIGRATE_RECORDS_MAX,
                                    .bytes = run->slice_bytes,
                                    .until_us = clock_monotonic_us() + SLICE_US};
    struct work work = run_begin(run);
    enum migrate_result result = migrate_slice(&work, &budget, why);
    if (result == MIGRATE_FAILED) {
        int failure = work.txn.rc;
        env_abort(&work.txn);
        return failure ? slice_fail(run, failure, error) : attempt_note(run, why, error);
    }
    bool moving = migrate_progress(&work.txn, &entry);
    int rc = run_commit(run, &work);
    if (rc) {
        return slice_fail(run, rc, error);
    }
    run->slice_bytes = run->slice_bytes < SLICE_BYTES / 2 ? 2 * run->slice_bytes : SLICE_BYTES;
    if (moving) {
        run_tell(run, &entry);
    }
    return result == MIGRATE_DONE ? 1 : result == MIGRATE_WAITS ? removals_run(run, error) : 0;
}

/* Begins what is to be done next. Returns 1 when nothing is, 0 when slices are to be run, or a negative error. */
static int next_begin(struct run *run, uint32_t layout, struct error *error)
{
    struct marker marker;
    struct work work = run_begin(run);
    if (!migrate_read_marker(&work.txn, &marker)) {
        env_abort(&work.txn);
        return error_set(error, ERROR_STARTUP, "the layout marker is damaged");
    }
    bool done = marker.state == MARKER_AT_REST && marker.layout == layout;
    if (marker.state == MARKER_MIGRATING) {
        migrate_resume(&work);
    } else if (!done) {
        migrate_begin(&work, marker.layout, layout);
    }
    int rc = run_commit(run, &work);
    return rc ? lmdb_fail(rc, error) : done;
}

int offline_migrate(const struct offline *offline, uint32_t layout, struct error *error)
{
    int64_t now = clock_monotonic_us();
    struct run run = {
        .offline = offline, .slice_bytes = SLICE_BYTES, .line_us = now, .next_line_us = now + (int64_t)LINE_US};
    int rc;
    while ((rc = next_begin(&run, layout, error)) == 0) {
        do {
            rc = slice_run(&run, error);
        } while (rc == 0);
        if (rc < 0) {
            break;
        }
    }
    buffer_free(&run.scratch);
    return rc < 0 ? rc : 0;
}

static struct env_config env_config_of(const struct store_config *config)
{
    return (struct env_config){.data_dir = config->data_dir,
                               .map_bytes = config->map_bytes,
                               .disk_reserve_bytes = config->disk_reserve_bytes,
                               .now_us = clock_wall_us()};
}

int store_status(const struct store_config *config, struct store_status *ret, struct error *error)
{
    struct env *env;
    struct env_config env_config = env_config_of(config);
    int rc = env_open_read_only(&env_config, &env, error);
    if (rc) {
        return rc;
    }
    struct marker marker = {0};
    struct migration_entry entry;
    struct txn txn = env_begin_read(env);
    migrate_read_marker(&txn, &marker);
    struct stats_entry stats = work_read_stats(&txn);
    struct env_size size = env_size(env, &txn);
    struct store_status status = {
        .layout = marker.layout,
        .target = marker.target,
        .newest = MARKER_LAYOUT,
        .users = stats.users,
        .conversations = stats.conversations,
        .messages = stats.messages,
        .content_bytes = stats.content_bytes,
        .used_bytes = size.used_bytes,
        .file_bytes = size.file_bytes,
        .free_bytes = env_free_bytes(env),
        .quarantine = txn_count(&txn, TABLE_QUARANTINE),
        .removals = txn_count(&txn, TABLE_PURGES),
    };
    if (migrate_progress(&txn, &entry) || migrate_last(&txn, &entry)) {
        status.migration = migrate_tell(&entry);
    }
    rc = txn.rc ? error_set(error, ERROR_STARTUP, "%s cannot be read: %s", config->data_dir, mdb_strerror(txn.rc)) : 0;
    env_abort(&txn);
    env_close(env);
    if (rc == 0) {
        *ret = status;
    }
    return rc;
}

/* Refuses to go down when the layout cannot say everything there is. */
static int loss_check(struct env *env, uint32_t layout, struct error *error)
{
    struct marker marker = {0};
    struct store_survey survey;
    struct txn txn = env_begin_read(env);
    migrate_read_marker(&txn, &marker);
    uint64_t quarantine = txn_count(&txn, TABLE_QUARANTINE);
    env_abort(&txn);
    const struct migrate_step *step = migrate_step_find(marker.layout, layout);
    if (!step || !step->loss) {
        return 0;
    }
    int rc = survey_run(env, &(const struct survey_pace){0}, &survey, error);
    if (rc) {
        return rc;
    }
    if (survey.unreadable > 0 || quarantine > 0) {
        return error_set(
            error, ERROR_STARTUP,
            "layout %" PRIu32 " has no %s: %" PRIu64 " records are damaged and %" PRIu64
            " are in quarantine, which it could not tell any more; nothing was changed; --accept-loss goes "
            "on",
            layout, step->loss, survey.unreadable, quarantine);
    }
    return 0;
}

int store_migrate_to(const struct store_config *config, uint32_t layout, bool accept_loss, struct store_migration *ret,
                     struct error *error)
{
    struct env *env;
    struct store_status status;
    struct env_config env_config = env_config_of(config);
    if (!layout_of(layout)) {
        return error_set(error, ERROR_STARTUP, "this chatlogd knows key layouts %d to %d, not %" PRIu32,
                         MARKER_LAYOUT_OLDEST, MARKER_LAYOUT, layout);
    }
    int rc = store_status(config, &status, error); /* there must be data: nothing is created here */
    rc = rc ? rc : env_open(&env_config, &env, error);
    if (rc) {
        return rc;
    }
    const struct offline offline = {.env = env,
                                    .wall_clock_us = config->wall_clock_us ? config->wall_clock_us : clock_wall_us,
                                    .event = config->event,
                                    .event_arg = config->event_arg,
                                    .slice_records = config->migrate_slice_records};
    rc = accept_loss ? 0 : loss_check(env, layout, error);
    rc = rc ? rc : offline_migrate(&offline, layout, error);
    if (rc == 0) {
        struct migration_entry entry;
        struct txn txn = env_begin_read(env);
        *ret = migrate_last(&txn, &entry) ? migrate_tell(&entry) : (struct store_migration){0};
        env_abort(&txn);
    }
    env_close(env);
    return rc;
}
