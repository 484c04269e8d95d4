#include "store/lmdb/readers.h"

#include <assert.h>

void readers_init(struct readers *readers, struct env *env)
{
    *readers = (struct readers){.env = env};
    pthread_mutex_init(&readers->mutex, NULL);
    pthread_cond_init(&readers->given, NULL);
}

void readers_destroy(struct readers *readers)
{
    assert(readers->idle_count == readers->made);
    for (unsigned i = 0; i < readers->idle_count; i++) {
        env_abort(&readers->idle[i]);
    }
    pthread_cond_destroy(&readers->given);
    pthread_mutex_destroy(&readers->mutex);
}

struct txn readers_take(struct readers *readers)
{
    struct txn txn = {0};
    pthread_mutex_lock(&readers->mutex);
    while (readers->idle_count == 0 && readers->made == READERS_MAX) {
        pthread_cond_wait(&readers->given, &readers->mutex);
    }
    bool made = readers->idle_count > 0;
    if (made) {
        txn = readers->idle[--readers->idle_count];
    } else {
        readers->made++;
    }
    pthread_mutex_unlock(&readers->mutex);
    if (made) {
        env_renew_read(&txn);
    } else {
        txn = env_begin_read(readers->env);
    }
    return txn;
}

void readers_give(struct readers *readers, struct txn *txn)
{
    if (txn->rc) {
        env_abort(txn); /* a fresh one is made when it is needed */
    } else {
        env_reset_read(txn);
    }
    pthread_mutex_lock(&readers->mutex);
    if (txn->handle) {
        readers->idle[readers->idle_count++] = *txn;
    } else {
        readers->made--;
    }
    pthread_cond_signal(&readers->given);
    pthread_mutex_unlock(&readers->mutex);
    txn->handle = NULL;
}

unsigned readers_busy(struct readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    unsigned busy = readers->made - readers->idle_count;
    pthread_mutex_unlock(&readers->mutex);
    return busy;
}
