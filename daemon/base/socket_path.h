/* The file of a local socket that the daemon wants to listen on. */
#ifndef BASE_SOCKET_PATH_H
#define BASE_SOCKET_PATH_H

#include "base/error.h"

/* Makes room for our socket: removes the file a dead daemon left, refuses (-ERROR_STARTUP) when a live one listens
 * there or something else has the name. The path is absolute and fits a socket address. */
int socket_path_clear(const char *path, struct error *error);

#endif
