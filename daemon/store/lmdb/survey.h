/* Looks at everything there is, conversation by conversation, in short snapshots: what store_verify reports. */
#ifndef STORE_LMDB_SURVEY_H
#define STORE_LMDB_SURVEY_H

#include "store/lmdb/env.h"
#include "store/maintenance.h"

/* How a survey goes about it. All may be 0. */
struct survey_pace {
    int64_t snapshot_us; /* about as long as one lasts; 0: half a second */
    /* Called between two snapshots, when none is held; may block. False: give up (ERROR_SHUTTING_DOWN). */
    bool (*rest)(void *arg);
    /* Told of each finding, in words, also of those beyond STORE_FINDINGS_MAX. */
    void (*tell)(void *arg, enum store_event event, const char *finding); /* store_config.event */
    void *arg;
};

/* Returns 0 with *ret filled, or a negative error. */
int survey_run(struct env *env, const struct survey_pace *pace, struct store_survey *ret, struct error *error);

/* How much is wrong. */
uint64_t survey_findings(const struct store_survey *survey);

#endif
