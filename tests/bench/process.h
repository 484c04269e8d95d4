/* What a process has used, as /proc tells. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <sys/types.h>

/* User and system time the process has used, in microseconds. Ends the program when it cannot be read. */
double process_cpu_us(pid_t pid);

/* Memory of the process that no file backs, in KiB; 0 when it is gone. */
unsigned long process_anonymous_kib(pid_t pid);

#endif
