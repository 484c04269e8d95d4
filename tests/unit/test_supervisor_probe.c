/* What the daemon's question to its own listeners makes of every way a listener can behave. */
#include "supervisor_probe.h"
#include "support/directory.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 60000, SHORT_MS = 100, REQUEST_BYTES = 8 + 9 + 4 + 29, ANSWER_BYTES = 8 + 9 + 4 };

/* Accepts one client, takes its request when it wants it, says these bytes, and closes or keeps the connection. */
struct listener {
    const char *answer;
    size_t answer_size;
    bool takes_request;
    bool keeps;
    int fd;
    int kept;
    char request[REQUEST_BYTES];
    pthread_t thread;
    char *directory;
    char url[128];
};

static void *listener_main(void *arg)
{
    struct listener *listener = arg;
    int client = accept(listener->fd, NULL, NULL);
    if (listener->takes_request) {
        recv(client, listener->request, sizeof(listener->request), MSG_WAITALL);
    }
    send(client, listener->answer, listener->answer_size, MSG_NOSIGNAL);
    if (listener->keeps) {
        listener->kept = client;
    } else {
        close(client);
    }
    return NULL;
}

static void path_listen(struct listener *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    listener->directory = directory_new();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", listener->directory);
    snprintf(listener->url, sizeof(listener->url), "ipc://%s", address.sun_path);
    listener->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    listener->kept = -1;
    assert_int_equal(bind(listener->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener->fd, 8), 0);
}

static void port_listen(struct listener *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    listener->directory = directory_new();
    listener->fd = socket(AF_INET, SOCK_STREAM, 0);
    listener->kept = -1;
    assert_int_equal(bind(listener->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener->fd, 8), 0);
    assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&address, &size), 0);
    snprintf(listener->url, sizeof(listener->url), "tcp://127.0.0.1:%d", ntohs(address.sin_port));
}

static void listener_end(struct listener *listener)
{
    if (listener->kept >= 0) {
        close(listener->kept);
    }
    close(listener->fd);
    directory_remove(listener->directory);
}

static bool probe_with(struct listener *listener, unsigned timeout_ms)
{
    assert_int_equal(pthread_create(&listener->thread, NULL, listener_main, listener), 0);
    bool works = supervisor_probe(listener->url, timeout_ms);
    pthread_join(listener->thread, NULL);
    return works;
}

/* The handshake of a replier, then a frame of 6 bytes with the id of the request, as far as it is read. */
#define HANDSHAKE "\0SP\0\0\x31\0\0"
#define FRAME     "\1\0\0\0\0\0\0\0\6"
#define ID        "\x80\0\0\1"

static void an_answer_is_work_and_the_question_is_a_whole_request(void **state)
{
    (void)state;
    static const char expected[] = "\0SP\0\0\x30\0\0"
                                   "\1\0\0\0\0\0\0\0\x21"
                                   "\x80\0\0\1"
                                   "\x0a\x1bgrpc.health.v1.Health/Check";
    struct listener listener = {.answer = HANDSHAKE FRAME ID, .answer_size = ANSWER_BYTES, .takes_request = true};
    path_listen(&listener);
    assert_true(probe_with(&listener, LONG_MS));
    assert_int_equal(sizeof(expected) - 1, REQUEST_BYTES);
    assert_memory_equal(listener.request, expected, REQUEST_BYTES);
    listener_end(&listener);
}

static void over_tcp_frames_have_no_type(void **state)
{
    (void)state;
    struct listener listener = {
        .answer = HANDSHAKE "\0\0\0\0\0\0\0\6" ID, .answer_size = ANSWER_BYTES - 1, .keeps = true};
    port_listen(&listener);
    assert_true(probe_with(&listener, LONG_MS));
    listener_end(&listener);
}

static void a_connection_that_is_closed_is_work(void **state)
{
    (void)state;
    for (size_t said = 0; said < ANSWER_BYTES; said += 4) {
        struct listener listener = {.answer = HANDSHAKE FRAME ID, .answer_size = said};
        path_listen(&listener);
        assert_true(probe_with(&listener, LONG_MS));
        listener_end(&listener);
    }
}

static void a_listener_that_says_nothing_more_does_not_work(void **state)
{
    (void)state;
    for (size_t said = 0; said < ANSWER_BYTES; said += 4) {
        struct listener listener = {.answer = HANDSHAKE FRAME ID, .answer_size = said, .keeps = true};
        path_listen(&listener);
        assert_false(probe_with(&listener, SHORT_MS));
        listener_end(&listener);
    }
}

static void a_listener_that_accepts_nobody_does_not_work(void **state)
{
    (void)state;
    struct listener listener = {.keeps = true};
    path_listen(&listener);
    assert_false(supervisor_probe(listener.url, SHORT_MS));
    listener_end(&listener);
}

static void an_answer_to_another_question_is_none(void **state)
{
    (void)state;
    struct listener listener = {.answer = HANDSHAKE FRAME "\x80\0\0\2", .answer_size = ANSWER_BYTES};
    path_listen(&listener);
    assert_false(probe_with(&listener, LONG_MS));
    listener_end(&listener);
}

static void another_protocol_is_none(void **state)
{
    (void)state;
    struct listener listener = {.answer = "HTTP/1.1 400 Bad Request\r\n", .answer_size = ANSWER_BYTES};
    path_listen(&listener);
    assert_false(probe_with(&listener, LONG_MS));
    listener_end(&listener);
}

static void nobody_there_does_not_work(void **state)
{
    (void)state;
    struct listener listener = {.keeps = true};
    port_listen(&listener);
    close(listener.fd);
    assert_false(supervisor_probe(listener.url, LONG_MS));
    directory_remove(listener.directory);
    assert_false(supervisor_probe("ipc:///nowhere/at/all.sock", LONG_MS));
    assert_false(supervisor_probe("tcp://[::1]:1", LONG_MS));
}

static void a_port_that_the_kernel_chose_is_not_asked(void **state)
{
    (void)state;
    assert_true(supervisor_probe("tcp://127.0.0.1:0", SHORT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_work_and_the_question_is_a_whole_request),
        cmocka_unit_test(over_tcp_frames_have_no_type),
        cmocka_unit_test(a_connection_that_is_closed_is_work),
        cmocka_unit_test(a_listener_that_says_nothing_more_does_not_work),
        cmocka_unit_test(a_listener_that_accepts_nobody_does_not_work),
        cmocka_unit_test(an_answer_to_another_question_is_none),
        cmocka_unit_test(another_protocol_is_none),
        cmocka_unit_test(nobody_there_does_not_work),
        cmocka_unit_test(a_port_that_the_kernel_chose_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
