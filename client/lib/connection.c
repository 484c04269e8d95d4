/* Connecting and greeting, again and again. Knows neither requests nor their deadlines.
 *
 * This library speaks the REQ side of the Scalability Protocols itself: in nng 1.5.2 closing a connection between the
 * header and the body of an incoming message stops nng's only reaper thread for ever, so that nng_close() hangs and no
 * lost connection is made again in the whole process. */
#include "connection.h"

#include "clock.h"
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

enum {
    REDIAL_MIN_MS = 20,
    REDIAL_DOUBLINGS = 6, /* up to 1,280 ms */
    CONNECT_TIMEOUT_US = 10 * 1000000,
};

void chatlog_connection_init(struct chatlog_connection *connection, const struct chatlog_address *address, int wake_fd)
{
    *connection = (struct chatlog_connection){.address = *address, .wake_fd = wake_fd, .fd = -1};
}

void chatlog_connection_drop(struct chatlog_connection *connection, int64_t now_us)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->resolver = chatlog_resolver_free(connection->resolver);
    chatlog_memory_free(connection->orphan);
    chatlog_memory_free(connection->reply);
    chatlog_memory_free(connection->delivered);
    connection->fd = -1;
    connection->orphan = NULL;
    connection->reply = NULL;
    connection->delivered = NULL;
    connection->writing = false;
    connection->reading = false;
    connection->buffer_start = connection->buffer_end = 0;
    connection->state = CONNECTION_DOWN;

    unsigned doublings = connection->failures < REDIAL_DOUBLINGS ? connection->failures : REDIAL_DOUBLINGS;
    uint32_t half_ms = (uint32_t)REDIAL_MIN_MS << doublings >> 1;
    connection->dial_us = now_us + (int64_t)(half_ms + chatlog_random_below(half_ms)) * 1000;
    connection->failures++;
}

void chatlog_connection_fini(struct chatlog_connection *connection)
{
    chatlog_connection_drop(connection, 0);
}

static void fail(struct chatlog_connection *connection, int64_t now_us, int why)
{
    connection->why = why;
    chatlog_connection_drop(connection, now_us);
}

static void greet(struct chatlog_connection *connection, int64_t now_us)
{
    /* The first bytes on a new connection: there is room for them. */
    ssize_t sent = send(connection->fd, chatlog_frame_greeting, CHATLOG_GREETING_BYTES, MSG_NOSIGNAL);
    if (sent == CHATLOG_GREETING_BYTES)
        connection->state = CONNECTION_GREETING;
    else
        fail(connection, now_us, sent < 0 ? errno : 0);
}

static int open_socket(int family)
{
    /* A peer that has lost its power or its network is noticed within half a minute. */
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 15},
        {IPPROTO_TCP, TCP_KEEPINTVL, 5}, {IPPROTO_TCP, TCP_KEEPCNT, 3}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000},
    };
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || family == AF_UNIX)
        return fd;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
    return fd;
}

/* Tries the next address that there is; without one the attempt has failed for the reason of the last. */
static void connect_next(struct chatlog_connection *connection, int64_t now_us)
{
    while (connection->next_target < connection->targets.count) {
        const struct chatlog_target *target = &connection->targets.list[connection->next_target++];
        if (connection->fd >= 0)
            close(connection->fd);
        connection->fd = open_socket(target->address.ss_family);
        if (connection->fd < 0) {
            connection->why = errno;
            continue;
        }
        connection->give_up_us = now_us + CONNECT_TIMEOUT_US;
        if (connect(connection->fd, (const struct sockaddr *)&target->address, target->length) == 0) {
            greet(connection, now_us);
            return;
        }
        if (errno == EINPROGRESS) {
            connection->state = CONNECTION_CONNECTING;
            return;
        }
        connection->why = errno;
    }
    fail(connection, now_us, connection->why);
}

static void use_path(struct chatlog_connection *connection)
{
    struct chatlog_target *target = &connection->targets.list[0];
    target->length = sizeof connection->address.path;
    *(struct sockaddr_un *)&target->address = connection->address.path;
    connection->targets.count = 1;
}

static void dial(struct chatlog_connection *connection, int64_t now_us)
{
    const struct chatlog_address *address = &connection->address;
    connection->next_target = 0;
    connection->give_up_us = now_us + CONNECT_TIMEOUT_US;
    int found = 1;
    if (address->ipc)
        use_path(connection);
    else
        found = chatlog_resolver_start(address->host, address->port, connection->wake_fd, &connection->resolver,
                                       &connection->targets);
    if (found > 0)
        connect_next(connection, now_us);
    else if (found == 0)
        connection->state = CONNECTION_RESOLVING;
    else
        fail(connection, now_us, ENOMEM);
}

static void resolved(struct chatlog_connection *connection, int64_t now_us)
{
    int found = chatlog_resolver_poll(connection->resolver, &connection->targets);
    if (found == 0)
        return;
    connection->resolver = chatlog_resolver_free(connection->resolver);
    if (found > 0)
        connect_next(connection, now_us);
    else
        fail(connection, now_us, EHOSTUNREACH);
}

static void connected(struct chatlog_connection *connection, int64_t now_us)
{
    int result = 0;
    socklen_t size = sizeof result;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0)
        result = errno;
    if (result == 0) {
        greet(connection, now_us);
        return;
    }
    connection->why = result;
    connect_next(connection, now_us);
}

static void read_greeting(struct chatlog_connection *connection, int64_t now_us)
{
    size_t wanted = CHATLOG_GREETING_BYTES - connection->buffer_end;
    ssize_t got = recv(connection->fd, connection->buffer + connection->buffer_end, wanted, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        fail(connection, now_us, got < 0 ? errno : ECONNRESET);
        return;
    }
    connection->buffer_end += (size_t)got;
    if (connection->buffer_end < CHATLOG_GREETING_BYTES)
        return;
    if (!chatlog_frame_greets(connection->buffer)) {
        fail(connection, now_us, EPROTO);
        return;
    }
    connection->buffer_end = 0;
    connection->why = 0;
    connection->state = CONNECTION_UP;
}

void chatlog_connection_work(struct chatlog_connection *connection, int64_t now_us, short revents)
{
    switch (connection->state) {
    case CONNECTION_DOWN:
        if (now_us >= connection->dial_us)
            dial(connection, now_us);
        return;
    case CONNECTION_RESOLVING:
        resolved(connection, now_us);
        break;
    case CONNECTION_CONNECTING:
        if (revents != 0)
            connected(connection, now_us);
        break;
    case CONNECTION_GREETING:
        if (revents != 0)
            read_greeting(connection, now_us);
        break;
    case CONNECTION_UP:
        return;
    }
    bool pending = connection->state != CONNECTION_DOWN && connection->state != CONNECTION_UP;
    if (pending && now_us >= connection->give_up_us)
        fail(connection, now_us, ETIMEDOUT);
}

void chatlog_connection_hurry(struct chatlog_connection *connection, int64_t now_us)
{
    int64_t soon_us = now_us + REDIAL_MIN_MS * 1000;
    if (connection->state == CONNECTION_DOWN && connection->dial_us > soon_us)
        connection->dial_us = soon_us;
}

short chatlog_connection_events(const struct chatlog_connection *connection)
{
    if (connection->state == CONNECTION_CONNECTING)
        return POLLOUT;
    return connection->writing ? POLLIN | POLLOUT : POLLIN;
}

int64_t chatlog_connection_time(const struct chatlog_connection *connection)
{
    if (connection->state == CONNECTION_UP)
        return INT64_MAX;
    return connection->state == CONNECTION_DOWN ? connection->dial_us : connection->give_up_us;
}
