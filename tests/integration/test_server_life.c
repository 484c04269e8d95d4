/* The daemon's life: start, refusal to start, stop under load, and what it leaves behind. */
#include "chatlog.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/directory.h"
#include "support/rawsp.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 32768, USAGE = 64, CONFIG = 78, UNAVAILABLE = 14, WAIT_MS = 30000 };

static char output[TEXT_BYTES], errors[TEXT_BYTES];

static void expect_refusal(const char *const *arguments, int status, const char *told)
{
    int ended = daemon_run(arguments, output, errors, sizeof(errors));
    if (ended != status || !strstr(errors, told)) {
        fail_msg("status %d, \"%s\"; expected %d, \"%s\"", ended, errors, status, told);
    }
}

static void a_second_daemon_on_the_same_data_is_refused_and_told_who_holds_it(void **state)
{
    (void)state;
    char pid[32], listen[512];
    struct daemon *daemon = daemon_start(NULL);
    snprintf(pid, sizeof(pid), "%d", (int)daemon_pid(daemon));
    snprintf(listen, sizeof(listen), "ipc://%s/other.sock", daemon_directory(daemon));
    expect_refusal((const char *const[]){"--data-dir", daemon_data_dir(daemon), "--listen", listen, NULL}, CONFIG, pid);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void the_socket_of_a_live_daemon_is_not_taken(void **state)
{
    (void)state;
    char other[512];
    struct daemon *daemon = daemon_start(NULL);
    snprintf(other, sizeof(other), "%s/other", daemon_directory(daemon));
    expect_refusal((const char *const[]){"--data-dir", other, "--map-size=1G", "--listen", daemon_url(daemon), NULL},
                   CONFIG, "another process listens on");
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void after_kill_9_the_socket_left_behind_is_taken_over(void **state)
{
    (void)state;
    struct stat status;
    struct daemon *daemon = daemon_start(NULL);
    daemon_kill(daemon);
    assert_int_equal(lstat(daemon_socket(daemon), &status), 0);
    daemon_restart(daemon);
    assert_true(rawsp_healthy(daemon_socket(daemon)));
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    char *directory = directory_new();
    char data[256], path[256], url[300];
    struct stat status;
    snprintf(data, sizeof(data), "%s/data", directory);
    snprintf(path, sizeof(path), "%s/precious", directory);
    snprintf(url, sizeof(url), "ipc://%s", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    expect_refusal((const char *const[]){"--data-dir", data, "--map-size=1G", "--listen", url, NULL}, CONFIG,
                   "is not a socket");
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    directory_remove(directory);
}

static void the_socket_is_for_owner_and_group_and_goes_with_the_daemon(void **state)
{
    (void)state;
    struct stat status;
    struct daemon *daemon = daemon_start(NULL);
    assert_int_equal(stat(daemon_socket(daemon), &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_int_equal(stat(daemon_data_dir(daemon), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(daemon_stop(daemon), 0);
    assert_int_equal(lstat(daemon_socket(daemon), &status), -1);
    daemon_free(daemon);
}

static void what_cannot_be_started_says_why_with_status_64_or_78(void **state)
{
    (void)state;
    char *directory = directory_new();
    char data[256], file[256], few[512];
    snprintf(data, sizeof(data), "--data-dir=%s/data", directory);
    snprintf(file, sizeof(file), "%s/conf", directory);
    snprintf(few, sizeof(few), "%s:2: connections = many: allowed is a number from 1 to 60000", file);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs("[chatlogd]\nconnections = many\n", out);
    assert_int_equal(fclose(out), 0);

    expect_refusal((const char *const[]){NULL}, USAGE, "data-dir is not set");
    expect_refusal((const char *const[]){data, "--port=1", NULL}, USAGE, "there is no option --port");
    expect_refusal((const char *const[]){data, "--listen=tcp://0.0.0.0:7311", NULL}, USAGE,
                   "other machines can reach it, so token-key must be set too");
    expect_refusal((const char *const[]){data, "--map-size=1G", "--token-key=a:HS256:/no/such/key", NULL}, CONFIG,
                   "token key a, /no/such/key: No such file");
    expect_refusal((const char *const[]){data, "--map-size=1G", "--peer=no-such-unix-user: service", NULL}, CONFIG,
                   "there is no Unix user of this name");
    expect_refusal((const char *const[]){data, "--config", file, NULL}, CONFIG, few);
    expect_refusal((const char *const[]){data, "--map-size=1G", "--listen=ipc:///nowhere/to/be/found.sock", NULL},
                   CONFIG, "the directory /nowhere/to/be of the socket cannot be used");
    expect_refusal((const char *const[]){"--data-dir=/proc/chatlogd", NULL}, CONFIG, "cannot start");
    directory_remove(directory);
}

static void help_and_version_go_to_standard_output(void **state)
{
    (void)state;
    assert_int_equal(daemon_run((const char *const[]){"--version", NULL}, output, errors, sizeof(output)), 0);
    assert_int_equal(strncmp(output, "chatlogd ", strlen("chatlogd ")), 0);
    assert_string_equal(errors, "");
    assert_int_equal(daemon_run((const char *const[]){"--help", NULL}, output, errors, sizeof(output)), 0);
    assert_non_null(strstr(output, "--data-dir"));
    assert_string_equal(errors, "");
}

static void the_printed_configuration_starts_the_same_daemon(void **state)
{
    (void)state;
    static char again[TEXT_BYTES];
    char *directory = directory_new();
    char data[256], listen[256], file[256];
    snprintf(data, sizeof(data), "--data-dir=%s/data", directory);
    snprintf(listen, sizeof(listen), "--listen=ipc://%s/s.sock", directory);
    snprintf(file, sizeof(file), "%s/conf", directory);
    assert_int_equal(daemon_run((const char *const[]){data, listen, "--requests=300", "--print-config", NULL}, output,
                                errors, sizeof(output)),
                     0);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(output, out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(
        daemon_run((const char *const[]){"--config", file, "--print-config", NULL}, again, errors, sizeof(again)), 0);
    assert_string_equal(again, output);
    assert_non_null(strstr(again, "requests = 300\n"));
    struct daemon *daemon = daemon_start((const char *const[]){"--config", file, NULL});
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
    directory_remove(directory);
}

static void tcp_without_token_keys_answers_health_and_says_why_nothing_else(void **state)
{
    (void)state;
    static const char before[] = "listening on tcp://";
    char url[64] = "tcp://";
    struct daemon *daemon = daemon_start((const char *const[]){"--listen=tcp://127.0.0.1:0", NULL});
    char *log = daemon_log(daemon);
    char *line = strstr(log, before);
    assert_non_null(line);
    assert_int_equal(sscanf(line + strlen(before), "%40[0-9.:]", url + strlen(url)), 1);
    assert_non_null(strstr(log, "answers health checks only: TCP needs tokens, and no token-key is set"));
    free(log);
    struct chatlog *client = NULL;
    struct chatlog_error error;
    assert_int_equal(chatlog_open(url, &client, &error), 0);
    assert_int_equal(chatlog_wait_ready(client, WAIT_MS, &error), 0);
    chatlog_close(client);
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void it_logs_the_version_of_nng_at_start(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    char *log = daemon_log(daemon);
    assert_non_null(strstr(log, "nng 1."));
    free(log);
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

#define KILLED "SIGKILL instead" /* a control */

/* One connection that sends appends as fast as it may and counts what it is told. */
struct load {
    pthread_t thread;
    char conversation[16];
    char path[256];
    unsigned window; /* requests under way at once */
    unsigned sent;
    unsigned stored;
    unsigned unavailable;
    unsigned other;
};

static size_t append_encode(const char *conversation, uint8_t *payload)
{
    static const uint8_t user[] = {0x0a, 1, 'u'};
    static const uint8_t rest[] = {0x1a, 0x07, 0x6a, 0x05, 'h', 'e', 'l', 'l', 'o', 0x20, 1};
    size_t length = strlen(conversation), size = 0;
    memcpy(payload, user, sizeof(user));
    size += sizeof(user);
    payload[size++] = 0x12;
    payload[size++] = (uint8_t)length;
    memcpy(payload + size, conversation, length);
    size += length;
    memcpy(payload + size, rest, sizeof(rest));
    return size + sizeof(rest);
}

static bool load_send(struct load *load, int fd)
{
    uint8_t payload[64];
    size_t size;
    size_t payload_size = append_encode(load->conversation, payload);
    uint8_t *request = rawsp_envelope("chatlog.v1.HistoryService/AppendMessages", payload, payload_size, NULL, &size);
    bool sent = rawsp_send_request(fd, load->sent, request, size);
    free(request);
    load->sent += sent;
    return sent;
}

static void *load_run(void *arg)
{
    struct load *load = arg;
    int fd = rawsp_open(load->path);
    size_t size;
    for (unsigned i = 0; i < load->window; i++) {
        load_send(load, fd);
    }
    for (uint8_t *answer; (answer = rawsp_receive(fd, NULL, &size)); free(answer)) {
        int code = rawsp_response_code(answer, size);
        load->stored += code == 0;
        load->unavailable += code == UNAVAILABLE;
        load->other += code != 0 && code != UNAVAILABLE;
        load_send(load, fd);
    }
    close(fd);
    return NULL;
}

static uint64_t last_seq(struct daemon *daemon, const char *conversation)
{
    struct chatlog *client = NULL;
    struct chatlog_error error = {0};
    struct chatlog_conversation found = {0};
    assert_int_equal(chatlog_open(daemon_url(daemon), &client, &error), 0);
    int code = chatlog_get_conversation(client, "u", conversation, NULL, &found, &error);
    assert_true(code == CHATLOG_OK || code == CHATLOG_NOT_FOUND);
    uint64_t seq = code == CHATLOG_OK ? found.last_seq : 0;
    chatlog_conversation_free(&found);
    chatlog_close(client);
    return seq;
}

/* What was said to be stored is there, and nothing else: a request without an answer did nothing. */
static void a_stop_under_load_answers_every_request_it_has_taken(void **state)
{
    (void)state;
    enum { LOADS = 4, WINDOW = 16 };
    static struct load loads[LOADS];
    struct daemon *daemon = daemon_start(NULL);
    for (int i = 0; i < LOADS; i++) {
        loads[i] = (struct load){.window = WINDOW};
        snprintf(loads[i].conversation, sizeof(loads[i].conversation), "c%d", i);
        snprintf(loads[i].path, sizeof(loads[i].path), "%s", daemon_socket(daemon));
        assert_int_equal(pthread_create(&loads[i].thread, NULL, load_run, &loads[i]), 0);
    }
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    (control_is(KILLED) ? daemon_kill : daemon_terminate)(daemon);
    for (int i = 0; i < LOADS; i++) {
        pthread_join(loads[i].thread, NULL);
    }
    assert_int_equal(daemon_wait(daemon), 0);
    daemon_restart(daemon);
    for (int i = 0; i < LOADS; i++) {
        assert_true(loads[i].stored > 0);
        assert_true(loads[i].unavailable > 0);
        assert_int_equal(loads[i].other, 0);
        assert_int_equal(last_seq(daemon, loads[i].conversation), loads[i].stored);
    }
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void a_burst_of_requests_sent_just_before_the_stop_is_answered(void **state)
{
    (void)state;
    enum { BURST = 200 };
    struct load load = {.conversation = "burst"};
    struct daemon *daemon = daemon_start(NULL);
    int fd = rawsp_open(daemon_socket(daemon));
    size_t size;
    while (load.sent < BURST && load_send(&load, fd)) {
    }
    uint8_t *answer = rawsp_receive(fd, NULL, &size);
    assert_non_null(answer); /* the first is answered: the others are on their way */
    assert_int_equal(rawsp_response_code(answer, size), 0);
    free(answer);
    load.stored = 1;
    daemon_terminate(daemon);
    while ((answer = rawsp_receive(fd, NULL, &size))) {
        int code = rawsp_response_code(answer, size);
        load.stored += code == 0;
        load.unavailable += code == UNAVAILABLE;
        free(answer);
    }
    close(fd);
    assert_int_equal(load.stored + load.unavailable, BURST);
    assert_int_equal(daemon_wait(daemon), 0);
    daemon_restart(daemon);
    assert_int_equal(last_seq(daemon, "burst"), load.stored);
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void a_client_that_does_not_read_cannot_hold_up_the_stop(void **state)
{
    (void)state;
    size_t size;
    struct daemon *daemon = daemon_start((const char *const[]){"--send-timeout-ms=60000", NULL});
    int fd = rawsp_open(daemon_socket(daemon));
    uint8_t *request = rawsp_envelope("chatlog.v1.AdminService/GetDescriptorSet", NULL, 0, NULL, &size);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(rawsp_send_request(fd, i, request, size));
    }
    free(request);
    int before = -1, unread = 0;
    while (unread == 0 || unread != before) { /* until the socket is full of answers */
        before = unread;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        assert_int_equal(ioctl(fd, FIONREAD, &unread), 0);
    }
    assert_int_equal(daemon_stop(daemon), 0); /* after its 10 s, long before the 60 s of the send timeout */
    close(fd);
    daemon_free(daemon);
}

static void sigint_stops_it_too(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    assert_int_equal(kill(daemon_pid(daemon), SIGINT), 0);
    assert_int_equal(daemon_wait(daemon), 0);
    daemon_free(daemon);
}

static void control_an_end_without_answers_is_found_out(void **state)
{
    (void)state;
    control_must_fail(21, KILLED, "a_stop_under_load_answers_every_request_it_has_taken");
}

int main(void)
{
    control_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_daemon_on_the_same_data_is_refused_and_told_who_holds_it),
        cmocka_unit_test(the_socket_of_a_live_daemon_is_not_taken),
        cmocka_unit_test(after_kill_9_the_socket_left_behind_is_taken_over),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(the_socket_is_for_owner_and_group_and_goes_with_the_daemon),
        cmocka_unit_test(what_cannot_be_started_says_why_with_status_64_or_78),
        cmocka_unit_test(help_and_version_go_to_standard_output),
        cmocka_unit_test(the_printed_configuration_starts_the_same_daemon),
        cmocka_unit_test(tcp_without_token_keys_answers_health_and_says_why_nothing_else),
        cmocka_unit_test(it_logs_the_version_of_nng_at_start),
        cmocka_unit_test(a_stop_under_load_answers_every_request_it_has_taken),
        cmocka_unit_test(a_burst_of_requests_sent_just_before_the_stop_is_answered),
        cmocka_unit_test(a_client_that_does_not_read_cannot_hold_up_the_stop),
        cmocka_unit_test(sigint_stops_it_too),
        cmocka_unit_test(control_an_end_without_answers_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
