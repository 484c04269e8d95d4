/* When the writer's thread moves the next slice of a migration, and what is told of it: full speed while there is
 * nothing else to do, a seventh of one processor otherwise; paused while there is no room; halted when it fails again
 * and again. Knows no record; the writer runs the slices. */
#ifndef STORE_LMDB_MIGRATE_DRIVER_H
#define STORE_LMDB_MIGRATE_DRIVER_H

#include "store/lmdb/migrate.h"
#include "store/store.h"

#include <pthread.h>

struct migrate_driver_config {
    enum store_migrate mode;
    uint32_t to;          /* a layout */
    size_t slice_records; /* 0: as many as the time allows */
    void (*event)(void *arg, enum store_event event, const char *line);
    void *event_arg;
};

struct migrate_driver {
    struct migrate_driver_config config;
    bool active;                  /* slices are to be run, but first, once: */
    bool to_start;                /* migrate_driver_begin and migrate_driver_begun */
    bool to_begin;                /* then: the data has an older layout and is to be moved */
    bool to_resume;               /* then: a migration was halted before the start */
    size_t slice_bytes;           /* less while there is little room */
    int64_t used_us;              /* clock_thread_us when the slice began */
    int64_t next_us;              /* clock_monotonic_us before which not to */
    int64_t next_line_us;         /* the same of the next line of progress */
    struct migration_entry entry; /* as the last commit left it */
    /* For the rate: what was moved at that time. */
    uint64_t mark_moved;
    int64_t mark_us;
    pthread_mutex_t mutex; /* guards `shown` */
    struct migrate_shown {
        enum store_migration_state state;
        uint32_t from; /* of a migration that is held back */
        uint64_t messages_per_second;
        char last_error[MIGRATE_WHY_BYTES];
    } shown;
};

void migrate_driver_init(struct migrate_driver *driver, const struct migrate_driver_config *config);
void migrate_driver_destroy(struct migrate_driver *driver);

/* Looks what there is to do in a store that was just opened. */
void migrate_driver_look(struct migrate_driver *driver, struct txn *txn);

/* Begins or takes up what the look found. After the commit: */
void migrate_driver_begin(struct migrate_driver *driver, struct work *work);
void migrate_driver_begun(struct migrate_driver *driver);

/* How long until the next slice; 0: now; INT64_MAX: never. */
int64_t migrate_driver_wait(const struct migrate_driver *driver);

/* Of the slice that begins now. busy: operations come in. */
struct migrate_budget migrate_driver_budget(struct migrate_driver *driver, bool busy);

/* The slice was committed. */
void migrate_driver_moved(struct migrate_driver *driver, enum migrate_result result,
                          const struct migration_entry *entry, bool busy);

/* There is no room on the disk; or a slice met that, of which a smaller part may find some. */
void migrate_driver_pause(struct migrate_driver *driver, const char *why);
void migrate_driver_shrink(struct migrate_driver *driver, const char *why);

/* A slice failed, and entry (NULL: not even that could be stored) tells how often. */
void migrate_driver_failed(struct migrate_driver *driver, const char *why, const struct migration_entry *entry);

/* Adds what the driver knows to what the data file says. Any thread. */
void migrate_driver_show(struct migrate_driver *driver, struct store_migration *migration);

#endif
