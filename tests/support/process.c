/* Starts and kills copies of the test program. */
#include "support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static _Noreturn void process_become(int output, const char *mode, const char *argument)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    execl("/proc/self/exe", program_invocation_name, mode, argument, (char *)NULL);
    _exit(127);
}

struct process process_start(const char *mode, const char *argument)
{
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t id = fork();
    assert_true(id >= 0);
    if (id == 0) {
        process_become(output[1], mode, argument);
    }
    close(output[1]);
    struct process process = {.id = id, .output = fdopen(output[0], "r")};
    assert_non_null(process.output);
    return process;
}

void process_read_line(struct process *process, char *text, size_t size)
{
    assert_non_null(fgets(text, (int)size, process->output));
    text[strcspn(text, "\n")] = '\0';
}

void process_kill(struct process *process)
{
    kill(process->id, SIGKILL);
    waitpid(process->id, NULL, 0);
    fclose(process->output);
}
