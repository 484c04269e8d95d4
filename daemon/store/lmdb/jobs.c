#include "store/lmdb/jobs.h"

#include "base/clock.h"
#include "store/lmdb/backup.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERIFY_SNAPSHOT_US = 200 * CLOCK_MILLISECOND_US,
    VERIFY_REST_US = 200 * CLOCK_MILLISECOND_US, /* half of a processor's time at most */
    SCRUB_SNAPSHOT_US = 50 * CLOCK_MILLISECOND_US,
    SCRUB_REST_US = 450 * CLOCK_MILLISECOND_US, /* a tenth */
    LINE_BYTES = 256,
};

#define SCRUB_FIRST_US (3600 * (int64_t)CLOCK_SECOND_US) /* after the start, when the interval is longer */

struct jobs {
    struct jobs_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_op *op; /* waiting or under way */
    bool running;        /* it is under way */
    atomic_bool stop;
    int64_t next_scrub_us;
    atomic_ullong scrub_time_us;
    atomic_ullong scrub_findings;
};

static void __attribute__((format(printf, 2, 3))) event_tell(const struct jobs *jobs, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (jobs->config.event) {
        jobs->config.event(jobs->config.event_arg, STORE_EVENT_PROGRESS, line);
    }
}

struct note {
    sem_t done;
    bool failed;
};

static void note_done(struct store_op *op, const struct error *error, struct store_result *result)
{
    (void)result;
    struct note *note = op->arg;
    note->failed = error != NULL;
    sem_post(&note->done);
}

/* Puts a backup into the audit trail, and waits until that is on disk. */
static bool backup_note(struct jobs *jobs, const struct store_op *op, const struct store_backup *backup)
{
    struct note note = {.failed = false};
    sem_init(&note.done, 0, 0);
    struct store_op event = {
        .verb = STORE_NOTE_EVENT,
        .actor = op->actor,
        .request_id = span_of_string(op->backup.name),
        .note = {.action = STORE_ACTION_BACKUP,
                 .conversations = backup->conversations,
                 .messages = backup->messages,
                 .content_bytes = backup->content_bytes},
        .done = note_done,
        .arg = &note,
    };
    writer_push(jobs->config.writer, &event);
    while (sem_wait(&note.done)) { /* interrupted */
    }
    sem_destroy(&note.done);
    return !note.failed;
}

static int backup_make(struct jobs *jobs, const struct store_op *op, struct store_backup *ret, struct error *error)
{
    const struct backup_config config = {.env = jobs->config.env,
                                         .directory = jobs->config.backup_dir,
                                         .name = op->backup.name,
                                         .disk_reserve_bytes = jobs->config.disk_reserve_bytes,
                                         .map_bytes = jobs->config.map_bytes,
                                         .wall_clock_us = jobs->config.wall_clock_us,
                                         .stop = &jobs->stop};
    int64_t begun = clock_monotonic_us();
    event_tell(jobs, "backup \"%s\" begins", op->backup.name);
    int rc = backup_run(&config, ret, error);
    if (rc) {
        event_tell(jobs, "backup \"%s\" failed: %s", op->backup.name, error->message);
        return rc;
    }
    bool noted = backup_note(jobs, op, ret);
    event_tell(jobs, "backup \"%s\" of commit %" PRIu64 " is done: %" PRIu64 " bytes, %.1f s, %" PRIu64 " findings%s",
               op->backup.name, ret->commit_id, ret->file_bytes,
               (double)(clock_monotonic_us() - begun) / CLOCK_SECOND_US, ret->findings,
               noted ? "" : "; the audit trail had no room for it");
    return 0;
}

static bool jobs_rest(struct jobs *jobs, int64_t rest_us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at = until.tv_nsec + rest_us * 1000;
    until.tv_sec += at / 1000000000;
    until.tv_nsec = at % 1000000000;
    pthread_mutex_lock(&jobs->lock);
    int rc = 0;
    while (rc == 0 && !atomic_load(&jobs->stop)) {
        rc = pthread_cond_timedwait(&jobs->changed, &jobs->lock, &until);
    }
    pthread_mutex_unlock(&jobs->lock);
    return !atomic_load(&jobs->stop);
}

static bool verify_rest(void *arg)
{
    return jobs_rest(arg, VERIFY_REST_US);
}

static void op_run(struct jobs *jobs, struct store_op *op)
{
    struct error error = {0};
    struct store_result result = {0};
    struct store_survey survey;
    const struct survey_pace pace = {.snapshot_us = VERIFY_SNAPSHOT_US, .rest = verify_rest, .arg = jobs};
    int rc;
    if (op->verb == STORE_BACKUP) {
        rc = backup_make(jobs, op, &result.backup, &error);
    } else {
        rc = survey_run(jobs->config.env, &pace, &survey, &error);
        result.survey = &survey;
    }
    pthread_mutex_lock(&jobs->lock);
    jobs->op = NULL;
    jobs->running = false;
    pthread_mutex_unlock(&jobs->lock);
    op->done(op, rc ? &error : NULL, rc ? NULL : &result);
}

/* Runs the operation that waits, if one does. */
static void op_take(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct store_op *op = jobs->running ? NULL : jobs->op;
    jobs->running = op != NULL;
    pthread_mutex_unlock(&jobs->lock);
    if (op) {
        op_run(jobs, op);
    }
}

static bool scrub_rest(void *arg)
{
    op_take(arg);
    return jobs_rest(arg, SCRUB_REST_US);
}

static void scrub_run(struct jobs *jobs)
{
    struct error error;
    struct store_survey survey;
    const struct survey_pace pace = {.snapshot_us = SCRUB_SNAPSHOT_US, .rest = scrub_rest, .arg = jobs};
    int64_t begun = clock_monotonic_us();
    event_tell(jobs, "scrub begins");
    int rc = survey_run(jobs->config.env, &pace, &survey, &error);
    if (rc) {
        event_tell(jobs, "scrub failed: %s", error.message);
    } else {
        uint64_t findings = survey_findings(&survey);
        for (size_t i = 0; i < survey.finding_count; i++) {
            event_tell(jobs, "scrub: %s", survey.findings[i]);
        }
        event_tell(jobs, "scrub is done: %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64 " findings, %.1f s",
                   survey.conversations, survey.messages, findings,
                   (double)(clock_monotonic_us() - begun) / CLOCK_SECOND_US);
        atomic_store(&jobs->scrub_findings, findings);
        atomic_store(&jobs->scrub_time_us, (unsigned long long)jobs->config.wall_clock_us());
    }
    jobs->next_scrub_us = clock_monotonic_us() + jobs->config.scrub_interval_us;
}

static bool jobs_wait(struct jobs *jobs)
{
    struct timespec until = {.tv_sec = jobs->next_scrub_us / CLOCK_SECOND_US,
                             .tv_nsec = jobs->next_scrub_us % CLOCK_SECOND_US * 1000};
    pthread_mutex_lock(&jobs->lock);
    int rc = 0;
    while (rc == 0 && !jobs->op && !atomic_load(&jobs->stop)) {
        rc = jobs->config.scrub_interval_us > 0 ? pthread_cond_timedwait(&jobs->changed, &jobs->lock, &until)
                                                : pthread_cond_wait(&jobs->changed, &jobs->lock);
    }
    bool goes_on = jobs->op || !atomic_load(&jobs->stop);
    pthread_mutex_unlock(&jobs->lock);
    return goes_on;
}

static void *jobs_main(void *arg)
{
    struct jobs *jobs = arg;
    while (jobs_wait(jobs)) {
        op_take(jobs);
        if (jobs->config.scrub_interval_us > 0 && clock_monotonic_us() >= jobs->next_scrub_us) {
            scrub_run(jobs);
        }
    }
    return NULL;
}

int jobs_start(const struct jobs_config *config, struct jobs **ret_jobs, struct error *error)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));
    if (!jobs) {
        return error_set(error, ERROR_STARTUP, "no memory for the thread of backups");
    }
    jobs->config = *config;
    int64_t first = config->scrub_interval_us < SCRUB_FIRST_US ? config->scrub_interval_us : SCRUB_FIRST_US;
    jobs->next_scrub_us = clock_monotonic_us() + first;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int rc = pthread_create(&jobs->thread, NULL, jobs_main, jobs);
    if (rc) {
        pthread_mutex_destroy(&jobs->lock);
        pthread_cond_destroy(&jobs->changed);
        free(jobs);
        return error_set(error, ERROR_STARTUP, "the thread of backups cannot be started: %s", strerror(rc));
    }
    *ret_jobs = jobs;
    return 0;
}

static int push_check(struct jobs *jobs, const struct store_op *op, struct error *error)
{
    if (op->verb == STORE_BACKUP && !jobs->config.backup_dir) {
        return error_set(error, ERROR_BACKUP_OFF, "the daemon's configuration has no backup-dir");
    }
    if (atomic_load(&jobs->stop)) {
        return error_set(error, ERROR_SHUTTING_DOWN, "the daemon is stopping");
    }
    return jobs->op ? error_set(error, ERROR_JOB_RUNNING, "a backup or a verification is under way; wait for its end")
                    : 0;
}

void jobs_push(struct jobs *jobs, struct store_op *op)
{
    struct error error = {0};
    pthread_mutex_lock(&jobs->lock);
    int rc = push_check(jobs, op, &error);
    if (rc == 0) {
        jobs->op = op;
        pthread_cond_signal(&jobs->changed);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (rc) {
        op->done(op, &error, NULL);
    }
}

void jobs_end(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    atomic_store(&jobs->stop, true);
    pthread_cond_signal(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

struct jobs *jobs_free(struct jobs *jobs)
{
    jobs_end(jobs);
    pthread_join(jobs->thread, NULL);
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
    return NULL;
}

void jobs_add_stats(struct jobs *jobs, struct store_stats *stats)
{
    stats->scrub_time_us = atomic_load(&jobs->scrub_time_us);
    stats->scrub_findings = atomic_load(&jobs->scrub_findings);
}
