/* Whatever bytes come in on a connection, or do not come: the daemon lives, and others are served. */
#include "support/control.h"
#include "support/daemon.h"
#include "support/rawsp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    CYCLES = 1000,
    HALF_OPEN = 400, /* more than may wait for a handshake at once */
    MUTATIONS = 1500,
    CLOSE_MS = 20000,
    REQUEST_BYTES = 256 * 1024,
    SLACK_BYTES = 64 * 1024, /* the server takes frames this much over its limit, to answer them */
};

/* Controls. */
#define NO_PLACE "a client that keeps the only place"
#define CROWDED  "no more places than half-open clients"
#define ROOMY    "a larger limit"

static const char *const small_limits[] = {"--message-bytes=64K", "--request-bytes=256K", "--listen=tcp://127.0.0.1:0",
                                           NULL};
static const char *const no_place[] = {"--connections=1", NULL};
static const char *const crowded[] = {"--connections=400", NULL};

static int daemon_setup(void **state)
{
    const char *const *limits = control_is(NO_PLACE)  ? no_place
                                : control_is(CROWDED) ? crowded
                                : control_is(ROOMY)   ? small_limits + 2
                                                      : small_limits;
    *state = daemon_start(limits);
    return 0;
}

static int daemon_teardown(void **state)
{
    struct daemon *daemon = *state;
    int status = daemon_stop(daemon);
    daemon_free(daemon);
    return status;
}

static void expect_serving(struct daemon *daemon)
{
    assert_true(rawsp_healthy(daemon_socket(daemon)));
}

/* The daemon closes this connection, and goes on with others. */
static void expect_cut(struct daemon *daemon, int fd)
{
    assert_true(rawsp_closed(fd, (unsigned)control_wait_ms(CLOSE_MS)));
    close(fd);
    expect_serving(daemon);
}

/* nng's REP socket stops listening for ever at one of the first of these (nng #1518). */
static void the_listener_survives_a_thousand_connects_that_close_at_once(void **state)
{
    int stays = control_is(NO_PLACE) ? rawsp_open(daemon_socket(*state)) : -1;
    for (int i = 0; i < CYCLES; i++) {
        close(rawsp_connect(daemon_socket(*state)));
    }
    expect_serving(*state);
    assert_int_equal(stays, -1);
}

/* Closing with unread bytes is what resets an AF_UNIX connection. */
static void the_listener_survives_a_thousand_connects_that_reset(void **state)
{
    for (int i = 0; i < CYCLES; i++) {
        int fd = rawsp_connect(daemon_socket(*state));
        if (i % 10 == 0) {
            struct pollfd handshake = {.fd = fd, .events = POLLIN};
            poll(&handshake, 1, 50);
        }
        close(fd);
    }
    expect_serving(*state);
}

static struct sockaddr_in tcp_address(struct daemon *daemon)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char before[] = "listening on tcp://127.0.0.1:";
    char *log = daemon_log(daemon);
    char *line = strstr(log, before);
    assert_non_null(line);
    address.sin_port = htons((uint16_t)atoi(line + strlen(before)));
    free(log);
    return address;
}

static void the_tcp_listener_survives_connects_that_close_and_that_reset(void **state)
{
    struct sockaddr_in address = tcp_address(*state);
    for (int i = 0; i < CYCLES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct linger reset = {.l_onoff = i % 2, .l_linger = 0};
        assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
    }
    uint8_t theirs[RAWSP_HANDSHAKE_BYTES];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(rawsp_read(fd, theirs, sizeof(theirs)));
    close(fd);
    expect_serving(*state);
}

static void connections_without_a_handshake_hinder_nobody(void **state)
{
    int silent[HALF_OPEN];
    for (int i = 0; i < HALF_OPEN; i++) {
        silent[i] = rawsp_connect(daemon_socket(*state));
    }
    expect_serving(*state);
    for (int i = 0; i < HALF_OPEN; i++) {
        close(silent[i]);
    }
    expect_serving(*state);
}

static void a_connection_without_a_handshake_is_closed_in_time(void **state)
{
    int silent = rawsp_connect(daemon_socket(*state));
    expect_cut(*state, silent);
    assert_true(daemon_wait_log(*state, "1 connections closed: no handshake came", CLOSE_MS));
}

static void connections_that_stop_in_the_middle_of_a_frame_hinder_nobody(void **state)
{
    int silent[HALF_OPEN];
    for (int i = 0; i < HALF_OPEN; i++) {
        silent[i] = rawsp_open(daemon_socket(*state));
        assert_true(silent[i] >= 0);
        assert_true(rawsp_send_header(silent[i], 1, REQUEST_BYTES));
        assert_true(rawsp_write(silent[i], "\x80", 1));
    }
    expect_serving(*state);
    for (int i = 0; i < HALF_OPEN; i++) {
        close(silent[i]);
    }
    expect_serving(*state);
}

static void a_wrong_handshake_is_cut(void **state)
{
    static const uint8_t handshakes[][RAWSP_HANDSHAKE_BYTES] = {
        {0, 'S', 'P', 0, 0, 0, 0, 0},
        {0, 'S', 'P', 0, 0, RAWSP_PROTOCOL_REP, 0, 0}, /* another replier */
        {0, 'S', 'P', 0, 0xff, 0xff, 0, 0},
        {0, 'S', 'P', 1, 0, RAWSP_PROTOCOL_REQ, 0, 0}, /* another version */
        {0, 'S', 'P', 0, 0, RAWSP_PROTOCOL_REQ, 0, 1},
        {1, 'S', 'P', 0, 0, RAWSP_PROTOCOL_REQ, 0, 0},
        {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T'},
        {0x16, 3, 1, 2, 0, 1, 0, 1}, /* TLS */
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };
    for (size_t i = 0; i < sizeof(handshakes) / sizeof(*handshakes); i++) {
        int fd = rawsp_connect(daemon_socket(*state));
        assert_true(rawsp_write(fd, handshakes[i], sizeof(handshakes[i])));
        expect_cut(*state, fd);
    }
}

static void a_frame_too_short_for_a_request_id_is_cut(void **state)
{
    for (uint64_t length = 0; length < RAWSP_ID_BYTES; length++) {
        int fd = rawsp_open(daemon_socket(*state));
        assert_true(rawsp_send_header(fd, 1, length));
        rawsp_write(fd, "\x80\0\0", (size_t)length); /* may come too late: the header is enough to cut it */
        expect_cut(*state, fd);
    }
}

/* With nng's REP socket and no receive limit the third of these aborts the process. */
static void a_frame_longer_than_the_limit_is_cut_before_memory_is_taken(void **state)
{
    static const uint64_t lengths[] = {REQUEST_BYTES + SLACK_BYTES + 1, UINT64_C(1) << 63, UINT64_C(0xFFFFFFFFFFFFFFE0),
                                       UINT64_MAX, UINT64_C(1) << 32};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        int fd = rawsp_open(daemon_socket(*state));
        assert_true(rawsp_send_header(fd, 1, lengths[i]));
        expect_cut(*state, fd);
    }
}

static void a_request_a_little_over_the_limit_is_answered_with_the_reason(void **state)
{
    size_t size = REQUEST_BYTES + SLACK_BYTES - RAWSP_ID_BYTES; /* the largest frame it takes */
    uint8_t *body = calloc(1, size);
    assert_non_null(body);
    int fd = rawsp_open(daemon_socket(*state));
    assert_true(rawsp_send_request(fd, 7, body, size));
    free(body);
    uint32_t id = 0;
    uint8_t *answer = rawsp_receive(fd, &id, &size);
    assert_non_null(answer);
    assert_int_equal(id, 7);
    assert_int_equal(rawsp_response_code(answer, size), 3); /* INVALID_ARGUMENT */
    free(answer);
    close(fd);
}

static void a_frame_of_another_type_is_cut(void **state)
{
    static const uint8_t types[] = {0, 2, 0x80, 0xff};
    for (size_t i = 0; i < sizeof(types); i++) {
        int fd = rawsp_open(daemon_socket(*state));
        assert_true(rawsp_send_header(fd, types[i], RAWSP_ID_BYTES));
        expect_cut(*state, fd);
    }
}

/* A REQ header that does not end within the hops allowed: as with nng, the message is dropped, the connection kept. */
static void a_request_with_too_many_hops_is_dropped_and_the_next_is_answered(void **state)
{
    enum { HOPS = 300 };
    static const uint8_t hops[HOPS * RAWSP_ID_BYTES];
    size_t size;
    uint8_t *request = rawsp_envelope("grpc.health.v1.Health/Check", NULL, 0, NULL, &size);
    int fd = rawsp_open(daemon_socket(*state));
    assert_true(rawsp_send_header(fd, 1, sizeof(hops)));
    assert_true(rawsp_write(fd, hops, sizeof(hops)));
    assert_true(rawsp_send_request(fd, 9, request, size));
    free(request);
    uint32_t id = 0;
    uint8_t *answer = rawsp_receive(fd, &id, &size);
    assert_non_null(answer);
    assert_int_equal(id, 9);
    free(answer);
    close(fd);
}

static void a_request_that_comes_byte_by_byte_is_answered(void **state)
{
    size_t size;
    uint8_t *request = rawsp_envelope("grpc.health.v1.Health/Check", NULL, 0, NULL, &size);
    int fd = rawsp_open(daemon_socket(*state));
    uint8_t bytes[128] = {1, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(RAWSP_ID_BYTES + size), 0x80, 0, 0, 5};
    memcpy(bytes + RAWSP_FRAME_BYTES + RAWSP_ID_BYTES, request, size);
    free(request);
    for (size_t i = 0; i < RAWSP_FRAME_BYTES + RAWSP_ID_BYTES + size; i++) {
        assert_true(rawsp_write(fd, &bytes[i], 1));
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    uint32_t id = 0;
    uint8_t *answer = rawsp_receive(fd, &id, &size);
    assert_non_null(answer);
    assert_int_equal(id, 5);
    assert_int_equal(rawsp_response_code(answer, size), 0);
    free(answer);
    close(fd);
}

/* Devices between client and daemon put words before the request id; the answer must carry them all. */
static void an_answer_carries_the_whole_route_of_its_request(void **state)
{
    static const uint8_t route[] = {0, 0, 0, 1, 0x7f, 2, 3, 4, 0x80, 0, 0, 9};
    size_t size;
    uint8_t answered[RAWSP_FRAME_BYTES + sizeof(route)];
    uint8_t *request = rawsp_envelope("grpc.health.v1.Health/Check", NULL, 0, NULL, &size);
    int fd = rawsp_open(daemon_socket(*state));
    assert_true(rawsp_send_header(fd, 1, sizeof(route) + size));
    assert_true(rawsp_write(fd, route, sizeof(route)));
    assert_true(rawsp_write(fd, request, size));
    free(request);
    assert_true(rawsp_read(fd, answered, sizeof(answered)));
    assert_memory_equal(answered + RAWSP_FRAME_BYTES, route, sizeof(route));
    close(fd);
}

static void an_envelope_that_is_not_protobuf_is_answered_invalid_argument(void **state)
{
    static const char *const bodies[] = {"\xff\xff\xff\xff", "\x0a\x7f", "\x0b", "\x0a\x02\xc3\x28"};
    int fd = rawsp_open(daemon_socket(*state));
    for (uint32_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        size_t size;
        uint32_t id = 0;
        assert_true(rawsp_send_request(fd, i, bodies[i], strlen(bodies[i])));
        uint8_t *answer = rawsp_receive(fd, &id, &size);
        assert_non_null(answer);
        assert_int_equal(id, i);
        assert_int_equal(rawsp_response_code(answer, size), 3);
        free(answer);
    }
    close(fd);
}

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A valid conversation in bytes, some of them changed; what the daemon answers does not matter, only that it lives. */
static void random_mutations_of_a_valid_exchange_do_no_harm(void **state)
{
    uint32_t seed = 20240229;
    static const char append[] = "\x0a\x01u\x12\x01"
                                 "c\x1a\x0d\x3a\x04user\x6a\x05hello\x20\x01";
    size_t envelope_size;
    uint8_t *envelope =
        rawsp_envelope("chatlog.v1.HistoryService/AppendMessages", append, sizeof(append) - 1, "r", &envelope_size);
    uint8_t bytes[512] = {0, 'S', 'P', 0, 0, RAWSP_PROTOCOL_REQ, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 1};
    const size_t size = RAWSP_HANDSHAKE_BYTES + RAWSP_FRAME_BYTES + RAWSP_ID_BYTES + envelope_size;
    assert_true(size < sizeof(bytes));
    bytes[RAWSP_HANDSHAKE_BYTES + RAWSP_FRAME_BYTES - 1] = (uint8_t)(RAWSP_ID_BYTES + envelope_size);
    memcpy(bytes + size - envelope_size, envelope, envelope_size);
    free(envelope);
    for (int round = 0; round < MUTATIONS; round++) {
        uint8_t mutated[sizeof(bytes)];
        memcpy(mutated, bytes, sizeof(bytes));
        /* Mostly behind the handshake: a broken one ends there. */
        size_t first = round % 10 == 0 ? 0 : RAWSP_HANDSHAKE_BYTES;
        for (uint32_t changes = 1 + random_next(&seed) % 4; changes > 0; changes--) {
            mutated[first + random_next(&seed) % (size - first)] = (uint8_t)random_next(&seed);
        }
        int fd = rawsp_connect(daemon_socket(*state));
        rawsp_write(fd, mutated, round % 3 == 0 ? random_next(&seed) % size : size);
        close(fd);
    }
    expect_serving(*state);
}

static void control_a_listener_that_takes_nobody_after_the_storm_is_found_out(void **state)
{
    (void)state;
    control_must_fail(13, NO_PLACE, "the_listener_survives_a_thousand_connects_that_close_at_once");
}

static void control_half_open_clients_that_shut_others_out_are_found_out(void **state)
{
    (void)state;
    control_must_fail(14, CROWDED, "connections_that_stop_in_the_middle_of_a_frame_hinder_nobody");
}

static void control_a_frame_that_is_not_cut_is_found_out(void **state)
{
    (void)state;
    control_must_fail(15, ROOMY, "a_frame_longer_than_the_limit_is_cut_before_memory_is_taken");
}

int main(void)
{
    control_begin();
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_listener_survives_a_thousand_connects_that_close_at_once),
        TEST(the_listener_survives_a_thousand_connects_that_reset),
        TEST(the_tcp_listener_survives_connects_that_close_and_that_reset),
        TEST(connections_without_a_handshake_hinder_nobody),
        TEST(a_connection_without_a_handshake_is_closed_in_time),
        TEST(connections_that_stop_in_the_middle_of_a_frame_hinder_nobody),
        TEST(a_wrong_handshake_is_cut),
        TEST(a_frame_too_short_for_a_request_id_is_cut),
        TEST(a_frame_longer_than_the_limit_is_cut_before_memory_is_taken),
        TEST(a_request_a_little_over_the_limit_is_answered_with_the_reason),
        TEST(a_frame_of_another_type_is_cut),
        TEST(a_request_with_too_many_hops_is_dropped_and_the_next_is_answered),
        TEST(a_request_that_comes_byte_by_byte_is_answered),
        TEST(an_answer_carries_the_whole_route_of_its_request),
        TEST(an_envelope_that_is_not_protobuf_is_answered_invalid_argument),
        TEST(random_mutations_of_a_valid_exchange_do_no_harm),
        cmocka_unit_test(control_a_listener_that_takes_nobody_after_the_storm_is_found_out),
        cmocka_unit_test(control_half_open_clients_that_shut_others_out_are_found_out),
        cmocka_unit_test(control_a_frame_that_is_not_cut_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
