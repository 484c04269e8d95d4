/* How a data file comes into being: whole, or not at all. LMDB writes the first two pages of a new file without a sync,
 * and refuses a file that has half of them; so the file is made in a directory of its own, and gets its name when its
 * tables and its marker are on disk. */
#ifndef STORE_LMDB_BIRTH_H
#define STORE_LMDB_BIRTH_H

#include "store/lmdb/env.h"

/* Puts DIRECTORY_DATA_FILE into the directory, on disk when it returns 0. */
typedef int birth_fill(void *arg, const char *directory, struct error *error);

/* Gives the data directory the data file that `fill` makes. The directory's lock is held. */
int birth_make(const char *data_dir, birth_fill *fill, void *arg, struct error *error);

/* Removes what an earlier try left behind, and makes the data file if there is none. The directory's lock is held. */
int birth_run(const struct env_config *config, struct error *error);

#endif
