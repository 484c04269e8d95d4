#include "supervisor.h"

#include "base/clock.h"
#include "supervisor_probe.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

enum {
    START_PROBE_MS = 10000,
    TICK_MS = 2000,         /* between two looks */
    PROBE_MS = 5000,        /* for each step of asking a listener */
    WATCHDOG_PARTS = 4,     /* of the watchdog's time; neither of these is longer than one */
    SILENCE_MAX_MS = 10000, /* of the writer: no commit on a sound disk takes so long */
    STATUS_BYTES = 256,
};

struct supervisor {
    struct supervisor_config config;
    bool watched; /* there is a watchdog to feed */
    unsigned tick_ms;
    unsigned probe_ms;
    bool was_well;
    char status[STATUS_BYTES]; /* the last that was told */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards `ended` */
    pthread_cond_t wake;
    bool ended;
};

static const char *const migration_words[] = {
    [STORE_MIGRATION_NONE] = "",
    [STORE_MIGRATION_MOVING] = "moving from layout",
    [STORE_MIGRATION_PAUSED] = "paused for want of room: moving from layout",
    [STORE_MIGRATION_HALTED] = "halted (chatlog info tells why): moving from layout",
    [STORE_MIGRATION_HELD] = "held (migrate = hold): moving from layout",
};

/* "Serving layout 1; moving from layout 1 to 2: 42 % of 1200000 messages, 90000 a second, 8 s left" */
static void status_format(struct store *store, char text[STATUS_BYTES])
{
    struct store_migration migration;
    store_migration(store, &migration);
    size_t length = (size_t)snprintf(text, STATUS_BYTES, "Serving layout %" PRIu32 "%s", store_describe(store).layout,
                                     store_takes_writes(store) ? "" : "; the disk is full: only reads and deletes");
    if (migration.state == STORE_MIGRATION_NONE) {
        return;
    }
    length += (size_t)snprintf(text + length, STATUS_BYTES - length, "; %s %" PRIu32 " to %" PRIu32,
                               migration_words[migration.state], migration.from, migration.to);
    uint64_t total = migration.messages_total;
    uint64_t moved = migration.messages_moved < total ? migration.messages_moved : total;
    if (total > 0) {
        length += (size_t)snprintf(text + length, STATUS_BYTES - length, ": %" PRIu64 " %% of %" PRIu64 " messages",
                                   moved * 100 / total, total);
    }
    if (migration.seconds_left >= 0) {
        snprintf(text + length, STATUS_BYTES - length, ", %" PRIu64 " a second, %" PRId64 " s left",
                 migration.messages_per_second, migration.seconds_left);
    }
}

static void status_tell(struct supervisor *supervisor)
{
    char status[STATUS_BYTES] = "";
    status_format(supervisor->config.store, status);
    if (strcmp(status, supervisor->status) != 0) {
        memcpy(supervisor->status, status, sizeof(status));
        sd_notifyf(0, "STATUS=%s", status);
    }
}

/* NULL when all goes on; else what does not. */
static const char *illness_find(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->config.url_count; i++) {
        if (!supervisor_probe(supervisor->config.urls[i], supervisor->probe_ms)) {
            return "a listener does not answer";
        }
    }
    bool silent = store_silence_us(supervisor->config.store) > (int64_t)SILENCE_MAX_MS * CLOCK_MILLISECOND_US;
    return silent ? "the writer does not go on" : NULL;
}

static void watchdog_feed(struct supervisor *supervisor)
{
    const char *illness = illness_find(supervisor);
    if (!illness) {
        sd_notify(0, "WATCHDOG=1");
    } else if (supervisor->was_well) {
        log_error(supervisor->config.log, "%s; the watchdog is not fed until that ends", illness);
    }
    supervisor->was_well = !illness;
}

static bool tick_wait(struct supervisor *supervisor)
{
    int64_t end_us = clock_monotonic_us() + (int64_t)supervisor->tick_ms * CLOCK_MILLISECOND_US;
    const struct timespec end = {.tv_sec = end_us / CLOCK_SECOND_US, .tv_nsec = end_us % CLOCK_SECOND_US * 1000};
    int rc = 0;
    pthread_mutex_lock(&supervisor->mutex);
    while (!supervisor->ended && rc == 0) {
        rc = pthread_cond_timedwait(&supervisor->wake, &supervisor->mutex, &end);
    }
    bool ended = supervisor->ended;
    pthread_mutex_unlock(&supervisor->mutex);
    return !ended;
}

static void *supervisor_main(void *arg)
{
    struct supervisor *supervisor = arg;
    do {
        if (supervisor->watched) {
            watchdog_feed(supervisor);
        }
        status_tell(supervisor);
    } while (tick_wait(supervisor));
    return NULL;
}

static struct supervisor *supervisor_new(const struct supervisor_config *config)
{
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
    if (!supervisor) {
        return NULL;
    }
    uint64_t watchdog_us = 0;
    supervisor->config = *config;
    supervisor->was_well = true;
    supervisor->watched = sd_watchdog_enabled(0, &watchdog_us) > 0;
    uint64_t part_ms = supervisor->watched ? watchdog_us / CLOCK_MILLISECOND_US / WATCHDOG_PARTS + 1 : PROBE_MS;
    supervisor->tick_ms = part_ms < TICK_MS ? (unsigned)part_ms : TICK_MS;
    supervisor->probe_ms = part_ms < PROBE_MS ? (unsigned)part_ms : PROBE_MS;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&supervisor->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&supervisor->mutex, NULL);
    return supervisor;
}

static void supervisor_free(struct supervisor *supervisor)
{
    pthread_cond_destroy(&supervisor->wake);
    pthread_mutex_destroy(&supervisor->mutex);
    free(supervisor);
}

int supervisor_start(const struct supervisor_config *config, struct supervisor **ret_supervisor, struct error *error)
{
    assert(config->store && config->url_count > 0);
    if (sd_notify(0, "STATUS=Asking the listeners") <= 0) {
        *ret_supervisor = NULL;
        return 0;
    }
    for (size_t i = 0; i < config->url_count; i++) {
        if (!supervisor_probe(config->urls[i], START_PROBE_MS)) {
            return error_set(error, ERROR_STARTUP, "%s is listened on, but does not answer a request", config->urls[i]);
        }
    }
    struct supervisor *supervisor = supervisor_new(config);
    if (!supervisor || pthread_create(&supervisor->thread, NULL, supervisor_main, supervisor)) {
        if (supervisor) {
            supervisor_free(supervisor);
        }
        return error_set(error, ERROR_STARTUP, "memory or threads are too short to start");
    }
    sd_notify(0, "READY=1");
    *ret_supervisor = supervisor;
    return 0;
}

void supervisor_reload_begin(struct supervisor *supervisor)
{
    if (supervisor) {
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
    }
}

void supervisor_reload_end(struct supervisor *supervisor)
{
    if (supervisor) {
        sd_notify(0, "READY=1");
    }
}

struct supervisor *supervisor_stop(struct supervisor *supervisor)
{
    if (supervisor) {
        pthread_mutex_lock(&supervisor->mutex);
        supervisor->ended = true;
        pthread_cond_signal(&supervisor->wake);
        pthread_mutex_unlock(&supervisor->mutex);
        pthread_join(supervisor->thread, NULL);
        supervisor_free(supervisor);
        sd_notify(0, "STOPPING=1\nSTATUS=Answering what is under way");
    }
    return NULL;
}
