#include "supervisor_probe.h"

#include "chatlog/v1/envelope.pb-c.h"
#include "server_frame.h"
#include "server_url.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_BYTES = 64 };

static const uint8_t requester_handshake[FRAME_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
static const uint8_t request_id[FRAME_WORD_BYTES] = {0x80, 0, 0, 1};

static int socket_open(int family, const struct sockaddr *address, socklen_t size, unsigned timeout_ms)
{
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    /* SO_SNDTIMEO bounds connect() too. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) || connect(fd, address, size)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int path_connect(const char *path, unsigned timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    return socket_open(AF_UNIX, (const struct sockaddr *)&address, sizeof(address), timeout_ms);
}

/* "127.0.0.1" or "[::1]", the colon, the port. */
static int host_connect(char *host, char *colon, unsigned timeout_ms)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    *colon = '\0';
    if (host[0] == '[') {
        colon[-1] = '\0';
        host++;
    }
    if (getaddrinfo(host, colon + 1, &hints, &found)) {
        return -1;
    }
    int fd = socket_open(found->ai_family, found->ai_addr, found->ai_addrlen, timeout_ms);
    freeaddrinfo(found);
    return fd;
}

/* Frame, id and Request; returns the bytes of it. */
static size_t request_build(bool typed, uint8_t bytes[REQUEST_BYTES])
{
    char method[] = "grpc.health.v1.Health/Check";
    Chatlog__V1__Request request;
    chatlog__v1__request__init(&request);
    request.method = method;
    size_t body = chatlog__v1__request__get_packed_size(&request);
    size_t header = frame_header_size(typed);
    assert(header + sizeof(request_id) + body <= REQUEST_BYTES);
    frame_header_put(typed, sizeof(request_id) + body, bytes);
    memcpy(bytes + header, request_id, sizeof(request_id));
    chatlog__v1__request__pack(&request, bytes + header + sizeof(request_id));
    return header + sizeof(request_id) + body;
}

enum read_end { READ_ALL, READ_CLOSED, READ_FAILED };

static enum read_end read_all(int fd, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got <= 0) {
            return got == 0 || errno == ECONNRESET ? READ_CLOSED : READ_FAILED;
        }
        bytes += got;
        size -= (size_t)got;
    }
    return READ_ALL;
}

static bool is_answered(int fd, bool typed)
{
    uint8_t request[REQUEST_BYTES];
    uint8_t answer[FRAME_HANDSHAKE_BYTES + FRAME_HEADER_MAX + FRAME_WORD_BYTES];
    size_t wanted = FRAME_HANDSHAKE_BYTES + frame_header_size(typed) + FRAME_WORD_BYTES;
    size_t size = request_build(typed, request);
    /* When these fail because the daemon has closed, reading tells. */
    ssize_t rc = send(fd, requester_handshake, sizeof(requester_handshake), MSG_NOSIGNAL);
    rc = send(fd, request, size, MSG_NOSIGNAL);
    (void)rc;
    enum read_end end = read_all(fd, answer, wanted);
    if (end != READ_ALL) {
        return end == READ_CLOSED;
    }
    return memcmp(answer, frame_handshake, FRAME_HANDSHAKE_BYTES) == 0 &&
           memcmp(answer + wanted - FRAME_WORD_BYTES, request_id, FRAME_WORD_BYTES) == 0;
}

bool supervisor_probe(const char *url, unsigned timeout_ms)
{
    const char *path = server_url_path(url);
    char host[SERVER_URL_BYTES];
    int fd;
    if (path) {
        fd = path_connect(path, timeout_ms);
    } else {
        assert(strlen(url) < sizeof(host));
        memcpy(host, url, strlen(url) + 1);
        char *colon = strrchr(host, ':');
        if (strcmp(colon, ":0") == 0) {
            return true;
        }
        fd = host_connect(strchr(host, '/') + 2, colon, timeout_ms);
    }
    bool works = fd >= 0 && is_answered(fd, path != NULL);
    if (fd >= 0) {
        close(fd);
    }
    return works;
}
