/* chatlog_make_history DIRECTORY MESSAGES LAYOUT: makes a data directory of a layout with about so many messages of
 * support/history.h, as a daemon would have over time: conversations come in random order and grow in two steps. */
#include "base/clock.h"
#include "store/store.h"
#include "support/history.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { IN_FLIGHT = 512, NUMBER_PRIME = 15485863, PARTS = 2 };

/* What all appends share. */
struct maker {
    struct store *store;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned free_count;
    struct append *free[IN_FLIGHT];
};

/* One append under way. */
struct append {
    struct maker *maker;
    struct store_op op;
    char user[HISTORY_ID_BYTES];
    char conversation[HISTORY_ID_BYTES];
    char texts[HISTORY_LENGTH_MAX][HISTORY_TEXT_MAX];
    struct store_message messages[HISTORY_LENGTH_MAX];
};

static void __attribute__((noreturn)) give_up(const char *what)
{
    fprintf(stderr, "chatlog_make_history: %s\n", what);
    exit(1);
}

static void fatal(void *arg, const char *message)
{
    (void)arg;
    give_up(message);
}

static void append_done(struct store_op *op, const struct error *error, struct store_result *result)
{
    (void)result;
    struct append *append = op->arg;
    struct maker *maker = append->maker;
    if (error) {
        give_up(error->message);
    }
    pthread_mutex_lock(&maker->mutex);
    maker->free[maker->free_count++] = append;
    pthread_cond_signal(&maker->changed);
    pthread_mutex_unlock(&maker->mutex);
}

static struct append *append_take(struct maker *maker)
{
    pthread_mutex_lock(&maker->mutex);
    while (maker->free_count == 0) {
        pthread_cond_wait(&maker->changed, &maker->mutex);
    }
    struct append *append = maker->free[--maker->free_count];
    pthread_mutex_unlock(&maker->mutex);
    return append;
}

/* Waits until `count` are free again. */
static void append_wait(struct maker *maker, unsigned count)
{
    pthread_mutex_lock(&maker->mutex);
    while (maker->free_count < count) {
        pthread_cond_wait(&maker->changed, &maker->mutex);
    }
    pthread_mutex_unlock(&maker->mutex);
}

/* Appends the messages first..last of the conversation. */
static void append_start(struct maker *maker, uint64_t conversation, uint64_t first, uint64_t last)
{
    if (first > last) {
        return;
    }
    struct append *append = append_take(maker);
    history_user(conversation, append->user);
    history_conversation(conversation, append->conversation);
    for (uint64_t seq = first; seq <= last; seq++) {
        size_t size = history_text(conversation, seq, append->texts[seq - first]);
        append->messages[seq - first] = (struct store_message){
            .role = span_of_string(history_role(seq)),
            .content = span_of(append->texts[seq - first], size),
        };
    }
    append->op = (struct store_op){
        .verb = STORE_APPEND_MESSAGES,
        .user = span_of_string(append->user),
        .conversation = span_of_string(append->conversation),
        .append = {.messages = append->messages, .count = (size_t)(last - first + 1), .create_if_missing = true},
        .done = append_done,
        .arg = append,
    };
    store_run(maker->store, &append->op);
}

static void history_make(struct maker *maker, uint64_t conversations)
{
    for (uint64_t part = 0; part < PARTS; part++) {
        for (uint64_t i = 0; i < conversations; i++) {
            uint64_t conversation = (i * NUMBER_PRIME + part) % conversations;
            uint64_t length = history_length(conversation);
            append_start(maker, conversation, part * length / PARTS + 1, (part + 1) * length / PARTS);
        }
        append_wait(maker, IN_FLIGHT); /* the parts of a conversation keep their order */
    }
}

int main(int count, char **arguments)
{
    static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};
    struct maker maker = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct error error;
    uint64_t messages = count == 4 ? strtoull(arguments[2], NULL, 10) : 0;
    uint64_t layout = count == 4 ? strtoull(arguments[3], NULL, 10) : 0;
    if (messages == 0 || layout == 0 || layout > UINT32_MAX) {
        fprintf(stderr, "usage: chatlog_make_history DIRECTORY MESSAGES LAYOUT\n");
        return 64;
    }
    const struct store_config config = {
        .data_dir = arguments[1],
        .limits = &limits,
        .map_bytes = UINT64_C(1) << 40,
        .deleted_retention_us = CLOCK_SECOND_US,
        .create_layout = (uint32_t)layout,
        .migrate = STORE_MIGRATE_HOLD,
        .fatal = fatal,
    };
    struct append *appends = calloc(IN_FLIGHT, sizeof(*appends));
    if (!appends || store_open(&config, &maker.store, &error)) {
        give_up(appends ? error.message : "out of memory");
    }
    for (; maker.free_count < IN_FLIGHT; maker.free_count++) {
        appends[maker.free_count].maker = &maker;
        maker.free[maker.free_count] = &appends[maker.free_count];
    }
    uint64_t conversations = history_conversations(messages);
    history_make(&maker, conversations);
    store_close(maker.store);
    free(appends);
    printf("%llu\n", (unsigned long long)conversations);
    return 0;
}
