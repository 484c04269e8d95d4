/* The data file of a closed store, changed through LMDB itself: for tests of what the store does about damage. */
#ifndef SUPPORT_LMDB_FILE_H
#define SUPPORT_LMDB_FILE_H

#include "base/span.h"

/* Puts, or with an empty value removes, one entry. Fails the test when that is not possible. */
void lmdb_file_put(const char *directory, const char *table, struct span key, struct span value);

/* Copies an entry's value; returns its size. Fails the test when it is larger; get: also when there is none, for which
 * find returns 0. */
size_t lmdb_file_find(const char *directory, const char *table, struct span key, uint8_t *value, size_t size);
size_t lmdb_file_get(const char *directory, const char *table, struct span key, uint8_t *value, size_t size);

/* How many entries the table has; 0 when there is no such table. */
size_t lmdb_file_count(const char *directory, const char *table);

/* Whether there is such a table; removes it. */
bool lmdb_file_has(const char *directory, const char *table);
void lmdb_file_drop(const char *directory, const char *table);

#endif
