/* What a process has used, as /proc tells. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <sys/types.h>

/* User and system time the process has used, in microseconds. Ends the program when it cannot be read. */
double process_cpu_us(pid_t pid);

/* Memory of the process that no file backs, in KiB; 0 when it is gone. */
unsigned long process_anonymous_kib(pid_t pid);

/* A process with its children. */

enum { PROCESS_FAMILY_MAX = 1024 };

/* Returns how many they are, the parent first. */
size_t process_family(pid_t parent, pid_t ret_family[PROCESS_FAMILY_MAX]);

/* As process_cpu_us, of all of them together, those that have ended too. */
double process_family_cpu_us(pid_t parent);

/* As process_anonymous_kib, of all of them together, and what they share without a file once. */
unsigned long process_family_kib(pid_t parent);

#endif
