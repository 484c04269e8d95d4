/* The REP side of the Scalability Protocols over plain sockets, with answers from a script: one thread accepts, one
 * reads each connection, one writes each answer that is to be late. */
#include "support/fake_server.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, REQUEST_BYTES_MAX = 256 << 20 };

struct fake_server {
    char url[160];
    bool ipc;
    int listener;
    int stop_pipe[2]; /* closed for writing: stop */
    fake_script *script;
    void *arg;
    pthread_t acceptor;
    pthread_mutex_t lock; /* of all below, and of the script */
    pthread_cond_t idle;
    unsigned requests;
    unsigned threads; /* readers and late writers */
    struct connection *connections[CONNECTIONS_MAX];
};

struct connection {
    struct fake_server *server;
    int fd;
    unsigned owners; /* under the server's lock */
    pthread_mutex_t write_lock;
};

struct late_answer {
    struct connection *connection;
    uint32_t id;
    struct fake_reply reply;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "fake server: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- Requests -------------------------------------------------------------------------------------------------- */

static uint64_t get_number(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

static void copy_text(char *field, size_t size, const uint8_t *data, size_t length)
{
    if (length >= size)
        length = size - 1;
    memcpy(field, data, length);
    field[length] = '\0';
}

static void decode_request(const uint8_t *at, size_t length, struct fake_request *ret)
{
    const uint8_t *end = at + length;
    while (at < end) {
        uint64_t tag = get_number(&at, end);
        uint64_t value = get_number(&at, end);
        if (tag == (3 << 3))
            ret->timeout_ms = (uint32_t)value;
        if ((tag & 7) != 2)
            continue;
        must(value <= (size_t)(end - at), "a request that is not well formed");
        if (tag >> 3 == 1)
            copy_text(ret->method, sizeof ret->method, at, value);
        else if (tag >> 3 == 4)
            copy_text(ret->request_id, sizeof ret->request_id, at, value);
        else if (tag >> 3 == 2) {
            ret->payload = at;
            ret->payload_length = value;
        }
        at += value;
    }
}

/* ---- Replies ----------------------------------------------------------------------------------------------------- */

void fake_reply_ok(struct fake_reply *reply, const struct fake_bytes *payload)
{
    fake_put_bytes(&reply->response, 5, payload->data, payload->length);
}

void fake_reply_error(struct fake_reply *reply, int code, const char *reason, const char *message)
{
    fake_put_varint(&reply->response, 1, (uint64_t)code);
    fake_put_text(&reply->response, 2, reason);
    fake_put_text(&reply->response, 3, message);
}

void fake_reply_detail(struct fake_reply *reply, const char *key, const char *value)
{
    struct fake_bytes entry = {0};
    fake_put_text(&entry, 1, key);
    fake_put_text(&entry, 2, value);
    fake_put_bytes(&reply->response, 4, entry.data, entry.length);
    fake_bytes_free(&entry);
}

/* ---- Bytes of a connection --------------------------------------------------------------------------------------- */

static bool read_whole(int fd, void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t got = recv(fd, bytes, length, 0);
        if (got <= 0)
            return false;
        bytes = (uint8_t *)bytes + got;
        length -= (size_t)got;
    }
    return true;
}

static bool write_whole(int fd, const void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = (const uint8_t *)bytes + sent;
        length -= (size_t)sent;
    }
    return true;
}

static void write_answer(struct connection *connection, uint32_t id, const struct fake_reply *reply)
{
    struct fake_bytes frame = {0};
    uint64_t length = htobe64(4 + (uint64_t)reply->response.length);
    uint32_t wire_id = htobe32(id);
    if (connection->server->ipc)
        fake_put_raw(&frame, "\1", 1);
    fake_put_raw(&frame, &length, sizeof length);
    fake_put_raw(&frame, &wire_id, sizeof wire_id);
    fake_put_raw(&frame, reply->response.data, reply->response.length);
    pthread_mutex_lock(&connection->write_lock);
    write_whole(connection->fd, frame.data, frame.length);
    pthread_mutex_unlock(&connection->write_lock);
    fake_bytes_free(&frame);
}

static bool greet(int fd)
{
    static const uint8_t rep[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    static const uint8_t req[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    uint8_t theirs[8];
    return write_whole(fd, rep, sizeof rep) && read_whole(fd, theirs, sizeof theirs) &&
           memcmp(theirs, req, sizeof req) == 0;
}

/* Returns a malloc'd body, or NULL at the end of the connection. */
static uint8_t *read_request(const struct connection *connection, uint32_t *ret_id, size_t *ret_length)
{
    uint8_t type;
    uint64_t length;
    uint32_t id;
    if (connection->server->ipc && !(read_whole(connection->fd, &type, 1) && type == 1))
        return NULL;
    if (!read_whole(connection->fd, &length, sizeof length) || !read_whole(connection->fd, &id, sizeof id))
        return NULL;
    *ret_id = be32toh(id);
    *ret_length = be64toh(length) - sizeof id;
    must(*ret_length <= REQUEST_BYTES_MAX && (*ret_id & 0x80000000u) != 0, "a frame that is not well formed");
    uint8_t *body = malloc(*ret_length + 1);
    must(body != NULL, "memory");
    if (read_whole(connection->fd, body, *ret_length))
        return body;
    free(body);
    return NULL;
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

/* The thread that runs on this connection ends. */
static void leave(struct connection *connection)
{
    struct fake_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    if (--connection->owners == 0) {
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            if (server->connections[i] == connection)
                server->connections[i] = NULL;
        close(connection->fd);
        pthread_mutex_destroy(&connection->write_lock);
        free(connection);
    }
    server->threads--;
    pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

/* With the server's lock. */
static void start_thread(struct connection *connection, void *(*run)(void *), void *arg)
{
    pthread_t thread;
    connection->owners++;
    connection->server->threads++;
    must(pthread_create(&thread, NULL, run, arg) == 0, "thread");
    pthread_detach(thread);
}

static void *answer_late(void *arg)
{
    struct late_answer *late = arg;
    unsigned ms = late->reply.delay_ms;
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
    write_answer(late->connection, late->id, &late->reply);
    fake_bytes_free(&late->reply.response);
    leave(late->connection);
    free(late);
    return NULL;
}

/* Returns false when the connection is to be closed. */
static bool act(struct connection *connection, uint32_t id, struct fake_reply *reply)
{
    if (reply->before.length > 0) {
        pthread_mutex_lock(&connection->write_lock);
        write_whole(connection->fd, reply->before.data, reply->before.length);
        pthread_mutex_unlock(&connection->write_lock);
        fake_bytes_free(&reply->before);
    }
    if (!reply->cut && !reply->silent && reply->delay_ms > 0) {
        struct late_answer *late = malloc(sizeof *late);
        must(late != NULL, "memory");
        *late = (struct late_answer){connection, id, *reply};
        pthread_mutex_lock(&connection->server->lock);
        start_thread(connection, answer_late, late);
        pthread_mutex_unlock(&connection->server->lock);
        return true;
    }
    if (!reply->cut && !reply->silent)
        write_answer(connection, id, reply);
    fake_bytes_free(&reply->response);
    return !reply->cut;
}

static void *serve(void *arg)
{
    struct connection *connection = arg;
    struct fake_server *server = connection->server;
    bool open = greet(connection->fd);
    uint32_t id;
    size_t length;
    uint8_t *body;
    while (open && (body = read_request(connection, &id, &length)) != NULL) {
        struct fake_request request = {.id = id};
        struct fake_reply reply = {0};
        decode_request(body, length, &request);
        pthread_mutex_lock(&server->lock);
        request.number = ++server->requests;
        server->script(server->arg, &request, &reply);
        pthread_mutex_unlock(&server->lock);
        open = act(connection, id, &reply);
        free(body);
    }
    shutdown(connection->fd, SHUT_RDWR);
    leave(connection);
    return NULL;
}

static void add_connection(struct fake_server *server, int fd)
{
    struct connection *connection = malloc(sizeof *connection);
    must(connection != NULL, "memory");
    *connection = (struct connection){.server = server, .fd = fd};
    pthread_mutex_init(&connection->write_lock, NULL);
    pthread_mutex_lock(&server->lock);
    size_t place = 0;
    while (place < CONNECTIONS_MAX && server->connections[place] != NULL)
        place++;
    must(place < CONNECTIONS_MAX, "too many connections");
    server->connections[place] = connection;
    start_thread(connection, serve, connection);
    pthread_mutex_unlock(&server->lock);
}

static void *accept_all(void *arg)
{
    struct fake_server *server = arg;
    struct pollfd fds[] = {{.fd = server->stop_pipe[0], .events = POLLIN}, {.fd = server->listener, .events = POLLIN}};
    while (poll(fds, 2, -1) > 0 && fds[0].revents == 0) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd >= 0)
            add_connection(server, fd);
    }
    return NULL;
}

/* ---- Interface --------------------------------------------------------------------------------------------------- */

static void listen_on(struct fake_server *server, const char *url)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in number = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&number;
    socklen_t length = sizeof number;
    server->ipc = strncmp(url, "ipc://", 6) == 0;
    if (server->ipc) {
        must(strlen(url + 6) < sizeof path.sun_path, url);
        strcpy(path.sun_path, url + 6);
        unlink(path.sun_path);
        address = (struct sockaddr *)&path;
        length = sizeof path;
    }
    server->listener = socket(address->sa_family, SOCK_STREAM, 0);
    must(server->listener >= 0 && bind(server->listener, address, length) == 0, url);
    must(listen(server->listener, CONNECTIONS_MAX) == 0, url);
    snprintf(server->url, sizeof server->url, "%s", url);
    if (!server->ipc) {
        must(getsockname(server->listener, address, &length) == 0, url);
        snprintf(server->url, sizeof server->url, "tcp://127.0.0.1:%u", ntohs(number.sin_port));
    }
}

struct fake_server *fake_server_start(const char *url, fake_script *script, void *arg)
{
    struct fake_server *server = calloc(1, sizeof *server);
    must(server != NULL, "memory");
    server->script = script;
    server->arg = arg;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->idle, NULL);
    listen_on(server, url);
    must(pipe(server->stop_pipe) == 0, "pipe");
    must(pthread_create(&server->acceptor, NULL, accept_all, server) == 0, "thread");
    return server;
}

const char *fake_server_url(const struct fake_server *server)
{
    return server->url;
}

unsigned fake_server_requests(struct fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    unsigned requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

struct fake_server *fake_server_stop(struct fake_server *server)
{
    if (server == NULL)
        return NULL;
    close(server->stop_pipe[1]);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    if (server->ipc)
        unlink(server->url + 6);
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (server->connections[i] != NULL)
            shutdown(server->connections[i]->fd, SHUT_RDWR);
    while (server->threads > 0)
        pthread_cond_wait(&server->idle, &server->lock);
    pthread_mutex_unlock(&server->lock);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    close(server->stop_pipe[0]);
    free(server);
    return NULL;
}
