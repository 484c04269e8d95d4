/* The clocks: one for what people read, one for deadlines, one for work. All in microseconds. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

enum { CLOCK_SECOND_US = 1000000, CLOCK_MILLISECOND_US = 1000 };

/* Since 1970-01-01T00:00:00Z. Can jump when an operator sets the time. */
int64_t clock_wall_us(void);

/* Since some moment before the process began. Never jumps. */
int64_t clock_monotonic_us(void);

/* What the calling thread has used of processors since it began. */
int64_t clock_thread_us(void);

#endif
