/* Many trials in a few processes, each of which may end at any trial: that trial is lost, and another process goes on
 * with the next. */
#ifndef FAULT_WORKERS_H
#define FAULT_WORKERS_H

#include <stddef.h>

enum { WORKERS_COUNT = 2, WORKERS_DEFECT = 2 /* exit status of a worker: the program is wrong, not the trial */ };

/* Does the trials w, w + WORKERS_COUNT ... from `first` on, and says in *current which one it is at. */
typedef void workers_go(const void *arg, unsigned worker, size_t first, size_t *current);

/* Returns how many trials were lost; stops at lost_max. Ends the program on a defect. */
size_t workers_run(workers_go *go, const void *arg, size_t lost_max);

/* Memory that this process and its workers share, zeroed. */
void *workers_share(size_t size);

#endif
