/* Which call is on the wire, which waits, which is over: the one thread of a client. Callers only put exchanges into
 * `submitted`; all else belongs to the thread, which calls completions without any lock. Knows nothing of what is in a
 * request or a reply. */
#include "scheduler.h"

#include "clock.h"
#include "error.h"
#include "memory.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    REPLIES_A_ROUND = 256,    /* read before deadlines are looked at again */
    WRITE_BYTES = 256 * 1024, /* about what is written with one call */
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- Lists and slots --------------------------------------------------------------------------------------------- */

static void free_slot(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    assert(scheduler->slots[exchange->slot].exchange == exchange);
    scheduler->slots[exchange->slot].exchange = NULL;
    scheduler->slots_taken--;
}

static struct chatlog_slot *take_slot(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    assert(scheduler->slots_taken < CHATLOG_SLOTS);
    do
        scheduler->last_slot = (scheduler->last_slot + 1) % CHATLOG_SLOTS;
    while (scheduler->slots[scheduler->last_slot].exchange != NULL);
    struct chatlog_slot *slot = &scheduler->slots[scheduler->last_slot];
    /* The upper bits count the requests, so that a late answer finds another id in its slot. */
    *slot = (struct chatlog_slot){exchange, 0x80000000u | scheduler->next_id++ * CHATLOG_SLOTS | scheduler->last_slot};
    scheduler->slots_taken++;
    exchange->slot = scheduler->last_slot;
    exchange->state = EXCHANGE_ON_WIRE;
    return slot;
}

/* Takes an exchange out of all lists, from whatever it was doing. Returns whether the daemon may have its request. */
static bool take_out(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    TAILQ_REMOVE(&scheduler->all, exchange, all);
    if (exchange->state == EXCHANGE_WAITING)
        TAILQ_REMOVE(&scheduler->waiting, exchange, queue);
    if (exchange->state != EXCHANGE_ON_WIRE)
        return false;
    free_slot(scheduler, exchange);
    if (scheduler->writing != exchange)
        return true;
    scheduler->writing = NULL;
    bool begun = chatlog_connection_forget(&scheduler->connection, exchange->envelope);
    if (begun)
        exchange->envelope = NULL; /* the connection's now */
    return begun;
}

static void wait_in_line(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    exchange->state = EXCHANGE_WAITING;
    TAILQ_INSERT_TAIL(&scheduler->waiting, exchange, queue);
}

void chatlog_scheduler_delay(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    exchange->state = EXCHANGE_DELAYED;
    TAILQ_INSERT_TAIL(&scheduler->all, exchange, all);
    scheduler->sweep_us = earlier(scheduler->sweep_us, earlier(exchange->retry_us, exchange->deadline_us));
}

bool chatlog_scheduler_connected(const struct chatlog_scheduler *scheduler, int *ret_why)
{
    *ret_why = scheduler->connection.why;
    return scheduler->connection.state == CONNECTION_UP;
}

/* ---- What a round of the thread consists of ---------------------------------------------------------------------- */

/* Takes in what callers have submitted. Returns whether the client is being closed. */
static bool admit(struct chatlog_scheduler *scheduler, int64_t now_us)
{
    struct chatlog_exchange_list submitted = TAILQ_HEAD_INITIALIZER(submitted);
    pthread_mutex_lock(&scheduler->lock);
    scheduler->asleep = false;
    TAILQ_CONCAT(&submitted, &scheduler->submitted, queue);
    bool closing = scheduler->closing;
    pthread_mutex_unlock(&scheduler->lock);

    struct chatlog_exchange *exchange;
    while ((exchange = TAILQ_FIRST(&submitted)) != NULL) {
        TAILQ_REMOVE(&submitted, exchange, queue);
        if (TAILQ_EMPTY(&scheduler->all)) /* the first after a pause does not wait for a dialling pause to end */
            chatlog_connection_hurry(&scheduler->connection, now_us);
        TAILQ_INSERT_TAIL(&scheduler->all, exchange, all);
        wait_in_line(scheduler, exchange);
        scheduler->sweep_us = earlier(scheduler->sweep_us, exchange->deadline_us);
    }
    return closing;
}

static void cancel_all(struct chatlog_scheduler *scheduler)
{
    struct chatlog_exchange *exchange;
    while ((exchange = TAILQ_FIRST(&scheduler->all)) != NULL) {
        exchange->unanswered |= take_out(scheduler, exchange);
        chatlog_exchange_cancel(exchange);
    }
}

/* Ends those whose deadline has passed and puts those whose delay is over back in line. At most CHATLOG_CALLS_MAX are
 * looked at, and only when one of them is due. */
static void sweep(struct chatlog_scheduler *scheduler, int64_t now_us)
{
    if (now_us < scheduler->sweep_us)
        return;
    scheduler->sweep_us = INT64_MAX;
    struct chatlog_exchange *next;
    for (struct chatlog_exchange *exchange = TAILQ_FIRST(&scheduler->all); exchange != NULL; exchange = next) {
        next = TAILQ_NEXT(exchange, all);
        if (exchange->deadline_us <= now_us) {
            exchange->unanswered |= take_out(scheduler, exchange);
            chatlog_exchange_expire(exchange);
            continue;
        }
        if (exchange->state == EXCHANGE_DELAYED && exchange->retry_us <= now_us)
            wait_in_line(scheduler, exchange);
        scheduler->sweep_us = earlier(scheduler->sweep_us, exchange->deadline_us);
        if (exchange->state == EXCHANGE_DELAYED)
            scheduler->sweep_us = earlier(scheduler->sweep_us, exchange->retry_us);
    }
}

static void lose_connection(struct chatlog_scheduler *scheduler, int64_t now_us)
{
    struct chatlog_exchange *unfinished = scheduler->writing; /* the daemon cannot act on part of a request */
    scheduler->writing = NULL;
    chatlog_connection_drop(&scheduler->connection, now_us);
    for (unsigned i = 0; i < CHATLOG_SLOTS; i++) {
        struct chatlog_exchange *exchange = scheduler->slots[i].exchange;
        if (exchange == NULL)
            continue;
        take_out(scheduler, exchange);
        chatlog_exchange_lost(exchange, exchange != unfinished);
    }
}

/* Takes the next in line on the wire. */
static struct chatlog_exchange *begin_next(struct chatlog_scheduler *scheduler, int64_t now_us,
                                           struct chatlog_outgoing *ret_frame)
{
    struct chatlog_exchange *exchange = TAILQ_FIRST(&scheduler->waiting);
    TAILQ_REMOVE(&scheduler->waiting, exchange, queue);
    struct chatlog_slot *slot = take_slot(scheduler, exchange);
    int64_t left_ms = (exchange->deadline_us - now_us + 999) / 1000;
    ret_frame->tail_length = chatlog_envelope_encode_timeout(left_ms < 1 ? 1 : (uint32_t)left_ms, ret_frame->tail);
    ret_frame->body = exchange->envelope;
    ret_frame->body_length = exchange->envelope_length;
    chatlog_connection_put_header(&scheduler->connection, slot->id, ret_frame);
    exchange->attempts++;
    return exchange;
}

/* Back to the front of the line: nothing of it was written. */
static void step_back(struct chatlog_scheduler *scheduler, struct chatlog_exchange *exchange)
{
    free_slot(scheduler, exchange);
    exchange->attempts--;
    exchange->state = EXCHANGE_WAITING;
    TAILQ_INSERT_HEAD(&scheduler->waiting, exchange, queue);
}

/* Writes as many as may be on the wire and fit into one call. Returns as chatlog_connection_flush(). */
static int write_next(struct chatlog_scheduler *scheduler, int64_t now_us)
{
    struct chatlog_outgoing frames[CHATLOG_OUTGOING_MAX];
    struct chatlog_exchange *begun[CHATLOG_OUTGOING_MAX];
    size_t count = 0;
    size_t bytes = 0;
    while (count < CHATLOG_OUTGOING_MAX && bytes < WRITE_BYTES && !TAILQ_EMPTY(&scheduler->waiting) &&
           scheduler->slots_taken < CHATLOG_SLOTS) {
        begun[count] = begin_next(scheduler, now_us, &frames[count]);
        bytes += begun[count++]->envelope_length;
    }
    size_t written;
    int result = chatlog_connection_write(&scheduler->connection, frames, count, &written);
    size_t kept = written + (result == 0);
    if (result == 0)
        scheduler->writing = begun[written];
    while (count > kept)
        step_back(scheduler, begun[--count]);
    return result;
}

/* Returns false when the connection is lost. */
static bool write_all(struct chatlog_scheduler *scheduler, int64_t now_us)
{
    int result = chatlog_connection_flush(&scheduler->connection);
    while (result == 1) {
        scheduler->writing = NULL;
        if (TAILQ_EMPTY(&scheduler->waiting) || scheduler->slots_taken == CHATLOG_SLOTS)
            return true;
        result = write_next(scheduler, now_us);
    }
    return result == 0;
}

static void deliver(struct chatlog_scheduler *scheduler, const struct chatlog_incoming *incoming)
{
    const struct chatlog_slot *slot = &scheduler->slots[incoming->id % CHATLOG_SLOTS];
    struct chatlog_exchange *exchange = slot->exchange;
    /* An answer to a call that was given up, or to a request that is not written yet, is nobody's. */
    if (exchange != NULL && slot->id == incoming->id && scheduler->writing != exchange) {
        take_out(scheduler, exchange);
        chatlog_exchange_answer(exchange, incoming->body, incoming->length);
    }
}

/* 1: there may be more; 0: all is read; -1: the connection is lost. */
static int read_all(struct chatlog_scheduler *scheduler)
{
    for (int i = 0; i < REPLIES_A_ROUND; i++) {
        struct chatlog_incoming incoming;
        int result = chatlog_connection_read(&scheduler->connection, &incoming);
        if (result != 1)
            return result;
        deliver(scheduler, &incoming);
    }
    return 1;
}

/* Returns true when there is more to do at once. */
static bool exchange_bytes(struct chatlog_scheduler *scheduler, int64_t now_us, short revents)
{
    chatlog_connection_work(&scheduler->connection, now_us, revents);
    if (scheduler->connection.state != CONNECTION_UP)
        return false;
    int more = revents != 0 ? read_all(scheduler) : 0;
    if (more >= 0 && write_all(scheduler, now_us))
        return more > 0;
    lose_connection(scheduler, now_us);
    return false;
}

/* ---- The thread -------------------------------------------------------------------------------------------------- */

/* From now on submit() wakes the thread. Returns false when something was submitted meanwhile. */
static bool fall_asleep(struct chatlog_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    scheduler->asleep = TAILQ_EMPTY(&scheduler->submitted) && !scheduler->closing;
    bool asleep = scheduler->asleep;
    pthread_mutex_unlock(&scheduler->lock);
    return asleep;
}

/* Waits for the socket, for a wake-up, or until the time. Returns poll()'s revents of the socket. */
static short wait_for_events(struct chatlog_scheduler *scheduler, int64_t until_us)
{
    struct pollfd fds[] = {
        {.fd = scheduler->wake_fd, .events = POLLIN},
        {.fd = scheduler->connection.fd, .events = chatlog_connection_events(&scheduler->connection)},
    };
    int64_t left_us = until_us - chatlog_clock_us();
    int64_t left_ms = left_us <= 0 ? 0 : left_us > 60000000 ? 60000 : (left_us + 999) / 1000;
    if (left_ms > 0 && !fall_asleep(scheduler))
        left_ms = 0;
    if (poll(fds, 2, (int)left_ms) <= 0)
        return 0;
    eventfd_t ignored;
    if (fds[0].revents != 0)
        eventfd_read(scheduler->wake_fd, &ignored);
    return fds[1].revents;
}

static void *run(void *arg)
{
    struct chatlog_scheduler *scheduler = arg;
    short revents = 0;
    while (!admit(scheduler, chatlog_clock_us())) {
        int64_t now_us = chatlog_clock_us();
        sweep(scheduler, now_us);
        bool more = exchange_bytes(scheduler, now_us, revents);
        int64_t until_us = earlier(scheduler->sweep_us, chatlog_connection_time(&scheduler->connection));
        revents = wait_for_events(scheduler, more ? now_us : until_us);
        if (more)
            revents |= POLLIN;
    }
    cancel_all(scheduler);
    return NULL;
}

/* ---- Interface --------------------------------------------------------------------------------------------------- */

static int start_thread(struct chatlog_scheduler *scheduler)
{
    sigset_t everything;
    sigset_t before;
    sigfillset(&everything);
    pthread_sigmask(SIG_SETMASK, &everything, &before); /* signals are for the threads of the program */
    int failed = pthread_create(&scheduler->thread, NULL, run, scheduler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

int chatlog_scheduler_start(struct chatlog_scheduler *scheduler, const struct chatlog_address *address,
                            struct chatlog_error *error)
{
    scheduler->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (scheduler->wake_fd < 0)
        return chatlog_error_set(error, CHATLOG_RESOURCE_EXHAUSTED, "CLIENT_FILES", "no file descriptor is left");
    atomic_init(&scheduler->calls, 0);
    atomic_init(&scheduler->bytes, 0);
    scheduler->closing = false;
    scheduler->asleep = false;
    scheduler->sweep_us = INT64_MAX;
    scheduler->slots_taken = 0;
    scheduler->last_slot = 0;
    scheduler->next_id = chatlog_random_below(UINT32_MAX);
    scheduler->writing = NULL;
    for (size_t i = 0; i < CHATLOG_SLOTS; i++)
        scheduler->slots[i] = (struct chatlog_slot){0};
    TAILQ_INIT(&scheduler->submitted);
    TAILQ_INIT(&scheduler->all);
    TAILQ_INIT(&scheduler->waiting);
    chatlog_connection_init(&scheduler->connection, address, scheduler->wake_fd);
    pthread_mutex_init(&scheduler->lock, NULL);
    if (start_thread(scheduler) == 0)
        return 0;
    pthread_mutex_destroy(&scheduler->lock);
    close(scheduler->wake_fd);
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
    pthread_mutex_lock(&scheduler->lock);
    bool closing = scheduler->closing;
    if (!closing) {
        TAILQ_INSERT_TAIL(&scheduler->submitted, exchange, queue);
        if (scheduler->asleep) {
            scheduler->asleep = false; /* one wake-up is enough */
            eventfd_write(scheduler->wake_fd, 1);
        }
    }
    pthread_mutex_unlock(&scheduler->lock);
    return !closing;
}

void chatlog_scheduler_stop(struct chatlog_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    scheduler->closing = true;
    pthread_mutex_unlock(&scheduler->lock);
    eventfd_write(scheduler->wake_fd, 1);
    pthread_join(scheduler->thread, NULL);
    chatlog_connection_fini(&scheduler->connection);
    pthread_mutex_destroy(&scheduler->lock);
    close(scheduler->wake_fd);
}
