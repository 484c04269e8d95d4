/* Which URLs the daemon may listen on. */
#include "server_url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define IPC_PREFIX "ipc://"
#define TCP_PREFIX "tcp://"

enum { PORT_DIGITS = 5, PORT_MAX = 65535, LOOPBACK_NETWORK = 127 };

const char *server_url_path(const char *url)
{
    return strncmp(url, IPC_PREFIX, strlen(IPC_PREFIX)) == 0 ? url + strlen(IPC_PREFIX) : NULL;
}

static int path_check(const char *path, struct error *error)
{
    const size_t path_bytes = sizeof(((struct sockaddr_un *)NULL)->sun_path);
    size_t length = strlen(path);
    if (path[0] != '/' || path[length - 1] == '/') {
        return error_set(error, ERROR_STARTUP, "ipc:// needs the absolute path of a socket, as in ipc:///run/x.sock");
    }
    if (length >= path_bytes) {
        return error_set(error, ERROR_STARTUP, "the socket's path has %zu bytes; at most %zu are possible", length,
                         path_bytes - 1);
    }
    for (const char *byte = path; *byte; byte++) {
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) {
            return error_set(error, ERROR_STARTUP, "the socket's path has control characters");
        }
    }
    return 0;
}

static bool port_valid(const char *port)
{
    size_t digits = strspn(port, "0123456789");
    return digits > 0 && digits <= PORT_DIGITS && port[digits] == '\0' && strtoul(port, NULL, 10) <= PORT_MAX;
}

/* An address as it is, never a name: which addresses a name has is for others to say. */
static bool host_parse(const char *address, int *ret_family, unsigned char ret_bytes[sizeof(struct in6_addr)])
{
    char host[INET6_ADDRSTRLEN + 2] = "";
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    if (length == 0 || length >= sizeof(host)) {
        return false;
    }
    memcpy(host, address, length);
    *ret_family = host[0] == '[' ? AF_INET6 : AF_INET;
    if (*ret_family == AF_INET6) {
        if (host[length - 1] != ']') {
            return false;
        }
        host[length - 1] = '\0';
    }
    return inet_pton(*ret_family, *ret_family == AF_INET6 ? host + 1 : host, ret_bytes) == 1;
}

static int address_check(const char *address, struct error *error)
{
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *colon = strrchr(address, ':');
    if (!host_parse(address, &family, bytes) || !port_valid(colon + 1)) {
        return error_set(error, ERROR_STARTUP,
                         "tcp:// needs an IPv4 address, or an IPv6 address in brackets, and a port from 0 to 65535, as "
                         "in tcp://127.0.0.1:7311");
    }
    return 0;
}

bool server_url_is_local(const char *url)
{
    static const unsigned char own[sizeof(struct in6_addr)] = {[15] = 1};
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
    if (server_url_path(url)) {
        return true;
    }
    if (!host_parse(url + strlen(TCP_PREFIX), &family, bytes)) {
        return false;
    }
    return family == AF_INET ? bytes[0] == LOOPBACK_NETWORK : memcmp(bytes, own, sizeof(own)) == 0;
}

int server_url_check(const char *url, struct error *error)
{
    if (strncmp(url, IPC_PREFIX, strlen(IPC_PREFIX)) == 0) {
        return path_check(url + strlen(IPC_PREFIX), error);
    }
    if (strncmp(url, TCP_PREFIX, strlen(TCP_PREFIX)) == 0) {
        return address_check(url + strlen(TCP_PREFIX), error);
    }
    return error_set(error, ERROR_STARTUP, "a URL begins with ipc:// or tcp://");
}

void server_url_address(const char *url, struct sockaddr_storage *ret_address, socklen_t *ret_size)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET};
    struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6};
    const char *path = server_url_path(url);
    *ret_address = (struct sockaddr_storage){0};
    if (path) {
        assert(strlen(path) < sizeof(local.sun_path));
        memcpy(local.sun_path, path, strlen(path) + 1);
        memcpy(ret_address, &local, *ret_size = sizeof(local));
        return;
    }
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
    bool parsed = host_parse(url + strlen(TCP_PREFIX), &family, bytes);
    assert(parsed);
    inet.sin_port = inet6.sin6_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    if (family == AF_INET) {
        memcpy(&inet.sin_addr, bytes, sizeof(inet.sin_addr));
        memcpy(ret_address, &inet, *ret_size = sizeof(inet));
    } else {
        memcpy(&inet6.sin6_addr, bytes, sizeof(inet6.sin6_addr));
        memcpy(ret_address, &inet6, *ret_size = sizeof(inet6));
    }
}
