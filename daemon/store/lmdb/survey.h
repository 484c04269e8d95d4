/* Looks at everything there is, conversation by conversation, in short snapshots: what store_verify reports. */
#ifndef STORE_LMDB_SURVEY_H
#define STORE_LMDB_SURVEY_H

#include "store/lmdb/env.h"
#include "store/maintenance.h"

int survey_run(struct env *env, struct store_survey *ret, struct error *error);

#endif
