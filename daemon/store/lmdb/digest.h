/* The digest of a receipt: a sum modulo 2^128 over records, the same in whatever order and steps they are added. */
#ifndef STORE_LMDB_DIGEST_H
#define STORE_LMDB_DIGEST_H

#include "base/span.h"

/* Adds XXH3-128 over key and value. */
void digest_add(uint64_t *high, uint64_t *low, struct span key, struct span value);

#endif
