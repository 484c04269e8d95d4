#include "bench/server.h"

#include "bench/fail.h"
#include "bench/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, POLL_MS = 10, OPEN_DIRECTORIES = 16 };

struct server {
    char *name;
    char *log;
    pid_t pid;
};

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

static void __attribute__((noreturn)) server_fail(const char *name, const char *log, const char *what)
{
    FILE *file = fopen(log, "re");
    int character;
    while (file && (character = fgetc(file)) != EOF) {
        fputc(character, stderr);
    }
    bench_fail("%s %s; its log is above", name, what);
}

/* NULL when the benchmark is not root or nobody is asked for. */
static const struct passwd *user_find(const char *user)
{
    if (!user || getuid() != 0) {
        return NULL;
    }
    const struct passwd *found = getpwnam(user);
    if (!found) {
        bench_fail("there is no user %s to run a server as", user);
    }
    return found;
}

/* In the child: never returns. */
static void __attribute__((noreturn))
child_exec(const char *directory, const char *log, const char *const *arguments, const struct passwd *user)
{
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (output < 0 || input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
        chdir(directory)) {
        _exit(126);
    }
    if (user && (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))) {
        _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which resets it */
    char *argv[64];
    size_t count = 0;
    for (; arguments[count] && count < 63; count++) {
        argv[count] = strdup(arguments[count]); /* execvp takes no const */
    }
    argv[count] = NULL;
    execvp(argv[0], argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

struct server *server_start(const char *directory, const char *name, const char *const *arguments, const char *user)
{
    struct server *server = bench_allocate(1, sizeof(*server));
    server->name = bench_format("%s", name);
    server->log = bench_format("%s/%s.log", directory, name);
    const struct passwd *found = user_find(user);
    fflush(NULL);
    server->pid = fork();
    if (server->pid < 0) {
        bench_fail("cannot fork");
    }
    if (server->pid == 0) {
        child_exec(directory, server->log, arguments, found);
    }
    return server;
}

static struct server *server_free(struct server *server)
{
    free(server->name);
    free(server->log);
    free(server);
    return NULL;
}

void server_wait_ready(struct server *server, bool (*ready)(void *arg), void *arg)
{
    for (int waited_ms = 0; !ready(arg); waited_ms += POLL_MS) {
        if (waitpid(server->pid, NULL, WNOHANG) != 0) {
            server_fail(server->name, server->log, "has ended at its start");
        }
        if (waited_ms >= PATIENCE_MS) {
            server_fail(server->name, server->log, "does not answer");
        }
        wait_a_little();
    }
}

double server_cpu_us(const struct server *server)
{
    return process_family_cpu_us(server->pid);
}

double server_memory_bytes(const struct server *server)
{
    return (double)process_family_kib(server->pid) * 1024;
}

/* The parent stops first and continues last, so that it has no more children than were seen. */
void server_pause(const struct server *server, bool paused)
{
    if (paused) {
        kill(server->pid, SIGSTOP);
    }
    pid_t family[PROCESS_FAMILY_MAX];
    size_t count = process_family(server->pid, family);
    for (size_t i = count; i > 0; i--) {
        kill(family[i - 1], paused ? SIGSTOP : SIGCONT);
    }
}

struct server *server_stop(struct server *server, int signal_number)
{
    server_pause(server, false);
    kill(server->pid, signal_number);
    for (int waited_ms = 0; waitpid(server->pid, NULL, WNOHANG) == 0; waited_ms += POLL_MS) {
        if (waited_ms == PATIENCE_MS) {
            fprintf(stderr, "bench: %s does not stop and is killed\n", server->name);
            kill(server->pid, SIGKILL);
        }
        wait_a_little();
    }
    return server_free(server);
}

void server_command(const char *directory, const char *name, const char *const *arguments, const char *user)
{
    struct server *server = server_start(directory, name, arguments, user);
    int status = 0;
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) {
        server_fail(server->name, server->log, "failed");
    }
    server_free(server);
}

char *server_directory(const char *directory, const char *name, const char *user)
{
    char *path = bench_format("%s/%s", directory, name);
    const struct passwd *found = user_find(user);
    if (mkdir(path, 0700) || (found && chown(path, found->pw_uid, found->pw_gid))) {
        bench_fail("cannot create %s: %s", path, strerror(errno));
    }
    return path;
}

/* nftw has no argument for its caller. */
static _Thread_local double disk_bytes;

static int disk_add(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)path;
    (void)where;
    if (type == FTW_F) {
        disk_bytes += (double)status->st_blocks * 512;
    }
    return 0;
}

double server_disk_bytes(const char *path)
{
    disk_bytes = 0;
    nftw(path, disk_add, OPEN_DIRECTORIES, FTW_PHYS);
    return disk_bytes;
}
