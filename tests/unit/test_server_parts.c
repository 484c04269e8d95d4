/* The pure parts of the server: which URLs it accepts, and its table of connections. */
#include "server_connections.h"
#include "server_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 1000 };

static const char *const accepted_urls[] = {
    "ipc:///run/chatlogd/chatlogd.sock", "ipc:///a",          "tcp://127.0.0.1:7311",
    "tcp://127.255.3.4:65535",           "tcp://127.0.0.1:0", "tcp://[::1]:7311",
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
    {"tcp://", "address and a port"},
    {"tcp://127.0.0.1", "address and a port"},
    {"tcp://127.0.0.1:", "address and a port"},
    {"tcp://127.0.0.1:65536", "address and a port"},
    {"tcp://127.0.0.1:-1", "address and a port"},
    {"tcp://127.0.0.1:1x", "address and a port"},
    {"tcp://127.0.0.1:000001", "address and a port"},
    {"tcp://:7311", "own addresses"},
    {"tcp://*:7311", "own addresses"},
    {"tcp://0.0.0.0:7311", "own addresses"},
    {"tcp://10.0.0.1:7311", "own addresses"},
    {"tcp://128.0.0.1:7311", "own addresses"},
    {"tcp://127.1:7311", "own addresses"},
    {"tcp://[::]:7311", "own addresses"},
    {"tcp://[::ffff:10.0.0.1]:7311", "own addresses"},
    {"tcp://localhost:7311", "own addresses"},
    {"tcp://lo;127.0.0.1:7311", "own addresses"},
};

static void sockets_and_loopback_addresses_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted_urls) / sizeof(*accepted_urls); i++) {
        struct error error = {0};
        if (server_url_check(accepted_urls[i], &error)) {
            fail_msg("%s: %s", accepted_urls[i], error.message);
        }
    }
}

static void what_another_machine_could_reach_and_what_is_no_url_is_refused(void **state)
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

static void connections_are_found_until_they_are_removed(void **state)
{
    (void)state;
    struct connections connections;
    assert_true(connections_init(&connections, MANY));
    for (uint32_t id = 1; id <= MANY; id++) {
        assert_true(connections_add(&connections, id * 7919));
    }
    assert_false(connections_add(&connections, 5)); /* the limit */
    assert_int_equal(connections.count, MANY);
    for (uint32_t id = 1; id <= MANY; id += 2) {
        assert_true(connections_remove(&connections, id * 7919));
        assert_false(connections_remove(&connections, id * 7919));
    }
    for (uint32_t id = 1; id <= MANY; id++) {
        assert_int_equal(connections_find(&connections, id * 7919) != NULL, id % 2 == 0);
    }
    assert_int_equal(connections.count, MANY / 2);
    assert_true(connections_add(&connections, 5));
    assert_false(connections_add(&connections, 5)); /* there already */
    connections_free(&connections);
}

static void a_connection_waits_from_its_first_unwritten_answer_until_the_last_is_written(void **state)
{
    (void)state;
    struct connections connections;
    assert_true(connections_init(&connections, 4));
    assert_true(connections_add(&connections, 1));
    struct connection *one = connections_find(&connections, 1);
    connections_handed(&connections, one, 100);
    connections_handed(&connections, one, 200);
    assert_int_equal(one->waiting_since_us, 100);
    assert_int_equal(connections.unwritten, 1);
    connections_written(&connections, one, 0, 300); /* no progress */
    assert_int_equal(one->waiting_since_us, 100);
    connections_written(&connections, one, 1, 400);
    assert_int_equal(one->waiting_since_us, 400);
    assert_int_equal(connections.unwritten, 1);
    connections_written(&connections, one, 2, 500);
    assert_int_equal(connections.unwritten, 0);
    connections_free(&connections);
}

static void an_answer_written_before_it_is_known_as_handed_does_not_count_twice(void **state)
{
    (void)state;
    struct connections connections;
    assert_true(connections_init(&connections, 4));
    assert_true(connections_add(&connections, 1));
    struct connection *one = connections_find(&connections, 1);
    connections_written(&connections, one, 1, 100);
    assert_int_equal(connections.unwritten, 0);
    connections_handed(&connections, one, 200);
    assert_int_equal(connections.unwritten, 1);
    connections_written(&connections, one, 1, 300);
    assert_int_equal(connections.unwritten, 0);
    connections_free(&connections);
}

static void a_connection_that_goes_while_it_waits_is_no_longer_counted_as_waiting(void **state)
{
    (void)state;
    struct connections connections;
    assert_true(connections_init(&connections, 4));
    assert_true(connections_add(&connections, 1));
    connections_handed(&connections, connections_find(&connections, 1), 100);
    assert_true(connections_remove(&connections, 1));
    assert_int_equal(connections.unwritten, 0);
    connections_free(&connections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_and_loopback_addresses_are_accepted),
        cmocka_unit_test(what_another_machine_could_reach_and_what_is_no_url_is_refused),
        cmocka_unit_test(only_an_ipc_url_has_a_path),
        cmocka_unit_test(connections_are_found_until_they_are_removed),
        cmocka_unit_test(a_connection_waits_from_its_first_unwritten_answer_until_the_last_is_written),
        cmocka_unit_test(an_answer_written_before_it_is_known_as_handed_does_not_count_twice),
        cmocka_unit_test(a_connection_that_goes_while_it_waits_is_no_longer_counted_as_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
