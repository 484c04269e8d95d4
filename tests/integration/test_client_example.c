/* The example program of the README does what the README says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"

#include <sys/wait.h>
#include <unistd.h>

/* Runs the example, which stands beside this program, and returns its exit status; what it prints goes to output. */
static int run_example(const char *url, char *output, size_t size)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(length > 0);
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "chatlog_example");
    char command[8192];
    snprintf(command, sizeof command, "'%s' '%s' 2>&1", path, url);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    output[fread(output, 1, size - 1, stream)] = '\0';
    int status = pclose(stream);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_example_prints_the_conversation_it_stored(void **state)
{
    (void)state;
    struct daemon *daemon = daemon_start(NULL);
    char output[1024];
    assert_int_equal(run_example(daemon_url(daemon), output, sizeof output), 0);
    assert_string_equal(output, "user: When does the ferry leave?\nassistant: At 9:40 from pier 2.\n");
    assert_int_equal(daemon_stop(daemon), 0);
    daemon_free(daemon);
}

static void the_example_says_what_is_wrong(void **state)
{
    (void)state;
    char output[1024];
    assert_int_equal(run_example("nonsense", output, sizeof output), 1);
    assert_non_null(strstr(output, "INVALID_ARGUMENT"));
    assert_non_null(strstr(output, "nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_prints_the_conversation_it_stored),
        cmocka_unit_test(the_example_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
