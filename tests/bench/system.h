/* What is compared: a row each, in a file of its own, behind one interface. Whatever cannot be done ends the program.
 */
#ifndef BENCH_SYSTEM_H
#define BENCH_SYSTEM_H

#include "bench/load.h"
#include "bench/server.h"

struct system_disk {
    double file_bytes; /* of the files with the data, on the disk */
    double used_bytes; /* of it in use, as the system tells */
};

struct system {
    const char *name;
    const char *meaning;
    bool appends_only;

    /* Starts a fresh instance with its data in a directory of its own below this one. */
    void *(*start)(const char *directory);

    /* Fills it. NULL: holds no data. */
    void (*load)(void *instance, const struct dataset *dataset);

    /* Waits until nothing goes on any more that requests before have caused. NULL: nothing ever does. */
    void (*rest)(void *instance);

    /* Runs a load to its end, between open (which connects for so many requests in flight) and close; either may be
     * NULL. */
    void (*open)(void *instance, unsigned in_flight);
    void (*run)(void *instance, struct load *load);
    void (*close)(void *instance);

    /* NULL: it works inside this process, on the thread that calls run. */
    struct server *(*server)(void *instance);
    double (*memory)(void *instance); /* of one without a server: what it has allocated; NULL: not known */

    /* Of one at rest. NULL: holds no data. */
    struct system_disk (*disk)(void *instance, const struct dataset *dataset);

    /* Ends and frees it. Its files stay. */
    void (*stop)(void *instance);
};

extern const struct system system_chatlogd;
extern const struct system system_redis;
extern const struct system system_postgresql;
extern const struct system system_sqlite;
extern const struct system system_nng_echo;
extern const struct system system_lmdb_journal;

/* All of them, chatlogd first. */
enum { SYSTEMS = 6 };
extern const struct system *const systems[SYSTEMS];

/* Fills an instance and waits until it is at rest. */
void system_load(const struct system *system, void *instance, const struct dataset *dataset);

void system_rest(const struct system *system, void *instance);

/* One run, measured. */
struct system_result {
    struct load_result load;
    double cpu_us; /* of the server (of the thread, when there is none) a request */
    double memory_bytes;
};
struct system_result system_measure(const struct system *system, void *instance, const struct load_plan *plan);

/* For load(): opens, runs the fill with run(), closes. */
void system_fill(const struct system *system, void *instance, const struct dataset *dataset, unsigned in_flight);

void system_pause(const struct system *system, void *instance, bool paused);

#endif
