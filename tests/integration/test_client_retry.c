/* What libchatlog sends again, with what, when, and what it does not. */
#include "client_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUESTS_MAX = 64 };

/* Misbehaves for the first requests, then answers appends; remembers what came. */
struct script {
    unsigned cut;
    unsigned refuse;
    int code;
    const char *reason;
    const char *retry_delay_ms;
    bool empty; /* answers with an empty payload, which is a response of most methods */
    unsigned count;
    char ids[REQUESTS_MAX][256];
    uint32_t timeouts[REQUESTS_MAX];
    int64_t times[REQUESTS_MAX];
};

static void play(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    struct script *script = arg;
    if (script->count < REQUESTS_MAX) {
        strcpy(script->ids[script->count], request->request_id);
        script->timeouts[script->count] = request->timeout_ms;
        script->times[script->count] = milliseconds();
        script->count++;
    }
    if (request->number <= script->cut) {
        reply->cut = true;
    } else if (request->number <= script->cut + script->refuse) {
        fake_reply_error(reply, script->code, script->reason, "not now");
        if (script->retry_delay_ms != NULL)
            fake_reply_detail(reply, "retry_delay_ms", script->retry_delay_ms);
    } else if (!script->empty) {
        reply_appended(reply, 7);
    }
}

static void a_change_cut_off_before_its_answer_is_sent_again_with_the_same_request_id(void **state)
{
    (void)state;
    struct script script = {.cut = 3};
    struct fixture fixture = fixture_start(play, &script);
    struct chatlog_append_result result;
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(result.first_seq, 7);
    assert_int_equal(fake_server_requests(fixture.server), 4);
    assert_int_equal(strlen(script.ids[0]), 32);
    for (unsigned i = 1; i < 4; i++)
        assert_string_equal(script.ids[i], script.ids[0]);
    fixture_end(&fixture);
}

static void the_callers_request_id_is_sent_with_every_attempt(void **state)
{
    (void)state;
    struct script script = {.cut = 1};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.request_id = "mine"}, NULL), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 2);
    assert_string_equal(script.ids[0], "mine");
    assert_string_equal(script.ids[1], "mine");
    fixture_end(&fixture);
}

static void each_call_gets_a_request_id_of_its_own(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 2);
    assert_string_not_equal(script.ids[0], script.ids[1]);
    fixture_end(&fixture);
}

static void a_read_carries_no_request_id_and_is_sent_again(void **state)
{
    (void)state;
    struct script script = {.cut = 2, .empty = true};
    struct fixture fixture = fixture_start(play, &script);
    struct chatlog_stats stats;
    assert_int_equal(chatlog_get_stats(fixture.client, NULL, &stats, &fixture.error), CHATLOG_OK);
    chatlog_stats_free(&stats);
    assert_int_equal(fake_server_requests(fixture.server), 3);
    assert_string_equal(script.ids[0], "");
    fixture_end(&fixture);
}

static void unavailable_is_tried_again_until_it_succeeds(void **state)
{
    (void)state;
    struct script script = {.refuse = 4, .code = 14, .reason = "SHUTTING_DOWN"};
    struct fixture fixture = fixture_start(play, &script);
    struct chatlog_append_result result;
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 5);
    fixture_end(&fixture);
}

static void the_delay_the_server_asks_for_is_obeyed(void **state)
{
    (void)state;
    struct script script = {.refuse = 2, .code = 8, .reason = "QUEUE_FULL", .retry_delay_ms = "150"};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 3);
    assert_true(script.times[1] - script.times[0] >= 150);
    assert_true(script.times[2] - script.times[1] >= 150);
    fixture_end(&fixture);
}

static void a_full_server_that_names_no_delay_is_not_asked_again(void **state)
{
    (void)state;
    struct script script = {.refuse = 1, .code = 8, .reason = "CONVERSATION_FULL"};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_RESOURCE_EXHAUSTED);
    assert_string_equal(fixture.error.reason, "CONVERSATION_FULL");
    assert_int_equal(fake_server_requests(fixture.server), 1);
    fixture_end(&fixture);
}

static void a_delay_beyond_the_deadline_ends_the_call_with_the_servers_error(void **state)
{
    (void)state;
    struct script script = {.refuse = 1, .code = 8, .reason = "DISK_FULL", .retry_delay_ms = "4000000000"};
    struct fixture fixture = fixture_start(play, &script);
    int64_t begin = milliseconds();
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_RESOURCE_EXHAUSTED);
    assert_true(milliseconds() - begin < 30000); /* at once, not at the deadline */
    assert_string_equal(fixture.error.reason, "DISK_FULL");
    assert_int_equal(fixture.error.retry_delay_ms, 4000000000);
    assert_int_equal(fake_server_requests(fixture.server), 1);
    fixture_end(&fixture);
}

static void other_errors_are_reported_at_once(void **state)
{
    (void)state;
    static const int codes[] = {3, 5, 6, 7, 9, 10, 12, 13, 15, 16};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct script script = {.refuse = 1, .code = codes[i], .reason = "SOMETHING"};
        struct fixture fixture = fixture_start(play, &script);
        assert_int_equal(append_hello(&fixture, NULL, NULL), codes[i]);
        assert_int_equal(fixture.error.code, codes[i]);
        assert_string_equal(fixture.error.reason, "SOMETHING");
        assert_string_equal(fixture.error.message, "not now");
        assert_int_equal(fake_server_requests(fixture.server), 1);
        fixture_end(&fixture);
    }
}

static void each_attempt_says_how_much_time_is_left(void **state)
{
    (void)state;
    struct script script = {.refuse = 1, .code = 14, .reason = "SHUTTING_DOWN", .retry_delay_ms = "100"};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 20000}, NULL), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 2);
    assert_in_range(script.timeouts[0], 1, 20000);
    assert_in_range(script.timeouts[1], 1, script.timeouts[0] - 100);
    fixture_end(&fixture);
}

/* ---- Calls by name ------------------------------------------------------------------------------------------------
 */

static int call(struct fixture *fixture, const char *method, const char *request_id)
{
    struct chatlog_reply reply = {0};
    int code = chatlog_call(fixture->client, method, "", 0, &(struct chatlog_call_options){.request_id = request_id},
                            &reply, &fixture->error);
    chatlog_reply_free(&reply);
    return code;
}

static void a_change_without_request_id_is_not_sent_twice(void **state)
{
    (void)state;
    struct script script = {.cut = 1};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(call(&fixture, "chatlog.v1.HistoryService/PopMessages", NULL), CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "CONNECTION_LOST");
    assert_non_null(strstr(fixture.error.message, "may have been made"));
    assert_int_equal(fake_server_requests(fixture.server), 1);
    fixture_end(&fixture);

    script = (struct script){.refuse = 1, .code = 14, .reason = "SHUTTING_DOWN", .retry_delay_ms = "1"};
    fixture = fixture_start(play, &script);
    assert_int_equal(call(&fixture, "chatlog.v1.HistoryService/PopMessages", NULL), CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "SHUTTING_DOWN");
    assert_int_equal(fake_server_requests(fixture.server), 1);
    fixture_end(&fixture);
}

static void a_method_the_library_does_not_know_counts_as_a_change(void **state)
{
    (void)state;
    struct script script = {.cut = 1};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(call(&fixture, "chatlog.v9.Future/Read", NULL), CHATLOG_UNAVAILABLE);
    assert_int_equal(fake_server_requests(fixture.server), 1);
    fixture_end(&fixture);
}

static void a_named_read_and_a_change_with_request_id_are_sent_again(void **state)
{
    (void)state;
    struct script script = {.cut = 1};
    struct fixture fixture = fixture_start(play, &script);
    assert_int_equal(call(&fixture, "chatlog.v1.HistoryService/ListMessages", NULL), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 2);
    fixture_end(&fixture);

    script = (struct script){.cut = 1};
    fixture = fixture_start(play, &script);
    assert_int_equal(call(&fixture, "chatlog.v1.HistoryService/PopMessages", "p1"), CHATLOG_OK);
    assert_int_equal(fake_server_requests(fixture.server), 2);
    assert_string_equal(script.ids[1], "p1");
    fixture_end(&fixture);
}

/* ---- Connections --------------------------------------------------------------------------------------------------
 */

static void a_server_that_starts_after_the_client_is_found(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = fixture_new();
    sleep_milliseconds(300);
    fixture.server = fake_server_start(fixture.url, play, &script);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
    fixture_end(&fixture);
}

static void a_server_that_stops_and_starts_again_is_found_again(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = fixture_start(play, &script);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
        fake_server_stop(fixture.server);
        fixture.server = fake_server_start(fixture.url, play, &script);
    }
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
    fixture_end(&fixture);
}

/* Accepts connections on the path and closes each at once, before any handshake, for so long. */
static void slam_doors(const char *path, int64_t for_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    for (int64_t end = milliseconds() + for_ms; milliseconds() < end;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0)
            close(connection);
    }
    close(listener);
    unlink(path);
}

static void a_connection_closed_during_its_handshake_is_made_again(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = fixture_new();
    slam_doors(fixture.url + strlen("ipc://"), 700);
    fixture.server = fake_server_start(fixture.url, play, &script);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_OK);
    fixture_end(&fixture);
}

/* ---- Large requests -----------------------------------------------------------------------------------------------
 */

static void a_large_request_that_breaks_every_connection_is_given_up(void **state)
{
    (void)state;
    struct script script = {.cut = REQUESTS_MAX};
    struct fixture fixture = fixture_start(play, &script);
    size_t length = 9u << 20;
    char *content = calloc(1, length);
    struct chatlog_message message = {.role = "user", .content = content, .content_length = length};
    assert_int_equal(chatlog_append(fixture.client, "alice", "c1", &message, 1, NULL, NULL, NULL, &fixture.error),
                     CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "CONNECTION_LOST");
    assert_non_null(strstr(fixture.error.message, "request_bytes"));
    assert_int_equal(fake_server_requests(fixture.server), 3);
    free(content);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_cut_off_before_its_answer_is_sent_again_with_the_same_request_id),
        cmocka_unit_test(the_callers_request_id_is_sent_with_every_attempt),
        cmocka_unit_test(each_call_gets_a_request_id_of_its_own),
        cmocka_unit_test(a_read_carries_no_request_id_and_is_sent_again),
        cmocka_unit_test(unavailable_is_tried_again_until_it_succeeds),
        cmocka_unit_test(the_delay_the_server_asks_for_is_obeyed),
        cmocka_unit_test(a_full_server_that_names_no_delay_is_not_asked_again),
        cmocka_unit_test(a_delay_beyond_the_deadline_ends_the_call_with_the_servers_error),
        cmocka_unit_test(other_errors_are_reported_at_once),
        cmocka_unit_test(each_attempt_says_how_much_time_is_left),
        cmocka_unit_test(a_change_without_request_id_is_not_sent_twice),
        cmocka_unit_test(a_method_the_library_does_not_know_counts_as_a_change),
        cmocka_unit_test(a_named_read_and_a_change_with_request_id_are_sent_again),
        cmocka_unit_test(a_server_that_starts_after_the_client_is_found),
        cmocka_unit_test(a_server_that_stops_and_starts_again_is_found_again),
        cmocka_unit_test(a_connection_closed_during_its_handshake_is_made_again),
        cmocka_unit_test(a_large_request_that_breaks_every_connection_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
