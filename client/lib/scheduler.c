/* Which exchange is on the wire, which waits, which is over. All state is behind one lock; completions are called
 * without it. nng never calls back on the thread that starts or cancels an operation, so both may happen under the
 * lock. Knows nothing of what is in a request or a reply. */
#include "scheduler.h"

#include "clock.h"
#include "error.h"

#include <assert.h>
#include <signal.h>
#include <time.h>

/* ---- Slots (lock held) ------------------------------------------------------------------------------------------ */

static void wake_timer(struct chatlog_scheduler *scheduler, int64_t when_us)
{
    if (when_us < scheduler->wake_us)
        pthread_cond_signal(&scheduler->wake);
}

static void begin_attempt(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    struct chatlog_slot *slot = scheduler->idle;
    if (slot == NULL) {
        exchange->state = EXCHANGE_WAITING;
        TAILQ_INSERT_TAIL(&scheduler->waiting, exchange, queue);
        return;
    }
    scheduler->idle = slot->next_idle;
    slot->exchange = exchange;
    slot->receiving = false;
    exchange->slot = slot;
    exchange->state = EXCHANGE_ON_WIRE;
    nng_aio_set_msg(slot->operation, chatlog_exchange_take_message(exchange, chatlog_clock_us()));
    nng_ctx_send(slot->context, slot->operation);
    wake_timer(scheduler, chatlog_connection_redial_time(scheduler->connection));
}

static void begin_waiting(struct chatlog_scheduler *scheduler)
{
    struct chatlog_exchange *exchange;
    while (scheduler->idle != NULL && (exchange = TAILQ_FIRST(&scheduler->waiting)) != NULL) {
        TAILQ_REMOVE(&scheduler->waiting, exchange, queue);
        begin_attempt(scheduler, exchange);
    }
}

/* Takes an exchange out of the list, from whatever it was doing; it then is the caller's. */
static void take(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    TAILQ_REMOVE(&scheduler->all, exchange, all);
    if (exchange->state == EXCHANGE_WAITING)
        TAILQ_REMOVE(&scheduler->waiting, exchange, queue);
    struct chatlog_slot *slot = exchange->slot;
    if (slot == NULL)
        return;
    slot->exchange = NULL;
    exchange->slot = NULL;
    nng_aio_cancel(slot->operation);
    /* A request that was not sent has come back with the cancelled operation. */
    if (slot->receiving || nng_aio_get_msg(slot->operation) == NULL)
        exchange->unanswered = true;
}

/* ---- nng's callback --------------------------------------------------------------------------------------------- */

static void receive(struct chatlog_slot *slot)
{
    slot->receiving = true;
    nng_aio_set_msg(slot->operation, NULL);
    nng_ctx_recv(slot->context, slot->operation);
    if (slot->exchange == NULL) /* given up meanwhile: this makes nng forget the request */
        nng_aio_cancel(slot->operation);
}

static void operation_ended(void *arg)
{
    struct chatlog_slot *slot = arg;
    struct chatlog_scheduler *scheduler = slot->scheduler;
    pthread_mutex_lock(&scheduler->lock);
    bool sent = slot->receiving;
    bool failed = nng_aio_result(slot->operation) != 0;
    if (!sent && !failed) {
        receive(slot);
        pthread_mutex_unlock(&scheduler->lock);
        return;
    }
    nng_msg *message = nng_aio_get_msg(slot->operation); /* the reply, or the request that could not be sent */
    nng_aio_set_msg(slot->operation, NULL);
    struct chatlog_exchange *exchange = slot->exchange;
    if (exchange != NULL) {
        TAILQ_REMOVE(&scheduler->all, exchange, all);
        exchange->slot = NULL;
        slot->exchange = NULL;
    }
    slot->next_idle = scheduler->idle;
    scheduler->idle = slot;
    begin_waiting(scheduler);
    pthread_mutex_unlock(&scheduler->lock);

    if (message != NULL && (exchange == NULL || !sent)) {
        nng_msg_free(message);
        message = NULL;
    }
    if (exchange != NULL)
        chatlog_exchange_proceed(exchange, sent, message);
}

/* ---- Timer ------------------------------------------------------------------------------------------------------ */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Moves those that are over to `ended` and starts those whose delay is over. Returns when to look again. At most
 * CHATLOG_CALLS_MAX are looked at. */
static int64_t sweep(struct chatlog_scheduler *scheduler, int64_t now_us, struct chatlog_exchange_list *ended)
{
    int64_t wake_us = INT64_MAX;
    struct chatlog_exchange *next;
    for (struct chatlog_exchange *exchange = TAILQ_FIRST(&scheduler->all); exchange != NULL; exchange = next) {
        next = TAILQ_NEXT(exchange, all);
        if (scheduler->closing || exchange->deadline_us <= now_us) {
            take(scheduler, exchange);
            TAILQ_INSERT_TAIL(ended, exchange, queue);
            continue;
        }
        if (exchange->state == EXCHANGE_DELAYED && exchange->retry_us <= now_us)
            begin_attempt(scheduler, exchange);
        wake_us = earlier(wake_us, exchange->deadline_us);
        if (exchange->state == EXCHANGE_DELAYED)
            wake_us = earlier(wake_us, exchange->retry_us);
        else if (exchange->state == EXCHANGE_ON_WIRE && !exchange->slot->receiving)
            wake_us = earlier(wake_us, chatlog_connection_redial_time(scheduler->connection));
    }
    return wake_us;
}

static void end_all(struct chatlog_exchange_list *ended, bool closing)
{
    struct chatlog_exchange *exchange;
    while ((exchange = TAILQ_FIRST(ended)) != NULL) {
        TAILQ_REMOVE(ended, exchange, queue);
        if (closing)
            chatlog_exchange_cancel(exchange);
        else
            chatlog_exchange_expire(exchange);
    }
}

static void sleep_until(struct chatlog_scheduler *scheduler, int64_t wake_us)
{
    scheduler->wake_us = wake_us;
    if (wake_us == INT64_MAX) {
        pthread_cond_wait(&scheduler->wake, &scheduler->lock);
    } else {
        struct timespec when = {.tv_sec = wake_us / 1000000, .tv_nsec = wake_us % 1000000 * 1000};
        pthread_cond_timedwait(&scheduler->wake, &scheduler->lock, &when);
    }
    scheduler->wake_us = INT64_MIN; /* awake: nobody needs to wake it */
}

static void *run_timer(void *arg)
{
    struct chatlog_scheduler *scheduler = arg;
    pthread_mutex_lock(&scheduler->lock);
    while (!scheduler->closing || !TAILQ_EMPTY(&scheduler->all)) {
        struct chatlog_exchange_list ended = TAILQ_HEAD_INITIALIZER(ended);
        bool closing = scheduler->closing;
        int64_t now_us = chatlog_clock_us();
        int64_t wake_us = sweep(scheduler, now_us, &ended);
        if (TAILQ_EMPTY(&ended) && wake_us > now_us) {
            sleep_until(scheduler, wake_us);
            continue;
        }
        pthread_mutex_unlock(&scheduler->lock);
        end_all(&ended, closing);
        if (wake_us <= now_us) /* no deadline or delay is that early after a sweep: a redial is due */
            chatlog_connection_redial(scheduler->connection);
        pthread_mutex_lock(&scheduler->lock);
    }
    pthread_mutex_unlock(&scheduler->lock);
    return NULL;
}

/* ---- Interface -------------------------------------------------------------------------------------------------- */

static void close_slots(struct chatlog_scheduler *scheduler, size_t count)
{
    /* All operations end before the first one is freed: an ending one may touch any slot. */
    for (size_t i = 0; i < count; i++)
        nng_aio_stop(scheduler->slots[i].operation);
    for (size_t i = 0; i < count; i++) {
        nng_ctx_close(scheduler->slots[i].context);
        nng_aio_free(scheduler->slots[i].operation);
    }
}

static int open_slots(struct chatlog_scheduler *scheduler)
{
    for (size_t i = 0; i < CHATLOG_SLOTS; i++) {
        struct chatlog_slot *slot = &scheduler->slots[i];
        *slot = (struct chatlog_slot){.scheduler = scheduler, .next_idle = scheduler->idle};
        bool opened = nng_ctx_open(&slot->context, scheduler->connection->socket) == 0;
        if (!opened || nng_aio_alloc(&slot->operation, operation_ended, slot) != 0) {
            if (opened)
                nng_ctx_close(slot->context);
            close_slots(scheduler, i);
            return -1;
        }
        scheduler->idle = slot;
    }
    return 0;
}

static int start_timer(struct chatlog_scheduler *scheduler)
{
    sigset_t everything;
    sigset_t before;
    sigfillset(&everything);
    pthread_sigmask(SIG_SETMASK, &everything, &before); /* signals are for the threads of the program */
    int failed = pthread_create(&scheduler->timer, NULL, run_timer, scheduler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

int chatlog_scheduler_start(struct chatlog_scheduler *scheduler, struct chatlog_connection *connection,
                            struct chatlog_error *error)
{
    scheduler->connection = connection;
    scheduler->idle = NULL;
    scheduler->closing = false;
    scheduler->wake_us = INT64_MIN;
    atomic_init(&scheduler->calls, 0);
    atomic_init(&scheduler->bytes, 0);
    TAILQ_INIT(&scheduler->all);
    TAILQ_INIT(&scheduler->waiting);
    if (open_slots(scheduler) != 0)
        return chatlog_error_memory(error);

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scheduler->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&scheduler->lock, NULL);
    if (start_timer(scheduler) == 0)
        return 0;
    close_slots(scheduler, CHATLOG_SLOTS);
    pthread_mutex_destroy(&scheduler->lock);
    pthread_cond_destroy(&scheduler->wake);
    return chatlog_error_set(error, CHATLOG_RESOURCE_EXHAUSTED, "CLIENT_THREADS", "no thread can be started");
}

bool chatlog_scheduler_reserve(struct chatlog_scheduler *scheduler, size_t bytes)
{
    size_t calls = atomic_fetch_add(&scheduler->calls, 1);
    size_t before = atomic_fetch_add(&scheduler->bytes, bytes);
    if (calls < CHATLOG_CALLS_MAX && before + bytes <= CHATLOG_CALL_BYTES_MAX)
        return true;
    chatlog_scheduler_release(scheduler, bytes);
    return false;
}

void chatlog_scheduler_release(struct chatlog_scheduler *scheduler, size_t bytes)
{
    atomic_fetch_sub(&scheduler->bytes, bytes);
    atomic_fetch_sub(&scheduler->calls, 1);
}

bool chatlog_scheduler_submit(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    assert(exchange->message != NULL && exchange->slot == NULL);
    pthread_mutex_lock(&scheduler->lock);
    bool closing = scheduler->closing;
    if (!closing) {
        TAILQ_INSERT_TAIL(&scheduler->all, exchange, all);
        bool delayed = exchange->state == EXCHANGE_DELAYED;
        wake_timer(scheduler, delayed ? earlier(exchange->retry_us, exchange->deadline_us) : exchange->deadline_us);
        if (!delayed)
            begin_attempt(scheduler, exchange);
    }
    pthread_mutex_unlock(&scheduler->lock);
    return !closing;
}

void chatlog_scheduler_stop(struct chatlog_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    scheduler->closing = true;
    pthread_cond_signal(&scheduler->wake);
    pthread_mutex_unlock(&scheduler->lock);
    pthread_join(scheduler->timer, NULL);
    close_slots(scheduler, CHATLOG_SLOTS);
    pthread_mutex_destroy(&scheduler->lock);
    pthread_cond_destroy(&scheduler->wake);
}
