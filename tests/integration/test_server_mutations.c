/* Valid requests with changed bytes, hundreds of thousands of them on several connections at once: the daemon lives and
 * answers each that it can tell from the next, its own memory stays as it was, and somebody who behaves is served.
 * Memory is compared with that after half as many before: what the server and malloc keep of each connection and thread
 * for later is taken by then. What grows after it is the reserved index of appends that wait (pending.h). CHATLOG_SEED
 * repeats a run; 24,000 times CHATLOG_FAULT_SCALE. Time is only looked at when that is set: `./dev torture` sees to a
 * quiet machine. */
#include "support/daemon.h"
#include "support/mutation.h"
#include "support/rawsp.h"
#include "support/trial.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A sanitizer keeps what is freed, so memory grows with every request. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FREED_IS_KEPT = 1 };
#else
enum { FREED_IS_KEPT = 0 };
#endif

enum {
    MUTATORS = 6,
    MUTATIONS = 24000, /* of all */
    UNDER_WAY_MAX = 16,
    FRAMES_ONE_IN = 5,
    GROWTH_KIB_MAX = 8 * 1024,
    P99_US_MAX = 50000,
    BUCKETS = 1000, /* of latencies: 100 us each, the last all above */
    BUCKET_US = 100,
    PAUSE_NS = 1000000,
    CODE_INTERNAL = 13,
    CODE_DATA_LOSS = 15,
};

struct mutator {
    pthread_t thread;
    const char *path;
    uint64_t random;
    uint64_t left;
    uint64_t succeeded; /* of those answered */
    uint64_t refused;
    uint64_t frames;
    char failure[160]; /* "": none */
};

/* Asks and appends, one after the other. */
struct healthy {
    pthread_t thread;
    struct daemon *daemon;
    atomic_bool over;
    uint64_t latencies[BUCKETS];
    uint64_t count;
    uint64_t slowest_us;
    uint64_t refused;
    uint64_t peak_kib;
};

static uint64_t anonymous_kib(const struct daemon *daemon)
{
    char path[64];
    char line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon_pid(daemon));
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file) && sscanf(line, "RssAnon: %llu", &kib) != 1) {
    }
    if (file) {
        fclose(file);
    }
    return kib;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* One answer to a message whose frame was good. */
static void answer_take(struct mutator *mutator, int fd)
{
    size_t size = 0;
    uint8_t *answer = rawsp_receive(fd, NULL, &size);
    int code = !answer ? -1 : size == 0 ? 0 : rawsp_response_code(answer, size); /* nothing at all is success */
    if (!answer || code < 0 || code == CODE_INTERNAL || code == CODE_DATA_LOSS) {
        snprintf(mutator->failure, sizeof(mutator->failure), "%s, code %d", answer ? "a bad answer" : "no answer",
                 code);
    }
    mutator->succeeded += code == 0;
    mutator->refused += code > 0;
    free(answer);
}

/* On a connection of its own, which the daemon may close: what is answered is not looked at. */
static void frame_send(struct mutator *mutator)
{
    uint8_t bytes[MUTATION_BYTES];
    size_t size = mutation_next(&mutator->random, MUTATION_FRAME, bytes);
    int fd = rawsp_open(mutator->path);
    if (fd < 0) {
        snprintf(mutator->failure, sizeof(mutator->failure), "no connection");
        return;
    }
    mutator->frames++;
    rawsp_write(fd, bytes, size);
    recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    close(fd);
}

static void *mutator_run(void *arg)
{
    struct mutator *mutator = arg;
    uint8_t bytes[MUTATION_BYTES];
    uint32_t under_way = 0;
    int fd = rawsp_open(mutator->path);
    for (; mutator->left > 0 && !mutator->failure[0]; mutator->left--) {
        if (mutation_draw(&mutator->random, FRAMES_ONE_IN) == 0) {
            frame_send(mutator);
            continue;
        }
        bool envelope = mutation_draw(&mutator->random, 3) == 0;
        size_t size = mutation_next(&mutator->random, envelope ? MUTATION_ENVELOPE : MUTATION_PAYLOAD, bytes);
        if (!rawsp_send_request(fd, under_way, bytes, size)) {
            snprintf(mutator->failure, sizeof(mutator->failure), "a message in a good frame cut the connection");
        }
        under_way++;
        for (; under_way >= UNDER_WAY_MAX && !mutator->failure[0]; under_way--) {
            answer_take(mutator, fd);
        }
    }
    for (; under_way > 0 && !mutator->failure[0]; under_way--) {
        answer_take(mutator, fd);
    }
    close(fd);
    return NULL;
}

static void healthy_ask(struct healthy *healthy, int fd, const char *method, const char *payload, size_t payload_size)
{
    size_t size;
    uint8_t *request = rawsp_envelope(method, payload, payload_size, NULL, &size);
    uint64_t began = now_us();
    bool sent = rawsp_send_request(fd, 1, request, size);
    uint8_t *answer = sent ? rawsp_receive(fd, NULL, &size) : NULL;
    uint64_t took = now_us() - began;
    healthy->refused += !answer || rawsp_response_code(answer, size) != 0;
    healthy->latencies[took / BUCKET_US < BUCKETS ? took / BUCKET_US : BUCKETS - 1]++;
    healthy->count++;
    healthy->slowest_us = took > healthy->slowest_us ? took : healthy->slowest_us;
    free(request);
    free(answer);
}

static void *healthy_run(void *arg)
{
    static const char append[] = "\x0a\x07healthy\x12\x01\x63\x1a\x0d\x3a\x04user\x6a\x05hello\x20\x01";
    static const char list[] = "\x0a\x07healthy\x12\x01\x63\x30\x0a";
    struct healthy *healthy = arg;
    int fd = rawsp_open(daemon_socket(healthy->daemon));
    while (!atomic_load(&healthy->over)) {
        healthy_ask(healthy, fd, "chatlog.v1.HistoryService/AppendMessages", append, sizeof(append) - 1);
        healthy_ask(healthy, fd, "chatlog.v1.HistoryService/ListMessages", list, sizeof(list) - 1);
        uint64_t kib = anonymous_kib(healthy->daemon);
        healthy->peak_kib = kib > healthy->peak_kib ? kib : healthy->peak_kib;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    close(fd);
    return NULL;
}

static uint64_t p99_us(const struct healthy *healthy)
{
    uint64_t above = healthy->count / 100;
    size_t bucket = BUCKETS - 1;
    for (uint64_t seen = healthy->latencies[bucket]; bucket > 0 && seen <= above; seen += healthy->latencies[bucket]) {
        bucket--;
    }
    return (bucket + 1) * BUCKET_US;
}

/* Runs the mutators to their end. Returns how many failed. */
static uint64_t mutators_run(struct mutator *mutators, const struct daemon *daemon, uint64_t seed, uint64_t count)
{
    uint64_t bad = 0;
    for (uint64_t i = 0; i < MUTATORS; i++) {
        mutators[i] = (struct mutator){
            .path = daemon_socket(daemon), .random = seed * MUTATORS + i, .left = (count + MUTATORS - 1) / MUTATORS};
        assert_int_equal(pthread_create(&mutators[i].thread, NULL, mutator_run, &mutators[i]), 0);
    }
    for (uint64_t i = 0; i < MUTATORS; i++) {
        pthread_join(mutators[i].thread, NULL);
        bad += mutators[i].failure[0] != '\0';
        if (mutators[i].failure[0]) {
            print_error("mutator %d: %s\n", (int)i, mutators[i].failure);
        }
    }
    return bad;
}

/* Requests that come in and never end do take memory: the same look at it must show them. */
static bool growth_is_seen(const struct daemon *daemon, uint64_t before_kib)
{
    enum { HELD = 4, HELD_BYTES = 6 << 20 };
    int fds[HELD];
    uint8_t *bytes = calloc(1, HELD_BYTES);
    assert_non_null(bytes);
    bytes[0] = 0x80;
    for (int i = 0; i < HELD; i++) {
        fds[i] = rawsp_open(daemon_socket(daemon));
        assert_true(rawsp_send_header(fds[i], 1, HELD_BYTES + 1) && rawsp_write(fds[i], bytes, HELD_BYTES));
    }
    bool seen = false;
    for (int i = 0; i < 1000 && !seen; i++) {
        seen = anonymous_kib(daemon) > before_kib + GROWTH_KIB_MAX;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    for (int i = 0; i < HELD; i++) {
        close(fds[i]);
    }
    free(bytes);
    return seen;
}

static void mutated_frames_and_messages_do_no_harm(void **state)
{
    static struct healthy healthy;
    struct mutator mutators[MUTATORS];
    uint64_t seed = trial_seed();
    uint64_t count = trial_scaled(MUTATIONS);
    uint64_t answered = 0;
    uint64_t succeeded = 0;
    uint64_t frames = 0;
    char note[128];
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    healthy = (struct healthy){.daemon = daemon};
    uint64_t bad = mutators_run(mutators, daemon, seed + 1, count / 2);
    uint64_t before_kib = anonymous_kib(daemon);
    assert_int_equal(pthread_create(&healthy.thread, NULL, healthy_run, &healthy), 0);
    bad += mutators_run(mutators, daemon, seed, count);
    atomic_store(&healthy.over, true);
    pthread_join(healthy.thread, NULL);
    uint64_t after_kib = anonymous_kib(daemon);
    for (int i = 0; i < MUTATORS; i++) {
        succeeded += mutators[i].succeeded;
        answered += mutators[i].succeeded + mutators[i].refused;
        frames += mutators[i].frames;
    }
    bool grew = !FREED_IS_KEPT && after_kib > before_kib + GROWTH_KIB_MAX;
    bool slow = getenv("CHATLOG_FAULT_SCALE") && p99_us(&healthy) > P99_US_MAX;
    bool seen = growth_is_seen(daemon, after_kib);
    snprintf(note, sizeof(note), "RssAnon %+lld KiB, peak %+lld; p99 %.1f ms, max %.0f",
             (long long)(after_kib - before_kib), (long long)(healthy.peak_kib - before_kib),
             (double)p99_us(&healthy) / 1000, (double)healthy.slowest_us / 1000);
    bad += (grew ? 1u : 0) + (slow ? 1u : 0) + (healthy.refused > 0 ? 1u : 0);
    trial_report("15 mutated frames and messages", count, frames, bad, note);
    trial_report_control(15, "requests held back", seen);
    print_message("%llu answers, %llu of them successes\n", (unsigned long long)answered,
                  (unsigned long long)succeeded);
    assert_int_equal(bad, 0);
    assert_true(seen);
    assert_true(answered > count / 2 && succeeded > answered / 50 && succeeded < answered);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_frames_and_messages_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
