/* What an operator does to a data directory that no daemon serves, or looks at beside one: where a migration stands,
 * what one would bring, whether everything is sound, migrating here and now, and making one of a backup. Every function
 * blocks until it is done. Not for a process that has the store open itself: LMDB's locks are a process's, and opening
 * the file again takes them from the first, whose last commit can then be lost. Of store_config they use data_dir,
 * map_bytes, disk_reserve_bytes, event and wall_clock_us. */
#ifndef STORE_MAINTENANCE_H
#define STORE_MAINTENANCE_H

#include "store/store.h"

/* Reads only, also beside a daemon. */
struct store_status {
    uint32_t layout;
    uint32_t target; /* = layout: at rest */
    uint32_t newest; /* this program's */
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    uint64_t used_bytes;
    uint64_t file_bytes;
    uint64_t free_bytes; /* on the disk beyond the reserve */
    uint64_t quarantine; /* entries */
    uint64_t removals;   /* under way */
    struct store_migration migration;
};
int store_status(const struct store_config *config, struct store_status *ret, struct error *error);

/* Looks at everything, read only, also beside a daemon. Tells config->event each finding in words. */
int store_verify(const struct store_config *config, struct store_survey *ret, struct error *error);

/* Makes the data directory, which must be new or empty, of a backup: its file is compared with its manifest and opened
 * before it gets its name. */
int store_restore(const struct store_config *config, const char *from, struct store_backup *ret, struct error *error);

/* What a salvage brought over, and what it could not. */
struct store_salvage {
    uint64_t conversations;
    uint64_t messages;
    uint64_t events;  /* of the audit trail */
    uint64_t renamed; /* conversations that have lost their own or their user's name, and got one of their number */
    uint64_t lost;    /* records or pages; each is told to config->event */
};

/* Makes config->data_dir, which must not exist, of what can be read in `from`: in the newest layout, sound, with the
 * seqs, times and IDs it had. Made as DATA-DIR.partial. Fails when not even the marker can be read; damage in LMDB's
 * own pages may end the process. */
int store_salvage(const struct store_config *config, const char *from, struct store_salvage *ret, struct error *error);

/* A migration to `to`, surveyed and tried out: the first messages are copied to a directory of their own inside the
 * data directory, which is removed again, and really migrated there. */
struct store_forecast {
    uint32_t from;
    uint32_t to;
    struct store_survey survey;
    double survey_seconds;
    uint64_t file_bytes;           /* now */
    uint64_t predicted_used_bytes; /* of data, afterwards */
    uint64_t predicted_file_bytes; /* the largest the file gets */
    uint64_t needed_bytes;         /* free on the disk */
    uint64_t free_bytes;
    uint64_t trial_messages;
    double trial_seconds;
    double predicted_seconds;
};
int store_forecast(const struct store_config *config, uint32_t to, struct store_forecast *ret, struct error *error);

/* Migrates to that layout; takes the directory's lock. What was begun before is finished first. Refuses to leave behind
 * what the layout cannot say unless accept_loss. Killed at any moment, it goes on when it is run again. */
int store_migrate_to(const struct store_config *config, uint32_t layout, bool accept_loss, struct store_migration *ret,
                     struct error *error);

#endif
