/* How large a test of many random trials is, what repeats it, and where it tells `./dev torture` what it saw. From the
 * environment, as the tests of tests/fault have it. */
#ifndef SUPPORT_TRIAL_H
#define SUPPORT_TRIAL_H

#include <stdint.h>

/* CHATLOG_FAULT_SCALE multiplies what is done in a test run; 1 without it. */
uint64_t trial_scaled(uint64_t count);

/* CHATLOG_SEED, or another at each start. Printed, so that a run can be repeated. */
uint64_t trial_seed(void);

/* A row of the table. Without CHATLOG_FAULT_REPORT it is only printed. */
void trial_report(const char *test, uint64_t trials, const char *load, uint64_t faults, uint64_t bad,
                  const char *control);

#endif
