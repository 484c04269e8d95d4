/* Which URLs the daemon may listen on. */
#include "server_url.h"

#include <arpa/inet.h>
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
