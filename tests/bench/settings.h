/* The command line of the benchmark. */
#ifndef BENCH_SETTINGS_H
#define BENCH_SETTINGS_H

#include "bench/system.h"

enum programme { PROGRAMME_COMPARE, PROGRAMME_GROWTH, PROGRAMME_FOLD, PROGRAMME_BESIDE };

struct settings {
    enum programme programme;
    uint64_t conversations; /* of 50 messages each */
    uint64_t appends;       /* of the programme fold */
    double seconds;         /* a measurement */
    unsigned rounds;
    bool json;
    bool systems[SYSTEMS]; /* which of them take part */
    const char *workloads; /* names, separated by commas; NULL: all */
    const char *text;      /* a file; NULL: made up */
    const char *directory; /* for all data: exists and is empty */
};

enum { SETTINGS_ROUNDS_MAX = 99, SETTINGS_MESSAGES = 50 };

/* Ends the program with usage on a wrong command line, and after --help. */
struct settings settings_parse(int count, char **arguments);

/* Whether the comma-separated list has the name. */
bool settings_name_in(const char *list, const char *name);

#endif
