/* How a benchmark ends when it cannot go on: with a sentence, at once, from any thread. The servers it has started end
 * with it (server.h). */
#ifndef BENCH_FAIL_H
#define BENCH_FAIL_H

#include <stddef.h>

void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Zeroed memory; ends the program when there is none. */
void *bench_allocate(size_t count, size_t size);

/* printf into new memory, which the caller frees; ends the program when there is none. */
char *bench_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC. */
long long bench_now_ns(void);

#endif
