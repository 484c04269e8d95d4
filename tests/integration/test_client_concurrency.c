/* Many calls at once on one client of libchatlog: threads, completions, order, bounds, closing. */
#include "client_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { THREADS = 8, CALLS_EACH = 200, ON_WIRE_MAX = 128, CALLS_MAX = 1024 };

/* Answers an append with the number in its user_id ("u17": seq 17), so that a mixed-up answer shows. */
static void answer_number(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg;
    assert_true(request->payload_length > 3 && request->payload[0] == (1 << 3 | 2));
    char digits[16] = {0};
    memcpy(digits, request->payload + 3, request->payload[1] - 1u);
    reply_appended(reply, strtoull(digits, NULL, 10));
}

static void stay_silent(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg, (void)request;
    reply->silent = true;
}

static int append_number(struct chatlog *client, unsigned number, struct chatlog_append_result *result)
{
    char user[16];
    snprintf(user, sizeof user, "u%u", number);
    struct chatlog_message message = {.role = "user", .content = "x", .content_length = 1};
    return chatlog_append(client, user, "c1", &message, 1, NULL, NULL, result, NULL);
}

static int append_async(struct chatlog *client, unsigned number, chatlog_append_done *done, void *arg,
                        struct chatlog_error *error)
{
    char user[16];
    snprintf(user, sizeof user, "u%u", number);
    struct chatlog_message message = {.role = "user", .content = "x", .content_length = 1};
    return chatlog_append_async(client, user, "c1", &message, 1, NULL, NULL, done, arg, error);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------
 */

struct worker {
    pthread_t thread;
    struct chatlog *client;
    unsigned first;
    unsigned wrong;
};

static void *call_many_times(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < CALLS_EACH; i++) {
        struct chatlog_append_result result = {0};
        if (append_number(worker->client, worker->first + i, &result) != 0 || result.first_seq != worker->first + i)
            worker->wrong++;
    }
    return NULL;
}

static void threads_that_share_a_client_each_get_their_own_answers(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(answer_number, NULL);
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.client = fixture.client, .first = 1 + i * CALLS_EACH};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, call_many_times, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(fake_server_requests(fixture.server), THREADS * CALLS_EACH);
    fixture_end(&fixture);
}

/* ---- Completions --------------------------------------------------------------------------------------------------
 */

struct call {
    atomic_uint completions;
    int code;
    uint64_t seq;
    char reason[48];
    sem_t *ended;
};

static void note(void *arg, int code, const struct chatlog_append_result *result, const struct chatlog_error *error)
{
    struct call *call = arg;
    call->code = code;
    if (result != NULL)
        call->seq = result->first_seq;
    if (error != NULL)
        strcpy(call->reason, error->reason);
    atomic_fetch_add(&call->completions, 1);
    sem_post(call->ended);
}

static void every_call_is_completed_once_also_beyond_those_on_the_wire(void **state)
{
    (void)state;
    enum { CALLS = 1000 };
    struct fixture fixture = fixture_start(answer_number, NULL);
    struct call *calls = calloc(CALLS, sizeof *calls);
    sem_t ended;
    sem_init(&ended, 0, 0);
    for (unsigned i = 0; i < CALLS; i++) {
        calls[i].ended = &ended;
        assert_int_equal(append_async(fixture.client, i + 1, note, &calls[i], NULL), CHATLOG_OK);
    }
    for (unsigned i = 0; i < CALLS; i++)
        sem_wait(&ended);
    fixture_end(&fixture);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].completions, 1);
        assert_int_equal(calls[i].code, CHATLOG_OK);
        assert_int_equal(calls[i].seq, i + 1);
    }
    sem_destroy(&ended);
    free(calls);
}

/* Each completion starts the next call, until there are enough. */
struct chain {
    struct chatlog *client;
    unsigned left;
    int code;
    sem_t ended;
};

static void start_next(void *arg, int code, const struct chatlog_append_result *result,
                       const struct chatlog_error *error)
{
    (void)result, (void)error;
    struct chain *chain = arg;
    chain->code = code;
    if (code != 0 || --chain->left == 0 || append_async(chain->client, chain->left, start_next, chain, NULL) != 0)
        sem_post(&chain->ended);
}

static void a_completion_may_start_the_next_call(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(answer_number, NULL);
    struct chain chain = {.client = fixture.client, .left = 300};
    sem_init(&chain.ended, 0, 0);
    assert_int_equal(append_async(fixture.client, chain.left, start_next, &chain, NULL), CHATLOG_OK);
    sem_wait(&chain.ended);
    assert_int_equal(chain.code, CHATLOG_OK);
    assert_int_equal(chain.left, 0);
    fixture_end(&fixture);
    sem_destroy(&chain.ended);
}

static void block(void *arg, int code, const struct chatlog_append_result *result, const struct chatlog_error *error)
{
    (void)code, (void)result, (void)error;
    struct chain *chain = arg;
    bool serving;
    chain->code = chatlog_check_health(chain->client, NULL, &serving, NULL);
    sem_post(&chain->ended);
}

static void a_blocking_call_in_a_completion_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(answer_number, NULL);
    struct chain chain = {.client = fixture.client};
    sem_init(&chain.ended, 0, 0);
    assert_int_equal(append_async(fixture.client, 1, block, &chain, NULL), CHATLOG_OK);
    sem_wait(&chain.ended);
    assert_int_equal(chain.code, CHATLOG_FAILED_PRECONDITION);
    fixture_end(&fixture);
    sem_destroy(&chain.ended);
}

static void first_is_late(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    if (request->number == 1)
        reply->delay_ms = 500;
    answer_number(arg, request, reply);
}

static void a_later_call_may_be_answered_first(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(first_is_late, NULL);
    sem_t ended;
    sem_init(&ended, 0, 0);
    struct call slow = {.ended = &ended};
    assert_int_equal(append_async(fixture.client, 1, note, &slow, NULL), CHATLOG_OK);
    while (fake_server_requests(fixture.server) == 0)
        sleep_milliseconds(1);
    struct chatlog_append_result result;
    assert_int_equal(append_number(fixture.client, 2, &result), CHATLOG_OK);
    assert_int_equal(result.first_seq, 2);
    assert_int_equal(atomic_load(&slow.completions), 0);
    sem_wait(&ended);
    assert_int_equal(slow.code, CHATLOG_OK);
    assert_int_equal(slow.seq, 1);
    fixture_end(&fixture);
    sem_destroy(&ended);
}

/* ---- Bounds -------------------------------------------------------------------------------------------------------
 */

static void more_calls_than_the_bound_are_refused_and_the_others_still_end(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(stay_silent, NULL);
    struct call *calls = calloc(CALLS_MAX + 1, sizeof *calls);
    sem_t ended;
    sem_init(&ended, 0, 0);
    for (unsigned i = 0; i <= CALLS_MAX; i++)
        calls[i].ended = &ended;
    for (unsigned i = 0; i < CALLS_MAX; i++)
        assert_int_equal(append_async(fixture.client, i, note, &calls[i], NULL), CHATLOG_OK);
    assert_int_equal(append_async(fixture.client, 1, note, &calls[CALLS_MAX], &fixture.error),
                     CHATLOG_RESOURCE_EXHAUSTED);
    assert_string_equal(fixture.error.reason, "TOO_MANY_CALLS");
    fixture.client = chatlog_close(fixture.client);
    assert_true(fake_server_requests(fixture.server) <= ON_WIRE_MAX);
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(calls[i].completions, 1);
        assert_int_equal(calls[i].code, CHATLOG_CANCELLED);
    }
    assert_int_equal(calls[CALLS_MAX].completions, 0);
    fixture_end(&fixture);
    sem_destroy(&ended);
    free(calls);
}

/* ---- Closing ------------------------------------------------------------------------------------------------------
 */

struct blocked {
    struct chatlog *client;
    int code;
    struct chatlog_error error;
};

static void *call_and_block(void *arg)
{
    struct blocked *blocked = arg;
    struct chatlog_message message = {.role = "user", .content = "x", .content_length = 1};
    blocked->code = chatlog_append(blocked->client, "u1", "c1", &message, 1, NULL, NULL, NULL, &blocked->error);
    return NULL;
}

static void closing_ends_calls_that_block_in_other_threads(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(stay_silent, NULL);
    struct blocked blocked[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        blocked[i] = (struct blocked){.client = fixture.client};
        pthread_create(&threads[i], NULL, call_and_block, &blocked[i]);
    }
    while (fake_server_requests(fixture.server) < 4)
        sleep_milliseconds(1);
    fixture.client = chatlog_close(fixture.client);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(blocked[i].code, CHATLOG_CANCELLED);
        assert_string_equal(blocked[i].error.reason, "CLIENT_CLOSED");
        assert_non_null(strstr(blocked[i].error.message, "may have been made"));
    }
    fixture_end(&fixture);
}

static void refuse_for_long(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg, (void)request;
    fake_reply_error(reply, 8, "QUEUE_FULL", "later");
    fake_reply_detail(reply, "retry_delay_ms", "10000");
}

static void closing_ends_calls_that_wait_for_a_retry(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(refuse_for_long, NULL);
    sem_t ended;
    sem_init(&ended, 0, 0);
    struct call call = {.ended = &ended};
    assert_int_equal(append_async(fixture.client, 1, note, &call, NULL), CHATLOG_OK);
    while (fake_server_requests(fixture.server) == 0)
        sleep_milliseconds(1);
    sleep_milliseconds(50);
    fixture.client = chatlog_close(fixture.client);
    assert_int_equal(call.completions, 1);
    assert_int_equal(call.code, CHATLOG_CANCELLED);
    fixture_end(&fixture);
    sem_destroy(&ended);
}

static void closing_without_a_server_ends_calls_too(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    sem_t ended;
    sem_init(&ended, 0, 0);
    struct call calls[200] = {0};
    for (unsigned i = 0; i < 200; i++) {
        calls[i].ended = &ended;
        assert_int_equal(append_async(fixture.client, i, note, &calls[i], NULL), CHATLOG_OK);
    }
    fixture.client = chatlog_close(fixture.client);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(calls[i].completions, 1);
        assert_int_equal(calls[i].code, CHATLOG_CANCELLED);
        assert_string_equal(calls[i].reason, "CLIENT_CLOSED");
    }
    fixture_end(&fixture);
    sem_destroy(&ended);
}

static void opening_and_closing_many_times_under_load_leaves_nothing_behind(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(answer_number, NULL);
    for (unsigned round = 0; round < 30; round++) {
        sem_t ended;
        sem_init(&ended, 0, 0);
        struct call calls[50] = {0};
        struct chatlog *client;
        assert_int_equal(chatlog_open(fixture.url, &client, NULL), CHATLOG_OK);
        for (unsigned i = 0; i < 50; i++) {
            calls[i].ended = &ended;
            assert_int_equal(append_async(client, i + 1, note, &calls[i], NULL), CHATLOG_OK);
        }
        for (unsigned i = 0; i < round; i++)
            sem_wait(&ended);
        chatlog_close(client);
        for (unsigned i = 0; i < 50; i++) {
            assert_int_equal(calls[i].completions, 1);
            assert_true(calls[i].code == CHATLOG_CANCELLED || calls[i].seq == i + 1);
        }
        sem_destroy(&ended);
    }
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_share_a_client_each_get_their_own_answers),
        cmocka_unit_test(every_call_is_completed_once_also_beyond_those_on_the_wire),
        cmocka_unit_test(a_completion_may_start_the_next_call),
        cmocka_unit_test(a_blocking_call_in_a_completion_is_refused),
        cmocka_unit_test(a_later_call_may_be_answered_first),
        cmocka_unit_test(more_calls_than_the_bound_are_refused_and_the_others_still_end),
        cmocka_unit_test(closing_ends_calls_that_block_in_other_threads),
        cmocka_unit_test(closing_ends_calls_that_wait_for_a_retry),
        cmocka_unit_test(closing_without_a_server_ends_calls_too),
        cmocka_unit_test(opening_and_closing_many_times_under_load_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
