#include "bench/load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LATENCIES_MAX = 1 << 23, REQUEST_ID_BYTES = 40, FILL_IN_FLIGHT = 256 };

/* Shared by all that are in flight. */
struct load {
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    struct chatlog *client;
    const struct dataset *dataset;
    const struct workload *workload; /* NULL: fill */
    uint64_t started;                /* requests so far: the next one's number */
    uint64_t limit;                  /* of a fill: how many */
    double until;
    unsigned in_flight;
    uint64_t errors;
    size_t count;
    uint32_t *latencies;
    char first_error[600];
};

/* One of those in flight. */
struct flight {
    struct load *load;
    double began;
    uint8_t payload[REQUEST_BYTES_MAX];
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* splitmix64, by Sebastiano Vigna (public domain), https://prng.di.unimi.it/splitmix64.c: the formula. */
static uint64_t random_of(uint64_t number)
{
    uint64_t z = number * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void flight_next(struct flight *flight);

static void flight_end(struct load *load)
{
    pthread_mutex_lock(&load->mutex);
    load->in_flight--;
    pthread_cond_signal(&load->idle);
    pthread_mutex_unlock(&load->mutex);
}

static void flight_done(void *arg, int code, const struct chatlog_reply *reply, const struct chatlog_error *error)
{
    (void)reply;
    struct flight *flight = arg;
    struct load *load = flight->load;
    double took_us = (now_s() - flight->began) * 1e6;
    pthread_mutex_lock(&load->mutex);
    if (code) {
        load->errors++;
        if (!load->first_error[0]) {
            snprintf(load->first_error, sizeof(load->first_error), "%s: %s", error->reason, error->message);
        }
    } else if (load->count < LATENCIES_MAX) {
        load->latencies[load->count++] = (uint32_t)took_us;
    }
    pthread_mutex_unlock(&load->mutex);
    flight_next(flight);
}

/* Takes the number of the next request, or returns false when the time is over. */
static bool number_take(struct load *load, uint64_t *ret_number)
{
    pthread_mutex_lock(&load->mutex);
    bool more = load->workload ? now_s() < load->until : load->started < load->limit;
    *ret_number = load->started;
    load->started += more;
    pthread_mutex_unlock(&load->mutex);
    return more;
}

static void flight_next(struct flight *flight)
{
    struct load *load = flight->load;
    uint64_t number;
    if (!number_take(load, &number)) {
        flight_end(load);
        return;
    }
    struct request request = {.payload = flight->payload};
    if (load->workload) {
        load->workload->next(load->dataset, random_of(number), &request);
    } else {
        workload_load(number, load->dataset->messages, &request);
    }
    char request_id[REQUEST_ID_BYTES];
    snprintf(request_id, sizeof(request_id), "%.9f-%llu", load->until, (unsigned long long)number);
    struct chatlog_call_options options = {.request_id = request_id};
    flight->began = now_s();
    struct chatlog_error error;
    if (chatlog_call_async(load->client, request.method, request.payload, request.size, &options, flight_done, flight,
                           &error)) {
        fprintf(stderr, "bench: cannot send: %s\n", error.message);
        exit(1);
    }
}

static void load_wait(struct load *load, unsigned in_flight)
{
    struct flight *flights = calloc(in_flight, sizeof(*flights));
    if (!flights) {
        fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    load->in_flight = in_flight;
    for (unsigned i = 0; i < in_flight; i++) {
        flights[i].load = load;
        flight_next(&flights[i]);
    }
    pthread_mutex_lock(&load->mutex);
    while (load->in_flight > 0) {
        pthread_cond_wait(&load->idle, &load->mutex);
    }
    pthread_mutex_unlock(&load->mutex);
    free(flights);
    if (load->errors > 0) {
        fprintf(stderr, "bench: %llu requests failed, the first with %s\n", (unsigned long long)load->errors,
                load->first_error);
    }
}

static struct load load_new(struct chatlog *client, const struct dataset *dataset)
{
    struct load load = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, client, dataset, .until = now_s()};
    load.latencies = malloc(LATENCIES_MAX * sizeof(*load.latencies));
    if (!load.latencies) {
        fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    return load;
}

void load_fill(struct chatlog *client, const struct dataset *dataset)
{
    struct load load = load_new(client, dataset);
    load.limit = dataset->conversations;
    load_wait(&load, FILL_IN_FLIGHT);
    free(load.latencies);
    if (load.errors > 0) {
        exit(1);
    }
}

static int latency_order(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

struct load_result load_run(struct chatlog *client, const struct dataset *dataset, const struct workload *workload,
                            unsigned in_flight, double seconds)
{
    struct load load = load_new(client, dataset);
    load.workload = workload;
    double began = now_s();
    load.until = began + seconds;
    load_wait(&load, in_flight);
    double took = now_s() - began;
    qsort(load.latencies, load.count, sizeof(*load.latencies), latency_order);
    struct load_result result = {.ops_per_s = (double)load.count / took, .errors = load.errors};
    if (load.count > 0) {
        result.p50_us = load.latencies[load.count / 2];
        result.p99_us = load.latencies[load.count * 99 / 100];
        result.max_us = load.latencies[load.count - 1];
    }
    free(load.latencies);
    return result;
}
