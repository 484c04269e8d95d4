/* A server process of the benchmark, started for it and ended with it (also when the benchmark is killed). */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>

struct server;

/* Starts a program (arguments ends in NULL) in a directory; what it prints goes to DIRECTORY/NAME.log.
 * user: as whom to run it when the benchmark runs as root; NULL: as the benchmark. */
struct server *server_start(const char *directory, const char *name, const char *const *arguments, const char *user);

/* Calls ready(arg) until it is true. Ends the program with the server's log when that takes a minute or the server
 * ends. */
void server_wait_ready(struct server *server, bool (*ready)(void *arg), void *arg);

/* CPU time used by the server and its children so far; their memory that no file backs. */
double server_cpu_us(const struct server *server);
double server_memory_bytes(const struct server *server);

/* Stops (SIGSTOP) or continues it with its children, so that it does nothing while another one is measured. */
void server_pause(const struct server *server, bool paused);

/* Sends the signal and waits for its end; kills it after a minute. Frees it. Returns NULL. */
struct server *server_stop(struct server *server, int signal_number);

/* Runs a program to its end; ends the benchmark when it fails. */
void server_command(const char *directory, const char *name, const char *const *arguments, const char *user);

/* Creates DIRECTORY/NAME and gives it to the user, if the benchmark runs as root and user is not NULL. The caller frees
 * the path. */
char *server_directory(const char *directory, const char *name, const char *user);

/* Bytes on the disk (blocks, not length) of a file, or of all files below a directory. */
double server_disk_bytes(const char *path);

#endif
