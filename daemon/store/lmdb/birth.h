/* How a data file comes into being: whole, or not at all. LMDB writes the first two pages of a new file without a sync,
 * and refuses a file that has half of them; so the file is made in a directory of its own, and gets its name when its
 * tables and its marker are on disk. */
#ifndef STORE_LMDB_BIRTH_H
#define STORE_LMDB_BIRTH_H

#include "store/lmdb/env.h"

/* Removes what an earlier try left behind, and makes the data file if there is none. The directory's lock is held. */
int birth_run(const struct env_config *config, struct error *error);

#endif
