/* How calls of libchatlog end when no answer comes. */
#include "client_fixture.h"

static void stay_silent(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg, (void)request;
    reply->silent = true;
}

static void always_unavailable(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg, (void)request;
    fake_reply_error(reply, 14, "PURGE_RUNNING", "the data of that name is still being removed; retry");
    fake_reply_detail(reply, "retry_delay_ms", "20");
}

static void healthy(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg, (void)request;
    struct fake_bytes payload = {0};
    fake_put_varint(&payload, 1, 1);
    fake_reply_ok(reply, &payload);
    fake_bytes_free(&payload);
}

static const struct chatlog_call_options shortly = {.timeout_ms = 200};

static void a_change_without_answer_may_have_been_made(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(stay_silent, NULL);
    struct chatlog_call_options options = {.timeout_ms = 200, .request_id = "change-17"};
    int64_t begin = milliseconds();
    assert_int_equal(append_hello(&fixture, &options, NULL), CHATLOG_DEADLINE_EXCEEDED);
    assert_true(milliseconds() - begin >= 200);
    assert_string_equal(fixture.error.reason, "NO_ANSWER");
    assert_non_null(strstr(fixture.error.message, "may have been made"));
    assert_non_null(strstr(fixture.error.message, "change-17"));
    fixture_end(&fixture);
}

static void a_read_without_answer_says_nothing_of_changes(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(stay_silent, NULL);
    struct chatlog_messages page;
    assert_int_equal(chatlog_list_messages(fixture.client, "alice", "c1", NULL, &shortly, &page, &fixture.error),
                     CHATLOG_DEADLINE_EXCEEDED);
    assert_string_equal(fixture.error.reason, "NO_ANSWER");
    assert_null(strstr(fixture.error.message, "change"));
    fixture_end(&fixture);
}

static void without_a_server_the_error_names_the_url(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    assert_int_equal(append_hello(&fixture, &shortly, NULL), CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "SERVER_UNREACHABLE");
    assert_non_null(strstr(fixture.error.message, fixture.url));
    assert_non_null(strstr(fixture.error.message, "is it running?"));
    fixture_end(&fixture);
}

static void at_the_deadline_the_servers_last_refusal_is_reported(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(always_unavailable, NULL);
    assert_int_equal(append_hello(&fixture, &shortly, NULL), CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "PURGE_RUNNING");
    assert_int_equal(fixture.error.retry_delay_ms, 20);
    assert_true(fake_server_requests(fixture.server) > 1);
    fixture_end(&fixture);
}

/* The first request is cut off, the later ones are refused: whether the first was carried out nobody knows. */
static void cut_then_unavailable(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    if (request->number == 1)
        reply->cut = true;
    else
        always_unavailable(arg, request, reply);
}

static void a_refusal_after_a_lost_attempt_does_not_hide_that_the_change_may_have_been_made(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(cut_then_unavailable, NULL);
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 1000}, NULL),
                     CHATLOG_DEADLINE_EXCEEDED);
    assert_string_equal(fixture.error.reason, "NO_ANSWER");
    fixture_end(&fixture);
}

static void cut_then_too_late(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg;
    if (request->number == 1)
        reply->cut = true;
    else
        fake_reply_error(reply, 4, "DEADLINE_PASSED", "nothing was done");
}

static void a_server_that_was_too_late_decides_nothing_about_a_lost_attempt(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(cut_then_too_late, NULL);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_DEADLINE_EXCEEDED);
    assert_string_equal(fixture.error.reason, "NO_ANSWER");
    fixture_end(&fixture);
}

/* Answers the first request late, and each with its number. */
static void first_is_late(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg;
    if (request->number == 1)
        reply->delay_ms = 300;
    reply_appended(reply, request->number);
}

static void a_late_answer_does_not_reach_a_later_call(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(first_is_late, NULL);
    struct chatlog_append_result result;
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 150}, &result),
                     CHATLOG_DEADLINE_EXCEEDED);
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(result.first_seq, 2);
    sleep_milliseconds(400);
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(result.first_seq, 3);
    fixture_end(&fixture);
}

static void waiting_for_a_server_that_never_comes_ends(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    assert_int_equal(chatlog_wait_ready(fixture.client, 200, &fixture.error), CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "SERVER_UNREACHABLE");
    fixture_end(&fixture);
}

static void waiting_for_a_server_that_does_not_answer_ends(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(stay_silent, NULL);
    assert_int_equal(chatlog_wait_ready(fixture.client, 200, &fixture.error), CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "SERVER_UNREACHABLE");
    fixture_end(&fixture);
}

static void waiting_ends_when_the_server_answers(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(healthy, NULL);
    assert_int_equal(chatlog_wait_ready(fixture.client, 20000, &fixture.error), CHATLOG_OK);
    bool serving = false;
    assert_int_equal(chatlog_check_health(fixture.client, NULL, &serving, NULL), CHATLOG_OK);
    assert_true(serving);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_without_answer_may_have_been_made),
        cmocka_unit_test(a_read_without_answer_says_nothing_of_changes),
        cmocka_unit_test(without_a_server_the_error_names_the_url),
        cmocka_unit_test(at_the_deadline_the_servers_last_refusal_is_reported),
        cmocka_unit_test(a_refusal_after_a_lost_attempt_does_not_hide_that_the_change_may_have_been_made),
        cmocka_unit_test(a_server_that_was_too_late_decides_nothing_about_a_lost_attempt),
        cmocka_unit_test(a_late_answer_does_not_reach_a_later_call),
        cmocka_unit_test(waiting_for_a_server_that_never_comes_ends),
        cmocka_unit_test(waiting_for_a_server_that_does_not_answer_ends),
        cmocka_unit_test(waiting_ends_when_the_server_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
