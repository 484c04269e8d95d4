/* `chatlog bench`: what this machine's daemon does, measured with a user of its own that is forgotten afterwards. */
#include "cli/commands.h"
#include "cli/report.h"
#include "cli/top.h"

#include "chatlog_limits.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CONVERSATIONS = 16,
    CONTENT_BYTES = 300,
    BUCKETS = 24, /* as top_quantile takes them: 8 us and doubling */
    SECONDS_DEFAULT = 5,
    IN_FLIGHT_DEFAULT = 64,
    MILLION = 1000000,
};

struct phase {
    struct bench *bench;
    int64_t end_us;
    /* Of one thread: the caller's, or the client's. */
    uint64_t calls;
    uint64_t counts[BUCKETS];
    int64_t longest_us;
    bool failed;
    struct chatlog_error error;
    sem_t ended;
};

struct bench {
    struct session *session;
    char user[64];
    char content[CONTENT_BYTES];
};

/* One of the appends under way. */
struct slot {
    struct phase *phase;
    unsigned number;
    int64_t begun_us;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MILLION + now.tv_nsec / 1000;
}

static void call_note(struct phase *phase, int64_t begun_us)
{
    int64_t took_us = now_us() - begun_us;
    size_t bucket = 0;
    while (bucket + 1 < BUCKETS && took_us > INT64_C(8) << bucket) {
        bucket++;
    }
    phase->counts[bucket]++;
    phase->calls++;
    phase->longest_us = took_us > phase->longest_us ? took_us : phase->longest_us;
}

static void conversation_name(unsigned number, char name[32])
{
    snprintf(name, 32, "bench-%u", number % CONVERSATIONS);
}

static void slot_ended(void *arg, int code, const struct chatlog_append_result *result,
                       const struct chatlog_error *error);

/* False when it did not begin. */
static bool slot_begin(struct slot *slot, struct chatlog_error *error)
{
    const struct bench *bench = slot->phase->bench;
    const struct chatlog_message message = {
        .role = "user", .content = bench->content, .content_length = sizeof(bench->content)};
    char name[32];
    conversation_name(slot->number++, name);
    slot->begun_us = now_us();
    return chatlog_append_async(bench->session->client, bench->user, name, &message, 1, NULL, &bench->session->call,
                                slot_ended, slot, error) == 0;
}

static void slot_ended(void *arg, int code, const struct chatlog_append_result *result,
                       const struct chatlog_error *error)
{
    struct slot *slot = arg;
    struct phase *phase = slot->phase;
    struct chatlog_error refused;
    (void)result;
    if (code == 0) {
        call_note(phase, slot->begun_us);
        if (now_us() < phase->end_us && !phase->failed && slot_begin(slot, &refused)) {
            return;
        }
    } else {
        phase->error = *error;
        phase->failed = true;
    }
    sem_post(&phase->ended);
}

static void appends_run(struct phase *phase, unsigned in_flight)
{
    struct slot slots[CHATLOG_LIMIT_connection_requests];
    struct chatlog_error refused = {.code = CHATLOG_OK};
    unsigned begun = 0;
    for (; begun < in_flight; begun++) {
        slots[begun] = (struct slot){.phase = phase, .number = begun};
        if (!slot_begin(&slots[begun], &refused)) {
            break;
        }
    }
    for (unsigned i = 0; i < begun; i++) {
        while (sem_wait(&phase->ended) != 0) {
        }
    }
    if (begun < in_flight && !phase->failed) {
        phase->error = refused;
        phase->failed = true;
    }
}

static void reads_run(struct phase *phase, unsigned in_flight)
{
    const struct bench *bench = phase->bench;
    (void)in_flight;
    for (unsigned number = 0; now_us() < phase->end_us && !phase->failed; number++) {
        struct chatlog_messages page;
        char name[32];
        conversation_name(number, name);
        int64_t begun_us = now_us();
        phase->failed = chatlog_list_messages(bench->session->client, bench->user, name, NULL, &bench->session->call,
                                              &page, &phase->error) != 0;
        if (!phase->failed) {
            call_note(phase, begun_us);
            chatlog_messages_free(&page);
        }
    }
}

static void phase_show(const struct session *session, const char *what, const struct phase *phase, double seconds)
{
    double rate = (double)phase->calls / seconds;
    double p50 = top_quantile(phase->counts, BUCKETS, 0.5);
    double p99 = top_quantile(phase->counts, BUCKETS, 0.99);
    if (session->options->output == OUTPUT_JSON) {
        fprintf(session->out,
                "{\"what\":\"%s\",\"calls\":%" PRIu64
                ",\"per_second\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%" PRId64 "}\n",
                what, phase->calls, rate, p50, p99, phase->longest_us);
    } else {
        fprintf(session->out, "%-36s %10.0f a second   p50 %8.0f us   p99 %8.0f us   longest %8" PRId64 " us\n", what,
                rate, p50, p99, phase->longest_us);
    }
    fflush(session->out);
}

static int phase_run(struct bench *bench, const char *what, void (*run)(struct phase *phase, unsigned in_flight),
                     unsigned in_flight)
{
    const struct options *options = bench->session->options;
    int64_t length_us = (int64_t)(options->seconds.given ? options->seconds.value : SECONDS_DEFAULT) * MILLION;
    int64_t begun_us = now_us();
    struct phase phase = {.bench = bench, .end_us = begun_us + length_us};
    sem_init(&phase.ended, 0, 0);
    run(&phase, in_flight);
    sem_destroy(&phase.ended);
    if (phase.failed) {
        return session_fail(bench->session, &phase.error);
    }
    phase_show(bench->session, what, &phase, (double)(now_us() - begun_us) / MILLION);
    return EXIT_SUCCESS;
}

/* So that each can be read, however slow the disk is. */
static int conversations_make(struct bench *bench)
{
    struct chatlog_error error;
    char name[32];
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        conversation_name(i, name);
        const struct chatlog_conversation conversation = {.conversation_id = name};
        if (chatlog_create_conversation(bench->session->client, bench->user, &conversation, &bench->session->call, NULL,
                                        &error) != 0) {
            return session_fail(bench->session, &error);
        }
    }
    return EXIT_SUCCESS;
}

static int phases_run(struct bench *bench)
{
    const struct options *options = bench->session->options;
    unsigned in_flight = options->in_flight.given ? (unsigned)options->in_flight.value : IN_FLIGHT_DEFAULT;
    char what[64];
    snprintf(what, sizeof(what), "append 300 bytes, %u in flight", in_flight);
    int code = conversations_make(bench);
    code = code ? code : phase_run(bench, "append 300 bytes, 1 in flight", appends_run, 1);
    code = code ? code : phase_run(bench, what, appends_run, in_flight);
    return code ? code : phase_run(bench, "read the newest 50, 1 in flight", reads_run, 1);
}

const char *bench_check(const struct options *options)
{
    bool asks = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    return options->yes || asks ? NULL : "this writes to the daemon's disk; add --yes to do it";
}

static bool agreed(const struct session *session, const char *user)
{
    char answer[8] = "";
    if (session->options->yes) {
        return true;
    }
    fprintf(stderr,
            "This writes conversations of the user %s to the daemon's disk at full speed, and forgets them "
            "afterwards. Go on? [y/N] ",
            user);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int command_bench(struct session *session)
{
    struct bench bench = {.session = session};
    struct chatlog_error error;
    struct chatlog_call_options call = {.timeout_ms = CHATLOG_LIMIT_timeout_ms};
    snprintf(bench.user, sizeof(bench.user), "chatlog-bench-%d-%" PRIx64, (int)getpid(), (uint64_t)now_us());
    memset(bench.content, 'x', sizeof(bench.content));
    if (!agreed(session, bench.user)) {
        report_line("nothing was done");
        return EXIT_FAILURE;
    }
    int code = phases_run(&bench);
    if (chatlog_forget_user(session->client, bench.user, &call, NULL, &error) != 0) {
        report_line("the user %s could not be forgotten: `chatlog forget %s --yes`", bench.user, bench.user);
        code = code ? code : session_fail(session, &error);
    }
    return code;
}
