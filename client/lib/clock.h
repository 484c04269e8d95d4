/* Time and randomness from the system. */
#ifndef CHATLOG_LIB_CLOCK_H
#define CHATLOG_LIB_CLOCK_H

#include <stdint.h>

/* Microseconds that only go forward, whatever the wall clock does (CLOCK_MONOTONIC). */
int64_t chatlog_clock_us(void);

/* A random number in 0..below-1; below is 1 or more. Good enough to spread retries, not for secrets. */
uint32_t chatlog_random_below(uint32_t below);

enum { CHATLOG_RANDOM_ID_SIZE = 33 };

/* 128 random bits as 32 hex digits and a NUL. Returns -1 when the system gives none. */
int chatlog_random_id(char ret_id[static CHATLOG_RANDOM_ID_SIZE]);

#endif
