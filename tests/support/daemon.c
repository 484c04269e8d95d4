#include "support/daemon.h"
#include "support/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 64, READY_MS = 60000, POLL_MS = 5 };

struct daemon {
    char *directory;
    char *data_dir;
    char *url;
    char *log_path;
    char *arguments[ARGUMENTS_MAX + 1];
    size_t argument_count;
    off_t log_start; /* of the process that runs now */
    pid_t pid;       /* 0: not running */
    int status;      /* of the last one that ended */
};

static void __attribute__((noreturn)) harness_fail(const char *what, const struct daemon *daemon)
{
    char *log = daemon ? daemon_log(daemon) : NULL;
    fprintf(stderr, "test harness: %s%s%s\n", what, log ? "; the daemon's log:\n" : "", log ? log : "");
    free(log);
    if (daemon && daemon->pid > 0) {
        kill(daemon->pid, SIGKILL);
    }
    abort();
}

static char *text_join(const char *first, const char *second)
{
    char *text = NULL;
    if (asprintf(&text, "%s%s", first, second) < 0) {
        harness_fail("out of memory", NULL);
    }
    return text;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

static char *file_read(const char *path, off_t start)
{
    FILE *file = fopen(path, "re");
    struct stat status;
    if (!file || fstat(fileno(file), &status) || status.st_size < start || fseeko(file, start, SEEK_SET)) {
        harness_fail(path, NULL);
    }
    size_t size = (size_t)(status.st_size - start);
    char *text = calloc(1, size + 1);
    if (!text || fread(text, 1, size, file) != size) {
        harness_fail(path, NULL);
    }
    fclose(file);
    return text;
}

/* Only what is async-signal-safe happens between fork and exec: the test may have threads. */
static pid_t process_start(char *const *arguments, const char *output, const char *errors)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no daemon behind */
    if (getppid() != parent) {
        _exit(127);
    }
    int output_fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int errors_fd = open(errors, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output_fd < 0 || errors_fd < 0 || dup2(output_fd, STDOUT_FILENO) < 0 || dup2(errors_fd, STDERR_FILENO) < 0) {
        _exit(127);
    }
    execv(arguments[0], arguments);
    _exit(127);
}

static char *program_path(void)
{
    char *path = getenv("CHATLOGD");
    if (!path || access(path, X_OK)) {
        harness_fail("CHATLOGD does not name the daemon's program", NULL);
    }
    return path;
}

static int status_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool daemon_ended(struct daemon *daemon)
{
    int status;
    if (daemon->pid == 0) {
        return true;
    }
    pid_t pid = waitpid(daemon->pid, &status, WNOHANG);
    if (pid != daemon->pid) {
        return false;
    }
    daemon->pid = 0;
    daemon->status = status_code(status);
    return true;
}

static bool log_has(const struct daemon *daemon, const char *text)
{
    char *log = file_read(daemon->log_path, daemon->log_start);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

bool daemon_wait_log(struct daemon *daemon, const char *text, unsigned timeout_ms)
{
    for (unsigned waited = 0; waited <= timeout_ms; waited += POLL_MS) {
        bool ended = daemon_ended(daemon); /* looked at first: what it wrote last counts */
        if (log_has(daemon, text)) {
            return true;
        }
        if (ended) {
            return false;
        }
        wait_a_little();
    }
    return false;
}

static void daemon_spawn(struct daemon *daemon)
{
    struct stat status;
    daemon->log_start = stat(daemon->log_path, &status) == 0 ? status.st_size : 0;
    FILE *log = fopen(daemon->log_path, "ae"); /* exists from here on */
    if (!log || fclose(log)) {
        harness_fail(daemon->log_path, NULL);
    }
    daemon->pid = process_start(daemon->arguments, daemon->log_path, daemon->log_path);
    if (daemon->pid < 0) {
        harness_fail("fork", NULL);
    }
    if (!daemon_wait_log(daemon, " ready", READY_MS)) {
        harness_fail("the daemon did not get ready", daemon);
    }
}

static void argument_add(struct daemon *daemon, char *argument)
{
    if (!argument || daemon->argument_count == ARGUMENTS_MAX) {
        harness_fail("too many arguments", NULL);
    }
    daemon->arguments[daemon->argument_count++] = argument;
}

struct daemon *daemon_start(const char *const *options)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    if (!daemon) {
        harness_fail("out of memory", NULL);
    }
    daemon->directory = directory_new();
    daemon->data_dir = text_join(daemon->directory, "/data");
    daemon->log_path = text_join(daemon->directory, "/log");
    char *socket_path = text_join(daemon->directory, "/chatlogd.sock");
    daemon->url = text_join("ipc://", socket_path);
    free(socket_path);
    argument_add(daemon, strdup(program_path()));
    argument_add(daemon, strdup("--data-dir"));
    argument_add(daemon, strdup(daemon->data_dir));
    argument_add(daemon, strdup("--listen"));
    argument_add(daemon, strdup(daemon->url));
    argument_add(daemon, strdup("--map-size=4G")); /* under TSan there is no room for the default */
    for (; options && *options; options++) {
        argument_add(daemon, strdup(*options));
    }
    daemon_spawn(daemon);
    return daemon;
}

const char *daemon_directory(const struct daemon *daemon)
{
    return daemon->directory;
}

const char *daemon_data_dir(const struct daemon *daemon)
{
    return daemon->data_dir;
}

const char *daemon_url(const struct daemon *daemon)
{
    return daemon->url;
}

const char *daemon_socket(const struct daemon *daemon)
{
    return daemon->url + strlen("ipc://");
}

pid_t daemon_pid(const struct daemon *daemon)
{
    return daemon->pid;
}

char *daemon_log(const struct daemon *daemon)
{
    return file_read(daemon->log_path, 0);
}

void daemon_terminate(struct daemon *daemon)
{
    if (daemon->pid > 0) {
        kill(daemon->pid, SIGTERM);
    }
}

int daemon_wait(struct daemon *daemon)
{
    for (unsigned waited = 0; !daemon_ended(daemon); waited += POLL_MS) {
        if (waited > READY_MS) {
            harness_fail("the daemon did not end", daemon);
        }
        wait_a_little();
    }
    return daemon->status;
}

int daemon_stop(struct daemon *daemon)
{
    daemon_terminate(daemon);
    return daemon_wait(daemon);
}

void daemon_kill(struct daemon *daemon)
{
    if (daemon->pid > 0) {
        kill(daemon->pid, SIGKILL);
        daemon_wait(daemon);
    }
}

void daemon_restart(struct daemon *daemon)
{
    if (daemon->pid > 0) {
        harness_fail("daemon_restart of one that runs", daemon);
    }
    daemon_spawn(daemon);
}

static void sanitizers_check(const struct daemon *daemon)
{
    static const char *const reports[] = {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
                                          "runtime error: "};
    char *log = daemon_log(daemon);
    for (size_t i = 0; i < sizeof(reports) / sizeof(*reports); i++) {
        if (strstr(log, reports[i])) {
            harness_fail("a sanitizer reports on the daemon", daemon);
        }
    }
    free(log);
}

struct daemon *daemon_free(struct daemon *daemon)
{
    if (!daemon) {
        return NULL;
    }
    daemon_kill(daemon);
    sanitizers_check(daemon);
    for (size_t i = 0; i < daemon->argument_count; i++) {
        free(daemon->arguments[i]);
    }
    directory_remove(daemon->directory);
    free(daemon->data_dir);
    free(daemon->log_path);
    free(daemon->url);
    free(daemon);
    return NULL;
}

static void text_copy(char *ret, size_t size, const char *path)
{
    char *text = file_read(path, 0);
    if (ret) {
        snprintf(ret, size, "%s", text);
    }
    free(text);
}

int daemon_run(const char *const *arguments, char *ret_output, char *ret_errors, size_t size)
{
    struct daemon run = {.directory = directory_new()};
    char *output = text_join(run.directory, "/out");
    run.log_path = text_join(run.directory, "/err");
    argument_add(&run, strdup(program_path()));
    for (; *arguments; arguments++) {
        argument_add(&run, strdup(*arguments));
    }
    run.pid = process_start(run.arguments, output, run.log_path);
    if (run.pid < 0) {
        harness_fail("fork", NULL);
    }
    int status = daemon_wait(&run);
    text_copy(ret_output, size, output);
    text_copy(ret_errors, size, run.log_path);
    sanitizers_check(&run);
    for (size_t i = 0; i < run.argument_count; i++) {
        free(run.arguments[i]);
    }
    directory_remove(run.directory);
    free(output);
    free(run.log_path);
    return status;
}
