#include "support/control.h"

#include "support/directory.h"
#include "support/trial.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 3000, OUTPUT_BYTES = 1 << 16, LINE_BYTES = 160 };

static const char broken_name[] = "CHATLOG_CONTROL";
static const char test_name[] = "CHATLOG_CONTROL_TEST";

void control_begin(void)
{
    const char *test = getenv(test_name);
    if (test) {
        cmocka_set_test_filter(test);
    }
}

bool control_is(const char *what)
{
    const char *broken = getenv(broken_name);
    return broken && strcmp(broken, what) == 0;
}

int control_wait_ms(int ms)
{
    return getenv(broken_name) && ms > WAIT_MS ? WAIT_MS : ms;
}

static _Noreturn void control_run(const char *what, const char *test, const char *directory, int output)
{
    static char self[] = "/proc/self/exe";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv(broken_name, what, 1);
    setenv(test_name, test, 1);
    setenv(DIRECTORY_PARENT, directory, 1);
    unsetenv("CHATLOG_FAULT_REPORT");
    if (dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0) {
        execv(self, (char *[]){self, NULL});
    }
    _exit(127);
}

/* Whether the test itself has failed: a program that ends otherwise has found out nothing. */
static bool test_failed(int output, const char *test)
{
    char *text = calloc(1, OUTPUT_BYTES);
    char line[LINE_BYTES];
    snprintf(line, sizeof(line), "[  FAILED  ] %s\n", test);
    bool failed = text && pread(output, text, OUTPUT_BYTES - 1, 0) > 0 && strstr(text, line);
    if (text && !failed) {
        print_error("%s", text);
    }
    free(text);
    return failed;
}

void control_must_fail(unsigned number, const char *what, const char *test)
{
    int output = memfd_create("control", MFD_CLOEXEC);
    char *directory = directory_new(); /* a test that fails removes nothing */
    assert_true(output >= 0);
    pid_t child = fork();
    if (child == 0) {
        control_run(what, test, directory, output);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    directory_remove(directory);
    bool caught = test_failed(output, test);
    close(output);
    trial_report_control(number, what, caught);
    assert_true(caught);
}
