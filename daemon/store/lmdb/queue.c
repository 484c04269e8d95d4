#include "store/lmdb/queue.h"

#include "base/clock.h"

#include <assert.h>
#include <time.h>

enum { RETRY_QUEUE_MS = 100 };

void queue_init(struct queue *queue)
{
    pthread_condattr_t attributes;
    *queue = (struct queue){0};
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void queue_destroy(struct queue *queue)
{
    assert(!queue->first);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->mutex);
}

static bool queue_has_place(const struct queue *queue, size_t size, const struct limits *limits)
{
    if (queue->length == 0) {
        return true;
    }
    return queue->length < limits->queue_requests && queue->bytes < limits->queue_bytes &&
           size <= limits->queue_bytes - queue->bytes;
}

int queue_push(struct queue *queue, struct store_op *op, const struct limits *limits, struct error *error)
{
    op->next = NULL;
    pthread_mutex_lock(&queue->mutex);
    assert(!queue->stopped);
    bool placed = queue_has_place(queue, op->size, limits);
    if (placed) {
        if (queue->last) {
            queue->last->next = op;
        } else {
            queue->first = op;
        }
        queue->last = op;
        queue->length++;
        queue->bytes += op->size;
        pthread_cond_signal(&queue->changed);
    }
    pthread_mutex_unlock(&queue->mutex);
    if (placed) {
        return 0;
    }
    error_set(error, ERROR_QUEUE_FULL, "too many changes are waiting for the disk");
    return error_add_detail(error, "retry_delay_ms", RETRY_QUEUE_MS);
}

struct store_op *queue_take(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    struct store_op *op = queue->first;
    if (op) {
        queue->first = op->next;
        if (!queue->first) {
            queue->last = NULL;
        }
        op->next = NULL;
    }
    pthread_mutex_unlock(&queue->mutex);
    return op;
}

void queue_release(struct queue *queue, size_t size)
{
    pthread_mutex_lock(&queue->mutex);
    assert(queue->length > 0 && queue->bytes >= size);
    queue->length--;
    queue->bytes -= size;
    pthread_mutex_unlock(&queue->mutex);
}

void queue_wait(struct queue *queue, int64_t timeout_us)
{
    int64_t end_us = clock_monotonic_us() + timeout_us;
    const struct timespec end = {.tv_sec = end_us / CLOCK_SECOND_US, .tv_nsec = end_us % CLOCK_SECOND_US * 1000};
    int rc = 0;
    pthread_mutex_lock(&queue->mutex);
    while (!queue->first && !queue->stopped && rc == 0) {
        rc = pthread_cond_timedwait(&queue->changed, &queue->mutex, &end);
    }
    pthread_mutex_unlock(&queue->mutex);
}

void queue_stop(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->stopped = true;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

bool queue_is_empty(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool empty = !queue->first;
    pthread_mutex_unlock(&queue->mutex);
    return empty;
}

bool queue_is_stopped(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool stopped = queue->stopped;
    pthread_mutex_unlock(&queue->mutex);
    return stopped;
}

void queue_measure(struct queue *queue, uint64_t *ret_length, uint64_t *ret_bytes)
{
    pthread_mutex_lock(&queue->mutex);
    *ret_length = queue->length;
    *ret_bytes = queue->bytes;
    pthread_mutex_unlock(&queue->mutex);
}
