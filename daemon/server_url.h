/* Which URLs the daemon may listen on. Pure: opens nothing, resolves nothing. */
#ifndef SERVER_URL_H
#define SERVER_URL_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>

enum {
    SERVER_URL_BYTES = 128, /* with the NUL; more than any URL that is accepted needs */
};

/* 0 for "ipc:///absolute/path" that fits a socket address, and for "tcp://ADDRESS:PORT" with an IPv4 address or an IPv6
 * address in brackets (PORT 0: the kernel chooses). Else -ERROR_STARTUP, and the error says what is allowed. */
int server_url_check(const char *url, struct error *error);

/* True when other machines cannot reach it: ipc://, tcp://127.x.y.z and tcp://[::1]. For URLs that passed the check. */
bool server_url_is_local(const char *url);

/* The socket address of a URL that passed the check. */
void server_url_address(const char *url, struct sockaddr_storage *ret_address, socklen_t *ret_size);

/* The path of an ipc:// URL, or NULL for another scheme. Points into url. */
const char *server_url_path(const char *url);

#endif
