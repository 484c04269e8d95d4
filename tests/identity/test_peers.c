/* A real daemon's callers on a local socket and on TCP: Unix users by the `peer` lines, tokens, and keys that change
 * while connections last. */
#include "base/wire.h"
#include "chatlog.h"
#include "support/daemon.h"
#include "support/directory.h"
#include "support/made_token.h"
#include "support/rawsp.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOG_WAIT_MS = 10000 };

static struct chatlog *client_of(const char *url, const char *token)
{
    struct chatlog *client = NULL;
    assert_int_equal(chatlog_open(url, &client, NULL), 0);
    assert_int_equal(chatlog_set_token(client, token, NULL), 0);
    return client;
}

static int say(struct chatlog *client, const char *user, struct chatlog_error *error)
{
    const struct chatlog_message message = {.role = "user", .content = "hello", .content_length = 5};
    const struct chatlog_append_options options = {.create_if_missing = true};
    return chatlog_append(client, user, "trip", &message, 1, &options, NULL, NULL, error);
}

/* reason: "" for success */
static void expect_say(struct chatlog *client, const char *user, const char *reason)
{
    struct chatlog_error error = {.reason = ""};
    int code = say(client, user, &error);
    assert_string_equal(code ? error.reason : "", reason);
}

static void expect_stats(struct chatlog *client, const char *reason)
{
    struct chatlog_error error = {.reason = ""};
    struct chatlog_stats stats = {0};
    int code = chatlog_get_stats(client, NULL, &stats, &error);
    assert_string_equal(code ? error.reason : "", reason);
    chatlog_stats_free(&stats);
}

static void peer_option(char ret[128], const char *role)
{
    snprintf(ret, 128, "--peer=%u: %s", (unsigned)geteuid(), role);
}

static void stop(struct daemon *daemon)
{
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void the_daemons_own_user_needs_no_token_for_anything(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    struct chatlog *client = client_of(daemon_url(daemon), NULL);
    expect_say(client, "ann", "");
    expect_say(client, "bob", "");
    expect_stats(client, "");
    chatlog_close(client);
    stop(daemon);
}

static void a_peer_line_makes_a_unix_user_what_it_says_and_no_more(void **state)
{
    (void)state;
    static const struct {
        const char *role;
        const char *own, *other, *stats; /* reasons */
    } rows[] = {{"user ann", "", "USER_FOREIGN", "SCOPE_MISSING"},
                {"service", "", "", "SCOPE_MISSING"},
                {"admin", "SCOPE_MISSING", "SCOPE_MISSING", ""}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char option[128];
        peer_option(option, rows[i].role);
        struct daemon *daemon = daemon_start((const char *const[]){option, NULL});
        struct chatlog *client = client_of(daemon_url(daemon), NULL);
        expect_say(client, "ann", rows[i].own);
        expect_say(client, "bob", rows[i].other);
        expect_stats(client, rows[i].stats);
        chatlog_close(client);
        stop(daemon);
    }
}

/* In a process of another Unix user. Returns 0 when the call was refused as it must be. */
static int stranger(const char *url)
{
    struct chatlog *client = NULL;
    struct chatlog_error error = {.reason = ""};
    char words[64];
    snprintf(words, sizeof(words), "\"peer = UNIX-USER: service\"");
    if (setgid(65534) || setuid(65534) || chatlog_open(url, &client, NULL)) {
        return 2;
    }
    int code = say(client, "ann", &error);
    bool told = code == CHATLOG_PERMISSION_DENIED && strcmp(error.reason, "PEER_UNKNOWN") == 0 &&
                strstr(error.message, "uid:65534") && strstr(error.message, words);
    chatlog_close(client);
    return told ? 0 : 1;
}

static void a_unix_user_that_no_line_names_is_refused_and_told_what_to_do(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can become somebody else */
    }
    struct daemon *daemon = daemon_start(NULL);
    assert_int_equal(chmod(daemon_directory(daemon), 0755), 0);
    assert_int_equal(chmod(daemon_socket(daemon), 0666), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(stranger(daemon_url(daemon)));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    char line[96];
    snprintf(line, sizeof(line), "AppendMessages by uid:65534 (pid %d): PEER_UNKNOWN", (int)child);
    assert_true(daemon_wait_log(daemon, line, LOG_WAIT_MS));
    stop(daemon);
}

/* A daemon on TCP too, with two HS256 keys in files that the test can change. */
struct keyed {
    char *directory;
    struct made_keys keys[2];
    struct daemon *daemon;
    char tcp_url[64];
};

static int keyed_set_up(void **state)
{
    struct keyed *keyed = calloc(1, sizeof(*keyed));
    assert_non_null(keyed);
    keyed->directory = directory_new();
    char options[2][256];
    for (size_t i = 0; i < 2; i++) {
        char name[] = {(char)('a' + i), '\0'};
        keyed->keys[i] = made_keys_new("P-256");
        char *path = made_file(keyed->directory, name, keyed->keys[i].secret);
        snprintf(options[i], sizeof(options[i]), "--token-key=%s:HS256:%s", name, path);
        free(path);
    }
    keyed->daemon = daemon_start((const char *const[]){"--listen=tcp://127.0.0.1:0", options[0], options[1], NULL});
    char *log = daemon_log(keyed->daemon);
    const char *line = strstr(log, "listening on tcp://");
    assert_non_null(line);
    line += strlen("listening on ");
    snprintf(keyed->tcp_url, sizeof(keyed->tcp_url), "%.*s", (int)strcspn(line, " \n"), line);
    free(log);
    *state = keyed;
    return 0;
}

static int keyed_tear_down(void **state)
{
    struct keyed *keyed = *state;
    stop(keyed->daemon);
    directory_remove(keyed->directory);
    free(keyed);
    return 0;
}

static struct chatlog *client_with(const struct keyed *keyed, const char *url, size_t key, const char *user)
{
    const char kid[] = {(char)('a' + key), '\0'};
    char *token = made_token_for("HS256", kid, user, "history:read history:write", "chatlogd", 600, MADE_HS256,
                                 keyed->keys[key].secret);
    struct chatlog *client = client_of(url, token);
    free(token);
    return client;
}

static void a_token_takes_the_place_of_the_unix_user_for_better_or_worse(void **state)
{
    const struct keyed *keyed = *state;
    struct chatlog *client = client_with(keyed, daemon_url(keyed->daemon), 0, "ann");
    expect_say(client, "ann", "");
    expect_say(client, "bob", "USER_FOREIGN");
    expect_stats(client, "SCOPE_MISSING");
    assert_int_equal(chatlog_set_token(client, "not.a.token", NULL), 0);
    expect_say(client, "ann", "TOKEN_INVALID");
    assert_int_equal(chatlog_set_token(client, NULL, NULL), 0);
    expect_say(client, "bob", "");
    chatlog_close(client);
}

struct caller {
    pthread_t thread;
    struct chatlog *client;
    atomic_bool *over;
    unsigned calls[2]; /* as ann, and refused because the token was bob's */
    unsigned wrong;
};

static void *call_as_ann(void *arg)
{
    struct caller *caller = arg;
    while (!*caller->over) {
        struct chatlog_error error = {.reason = ""};
        bool foreign = say(caller->client, "ann", &error) != 0;
        caller->calls[foreign]++;
        caller->wrong += foreign && strcmp(error.reason, "USER_FOREIGN") != 0;
    }
    return NULL;
}

static void a_token_may_be_replaced_while_other_threads_call(void **state)
{
    enum { THREADS = 3, REPLACED = 300 };
    const struct keyed *keyed = *state;
    atomic_bool over = false;
    struct caller callers[THREADS];
    char *tokens[2];
    static const char *const users[] = {"ann", "bob"};
    for (size_t i = 0; i < 2; i++) {
        tokens[i] =
            made_token_for("HS256", "a", users[i], "history:write", "chatlogd", 600, MADE_HS256, keyed->keys[0].secret);
    }
    struct chatlog *client = client_of(keyed->tcp_url, tokens[0]);
    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.client = client, .over = &over};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_as_ann, &callers[i]), 0);
    }
    for (size_t i = 0; i < REPLACED; i++) {
        assert_int_equal(chatlog_set_token(client, tokens[i % 2], NULL), 0);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    over = true;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].wrong, 0);
        assert_true(callers[i].calls[0] > 0 && callers[i].calls[1] > 0);
    }
    chatlog_close(client);
    free(tokens[0]);
    free(tokens[1]);
}

static void over_tcp_only_health_is_answered_without_a_token(void **state)
{
    const struct keyed *keyed = *state;
    struct chatlog *client = client_of(keyed->tcp_url, NULL);
    assert_int_equal(chatlog_wait_ready(client, 10000, NULL), 0);
    expect_say(client, "ann", "TOKEN_REQUIRED");
    expect_stats(client, "TOKEN_REQUIRED");
    chatlog_close(client);
}

static uint64_t connections_accepted(const struct keyed *keyed)
{
    struct chatlog *root = client_of(daemon_url(keyed->daemon), NULL);
    struct chatlog_stats stats;
    assert_int_equal(chatlog_get_stats(root, NULL, &stats, NULL), 0);
    uint64_t count = stats.connections_accepted;
    chatlog_stats_free(&stats);
    chatlog_close(root);
    return count;
}

static void new_keys_count_from_sighup_on_and_connections_live_through_it(void **state)
{
    struct keyed *keyed = *state;
    struct chatlog *old = client_with(keyed, keyed->tcp_url, 0, "ann");
    struct chatlog *kept = client_with(keyed, keyed->tcp_url, 1, "bob");
    expect_say(old, "ann", "");
    expect_say(kept, "bob", "");
    uint64_t before = connections_accepted(keyed);
    free(made_file(keyed->directory, "a", "too short a secret"));
    assert_int_equal(kill(daemon_pid(keyed->daemon), SIGHUP), 0);
    assert_true(daemon_wait_log(keyed->daemon, "SIGHUP: the token keys stay as they were: token key a, ", LOG_WAIT_MS));
    expect_say(old, "ann", "");
    keyed->keys[0] = made_keys_new("P-256");
    free(made_file(keyed->directory, "a", keyed->keys[0].secret));
    assert_int_equal(kill(daemon_pid(keyed->daemon), SIGHUP), 0);
    assert_true(daemon_wait_log(keyed->daemon, "SIGHUP: 2 token keys were read again", LOG_WAIT_MS));
    expect_say(old, "ann", "TOKEN_INVALID");
    expect_say(kept, "bob", "");
    struct chatlog *fresh = client_with(keyed, keyed->tcp_url, 0, "ann");
    expect_say(fresh, "ann", "");
    assert_int_equal(connections_accepted(keyed), before + 2); /* the fresh one and who asks */
    chatlog_close(old);
    chatlog_close(kept);
    chatlog_close(fresh);
}

static void the_log_names_who_was_refused_at_a_bounded_rate_and_never_a_token(void **state)
{
    enum { REFUSALS = 300 };
    struct keyed *keyed = *state;
    char *token =
        made_token_for("HS256", "a", "ann", "history:read", "chatlogd", -900, MADE_HS256, keyed->keys[0].secret);
    struct chatlog *client = client_of(keyed->tcp_url, token);
    for (int i = 0; i < REFUSALS; i++) {
        expect_say(client, "ann", "TOKEN_EXPIRED");
    }
    char *log = daemon_log(keyed->daemon);
    unsigned lines = 0;
    for (const char *at = log; (at = strstr(at, "refused ")); at++) {
        lines++;
    }
    assert_non_null(strstr(log, "refused 1 requests, the last: chatlog.v1.HistoryService/AppendMessages by nobody"));
    assert_true(lines > 0 && lines < REFUSALS / 4); /* one a second, and 300 calls take far less than 75 s */
    assert_null(strstr(log, token));
    assert_null(strstr(log, "eyJ")); /* how every token begins */
    free(log);
    free(token);
    chatlog_close(client);
}

static void the_log_names_the_trace_of_a_request_that_was_refused(void **state)
{
    static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct keyed *keyed = *state;
    struct buffer request = {0};
    wire_put_bytes(&request, 1, span_of_string("chatlog.v1.AdminService/GetStats"));
    wire_put_bytes(&request, 5, span_of_string("Bearer a.b.c"));
    wire_put_bytes(&request, 6, span_of_string(trace));
    int connection = rawsp_open(daemon_socket(keyed->daemon));
    assert_true(connection >= 0 && rawsp_send_request(connection, 1, request.data, request.size));
    uint32_t id;
    size_t size;
    uint8_t *response = rawsp_receive(connection, &id, &size);
    assert_non_null(response);
    assert_int_equal(rawsp_response_code(response, size), CHATLOG_UNAUTHENTICATED);
    char line[160];
    snprintf(line, sizeof(line), "; trace %s", trace);
    assert_true(daemon_wait_log(keyed->daemon, line, LOG_WAIT_MS));
    free(response);
    close(connection);
    buffer_free(&request);
}

static void a_page_token_is_good_after_a_restart_but_not_at_another_daemon(void **state)
{
    struct keyed *keyed = *state;
    struct daemon *other = daemon_start(NULL);
    struct chatlog *clients[] = {client_of(daemon_url(keyed->daemon), NULL), client_of(daemon_url(other), NULL)};
    char token[256] = "";
    for (size_t i = 0; i < 2; i++) {
        expect_say(clients[i], "ann", "");
        expect_say(clients[i], "bob", "");
    }
    struct chatlog_users page;
    assert_int_equal(chatlog_list_users(clients[0], 1, NULL, NULL, &page, NULL), 0);
    snprintf(token, sizeof(token), "%s", page.next_page_token);
    assert_true(token[0]);
    chatlog_users_free(&page);
    struct chatlog_error error;
    assert_int_equal(chatlog_list_users(clients[1], 1, token, NULL, &page, &error), CHATLOG_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "PAGE_TOKEN_INVALID");
    assert_int_equal(daemon_stop(keyed->daemon), 0);
    daemon_restart(keyed->daemon);
    assert_int_equal(chatlog_list_users(clients[0], 1, token, NULL, &page, NULL), 0);
    assert_string_equal(page.user_ids[0], "bob");
    chatlog_users_free(&page);
    chatlog_close(clients[0]);
    chatlog_close(clients[1]);
    stop(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_daemons_own_user_needs_no_token_for_anything),
        cmocka_unit_test(a_peer_line_makes_a_unix_user_what_it_says_and_no_more),
        cmocka_unit_test(a_unix_user_that_no_line_names_is_refused_and_told_what_to_do),
        cmocka_unit_test_setup_teardown(a_token_takes_the_place_of_the_unix_user_for_better_or_worse, keyed_set_up,
                                        keyed_tear_down),
        cmocka_unit_test_setup_teardown(a_token_may_be_replaced_while_other_threads_call, keyed_set_up,
                                        keyed_tear_down),
        cmocka_unit_test_setup_teardown(over_tcp_only_health_is_answered_without_a_token, keyed_set_up,
                                        keyed_tear_down),
        cmocka_unit_test_setup_teardown(new_keys_count_from_sighup_on_and_connections_live_through_it, keyed_set_up,
                                        keyed_tear_down),
        cmocka_unit_test_setup_teardown(the_log_names_who_was_refused_at_a_bounded_rate_and_never_a_token, keyed_set_up,
                                        keyed_tear_down),
        cmocka_unit_test_setup_teardown(the_log_names_the_trace_of_a_request_that_was_refused, keyed_set_up,
                                        keyed_tear_down),
        cmocka_unit_test_setup_teardown(a_page_token_is_good_after_a_restart_but_not_at_another_daemon, keyed_set_up,
                                        keyed_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
