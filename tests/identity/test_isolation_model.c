/* Many users at once at a real daemon, each with random operations of every method that is theirs, compared with what a
 * model of his data says; and no byte of any answer may show another's marker. CHATLOG_SEED repeats a run; 50 users do
 * 500 operations each, times CHATLOG_FAULT_SCALE. */
#include "identity/isolation.h"
#include "support/daemon.h"
#include "support/directory.h"
#include "support/made_token.h"
#include "support/rawsp.h"
#include "support/trial.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { USERS = 50, CREWS = 4, CREW_MAX = (USERS + CREWS - 1) / CREWS, STEPS = 500, CONTROL_STEPS = 300 };
enum { TOKEN_SECONDS = 1000000, WAIT_SECONDS = 600 };

/* Users on one connection, each with an operation under way: the daemon tells them apart by what they send only. */
struct crew {
    pthread_t thread;
    const char *path;
    struct isolation_user users[CREW_MAX];
    struct buffer requests[CREW_MAX];
    uint64_t left[CREW_MAX];
    size_t count;
    uint64_t answers;
    const char *failure; /* of the connection; NULL: none */
};

struct fixture {
    struct daemon *daemon;
    struct made_keys keys;
    struct crew crews[CREWS];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char option[256];
    assert_non_null(fixture);
    fixture->keys = made_keys_new("P-256");
    char *directory = directory_new();
    char *path = made_file(directory, "secret", fixture->keys.secret);
    snprintf(option, sizeof(option), "--token-key=h:HS256:%s", path);
    fixture->daemon = daemon_start((const char *const[]){option, NULL});
    directory_remove(directory); /* read at the start */
    free(path);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < CREWS; i++) {
        for (size_t k = 0; k < fixture->crews[i].count; k++) {
            isolation_user_end(&fixture->crews[i].users[k]);
            buffer_free(&fixture->crews[i].requests[k]);
        }
    }
    int status = daemon_stop(fixture->daemon);
    daemon_free(fixture->daemon);
    free(fixture);
    return status;
}

static char *authorization_of(const struct fixture *fixture, enum isolation_caller caller, const char *user)
{
    char *text = NULL;
    if (caller == ISOLATION_BY_UNIX) {
        return strdup("");
    }
    bool service = caller == ISOLATION_BY_SERVICE;
    char *token = made_token_for("HS256", "h", service ? "" : user, service ? "service" : "history:read history:write",
                                 "chatlogd", TOKEN_SECONDS, MADE_HS256, fixture->keys.secret);
    assert_true(asprintf(&text, "Bearer %s", token) > 0);
    free(token);
    return text;
}

static void crews_begin(struct fixture *fixture, uint64_t seed, uint64_t steps)
{
    static const enum isolation_caller callers[] = {ISOLATION_BY_TOKEN, ISOLATION_BY_TOKEN, ISOLATION_BY_SERVICE,
                                                    ISOLATION_BY_TOKEN, ISOLATION_BY_UNIX};
    for (unsigned i = 0; i < USERS; i++) {
        struct crew *crew = &fixture->crews[i % CREWS];
        struct isolation_user *user = &crew->users[crew->count];
        crew->path = daemon_socket(fixture->daemon);
        isolation_user_begin(user, seed, i, callers[i % 5]);
        user->authorization = authorization_of(fixture, user->caller, user->marker.text);
        crew->left[crew->count++] = steps;
    }
    for (size_t i = 0; i < CREWS; i++) {
        struct crew *crew = &fixture->crews[i];
        for (size_t k = 0; k < crew->count; k++) {
            crew->users[k].other = &crew->users[(k + 1) % crew->count];
        }
    }
}

static bool request_send(struct crew *crew, int fd, uint32_t index)
{
    const struct buffer *request = &crew->requests[index];
    return !request->failed && rawsp_send_request(fd, index, request->data, request->size);
}

static bool user_next(struct crew *crew, int fd, uint32_t index)
{
    crew->left[index]--;
    isolation_turn_begin(&crew->users[index], &crew->requests[index]);
    return request_send(crew, fd, index);
}

/* Takes one answer and sends what follows it. Returns NULL, or what went wrong with the connection. */
static const char *crew_step(struct crew *crew, int fd, size_t *under_way)
{
    uint32_t index;
    size_t size;
    uint8_t *answer = rawsp_receive(fd, &index, &size);
    if (!answer || index >= crew->count) {
        free(answer);
        return "no answer, or one to nobody";
    }
    bool ended = isolation_turn_end(&crew->users[index], span_of(answer, size));
    bool sent = true;
    free(answer);
    if (!ended) {
        sent = request_send(crew, fd, index);
    } else {
        crew->answers++;
        if (crew->users[index].complaint[0] || crew->left[index] == 0) {
            --*under_way;
        } else {
            sent = user_next(crew, fd, index);
        }
    }
    return sent ? NULL : "the daemon took no request";
}

static void *crew_run(void *arg)
{
    struct crew *crew = arg;
    struct timeval patience = {.tv_sec = WAIT_SECONDS};
    size_t under_way = 0;
    int fd = rawsp_open(crew->path);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience))) {
        crew->failure = "no connection";
        return NULL;
    }
    for (uint32_t i = 0; i < crew->count && !crew->failure; i++, under_way++) {
        crew->failure = user_next(crew, fd, i) ? NULL : "the daemon took no request";
    }
    while (under_way > 0 && !crew->failure) {
        crew->failure = crew_step(crew, fd, &under_way);
    }
    close(fd);
    return NULL;
}

static void crews_run(struct fixture *fixture)
{
    for (size_t i = 0; i < CREWS; i++) {
        assert_int_equal(pthread_create(&fixture->crews[i].thread, NULL, crew_run, &fixture->crews[i]), 0);
    }
    for (size_t i = 0; i < CREWS; i++) {
        pthread_join(fixture->crews[i].thread, NULL);
    }
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The answer to what a user asks in the other's name, by somebody who may do that, given to the user as if it were his:
 * what a daemon that mixes users up would do. True when the check of the markers sees it. */
static bool mix_up_is_caught(const struct fixture *fixture)
{
    struct isolation_user user = fixture->crews[0].users[0];
    struct isolation_marker own = user.marker;
    struct buffer request = {0};
    bool caught = false;
    int fd = rawsp_open(daemon_socket(fixture->daemon));
    memset(user.conversations, 0, sizeof(user.conversations));
    user.turn.payload = (struct buffer){0};
    user.listing = false;
    user.authorization = authorization_of(fixture, ISOLATION_BY_SERVICE, "");
    for (int i = 0; i < CONTROL_STEPS && !caught; i++) {
        size_t size = 0;
        user.marker = user.other->marker;
        isolation_turn_begin(&user, &request);
        user.marker = own;
        assert_true(rawsp_send_request(fd, 1, request.data, request.size));
        uint8_t *answer = rawsp_receive(fd, NULL, &size);
        assert_non_null(answer);
        isolation_turn_end(&user, span_of(answer, size));
        caught = user.foreign > 0 && user.complaint[0];
        free(answer);
    }
    close(fd);
    buffer_free(&request);
    isolation_user_end(&user);
    return caught;
}

/* Appends that the daemon was never sent, though the model has them. True when the comparison sees it. */
static bool lost_appends_are_caught(struct fixture *fixture)
{
    struct isolation_user *user = &fixture->crews[0].users[0];
    struct buffer request = {0};
    int fd = rawsp_open(daemon_socket(fixture->daemon));
    for (int i = 0; i < CONTROL_STEPS && !user->complaint[0]; i++) {
        size_t size = 0;
        isolation_turn_begin(user, &request);
        if (strcmp(user->turn.method, "chatlog.v1.HistoryService/AppendMessages") == 0) {
            continue;
        }
        assert_true(rawsp_send_request(fd, 1, request.data, request.size));
        uint8_t *answer = rawsp_receive(fd, NULL, &size);
        assert_non_null(answer);
        isolation_turn_end(user, span_of(answer, size));
        free(answer);
    }
    close(fd);
    buffer_free(&request);
    return user->complaint[0] != '\0';
}

static void users_at_once_see_exactly_their_own_and_not_one_byte_of_others(void **state)
{
    struct fixture *fixture = *state;
    uint64_t answers = 0;
    uint64_t probes = 0;
    uint64_t bad = 0;
    uint64_t foreign = 0;
    double began = seconds_now();
    crews_begin(fixture, trial_seed(), trial_scaled(STEPS));
    crews_run(fixture);
    double took = seconds_now() - began;
    for (size_t i = 0; i < CREWS; i++) {
        const struct crew *crew = &fixture->crews[i];
        answers += crew->answers;
        bad += crew->failure != NULL;
        if (crew->failure) {
            print_error("crew %zu: %s\n", i, crew->failure);
        }
        for (size_t k = 0; k < crew->count; k++) {
            probes += crew->users[k].probes;
            foreign += crew->users[k].foreign;
            bad += crew->users[k].complaint[0] != '\0';
            if (crew->users[k].complaint[0]) {
                print_error("%s\n", crew->users[k].complaint);
            }
        }
    }
    bool mixed = mix_up_is_caught(fixture);
    bool lost = lost_appends_are_caught(fixture);
    char note[64];
    snprintf(note, sizeof(note), "%d users, %.0f answers/s", USERS, (double)answers / took);
    trial_report("28 isolation: random operations", answers, probes, bad, note);
    trial_report_control(28, "mixed-up users", mixed);
    trial_report_control(28, "lost appends", lost);
    assert_int_equal(bad, 0);
    assert_int_equal(foreign, 0);
    assert_true(mixed && lost);
    assert_true(probes > answers / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(users_at_once_see_exactly_their_own_and_not_one_byte_of_others, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
