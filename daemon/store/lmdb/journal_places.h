/* Where in memory the entries of the journal stand, so that the processor can fetch them for many at once before they
 * are looked for one by one: in a large journal each search waits for memory several times. Nothing rests on it: what
 * it says may be old or missing, and nothing is read there. The writer's thread alone.
 *
 * Memory: 4 bytes for each entry the journal can hold, which cost something once they are used. */
#ifndef STORE_LMDB_JOURNAL_PLACES_H
#define STORE_LMDB_JOURNAL_PLACES_H

#include "store/lmdb/txn.h"

struct journal_places;

/* NULL when memory is short. All other functions take NULL for one that knows nothing. */
struct journal_places *journal_places_new(void);
struct journal_places *journal_places_free(struct journal_places *places);

/* Looks where those entries stand that were put since it was called last, as far as they are in the data file. */
void journal_places_learn(struct journal_places *places, struct txn *txn);

/* Have the processor fetch what the second will look at, and then, called for it a little later, the entry, of about so
 * many bytes, with what is searched around it. */
void journal_places_prefetch_place(const struct journal_places *places, uint64_t id);
void journal_places_prefetch(const struct journal_places *places, uint64_t id, size_t bytes);

#endif
