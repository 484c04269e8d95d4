/* A migration from begin to end in one go, by somebody who holds the environment alone. */
#ifndef STORE_LMDB_MIGRATE_OFFLINE_H
#define STORE_LMDB_MIGRATE_OFFLINE_H

#include "store/lmdb/env.h"
#include "store/lmdb/migrate.h"

struct offline {
    struct env *env;
    int64_t (*wall_clock_us)(void);
    void (*event)(void *arg, enum store_event event, const char *line); /* or NULL */
    void *event_arg;
    size_t slice_records; /* 0: many */
};

/* Migrates to the layout, finishing first what was begun. Returns 0 or a negative error. */
int offline_migrate(const struct offline *offline, uint32_t layout, struct error *error);

#endif
