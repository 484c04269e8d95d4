#include "bench/load.h"

#include "bench/fail.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Latencies are counted in units of 100 ns, in buckets that are at most 1/64 wide. */
enum { UNIT_NS = 100, BUCKET_BITS = 6, BUCKETS = (36 - BUCKET_BITS) << BUCKET_BITS, CACHE_LINE = 64 };

struct lane {
    _Alignas(CACHE_LINE) uint64_t count;
    uint64_t measured;
    uint64_t longest;
    long long began_ns;
    uint32_t buckets[BUCKETS];
};

struct load {
    struct load_plan plan;
    long long start_ns;
    long long measure_ns;
    long long until_ns; /* with plan.seconds */
    struct lane *lanes;

    _Alignas(CACHE_LINE) atomic_ullong issued; /* with plan.limit */
    _Alignas(CACHE_LINE) atomic_llong last_ns;
    atomic_llong gap_ns;
    _Alignas(CACHE_LINE) atomic_uint seconds[LOAD_SECONDS_MAX];

    pthread_mutex_t mutex; /* of the next two */
    pthread_cond_t ended;
    unsigned running;
    long long end_ns;
};

/* ---- Buckets ----------------------------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t value)
{
    if (value < 1u << BUCKET_BITS) {
        return (unsigned)value;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - BUCKET_BITS;
    unsigned bucket = (shift << BUCKET_BITS) + (unsigned)(value >> shift);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_us(unsigned bucket)
{
    unsigned shift = bucket >> BUCKET_BITS > 1 ? (bucket >> BUCKET_BITS) - 1 : 0;
    uint64_t value = (uint64_t)(bucket - (shift << BUCKET_BITS)) << shift;
    return (double)value * UNIT_NS / 1000;
}

/* ---- The life of a load ------------------------------------------------------------------------------------------ */

struct load *load_new(const struct load_plan *plan)
{
    assert(plan->in_flight >= 1 && plan->first_measured < plan->in_flight);
    assert(plan->seconds <= LOAD_SECONDS_MAX / 2.0);
    struct load *load = aligned_alloc(CACHE_LINE, sizeof(*load));
    if (!load) {
        bench_fail("out of memory");
    }
    *load = (struct load){.plan = *plan, .running = plan->in_flight};
    pthread_mutex_init(&load->mutex, NULL);
    pthread_cond_init(&load->ended, NULL);
    if (!plan->workload) {
        load->plan.limit = workload_load_count(plan->dataset);
    }
    load->lanes = aligned_alloc(CACHE_LINE, plan->in_flight * sizeof(*load->lanes));
    if (!load->lanes) {
        bench_fail("out of memory");
    }
    for (unsigned i = 0; i < plan->in_flight; i++) {
        load->lanes[i] = (struct lane){0};
    }
    load->start_ns = bench_now_ns();
    load->last_ns = load->start_ns;
    load->measure_ns = load->start_ns + (long long)(plan->seconds * 1e8);
    load->until_ns = load->measure_ns + (long long)(plan->seconds * 1e9);
    return load;
}

struct load *load_free(struct load *load)
{
    pthread_mutex_destroy(&load->mutex);
    pthread_cond_destroy(&load->ended);
    free(load->lanes);
    free(load);
    return NULL;
}

unsigned load_in_flight(const struct load *load)
{
    return load->plan.in_flight;
}

const struct dataset *load_dataset(const struct load *load)
{
    return load->plan.dataset;
}

/* ---- Lanes ------------------------------------------------------------------------------------------------------- */

static bool lane_end(struct load *load)
{
    pthread_mutex_lock(&load->mutex);
    assert(load->running > 0);
    if (--load->running == 0) {
        load->end_ns = bench_now_ns();
        pthread_cond_broadcast(&load->ended);
    }
    pthread_mutex_unlock(&load->mutex);
    return false;
}

bool load_next(struct load *load, unsigned index, struct operation *ret)
{
    const struct load_plan *plan = &load->plan;
    struct lane *lane = &load->lanes[index];
    lane->began_ns = bench_now_ns();
    uint64_t number = lane->count * plan->in_flight + index;
    if (plan->limit > 0) {
        number = atomic_fetch_add(&load->issued, 1);
        if (number >= plan->limit) {
            return lane_end(load);
        }
    } else if (lane->began_ns >= load->until_ns) {
        return lane_end(load);
    }
    lane->count++;
    if (!plan->workload) {
        workload_load(plan->dataset, number, ret);
    } else {
        uint64_t random = dataset_random(dataset_random(plan->seed) + number);
        plan->workload->next(plan->dataset, index, random, ret);
        ret->number = random;
    }
    return true;
}

static void load_see(struct load *load, long long now_ns)
{
    long long gap_ns = now_ns - atomic_exchange(&load->last_ns, now_ns);
    long long longest_ns = atomic_load(&load->gap_ns);
    while (gap_ns > longest_ns && !atomic_compare_exchange_weak(&load->gap_ns, &longest_ns, gap_ns)) {
    }
    long long second = (now_ns - load->start_ns) / 1000000000;
    if (second < LOAD_SECONDS_MAX) {
        atomic_fetch_add_explicit(&load->seconds[second], 1, memory_order_relaxed);
    }
}

void load_done(struct load *load, unsigned index)
{
    struct lane *lane = &load->lanes[index];
    long long now_ns = bench_now_ns();
    bool in_time = load->plan.limit > 0 || (now_ns >= load->measure_ns && now_ns < load->until_ns);
    if (index < load->plan.first_measured || !in_time) {
        return;
    }
    load_see(load, now_ns);
    uint64_t units = (uint64_t)(now_ns - lane->began_ns) / UNIT_NS;
    lane->buckets[bucket_of(units)]++;
    lane->longest = units > lane->longest ? units : lane->longest;
    lane->measured++;
}

void load_wait(struct load *load)
{
    pthread_mutex_lock(&load->mutex);
    while (load->running > 0) {
        pthread_cond_wait(&load->ended, &load->mutex);
    }
    pthread_mutex_unlock(&load->mutex);
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static double percentile_us(const struct load *load, uint64_t measured, double part)
{
    uint64_t rank = (uint64_t)((double)measured * part);
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        for (unsigned i = 0; i < load->plan.in_flight; i++) {
            seen += load->lanes[i].buckets[bucket];
        }
        if (seen > rank) {
            return bucket_us(bucket);
        }
    }
    return 0;
}

static int count_order(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void seconds_sum_up(const struct load *load, struct load_result *result)
{
    uint32_t counts[LOAD_SECONDS_MAX];
    size_t seconds = result->seconds < LOAD_SECONDS_MAX ? (size_t)result->seconds : LOAD_SECONDS_MAX;
    if (seconds == 0) {
        return;
    }
    for (size_t i = 0; i < seconds; i++) {
        counts[i] = load->seconds[i];
    }
    qsort(counts, seconds, sizeof(counts[0]), count_order);
    result->second_least = counts[0];
    result->second_median = counts[seconds / 2];
    result->second_most = counts[seconds - 1];
}

struct load_result load_result(const struct load *load)
{
    assert(load->running == 0);
    struct load_result result = {.gap_us = (double)load->gap_ns / 1000,
                                 .seconds = (double)(load->end_ns - load->start_ns) / 1e9};
    uint64_t measured = 0;
    for (unsigned i = 0; i < load->plan.in_flight; i++) {
        const struct lane *lane = &load->lanes[i];
        double longest_us = (double)lane->longest * UNIT_NS / 1000;
        result.operations += lane->count;
        result.max_us = longest_us > result.max_us ? longest_us : result.max_us;
        measured += lane->measured;
    }
    result.ops_per_s = (double)measured / (load->plan.limit > 0 ? result.seconds : load->plan.seconds);
    result.p50_us = percentile_us(load, measured, 0.5);
    result.p99_us = percentile_us(load, measured, 0.99);
    seconds_sum_up(load, &result);
    return result;
}
