/* A copy of the data file as one snapshot has it, compacted, as a stream of bytes. */
#ifndef STORE_LMDB_ENV_COPY_H
#define STORE_LMDB_ENV_COPY_H

#include "store/lmdb/env.h"

struct env_copy;

/* Takes the snapshot and begins to write it to the pipe whose other end is env_copy_descriptor. It stays until
 * env_copy_end: until then no page that was freed since is used again. Returns 0, or a negative error with nothing
 * begun. */
int env_copy_begin(struct env *env, struct env_copy **ret_copy, struct error *error);

/* Where to read it; belongs to the copy. */
int env_copy_descriptor(const struct env_copy *copy);

/* The number of the last commit in it. */
uint64_t env_copy_commit(const struct env_copy *copy);

/* Ends it, perhaps before all was read, and frees it. Returns LMDB's error, of a copy that was read to its end 0. */
int env_copy_end(struct env_copy *copy);

#endif
