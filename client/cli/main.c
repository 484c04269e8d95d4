/* The command `chatlog`: from the command line to one row of the table, and the end of it all: was everything that
 * was said really written? */
#include "cli/commands.h"
#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A closed standard stream would give its number to a socket, and results would be written into it. The stand-ins
 * fail on use as the closed ones would have. */
static void streams_hold(void)
{
    static const int flags[] = {[STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDWR};
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
        if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", flags[stream]) < 0) {
            _exit(EXIT_FAILURE);
        }
    }
}

static int output_finish(FILE *out, int code)
{
    bool failed = ferror(out) != 0;
    errno = 0;
    if (fflush(out) != 0 || failed) {
        report_failure("DATA_LOSS", "OUTPUT_FAILED", "Standard output could not be written%s%s: not all was shown.",
                       errno ? ": " : "", errno ? strerror(errno) : "");
        return code == EXIT_SUCCESS ? EXIT_FAILURE : code;
    }
    return code;
}

static int command_run(const struct options *options)
{
    const struct command *command = options->command;
    struct session session = {
        .options = options,
        .printer = options->output == OUTPUT_JSON ? &printer_json : &printer_text,
        .out = stdout,
    };
    int code = command->offline ? 0 : session_open(&session);
    if (code == 0) {
        code = command->run(&session);
    }
    session_close(&session);
    return code;
}

static int command_dispatch(const struct options *options)
{
    const struct command *command = options->command;
    if (options->version) {
        puts("chatlog " CHATLOG_VERSION);
        return EXIT_SUCCESS;
    }
    if (options->help) {
        help_write(stdout, command);
        return EXIT_SUCCESS;
    }
    if (!command) {
        return report_usage(NULL, "no command was given");
    }
    if (options->operand_count < command->operands_least) {
        char sentence[OPTIONS_PROBLEM_BYTES];
        snprintf(sentence, sizeof(sentence), "usage: chatlog %s %s", command->name, command->operands);
        return report_usage(command->name, sentence);
    }
    const char *problem = command->check ? command->check(options) : NULL;
    return problem ? report_usage(command->name, problem) : command_run(options);
}

int main(int argc, char **argv)
{
    streams_hold();
    signal(SIGPIPE, SIG_IGN); /* a reader that left is an error to report, not a reason to vanish */
    json_object_seed(0);      /* once, before there are threads */
    struct options options;
    char problem[OPTIONS_PROBLEM_BYTES];
    if (options_parse(argc, argv, &options, problem) < 0) {
        return report_usage(options.command ? options.command->name : NULL, problem);
    }
    return output_finish(stdout, command_dispatch(&options));
}
