/* The bytes of libchatlog's connection: TCP and IPC, bytes that come in pieces, and servers that break the protocol. */
#include "client_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void answer(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg;
    reply_appended(reply, request->number);
}

/* ---- TCP ----------------------------------------------------------------------------------------------------------
 */

static void assert_tcp_works(const char *host)
{
    struct fake_server *server = fake_server_start("tcp://127.0.0.1:0", answer, NULL);
    char url[64];
    snprintf(url, sizeof url, "tcp://%s%s", host, strrchr(fake_server_url(server), ':'));
    struct fixture fixture = {0};
    assert_int_equal(chatlog_open(url, &fixture.client, NULL), CHATLOG_OK);
    struct chatlog_append_result result;
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
        assert_int_equal(result.first_seq, i);
    }
    chatlog_close(fixture.client);
    fake_server_stop(server);
}

static void calls_work_over_tcp(void **state)
{
    (void)state;
    assert_tcp_works("127.0.0.1");
}

static void a_host_may_be_a_name(void **state)
{
    (void)state;
    assert_tcp_works("localhost");
}

static void a_name_that_does_not_exist_ends_in_an_error(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    assert_int_equal(chatlog_open("tcp://no-such-host.invalid:7000", &fixture.client, NULL), CHATLOG_OK);
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 300}, NULL),
                     CHATLOG_UNAVAILABLE);
    assert_string_equal(fixture.error.reason, "SERVER_UNREACHABLE");
    chatlog_close(fixture.client);
}

static void the_error_says_why_there_is_no_connection(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 2000}, NULL),
                     CHATLOG_UNAVAILABLE);
    assert_non_null(strstr(fixture.error.message, "(No such file or directory)"));
    fixture_end(&fixture);
}

/* ---- Large messages -----------------------------------------------------------------------------------------------
 */

static void echo_payload(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg;
    fake_put_bytes(&reply->response, 5, request->payload, request->payload_length);
}

struct echo {
    struct chatlog *client;
    uint8_t fill;
    size_t length;
    int wrong;
};

static void *echo_once(void *arg)
{
    struct echo *echo = arg;
    uint8_t *payload = malloc(echo->length);
    memset(payload, echo->fill, echo->length);
    struct chatlog_reply reply = {0};
    int code = chatlog_call(echo->client, "test.Echo/Call", payload, echo->length, NULL, &reply, NULL);
    echo->wrong =
        code != 0 || reply.payload_length != echo->length || memcmp(reply.payload, payload, echo->length) != 0;
    chatlog_reply_free(&reply);
    free(payload);
    return NULL;
}

static void large_messages_go_both_ways_at_the_same_time(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(echo_payload, NULL);
    struct echo echoes[6];
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        echoes[i] = (struct echo){fixture.client, (uint8_t)(i + 1), (size_t)i * (3u << 20) + 1, 1};
        pthread_create(&threads[i], NULL, echo_once, &echoes[i]);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        assert_false(echoes[i].wrong);
    }
    fixture_end(&fixture);
}

/* ---- Frames -------------------------------------------------------------------------------------------------------
 */

static void put_frame(struct fake_bytes *bytes, uint8_t type, uint64_t length, uint32_t id, const char *body)
{
    uint64_t wire_length = __builtin_bswap64(length);
    uint32_t wire_id = __builtin_bswap32(id);
    fake_put_raw(bytes, &type, 1);
    fake_put_raw(bytes, &wire_length, sizeof wire_length);
    fake_put_raw(bytes, &wire_id, sizeof wire_id);
    fake_put_raw(bytes, body, strlen(body));
}

/* Sends frames that answer nothing before each answer. */
static void answer_after_strays(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    put_frame(&reply->before, 1, 4 + 5, request->id ^ 0x00010000, "stray");
    put_frame(&reply->before, 1, 4, request->id ^ 1, "");
    put_frame(&reply->before, 1, 4 + 3, 0, "old");
    answer(arg, request, reply);
}

static void answers_to_no_request_are_passed_over(void **state)
{
    (void)state;
    struct fixture fixture = fixture_start(answer_after_strays, NULL);
    struct chatlog_append_result result;
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
        assert_int_equal(result.first_seq, i);
    }
    fixture_end(&fixture);
}

/* The first request is answered by a frame that is none, later ones properly. */
struct broken {
    uint8_t type;
    uint64_t length;
};

static void answer_broken_first(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    const struct broken *broken = arg;
    if (request->number == 1) {
        put_frame(&reply->before, broken->type, broken->length, request->id, "");
        reply->silent = true;
    } else {
        answer(arg, request, reply);
    }
}

static void a_broken_frame_costs_the_connection_and_the_call_is_made_again(void **state)
{
    (void)state;
    struct broken cases[] = {
        {2, 4 + 10},                       /* a type there is not */
        {1, 3},                            /* too short for a request id */
        {1, 0},                            /* empty */
        {1, UINT64_C(0xFFFFFFFFFFFFFFE0)}, /* what makes nng abort */
        {1, UINT64_C(200) << 20},          /* more than any reply */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture = fixture_start(answer_broken_first, &cases[i]);
        struct chatlog_append_result result;
        assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
        assert_int_equal(result.first_seq, 2);
        fixture_end(&fixture);
    }
}

static void an_answer_that_never_ends_ends_at_the_deadline(void **state)
{
    (void)state;
    struct broken large = {1, UINT64_C(100) << 20};
    struct fixture fixture = fixture_start(answer_broken_first, &large);
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 300}, NULL),
                     CHATLOG_DEADLINE_EXCEEDED);
    assert_string_equal(fixture.error.reason, "NO_ANSWER");
    fixture_end(&fixture);
}

/* ---- Greetings and pieces: a server of one connection, byte by byte ------------------------------------------------
 */

struct raw_server {
    char path[108];
    int listener;
    pthread_t thread;
    const char *greeting;
    sem_t go; /* what read_late waits for */
};

static int accept_one(struct raw_server *server)
{
    struct pollfd waiting = {.fd = server->listener, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 20000), 1);
    int fd = accept(server->listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* Greets wrongly, and again, as often as it is asked. */
static void *greet_wrongly(void *arg)
{
    struct raw_server *server = arg;
    for (int i = 0; i < 3; i++) {
        int fd = accept_one(server);
        send(fd, server->greeting, 8, MSG_NOSIGNAL);
        char byte;
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
        close(fd);
    }
    return NULL;
}

static void send_slowly(int fd, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        send(fd, (const char *)bytes + i, 1, MSG_NOSIGNAL);
        sleep_milliseconds(2);
    }
}

/* Speaks properly, one byte at a time: the answer is an AppendMessagesResponse {first_seq: 9, last_seq: 9}. */
static void *speak_slowly(void *arg)
{
    struct raw_server *server = arg;
    uint8_t header[13];
    uint8_t frame[13 + 6] = {1, 0, 0, 0, 0, 0, 0, 0, 4 + 6, 0, 0, 0, 0, 0x2A, 4, 0x08, 9, 0x10, 9};
    int fd = accept_one(server);
    send_slowly(fd, "\0SP\0\0\x31\0\0", 8);
    uint8_t greeting[8];
    recv(fd, greeting, sizeof greeting, MSG_WAITALL);
    recv(fd, header, sizeof header, MSG_WAITALL);
    memcpy(frame + 9, header + 9, 4);
    send_slowly(fd, frame, sizeof frame);
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
    close(fd);
    return NULL;
}

/* Reads nothing until it is told to, then answers the second request it finds. */
static void *read_late(void *arg)
{
    struct raw_server *server = arg;
    uint8_t answer[13 + 6] = {1, 0, 0, 0, 0, 0, 0, 0, 4 + 6, 0, 0, 0, 0, 0x2A, 4, 0x08, 9, 0x10, 9};
    int fd = accept_one(server);
    send(fd, "\0SP\0\0\x31\0\0", 8, MSG_NOSIGNAL);
    sem_wait(&server->go);
    uint8_t greeting[8];
    recv(fd, greeting, sizeof greeting, MSG_WAITALL);
    for (int i = 0; i < 2; i++) {
        uint8_t header[13];
        uint64_t length;
        recv(fd, header, sizeof header, MSG_WAITALL);
        memcpy(&length, header + 1, sizeof length);
        length = __builtin_bswap64(length) - 4;
        char *body = malloc(length);
        recv(fd, body, length, MSG_WAITALL);
        free(body);
        memcpy(answer + 9, header + 9, 4);
    }
    send(fd, answer, sizeof answer, MSG_NOSIGNAL);
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static struct raw_server *raw_server_start(const struct fixture *fixture, void *(*run)(void *), const char *greeting)
{
    struct raw_server *server = calloc(1, sizeof *server);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    server->greeting = greeting;
    sem_init(&server->go, 0, 0);
    strcpy(address.sun_path, fixture->url + strlen("ipc://"));
    server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 4), 0);
    pthread_create(&server->thread, NULL, run, server);
    return server;
}

static void raw_server_end(struct raw_server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
    sem_destroy(&server->go);
    free(server);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    struct raw_server *server = raw_server_start(&fixture, speak_slowly, NULL);
    struct chatlog_append_result result;
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(result.last_seq, 9);
    fixture_end(&fixture);
    raw_server_end(server);
}

static void a_call_given_up_while_it_is_written_does_not_disturb_the_next(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    struct raw_server *server = raw_server_start(&fixture, read_late, NULL);
    size_t length = 20u << 20;
    char *content = malloc(length);
    memset(content, 'x', length);
    struct chatlog_message message = {.role = "user", .content = content, .content_length = length};
    assert_int_equal(chatlog_append(fixture.client, "u", "c", &message, 1, NULL,
                                    &(struct chatlog_call_options){.timeout_ms = 200}, NULL, &fixture.error),
                     CHATLOG_DEADLINE_EXCEEDED);
    assert_string_equal(fixture.error.reason, "NO_ANSWER");
    free(content);
    sem_post(&server->go);
    struct chatlog_append_result result;
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(result.last_seq, 9);
    fixture_end(&fixture);
    raw_server_end(server);
}

static void ignore_reply(void *arg, int code, const struct chatlog_reply *reply, const struct chatlog_error *error)
{
    (void)arg, (void)code, (void)reply, (void)error;
}

static void a_call_that_waits_behind_a_large_one_is_known_not_to_be_sent(void **state)
{
    (void)state;
    struct fixture fixture = fixture_new();
    struct raw_server *server = raw_server_start(&fixture, read_late, NULL);
    size_t length = 20u << 20;
    char *payload = calloc(1, length);
    assert_int_equal(
        chatlog_call_async(fixture.client, "test.Echo/Call", payload, length, NULL, ignore_reply, NULL, NULL),
        CHATLOG_OK);
    free(payload);
    assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 200}, NULL),
                     CHATLOG_DEADLINE_EXCEEDED);
    assert_string_equal(fixture.error.reason, "NOT_SENT");
    sem_post(&server->go);
    struct chatlog_append_result result;
    assert_int_equal(append_hello(&fixture, NULL, &result), CHATLOG_OK);
    assert_int_equal(result.last_seq, 9);
    fixture_end(&fixture);
    raw_server_end(server);
}

static void a_server_of_another_protocol_is_not_talked_to(void **state)
{
    (void)state;
    static const char *const greetings[] = {"\0SP\0\0\x30\0\0", "\0SP\0\0\x10\0\0", "HTTP/1.1"};
    for (size_t i = 0; i < 3; i++) {
        struct fixture fixture = fixture_new();
        struct raw_server *server = raw_server_start(&fixture, greet_wrongly, greetings[i]);
        assert_int_equal(append_hello(&fixture, &(struct chatlog_call_options){.timeout_ms = 1000}, NULL),
                         CHATLOG_UNAVAILABLE);
        assert_string_equal(fixture.error.reason, "SERVER_UNREACHABLE");
        raw_server_end(server);
        fixture_end(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_work_over_tcp),
        cmocka_unit_test(a_host_may_be_a_name),
        cmocka_unit_test(a_name_that_does_not_exist_ends_in_an_error),
        cmocka_unit_test(the_error_says_why_there_is_no_connection),
        cmocka_unit_test(large_messages_go_both_ways_at_the_same_time),
        cmocka_unit_test(answers_to_no_request_are_passed_over),
        cmocka_unit_test(a_broken_frame_costs_the_connection_and_the_call_is_made_again),
        cmocka_unit_test(an_answer_that_never_ends_ends_at_the_deadline),
        cmocka_unit_test(an_answer_may_come_byte_by_byte),
        cmocka_unit_test(a_call_given_up_while_it_is_written_does_not_disturb_the_next),
        cmocka_unit_test(a_call_that_waits_behind_a_large_one_is_known_not_to_be_sent),
        cmocka_unit_test(a_server_of_another_protocol_is_not_talked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
