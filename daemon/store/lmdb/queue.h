/* The bounded queue before the writer: operations in order of arrival. Thread-safe; knows nothing of what they do. */
#ifndef STORE_LMDB_QUEUE_H
#define STORE_LMDB_QUEUE_H

#include "store/store.h"

#include <pthread.h>

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct store_op *first;
    struct store_op *last;
    /* Of all operations that were pushed and not yet released, so also those being worked on: what
     * limits.queue_requests and limits.queue_bytes bound. */
    uint64_t length;
    uint64_t bytes;
    bool stopped;
};

/* NULL-free and unable to fail on Linux: waits use CLOCK_MONOTONIC. */
void queue_init(struct queue *queue);
void queue_destroy(struct queue *queue);

/* Returns 0, or -ERROR_QUEUE_FULL. An operation larger than queue_bytes is taken when the queue is empty. */
int queue_push(struct queue *queue, struct store_op *op, const struct limits *limits, struct error *error);

/* The operation that waits longest, or NULL. Does not wait. */
struct store_op *queue_take(struct queue *queue);

/* An operation of that size was answered. */
void queue_release(struct queue *queue, size_t size);

/* Waits until an operation is there, the queue is stopped, or the time (microseconds) is over. */
void queue_wait(struct queue *queue, int64_t timeout_us);

/* No push may follow. */
void queue_stop(struct queue *queue);

bool queue_is_empty(struct queue *queue);
bool queue_is_stopped(struct queue *queue);
void queue_measure(struct queue *queue, uint64_t *ret_length, uint64_t *ret_bytes);

#endif
