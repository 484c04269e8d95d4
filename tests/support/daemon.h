/* The real daemon ($CHATLOGD) in a fresh directory of its own. What the harness itself cannot do (start a process, get
 * the daemon ready within 60 s) ends the test program with the daemon's log. Not thread-safe: one thread per daemon. */
#ifndef SUPPORT_DAEMON_H
#define SUPPORT_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon;

/* Starts it on DIRECTORY/data and ipc://DIRECTORY/chatlogd.sock and waits until it says that it is ready.
 * options: more of the command line, ends in NULL (NULL: none). The strings are copied. */
struct daemon *daemon_start(const char *const *options);

const char *daemon_directory(const struct daemon *daemon);
const char *daemon_data_dir(const struct daemon *daemon);
const char *daemon_url(const struct daemon *daemon);    /* "ipc:///tmp/.../chatlogd.sock" */
const char *daemon_socket(const struct daemon *daemon); /* the path in it */
pid_t daemon_pid(const struct daemon *daemon);

/* All it has written to standard error since daemon_start, restarts included. The caller frees it. */
char *daemon_log(const struct daemon *daemon);

/* Waits until its log contains the text; false after timeout_ms or when it has ended without. */
bool daemon_wait_log(struct daemon *daemon, const char *text, unsigned timeout_ms);

/* Tells it to stop, waits for its end and returns the exit status (128 + signal when a signal ended it). */
int daemon_stop(struct daemon *daemon);

/* SIGTERM without waiting; daemon_wait brings the exit status. */
void daemon_terminate(struct daemon *daemon);
int daemon_wait(struct daemon *daemon);

/* SIGKILL, and waits for its end. */
void daemon_kill(struct daemon *daemon);

/* Starts a stopped or killed one again, with the same directory and options, and waits until it is ready. */
void daemon_restart(struct daemon *daemon);

/* Kills it if it runs, and removes its directory. A report of a sanitizer in its log ends the test program.
 * Returns NULL. */
struct daemon *daemon_free(struct daemon *daemon);

/* Runs $CHATLOGD with exactly these arguments (ends in NULL) to its end, at most 60 s. Returns the exit status. What it
 * wrote to standard output and standard error goes to ret_output and ret_errors, cut to size; either may be NULL. */
int daemon_run(const char *const *arguments, char *ret_output, char *ret_errors, size_t size);

#endif
