/* How large a test of many random trials is, what repeats it, and where it tells `./dev torture` what it saw. From the
 * environment, as the tests of tests/fault have it. */
#ifndef SUPPORT_TRIAL_H
#define SUPPORT_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

/* CHATLOG_FAULT_SCALE multiplies what is done in a test run; 1 without it. */
uint64_t trial_scaled(uint64_t count);

/* CHATLOG_SEED, or another at each start. Printed, so that a run can be repeated. */
uint64_t trial_seed(void);

/* A row of the table, whose title begins with the test's number. Without CHATLOG_FAULT_REPORT it is only printed. */
void trial_report(const char *test, uint64_t trials, uint64_t faults, uint64_t bad, const char *note);

/* What had to fail so that the row of that number means something: did it? */
void trial_report_control(unsigned number, const char *name, bool caught);

#endif
