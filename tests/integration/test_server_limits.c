/* Clients that take more than their share: each is stopped at its limit, and the others do not notice. */
#include "chatlog.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/rawsp.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONNECTS = 10000, WAIT_MS = 30000, LARGE_BYTES = 2 * 1024 * 1024 };

static struct daemon *daemon_end(struct daemon *daemon)
{
    assert_int_equal(daemon_stop(daemon), 0);
    return daemon_free(daemon);
}

/* True when the daemon closed the connection; reads nothing of what it sent. */
static bool hung_up(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = 0};
    return poll(&wanted, 1, control_wait_ms(WAIT_MS)) == 1 && (wanted.revents & (POLLHUP | POLLERR));
}

static void expect_logged(struct daemon *daemon, const char *text)
{
    if (!daemon_wait_log(daemon, text, WAIT_MS)) {
        char *log = daemon_log(daemon);
        print_error("%s", log);
        free(log);
        fail_msg("not logged: %s", text);
    }
}

/* Sends the request `count` times, as far as the daemon takes it. */
static void requests_pour(int fd, const char *method, const void *payload, size_t payload_size, uint32_t count)
{
    size_t size;
    uint8_t *request = rawsp_envelope(method, payload, payload_size, NULL, &size);
    for (uint32_t i = 0; i < count && rawsp_send_request(fd, i, request, size); i++) {
    }
    free(request);
}

static void expect_answered(int fd)
{
    size_t size;
    uint8_t *answer = rawsp_receive(fd, NULL, &size);
    assert_non_null(answer);
    free(answer);
}

/* Controls. */
#define PATIENCE "a long send timeout"
#define ONE_MORE "a connection more"

#define DESCRIPTORS "chatlog.v1.AdminService/GetDescriptorSet" /* the largest answer without data */

static void a_client_that_sends_and_never_reads_is_cut_and_others_are_served_meanwhile(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(
        (const char *const[]){"--send-timeout-ms=1000", "--requests=64", "--connection-requests=48", NULL});
    int greedy = rawsp_open(daemon_socket(daemon));
    /* Far more than a socket's buffer holds, and fewer waiting than the limit of one connection. */
    requests_pour(greedy, DESCRIPTORS, NULL, 0, 40);
    for (int i = 0; i < 20; i++) {
        assert_true(rawsp_healthy(daemon_socket(daemon)));
    }
    assert_true(hung_up(greedy));
    expect_logged(daemon, "1 connections closed: the client does not read its answers (send-timeout-ms = 1000)");
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    close(greedy);
    daemon_end(daemon);
}

static void message_append(struct daemon *daemon, size_t size)
{
    struct chatlog *client = NULL;
    struct chatlog_error error;
    char *content = malloc(size);
    assert_non_null(content);
    memset(content, 'x', size);
    struct chatlog_message message = {.role = "user", .content = content, .content_length = size};
    struct chatlog_append_options append = {.create_if_missing = true};
    assert_int_equal(chatlog_open(daemon_url(daemon), &client, &error), 0);
    assert_int_equal(chatlog_append(client, "u", "c", &message, 1, &append, NULL, NULL, &error), 0);
    chatlog_close(client);
    free(content);
}

static void a_client_that_never_reads_its_only_large_answer_is_cut(void **state)
{
    (void)state;
    static const char list[] = "\x0a\x01u\x12\x01"
                               "c";
    const char *timeout = control_is(PATIENCE) ? "--send-timeout-ms=60000" : "--send-timeout-ms=500";
    struct daemon *daemon = daemon_start((const char *const[]){timeout, NULL});
    message_append(daemon, LARGE_BYTES);
    int lazy = rawsp_open(daemon_socket(daemon));
    requests_pour(lazy, "chatlog.v1.HistoryService/ListMessages", list, sizeof(list) - 1, 1);
    assert_true(hung_up(lazy));
    expect_logged(daemon, "the client does not read its answers");
    close(lazy);
    daemon_end(daemon);
}

static void a_client_that_reads_late_but_in_time_gets_its_large_answer(void **state)
{
    (void)state;
    static const char list[] = "\x0a\x01u\x12\x01"
                               "c";
    struct daemon *daemon = daemon_start((const char *const[]){"--send-timeout-ms=60000", NULL});
    message_append(daemon, LARGE_BYTES);
    int slow = rawsp_open(daemon_socket(daemon));
    requests_pour(slow, "chatlog.v1.HistoryService/ListMessages", list, sizeof(list) - 1, 1);
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    size_t size = 0;
    uint8_t *answer = rawsp_receive(slow, NULL, &size);
    assert_non_null(answer);
    assert_true(size > LARGE_BYTES);
    assert_int_equal(rawsp_response_code(answer, size), 0);
    free(answer);
    close(slow);
    daemon_end(daemon);
}

static void a_client_idle_longer_than_the_send_timeout_is_kept(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start((const char *const[]){"--send-timeout-ms=200", NULL});
    int quiet = rawsp_open(daemon_socket(daemon));
    requests_pour(quiet, DESCRIPTORS, NULL, 0, 1);
    expect_answered(quiet);
    assert_false(rawsp_closed(quiet, 1000));
    requests_pour(quiet, DESCRIPTORS, NULL, 0, 1);
    expect_answered(quiet);
    close(quiet);
    daemon_end(daemon);
}

struct pour {
    pthread_t thread;
    int fd;
    uint32_t count;
};

static void *pour_run(void *arg)
{
    struct pour *pour = arg;
    requests_pour(pour->fd, DESCRIPTORS, NULL, 0, pour->count);
    return NULL;
}

/* It is not read from while it has enough under way: nothing is lost, and the flood stays in its own socket. */
static void a_flood_on_one_connection_is_slowed_to_its_limit_and_all_answered(void **state)
{
    (void)state;
    enum { FLOOD = 5000 };
    struct daemon *daemon = daemon_start((const char *const[]){"--connection-requests=8", "--requests=16", NULL});
    struct pour pour = {.fd = rawsp_open(daemon_socket(daemon)), .count = FLOOD};
    assert_int_equal(pthread_create(&pour.thread, NULL, pour_run, &pour), 0);
    for (uint32_t i = 0; i < FLOOD; i++) {
        expect_answered(pour.fd);
        if (i % 500 == 0) {
            assert_true(rawsp_healthy(daemon_socket(daemon)));
        }
    }
    pthread_join(pour.thread, NULL);
    close(pour.fd);
    daemon_end(daemon);
}

static void a_flood_that_is_never_read_takes_no_more_than_its_limit(void **state)
{
    (void)state;
    struct daemon *daemon =
        daemon_start((const char *const[]){"--connection-requests=8", "--requests=16", "--send-timeout-ms=2000", NULL});
    struct pour pour = {.fd = rawsp_open(daemon_socket(daemon)), .count = 100000};
    assert_int_equal(pthread_create(&pour.thread, NULL, pour_run, &pour), 0);
    for (int i = 0; i < 50; i++) {
        assert_true(rawsp_healthy(daemon_socket(daemon)));
    }
    expect_logged(daemon, "the client does not read its answers");
    pthread_join(pour.thread, NULL); /* its connection is closed, so it cannot write any more */
    close(pour.fd);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    daemon_end(daemon);
}

static void more_requests_than_exchanges_wait_their_turn_and_are_all_answered(void **state)
{
    (void)state;
    enum { CLIENTS = 8, EACH = 25 };
    struct daemon *daemon = daemon_start((const char *const[]){"--requests=2", "--connection-requests=2", NULL});
    int clients[CLIENTS];
    for (uint32_t round = 0; round < EACH; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            clients[i] = round == 0 ? rawsp_open(daemon_socket(daemon)) : clients[i];
            requests_pour(clients[i], DESCRIPTORS, NULL, 0, 1);
        }
        for (int i = 0; i < CLIENTS; i++) {
            expect_answered(clients[i]);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        close(clients[i]);
    }
    daemon_end(daemon);
}

static void connections_over_the_limit_are_refused_and_accepted_again_when_others_close(void **state)
{
    (void)state;
    enum { LIMIT = 4 };
    const char *limit = control_is(ONE_MORE) ? "--connections=5" : "--connections=4";
    struct daemon *daemon = daemon_start((const char *const[]){limit, NULL});
    int open[LIMIT];
    for (int i = 0; i < LIMIT; i++) {
        open[i] = rawsp_open(daemon_socket(daemon));
        requests_pour(open[i], DESCRIPTORS, NULL, 0, 1);
        expect_answered(open[i]);
    }
    assert_false(rawsp_healthy(daemon_socket(daemon)));
    expect_logged(daemon, "connections refused: too many are open (connections = 4)");
    requests_pour(open[0], DESCRIPTORS, NULL, 0, 1); /* those there are do not suffer */
    expect_answered(open[0]);
    close(open[1]);
    bool again = false;
    for (int waited = 0; !again && waited < WAIT_MS; waited += 10) {
        again = rawsp_healthy(daemon_socket(daemon));
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(again);
    close(open[0]);
    close(open[2]);
    close(open[3]);
    daemon_end(daemon);
}

static size_t files_open(const struct daemon *daemon)
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon_pid(daemon));
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void ten_thousand_connects_one_after_the_other_leave_nothing_behind(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    size_t before = files_open(daemon);
    for (int i = 0; i < CONNECTS; i++) {
        int fd = rawsp_connect(daemon_socket(daemon));
        if (i % 10 == 0) {
            assert_true(rawsp_write(fd, "\0SP\0\0\x30\0\0", RAWSP_HANDSHAKE_BYTES));
        }
        close(fd);
    }
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    size_t after = files_open(daemon);
    for (int waited = 0; after > before && waited < WAIT_MS; waited += 10) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        after = files_open(daemon);
    }
    assert_true(after <= before);
    daemon_end(daemon);
}

/* A connection that cannot be accepted waits in the kernel's queue until it can. */
static void running_out_of_open_files_is_survived(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    struct rlimit before, none;
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    assert_int_equal(prlimit(daemon_pid(daemon), RLIMIT_NOFILE, NULL, &before), 0);
    none = (struct rlimit){.rlim_cur = 1, .rlim_max = before.rlim_max};
    assert_int_equal(prlimit(daemon_pid(daemon), RLIMIT_NOFILE, &none, NULL), 0);
    int fd = rawsp_connect(daemon_socket(daemon));
    expect_logged(daemon, "a connection could not be accepted");
    assert_int_equal(prlimit(daemon_pid(daemon), RLIMIT_NOFILE, &before, NULL), 0);
    assert_true(rawsp_handshake(fd, RAWSP_PROTOCOL_REQ));
    requests_pour(fd, DESCRIPTORS, NULL, 0, 1);
    expect_answered(fd);
    close(fd);
    daemon_end(daemon);
}

/* With nng's REP socket the first dozen of these stop its reaper thread for ever, and connections are never given back
 * any more: that is why the server does not use it. */
static void clients_that_go_away_in_the_middle_are_given_back(void **state)
{
    (void)state;
    enum { GONE = 400, AT_ONCE = 50 };
    static const char list[] = "\x0a\x01u\x12\x01"
                               "c";
    char part[65536];
    struct daemon *daemon = daemon_start((const char *const[]){"--connections=200", NULL});
    message_append(daemon, LARGE_BYTES);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    size_t before = files_open(daemon);
    for (uint32_t i = 0; i < GONE; i++) {
        int fd = rawsp_open(daemon_socket(daemon));
        if (fd >= 0 && i % 2 == 0) {
            requests_pour(fd, DESCRIPTORS, NULL, 0, i % AT_ONCE);
        } else if (fd >= 0) {
            requests_pour(fd, "chatlog.v1.HistoryService/ListMessages", list, sizeof(list) - 1, 3);
            for (uint32_t reads = i % 40; reads > 0 && recv(fd, part, sizeof(part), 0) > 0; reads--) {
            }
        }
        close(fd);
    }
    size_t after = files_open(daemon);
    for (int waited = 0; after > before && waited < WAIT_MS; waited += 10) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        after = files_open(daemon);
    }
    assert_true(after <= before);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    daemon_end(daemon);
}

/* 200 refusals in a moment must not be 200 lines. */
static void what_happens_often_is_logged_at_most_once_a_second(void **state)
{
    (void)state;
    enum { REFUSED = 200 };
    struct daemon *daemon = daemon_start((const char *const[]){"--connections=1", NULL});
    int only = rawsp_open(daemon_socket(daemon));
    requests_pour(only, DESCRIPTORS, NULL, 0, 1);
    expect_answered(only);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < REFUSED; i++) {
        int fd = rawsp_open(daemon_socket(daemon));
        assert_true(fd < 0 || rawsp_closed(fd, WAIT_MS));
        close(fd);
    }
    close(only);
    expect_logged(daemon, "connections refused");
    clock_gettime(CLOCK_MONOTONIC, &end);
    char *log = daemon_log(daemon);
    long lines = 0;
    for (const char *at = log; (at = strstr(at, "connections refused")); at++) {
        lines++;
    }
    free(log);
    assert_in_range(lines, 1, end.tv_sec - start.tv_sec + 2);
    daemon_end(daemon);
}

static void control_limits_that_are_not_kept_are_found_out(void **state)
{
    (void)state;
    control_must_fail(12, PATIENCE, "a_client_that_never_reads_its_only_large_answer_is_cut");
    control_must_fail(19, ONE_MORE, "connections_over_the_limit_are_refused_and_accepted_again_when_others_close");
}

int main(void)
{
    control_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_sends_and_never_reads_is_cut_and_others_are_served_meanwhile),
        cmocka_unit_test(a_client_that_never_reads_its_only_large_answer_is_cut),
        cmocka_unit_test(a_client_that_reads_late_but_in_time_gets_its_large_answer),
        cmocka_unit_test(a_client_idle_longer_than_the_send_timeout_is_kept),
        cmocka_unit_test(a_flood_on_one_connection_is_slowed_to_its_limit_and_all_answered),
        cmocka_unit_test(a_flood_that_is_never_read_takes_no_more_than_its_limit),
        cmocka_unit_test(clients_that_go_away_in_the_middle_are_given_back),
        cmocka_unit_test(running_out_of_open_files_is_survived),
        cmocka_unit_test(more_requests_than_exchanges_wait_their_turn_and_are_all_answered),
        cmocka_unit_test(connections_over_the_limit_are_refused_and_accepted_again_when_others_close),
        cmocka_unit_test(ten_thousand_connects_one_after_the_other_leave_nothing_behind),
        cmocka_unit_test(what_happens_often_is_logged_at_most_once_a_second),
        cmocka_unit_test(control_limits_that_are_not_kept_are_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
