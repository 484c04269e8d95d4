/* Readers beside threads that append, edit and purge, while what was appended is folded: whatever moves meanwhile, no
 * message is missing, none is there twice, and what was answered is seen by every later read. Must not know an engine.
 * cmocka's assertions belong to the main thread: the others only count what must not be. */
#include "support/store_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    THREADS = 3,
    READERS = 3,
    WORKERS = READERS + 2 + THREADS,
    APPENDS = 120,
    BATCH_MAX = 3,
    PAUSE_EVERY = 10,
    PAUSE_US = 4000,
    NEAR = 20
};

static const char *const names[THREADS] = {"t0", "t1", "t2"};

struct shared {
    struct client *client;
    atomic_uint_fast64_t answered[THREADS]; /* last_seq of each conversation */
    atomic_bool stop;
};

struct worker {
    pthread_t thread;
    struct shared *shared;
    unsigned number;
    unsigned steps;
    unsigned refused;
    unsigned holes;     /* a page that is not one run of numbers */
    unsigned lost;      /* less than was answered before */
    unsigned shrinks;   /* less than was seen before */
    unsigned twice;     /* a conversation not exactly once in the list */
    unsigned disagrees; /* counts that do not fit */
};

static void *appender_run(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;
    const struct store_message messages[BATCH_MAX] = {
        {.content = span_of_string("one")}, {.content = span_of_string("two")}, {.content = span_of_string("three")}};
    for (unsigned i = 0; i < APPENDS; i++) {
        struct store_op op = op_creating(op_append("alice", names[worker->number], messages, 1 + i % BATCH_MAX));
        const struct answer *answer = client_run(shared->client, op);
        worker->refused += answer->reason != ERROR_NONE_REASON;
        atomic_store(&shared->answered[worker->number], answer->result.last_seq);
        worker->steps++;
        if (i % PAUSE_EVERY == worker->number) {
            usleep(PAUSE_US); /* so that nothing comes, now and then */
        }
    }
    return NULL;
}

/* Changes what a change cannot leave in the journal. */
static void *editor_run(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;
    const struct store_message edited = {.content = span_of_string("edited")};
    const struct store_conversation titled = {.title = span_of_string("title")};
    for (unsigned i = 0; !atomic_load(&shared->stop); i++) {
        uint64_t last_seq = atomic_load(&shared->answered[i % THREADS]);
        const char *name = names[i % THREADS];
        if (last_seq > 0) {
            struct store_op op = i % 2 ? op_edit("alice", name, 1 + i % last_seq, STORE_MASK_CONTENT, &edited)
                                       : op_update("alice", name, STORE_MASK_TITLE, &titled);
            worker->refused += client_run(shared->client, op)->reason != ERROR_NONE_REASON;
            worker->steps++;
        }
        usleep(PAUSE_US / 4);
    }
    return NULL;
}

static void *purger_run(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;
    const struct store_message message = {.content = span_of_string("soon gone")};
    while (!atomic_load(&shared->stop)) {
        for (uint64_t i = 1; i <= 4; i++) {
            struct store_op op = op_creating(op_append("alice", "purged", &message, 1));
            worker->refused += client_run(shared->client, op)->result.first_seq != i;
        }
        worker->refused += client_run(shared->client, op_purge("alice", "purged"))->reason != ERROR_NONE_REASON;
        worker->steps++;
    }
    return NULL;
}

static void page_judge(struct worker *reader, const struct answer *page, uint64_t first, uint64_t answered)
{
    if (page->reason != ERROR_NONE_REASON) {
        reader->refused += answered > 0;
        return;
    }
    for (size_t i = 0; i < page->count; i++) {
        reader->holes += page->messages[i]->seq != first + i;
    }
    reader->disagrees += first + page->count != page->result.last_seq + 1;
    reader->lost += page->result.last_seq < answered;
}

static void list_judge(struct worker *reader, const uint64_t *answered)
{
    const struct answer *list = client_run(reader->shared->client, op_list("alice", 100, span_of(NULL, 0)));
    unsigned seen[THREADS] = {0};
    reader->refused += list->reason != ERROR_NONE_REASON;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < THREADS; k++) {
            if (strcmp(list->conversations[i]->conversation_id, names[k]) == 0) {
                seen[k]++;
                reader->lost += list->conversations[i]->last_seq < answered[k];
            }
        }
        reader->disagrees +=
            i > 0 && list->conversations[i]->activity_time_us > list->conversations[i - 1]->activity_time_us;
    }
    for (size_t k = 0; k < THREADS; k++) {
        reader->twice += seen[k] > 1 || (answered[k] > 0 && seen[k] != 1);
    }
}

static void conversation_judge(struct worker *reader, size_t k, uint64_t answered, uint64_t *before)
{
    struct client *client = reader->shared->client;
    const char *name = names[k];
    const struct answer *head = client_run(client, op_get("alice", name));
    if (head->reason == ERROR_NONE_REASON) {
        const Chatlog__V1__Conversation *now = head->conversations[0];
        reader->disagrees += now->message_count != now->last_seq;
        reader->shrinks += now->last_seq < *before;
        reader->lost += now->last_seq < answered;
        *before = now->last_seq;
    }
    uint64_t near = *before > NEAR ? *before - NEAR : 0;
    page_judge(reader, client_run(client, op_page("alice", name, STORE_AFTER, near, 1000)), near + 1, answered);
    if (answered > 0) {
        reader->lost += client_run(client, op_message("alice", name, answered))->reason != ERROR_NONE_REASON;
        const struct answer *below = client_run(client, op_page("alice", name, STORE_BEFORE, answered + 1, 1));
        reader->lost += below->count != 1 || below->messages[0]->seq != answered;
        const struct answer *latest = client_run(client, op_page("alice", name, STORE_LATEST, 0, NEAR));
        uint64_t count = latest->result.last_seq < NEAR ? latest->result.last_seq : NEAR;
        reader->disagrees += latest->count != count;
        page_judge(reader, latest, latest->result.last_seq - count + 1, answered);
    }
}

static void *reader_run(void *arg)
{
    struct worker *reader = arg;
    uint64_t before[THREADS] = {0};
    while (!atomic_load(&reader->shared->stop)) {
        uint64_t answered[THREADS];
        for (size_t k = 0; k < THREADS; k++) {
            answered[k] = atomic_load(&reader->shared->answered[k]);
        }
        for (size_t k = 0; k < THREADS; k++) {
            conversation_judge(reader, k, answered[k], &before[k]);
        }
        list_judge(reader, answered);
        reader->steps++;
    }
    return NULL;
}

static void worker_start(struct worker *worker, struct shared *shared, unsigned number, void *(*run)(void *))
{
    *worker = (struct worker){.shared = shared, .number = number};
    assert_int_equal(pthread_create(&worker->thread, NULL, run, worker), 0);
}

static void worker_judge(const struct worker *worker)
{
    assert_int_equal(worker->refused, 0);
    assert_int_equal(worker->holes, 0);
    assert_int_equal(worker->lost, 0);
    assert_int_equal(worker->shrinks, 0);
    assert_int_equal(worker->twice, 0);
    assert_int_equal(worker->disagrees, 0);
    assert_true(worker->steps > 0);
}

static void readers_miss_nothing_and_see_nothing_twice_whatever_is_folded_meanwhile(void **state)
{
    struct shared shared = {.client = *state};
    struct worker workers[WORKERS];
    struct worker *appenders = &workers[WORKERS - THREADS];
    for (unsigned i = 0; i < READERS; i++) {
        worker_start(&workers[i], &shared, i, reader_run);
    }
    worker_start(&workers[READERS], &shared, 0, editor_run);
    worker_start(&workers[READERS + 1], &shared, 0, purger_run);
    for (unsigned i = 0; i < THREADS; i++) {
        worker_start(&appenders[i], &shared, i, appender_run);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(appenders[i].thread, NULL);
    }
    atomic_store(&shared.stop, true);
    for (unsigned i = 0; i < READERS + 2; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    for (unsigned i = 0; i < WORKERS; i++) { /* once all have ended: what fails goes from here to the teardown */
        worker_judge(&workers[i]);
    }
    client_wait_until_stored(*state, 1, THREADS, THREADS * APPENDS * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(readers_miss_nothing_and_see_nothing_twice_whatever_is_folded_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
