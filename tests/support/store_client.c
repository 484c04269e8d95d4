/* Opens stores and runs operations on them from any thread. Must not know an engine. */
#include "support/store_client.h"

#include "support/directory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MAP_BYTES = 1 << 30,
    POLL_US = 2000,
    FILL_BATCH = 1000,
    FILL_TEXT_BYTES = 32,
};

/* One operation on its way and then its answer. */
struct pending {
    struct answer answer; /* first, so that a pointer to it is one to the pending */
    struct client *client;
    unsigned calls; /* of done */
    struct pending *next;
};

struct client {
    char *own_directory; /* or NULL */
    struct limits limits;
    struct store_config config;
    struct store *store;
    pthread_mutex_t mutex; /* guards what follows, and each pending's answer and calls */
    pthread_cond_t answered;
    struct pending *list;
};

/* store_config.wall_clock_us takes no argument, so the clock cannot be anywhere else. */
static atomic_llong wall_us = CLIENT_EPOCH_US;

void clock_set(int64_t us)
{
    atomic_store(&wall_us, us);
}

void clock_advance(int64_t by_us)
{
    atomic_fetch_add(&wall_us, by_us);
}

int64_t clock_now(void)
{
    return atomic_load(&wall_us);
}

static void store_fatal(void *arg, const char *message)
{
    (void)arg;
    fprintf(stderr, "the store ended the process: %s\n", message);
    abort();
}

/* The layout the tests are to run in, so that each can be run in every layout: CHATLOG_TEST_LAYOUT, or the newest;
 * with CHATLOG_TEST_FOLD_LATE appends stay in the journal. */
static void layout_choose(struct store_config *config)
{
    const char *number = getenv("CHATLOG_TEST_LAYOUT");
    if (number) {
        config->create_layout = (uint32_t)strtoul(number, NULL, 10);
        config->migrate = STORE_MIGRATE_HOLD;
    }
    config->fold_late = getenv("CHATLOG_TEST_FOLD_LATE") != NULL;
}

struct client *client_new_in(const char *directory)
{
    struct client *client = calloc(1, sizeof(*client));
    if (!client) {
        abort();
    }
    client->limits = LIMITS_DEFAULT;
    client->config = (struct store_config){
        .data_dir = directory,
        .limits = &client->limits,
        .map_bytes = MAP_BYTES,
        .deleted_retention_us = CLIENT_RETENTION_US,
        .wall_clock_us = clock_now,
        .fatal = store_fatal,
    };
    layout_choose(&client->config);
    pthread_mutex_init(&client->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&client->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    client_open(client);
    return client;
}

struct client *client_new(void)
{
    char *directory = directory_new();
    struct client *client = client_new_in(directory);
    client->own_directory = directory;
    return client;
}

struct client *client_free(struct client *client)
{
    if (client) {
        client_close(client);
        client_release(client);
        pthread_cond_destroy(&client->answered);
        pthread_mutex_destroy(&client->mutex);
        directory_remove(client->own_directory);
        free(client);
    }
    return NULL;
}

int client_setup(void **state)
{
    clock_set(CLIENT_EPOCH_US);
    *state = client_new();
    return 0;
}

int client_teardown(void **state)
{
    *state = client_free(*state);
    return 0;
}

void client_open(struct client *client)
{
    struct error error = {0};
    if (store_open(&client->config, &client->store, &error)) {
        fprintf(stderr, "store_open: %s\n", error.message);
        abort();
    }
}

void client_close(struct client *client)
{
    if (client->store) {
        client->store = store_close(client->store);
    }
}

void client_reopen(struct client *client)
{
    client_close(client);
    client_open(client);
}

struct store_config *client_config(struct client *client)
{
    return &client->config;
}

struct limits *client_limits(struct client *client)
{
    return &client->limits;
}

struct store *client_store(struct client *client)
{
    return client->store;
}

static void op_done(struct store_op *op, const struct error *error, struct store_result *result)
{
    struct pending *pending = op->arg;
    struct client *client = pending->client;
    answer_take(&pending->answer, error, result);
    pthread_mutex_lock(&client->mutex);
    pending->calls++;
    if (pending->calls > 1) {
        fprintf(stderr, "the store answered verb %d twice\n", (int)op->verb);
        abort();
    }
    pthread_cond_broadcast(&client->answered);
    pthread_mutex_unlock(&client->mutex);
}

struct answer *client_start(struct client *client, struct store_op op)
{
    struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending) {
        abort();
    }
    pending->client = client;
    pending->answer.op = op;
    pending->answer.op.done = op_done;
    pending->answer.op.arg = pending;
    pthread_mutex_lock(&client->mutex);
    pending->next = client->list;
    client->list = pending;
    pthread_mutex_unlock(&client->mutex);
    store_run(client->store, &pending->answer.op);
    return &pending->answer;
}

const struct answer *client_wait(struct client *client, struct answer *answer)
{
    struct pending *pending = (struct pending *)answer;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CLIENT_WAIT_SECONDS;
    pthread_mutex_lock(&client->mutex);
    while (pending->calls == 0) {
        if (pthread_cond_timedwait(&client->answered, &client->mutex, &end)) {
            fprintf(stderr, "no answer to verb %d\n", (int)answer->op.verb);
            abort();
        }
    }
    pthread_mutex_unlock(&client->mutex);
    return answer;
}

const struct answer *client_run(struct client *client, struct store_op op)
{
    return client_wait(client, client_start(client, op));
}

const struct answer *client_run_patiently(struct client *client, struct store_op op)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    const struct answer *answer = client_run(client, op);
    while ((answer->reason == ERROR_PURGE_RUNNING || answer->reason == ERROR_QUEUE_FULL) &&
           clock_monotonic_us() < end) {
        usleep(POLL_US);
        answer = client_run(client, op);
    }
    return answer;
}

void client_wait_all(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    struct pending *pending = client->list;
    pthread_mutex_unlock(&client->mutex);
    for (; pending; pending = pending->next) {
        client_wait(client, &pending->answer);
    }
}

void client_release(struct client *client)
{
    while (client->list) {
        struct pending *pending = client->list;
        if (pending->calls != 1) {
            fprintf(stderr, "verb %d was answered %u times\n", (int)pending->answer.op.verb, pending->calls);
            abort();
        }
        client->list = pending->next;
        answer_clear(&pending->answer);
        free(pending);
    }
}

void client_fill(struct client *client, const char *user, const char *conversation, size_t count)
{
    static const char role[] = "user";
    char(*texts)[FILL_TEXT_BYTES] = calloc(FILL_BATCH, sizeof(*texts));
    struct store_message *messages = calloc(FILL_BATCH, sizeof(*messages));
    assert_true(texts && messages);
    for (size_t done = 0; done < count;) {
        size_t batch = 0;
        for (; batch < FILL_BATCH && done < count; batch++) {
            snprintf(texts[batch], sizeof(texts[batch]), "message %zu", ++done);
            messages[batch] = message_of(role, texts[batch]);
        }
        assert_ok(client_run_patiently(client, op_creating(op_append(user, conversation, messages, batch))));
    }
    free(messages);
    free(texts);
}

void client_wait_until_stored(struct client *client, uint64_t users, uint64_t conversations, uint64_t messages)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    for (;;) {
        const struct answer *answer = client_run(client, op_stats());
        assert_ok(answer);
        const struct store_stats *stats = &answer->result.stats;
        if (stats->users == users && stats->conversations == conversations && stats->messages == messages) {
            return;
        }
        if (clock_monotonic_us() > end) {
            fail_msg("%llu users, %llu conversations, %llu messages are stored", (unsigned long long)stats->users,
                     (unsigned long long)stats->conversations, (unsigned long long)stats->messages);
        }
        usleep(POLL_US);
    }
}
