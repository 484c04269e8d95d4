/* Controls of tests in C: the test's own program, run once more with something broken on purpose, in which the very
 * same test must fail. What is broken is the test's business: a limit that is another, a kill in place of a stop. */
#ifndef SUPPORT_CONTROL_H
#define SUPPORT_CONTROL_H

#include <stdbool.h>

/* At the beginning of main: in a control only its one test runs. */
void control_begin(void);

/* Whether this is broken on purpose in this process. */
bool control_is(const char *what);

/* How long to wait for what must happen: `ms`, or in a control, where it must not, as much shorter as is still plenty.
 */
int control_wait_ms(int ms);

/* Runs that test with this broken, reports whether it failed as the control of the test of that number in the programme
 * (trial.h), and fails the test that calls it when it did not. */
void control_must_fail(unsigned number, const char *what, const char *test);

#endif
