/* The pure parts of the server: which URLs it accepts, and SP's bytes. */
#include "server_frame.h"
#include "server_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const accepted_urls[] = {
    "ipc:///run/chatlogd/chatlogd.sock", "ipc:///a",          "tcp://127.0.0.1:7311",
    "tcp://127.255.3.4:65535",           "tcp://127.0.0.1:0", "tcp://[::1]:7311",
};

/* Accepted too, and other machines can reach them. */
static const char *const open_urls[] = {
    "tcp://0.0.0.0:7311", "tcp://10.0.0.1:7311",  "tcp://128.0.0.1:7311",
    "tcp://[::]:7311",    "tcp://[fe80::1]:7311", "tcp://[::ffff:127.0.0.1]:7311",
};

static const struct refused {
    const char *url;
    const char *told;
} refused_urls[] = {
    {"", "begins with"},
    {"/run/x.sock", "begins with"},
    {"ws://127.0.0.1:1/", "begins with"},
    {"tls+tcp://127.0.0.1:1", "begins with"},
    {"inproc://x", "begins with"},
    {"IPC:///x", "begins with"},
    {"ipc://", "absolute path"},
    {"ipc://x.sock", "absolute path"},
    {"ipc:///run/", "absolute path"},
    {"ipc:///a\nb", "control characters"},
    {"ipc:///"
     "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
     "at most 107"},
    {"tcp://", "a port"},
    {"tcp://127.0.0.1", "a port"},
    {"tcp://127.0.0.1:", "a port"},
    {"tcp://127.0.0.1:65536", "a port"},
    {"tcp://127.0.0.1:-1", "a port"},
    {"tcp://127.0.0.1:1x", "a port"},
    {"tcp://127.0.0.1:000001", "a port"},
    {"tcp://:7311", "IPv4 address"},
    {"tcp://*:7311", "IPv4 address"},
    {"tcp://127.1:7311", "IPv4 address"},
    {"tcp://::1:7311", "IPv4 address"},
    {"tcp://[::1:7311", "IPv4 address"},
    {"tcp://[127.0.0.1]:7311", "IPv4 address"},
    {"tcp://[]:7311", "IPv4 address"},
    {"tcp://localhost:7311", "IPv4 address"},
    {"tcp://lo;127.0.0.1:7311", "IPv4 address"},
};

static void expect_urls(const char *const *urls, size_t count, bool local)
{
    for (size_t i = 0; i < count; i++) {
        struct error error = {0};
        if (server_url_check(urls[i], &error)) {
            fail_msg("%s: %s", urls[i], error.message);
        }
        if (server_url_is_local(urls[i]) != local) {
            fail_msg("%s is taken for %s", urls[i], local ? "open to other machines" : "local");
        }
    }
}

static void sockets_and_addresses_are_accepted_and_those_that_others_can_reach_are_known(void **state)
{
    (void)state;
    expect_urls(accepted_urls, sizeof(accepted_urls) / sizeof(*accepted_urls), true);
    expect_urls(open_urls, sizeof(open_urls) / sizeof(*open_urls), false);
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused_urls) / sizeof(*refused_urls); i++) {
        struct error error = {0};
        if (server_url_check(refused_urls[i].url, &error) != -ERROR_STARTUP ||
            !strstr(error.message, refused_urls[i].told)) {
            fail_msg("%s: \"%s\", expected \"%s\"", refused_urls[i].url, error.message, refused_urls[i].told);
        }
    }
}

static void only_an_ipc_url_has_a_path(void **state)
{
    (void)state;
    assert_string_equal(server_url_path("ipc:///a/b"), "/a/b");
    assert_null(server_url_path("tcp://127.0.0.1:1"));
}

static void only_a_requester_of_this_version_is_greeted(void **state)
{
    (void)state;
    const uint8_t requester[FRAME_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    assert_true(frame_handshake_valid(requester));
    for (size_t i = 0; i < sizeof(requester); i++) {
        uint8_t other[FRAME_HANDSHAKE_BYTES];
        memcpy(other, requester, sizeof(other));
        other[i] ^= 1;
        assert_false(frame_handshake_valid(other));
    }
    assert_memory_equal(frame_handshake, "\0SP\0\0\x31\0\0", FRAME_HANDSHAKE_BYTES);
}

static void a_frame_header_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 255, 256, 8 << 20, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        for (int typed = 0; typed <= 1; typed++) {
            uint8_t header[FRAME_HEADER_MAX + 1] = {0};
            uint64_t length = 42;
            frame_header_put(typed, lengths[i], header);
            assert_int_equal(header[frame_header_size(typed)], 0); /* wrote no further */
            assert_true(frame_header_get(typed, header, &length));
            assert_true(length == lengths[i]);
        }
    }
    assert_int_equal(frame_header_size(true), 9);
    assert_int_equal(frame_header_size(false), 8);
}

static void a_frame_of_another_type_is_refused_and_its_length_not_told(void **state)
{
    (void)state;
    uint8_t header[FRAME_HEADER_MAX] = {0};
    uint64_t length = 42;
    for (unsigned type = 0; type < 256; type++) {
        header[0] = (uint8_t)type;
        assert_int_equal(frame_header_get(true, header, &length), type == 1);
        assert_int_equal(length, type < 1 ? 42 : 0);
    }
}

static void a_route_ends_with_the_first_word_whose_high_bit_is_set(void **state)
{
    (void)state;
    uint8_t message[FRAME_ROUTE_MAX + FRAME_WORD_BYTES] = {0};
    assert_int_equal(frame_route_size(span_of(message, 0)), -1);
    assert_int_equal(frame_route_size(span_of(message, 3)), -1);
    assert_int_equal(frame_route_size(span_of(message, 4)), -1); /* the id would be the next word */
    for (int words = 1; words <= FRAME_HOPS_MAX; words++) {
        uint8_t *last = &message[(words - 1) * FRAME_WORD_BYTES];
        *last = 0x80;
        assert_int_equal(frame_route_size(span_of(message, sizeof(message))), words * FRAME_WORD_BYTES);
        assert_int_equal(frame_route_size(span_of(message, (size_t)words * FRAME_WORD_BYTES)),
                         words * FRAME_WORD_BYTES);
        assert_int_equal(frame_route_size(span_of(message, (size_t)words * FRAME_WORD_BYTES - 1)), -1);
        *last = 0x7f;
    }
    assert_int_equal(frame_route_size(span_of(message, sizeof(message))), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_and_addresses_are_accepted_and_those_that_others_can_reach_are_known),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(only_an_ipc_url_has_a_path),
        cmocka_unit_test(only_a_requester_of_this_version_is_greeted),
        cmocka_unit_test(a_frame_header_is_read_as_it_was_written),
        cmocka_unit_test(a_frame_of_another_type_is_refused_and_its_length_not_told),
        cmocka_unit_test(a_route_ends_with_the_first_word_whose_high_bit_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
