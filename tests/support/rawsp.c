#include "support/rawsp.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 256 << 20, METHOD_FIELD = 1, PAYLOAD_FIELD = 2, REQUEST_ID_FIELD = 4, CODE_FIELD = 1 };

static void __attribute__((noreturn)) rawsp_fail(const char *what)
{
    perror(what);
    abort();
}

int rawsp_try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        rawsp_fail(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = RAWSP_TIMEOUT_MS / 1000};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout))) {
        rawsp_fail(path);
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        return -1;
    }
    return fd;
}

int rawsp_connect(const char *path)
{
    int fd = rawsp_try_connect(path);
    if (fd < 0) {
        rawsp_fail(path);
    }
    return fd;
}

bool rawsp_write(int fd, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);
        if (count <= 0) {
            return false;
        }
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

bool rawsp_read(int fd, void *data, size_t size)
{
    uint8_t *bytes = data;
    while (size > 0) {
        ssize_t count = recv(fd, bytes, size, 0);
        if (count <= 0) {
            return false;
        }
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

bool rawsp_handshake(int fd, uint16_t protocol)
{
    const uint8_t ours[RAWSP_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, (uint8_t)(protocol >> 8), (uint8_t)protocol, 0, 0};
    static const uint8_t expected[RAWSP_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, RAWSP_PROTOCOL_REP, 0, 0};
    uint8_t theirs[RAWSP_HANDSHAKE_BYTES];
    return rawsp_write(fd, ours, sizeof(ours)) && rawsp_read(fd, theirs, sizeof(theirs)) &&
           memcmp(theirs, expected, sizeof(theirs)) == 0;
}

int rawsp_open(const char *path)
{
    int fd = rawsp_connect(path);
    if (!rawsp_handshake(fd, RAWSP_PROTOCOL_REQ)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void number_put(uint8_t *bytes, size_t size, uint64_t value)
{
    for (size_t i = size; i-- > 0; value >>= 8) {
        bytes[i] = (uint8_t)value;
    }
}

static uint64_t number_get(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

bool rawsp_send_header(int fd, uint8_t type, uint64_t length)
{
    uint8_t header[RAWSP_FRAME_BYTES] = {type};
    number_put(header + 1, sizeof(length), length);
    return rawsp_write(fd, header, sizeof(header));
}

bool rawsp_send_request(int fd, uint32_t id, const void *body, size_t size)
{
    uint8_t header[RAWSP_FRAME_BYTES + RAWSP_ID_BYTES] = {1};
    number_put(header + 1, sizeof(uint64_t), size + RAWSP_ID_BYTES);
    number_put(header + RAWSP_FRAME_BYTES, RAWSP_ID_BYTES, id | RAWSP_REQUEST_ID);
    return rawsp_write(fd, header, sizeof(header)) && rawsp_write(fd, body, size);
}

uint8_t *rawsp_receive(int fd, uint32_t *ret_id, size_t *ret_size)
{
    uint8_t header[RAWSP_FRAME_BYTES + RAWSP_ID_BYTES];
    if (!rawsp_read(fd, header, sizeof(header))) {
        return NULL;
    }
    uint64_t length = number_get(header + 1, sizeof(uint64_t));
    if (header[0] != 1 || length < RAWSP_ID_BYTES || length > ANSWER_BYTES_MAX) {
        fprintf(stderr, "rawsp: the daemon sent a frame of type %u and length %ju\n", header[0], (uintmax_t)length);
        abort();
    }
    size_t size = (size_t)length - RAWSP_ID_BYTES;
    uint8_t *body = malloc(size + 1);
    if (!body) {
        rawsp_fail("malloc");
    }
    if (!rawsp_read(fd, body, size)) {
        free(body);
        return NULL;
    }
    if (ret_id) {
        *ret_id = (uint32_t)number_get(header + RAWSP_FRAME_BYTES, RAWSP_ID_BYTES) & ~RAWSP_REQUEST_ID;
    }
    *ret_size = size;
    return body;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool rawsp_closed(int fd, unsigned timeout_ms)
{
    uint8_t dropped[65536];
    int64_t end = now_ms() + timeout_ms;
    for (int64_t left = timeout_ms; left > 0; left = end - now_ms()) {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        if (poll(&wanted, 1, (int)left) > 0 && recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT) <= 0) {
            return true;
        }
    }
    return false;
}

static size_t varint_put(uint8_t *bytes, size_t value)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[count++] = (uint8_t)(value | 0x80);
    }
    bytes[count++] = (uint8_t)value;
    return count;
}

static size_t field_put(uint8_t *bytes, unsigned field, const void *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t count = varint_put(bytes, field << 3 | 2);
    count += varint_put(bytes + count, size);
    memcpy(bytes + count, data, size);
    return count + size;
}

uint8_t *rawsp_envelope(const char *method, const void *payload, size_t payload_size, const char *request_id,
                        size_t *ret_size)
{
    size_t id_size = request_id ? strlen(request_id) : 0;
    uint8_t *bytes = malloc(strlen(method) + payload_size + id_size + 64);
    if (!bytes) {
        rawsp_fail("malloc");
    }
    size_t size = field_put(bytes, METHOD_FIELD, method, strlen(method));
    size += field_put(bytes + size, PAYLOAD_FIELD, payload, payload_size);
    size += field_put(bytes + size, REQUEST_ID_FIELD, request_id, id_size);
    *ret_size = size;
    return bytes;
}

int rawsp_response_code(const uint8_t *response, size_t size)
{
    /* Fields come in ascending order, and the code, when not 0, is the first: 08 CODE. */
    if (size >= 2 && response[0] == (CODE_FIELD << 3) && response[1] < 0x80) {
        return response[1];
    }
    return size > 0 && response[0] >> 3 > CODE_FIELD ? 0 : -1;
}

bool rawsp_healthy(const char *path)
{
    size_t size;
    int fd = rawsp_open(path);
    uint8_t *request = rawsp_envelope("grpc.health.v1.Health/Check", NULL, 0, NULL, &size);
    uint8_t *answer = fd >= 0 && rawsp_send_request(fd, 1, request, size) ? rawsp_receive(fd, NULL, &size) : NULL;
    bool healthy = answer && rawsp_response_code(answer, size) == 0;
    free(request);
    free(answer);
    if (fd >= 0) {
        close(fd);
    }
    return healthy;
}
