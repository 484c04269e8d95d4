/* A bounded pool of read transactions, reset between uses: a read takes one, copies out what it needs, gives it
 * back, and only then answers. Thread-safe. */
#ifndef STORE_LMDB_READERS_H
#define STORE_LMDB_READERS_H

#include "store/lmdb/env.h"

#include <pthread.h>

enum { READERS_MAX = ENV_READERS_MAX / 2 };

struct readers {
    struct env *env;
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct txn idle[READERS_MAX];
    unsigned idle_count;
    unsigned made;
};

void readers_init(struct readers *readers, struct env *env);

/* Every transaction must have been given back. */
void readers_destroy(struct readers *readers);

/* A snapshot of now. Waits while all are taken; each is held for one bounded read. A failure is in txn->rc. */
struct txn readers_take(struct readers *readers);
void readers_give(struct readers *readers, struct txn *txn);

/* How many are taken now. */
unsigned readers_busy(struct readers *readers);

#endif
