/* Which URLs the daemon may listen on: until there are tokens, only what other machines cannot reach. */
#include "server_url.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define IPC_PREFIX "ipc://"
#define TCP_PREFIX "tcp://"

enum { PORT_DIGITS = 5, PORT_MAX = 65535, IPV4_BYTES = 4, LOOPBACK_NETWORK = 127 };

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

static bool host_is_loopback(const char *host)
{
    unsigned char address[IPV4_BYTES];
    return strcmp(host, "[::1]") == 0 || (inet_pton(AF_INET, host, address) == 1 && address[0] == LOOPBACK_NETWORK);
}

static int address_check(const char *address, struct error *error)
{
    char host[SERVER_URL_BYTES];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof(host) || !port_valid(colon + 1)) {
        return error_set(error, ERROR_STARTUP,
                         "tcp:// needs an address and a port from 0 to 65535, as in "
                         "tcp://127.0.0.1:7311");
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    if (!host_is_loopback(host)) {
        return error_set(error, ERROR_STARTUP,
                         "TCP has no authentication yet, so only this machine's own addresses are allowed: "
                         "tcp://127.0.0.1:PORT or tcp://[::1]:PORT");
    }
    return 0;
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
