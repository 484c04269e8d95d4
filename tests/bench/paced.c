#include "bench/paced.h"

#include "chatlog.h"
#include "support/history.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LATENCIES_MAX = 1 << 18, NEWEST = 50, SECOND_NS = 1000000000 };

/* One of the two clients. */
struct pacer {
    struct paced *paced;
    int (*request)(struct pacer *pacer, uint64_t random, struct chatlog_error *error);
    unsigned per_second;
    struct chatlog *client;
    pthread_t thread;
    size_t count;
    float *latencies;
};

struct paced {
    uint64_t conversations;
    uint64_t seed;
    atomic_bool stopped;
    struct pacer reader;
    struct pacer appender;
    pthread_mutex_t mutex; /* guards the rest */
    uint64_t errors;
    char first_error[256];
};

static void __attribute__((noreturn)) give_up(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int newest_read(struct pacer *pacer, uint64_t random, struct chatlog_error *error)
{
    char user[HISTORY_ID_BYTES];
    char conversation[HISTORY_ID_BYTES];
    struct chatlog_messages page;
    const struct chatlog_message_query query = {.limit = NEWEST};
    history_user(random % pacer->paced->conversations, user);
    history_conversation(random % pacer->paced->conversations, conversation);
    int code = chatlog_list_messages(pacer->client, user, conversation, &query, NULL, &page, error);
    if (!code) {
        chatlog_messages_free(&page);
    }
    return code;
}

static int one_append(struct pacer *pacer, uint64_t random, struct chatlog_error *error)
{
    char user[HISTORY_ID_BYTES];
    char conversation[HISTORY_ID_BYTES];
    char text[HISTORY_TEXT_MAX];
    struct chatlog_append_result result;
    history_user(random % pacer->paced->conversations, user);
    history_conversation(random % pacer->paced->conversations, conversation);
    const struct chatlog_message message = {
        .role = "user", .content = text, .content_length = history_text(random, 0, text)};
    return chatlog_append(pacer->client, user, conversation, &message, 1, NULL, NULL, &result, error);
}

static void error_note(struct paced *paced, const struct chatlog_error *error)
{
    pthread_mutex_lock(&paced->mutex);
    if (paced->errors++ == 0) {
        snprintf(paced->first_error, sizeof(paced->first_error), "%s: %.200s", error->reason, error->message);
    }
    pthread_mutex_unlock(&paced->mutex);
}

static void *pacer_run(void *arg)
{
    struct pacer *pacer = arg;
    const int64_t interval = SECOND_NS / pacer->per_second;
    int64_t due = now_ns();
    uint64_t number = (pacer->paced->seed << 32) + ((uint64_t)pacer->per_second << 22);
    for (; !atomic_load(&pacer->paced->stopped); number++) {
        struct chatlog_error error;
        int64_t begun = due;
        due += interval;
        if (now_ns() < begun) { /* on time: what the sleep is late is not the daemon's */
            const struct timespec wake = {begun / SECOND_NS, begun % SECOND_NS};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
            begun = now_ns();
        }
        if (pacer->request(pacer, history_random(number), &error)) {
            error_note(pacer->paced, &error);
        } else if (pacer->count < LATENCIES_MAX) {
            pacer->latencies[pacer->count++] = (float)(now_ns() - begun) / 1e3f;
        }
    }
    return NULL;
}

static void pacer_start(struct pacer *pacer, const char *url)
{
    struct chatlog_error error;
    pacer->latencies = malloc(LATENCIES_MAX * sizeof(*pacer->latencies));
    if (!pacer->latencies) {
        give_up("out of memory");
    }
    if (chatlog_open(url, &pacer->client, &error) || chatlog_wait_ready(pacer->client, 60000, &error)) {
        give_up(error.message);
    }
    if (pthread_create(&pacer->thread, NULL, pacer_run, pacer)) {
        give_up("no thread");
    }
}

struct paced *paced_start(const char *url, uint64_t conversations, uint64_t seed)
{
    struct paced *paced = calloc(1, sizeof(*paced));
    if (!paced) {
        give_up("out of memory");
    }
    paced->conversations = conversations;
    paced->seed = seed;
    pthread_mutex_init(&paced->mutex, NULL);
    paced->reader = (struct pacer){.paced = paced, .request = newest_read, .per_second = PACED_READS};
    paced->appender = (struct pacer){.paced = paced, .request = one_append, .per_second = PACED_APPENDS};
    pacer_start(&paced->reader, url);
    pacer_start(&paced->appender, url);
    return paced;
}

static int latency_order(const void *a, const void *b)
{
    float left = *(const float *)a;
    float right = *(const float *)b;
    return (left > right) - (left < right);
}

static struct paced_latency pacer_end(struct pacer *pacer)
{
    pthread_join(pacer->thread, NULL);
    chatlog_close(pacer->client);
    qsort(pacer->latencies, pacer->count, sizeof(*pacer->latencies), latency_order);
    return (struct paced_latency){pacer->latencies, pacer->count};
}

struct paced_result paced_stop(struct paced *paced)
{
    struct paced_result result;
    atomic_store(&paced->stopped, true);
    result.reads = pacer_end(&paced->reader);
    result.appends = pacer_end(&paced->appender);
    result.errors = paced->errors;
    memcpy(result.first_error, paced->first_error, sizeof(result.first_error));
    pthread_mutex_destroy(&paced->mutex);
    free(paced);
    return result;
}

double paced_at(const struct paced_latency *latency, double share)
{
    if (latency->count == 0) {
        return 0;
    }
    size_t at = (size_t)(share * (double)latency->count);
    return (double)latency->sorted_us[at < latency->count ? at : latency->count - 1];
}

static void latency_add(struct paced_latency *total, const struct paced_latency *more)
{
    size_t count = total->count + more->count;
    float *both = realloc(total->sorted_us, (count + 1) * sizeof(*both));
    if (!both) {
        give_up("out of memory");
    }
    memcpy(both + total->count, more->sorted_us, more->count * sizeof(*both));
    qsort(both, count, sizeof(*both), latency_order);
    *total = (struct paced_latency){both, count};
}

void paced_add(struct paced_result *total, struct paced_result *more)
{
    latency_add(&total->reads, &more->reads);
    latency_add(&total->appends, &more->appends);
    if (total->errors == 0) {
        memcpy(total->first_error, more->first_error, sizeof(total->first_error));
    }
    total->errors += more->errors;
    paced_result_free(more);
}

void paced_result_free(struct paced_result *result)
{
    free(result->reads.sorted_us);
    free(result->appends.sorted_us);
    *result = (struct paced_result){0};
}
