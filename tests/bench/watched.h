/* A daemon ($CHATLOGD) on data that is there already, watched while it runs: its memory, and how large its data file
 * gets. */
#ifndef BENCH_WATCHED_H
#define BENCH_WATCHED_H

#include "chatlog.h"

struct watched;

/* Starts it with --migrate MODE and returns when it has answered its first request. Ends the program when it does not.
 */
struct watched *watched_start(const char *data_dir, const char *mode);

const char *watched_url(const struct watched *watched);

/* From just before exec to the first answer. */
double watched_ready_ms(const struct watched *watched);

/* Waits until this many messages were moved, or the migration is done. False: it stopped in another way, which is then
 * told on standard error. */
bool watched_wait_moved(struct watched *watched, uint64_t messages, struct chatlog_migration *ret);

/* What was seen every 50 ms since the start: of the data file its size, or its blocks on the disk if those are more. */
struct watched_result {
    uint64_t anonymous_peak_kib; /* RssAnon */
    uint64_t anonymous_now_kib;
    uint64_t file_first_bytes;
    uint64_t file_peak_bytes;
    uint64_t file_last_bytes;
};
struct watched_result watched_look(struct watched *watched);

/* Tells it to stop, waits for its end, and frees. */
void watched_stop(struct watched *watched);

/* Runs a program to its end; ret_output gets what it printed, cut to size, ending in NUL. Returns the exit status, -1
 * when it cannot be run. */
int program_run(const char *const *arguments, char *ret_output, size_t size);

#endif
