#include "bench/watched.h"

#include "bench/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { PATH_BYTES = 512, SAMPLE_US = 50000, READY_TIMEOUT_MS = 600000, BLOCK_BYTES = 512, ARGUMENTS = 16 };

struct watched {
    char url[PATH_BYTES];
    char file[PATH_BYTES];
    pid_t pid;
    double ready_ms;
    struct chatlog *client;
    pthread_t sampler;
    atomic_bool stopped;
    pthread_mutex_t mutex; /* guards seen */
    struct watched_result seen;
};

static void __attribute__((noreturn)) give_up(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint64_t file_bytes(const char *path)
{
    struct stat status;
    if (stat(path, &status)) {
        give_up("the data file is gone");
    }
    uint64_t blocks = (uint64_t)status.st_blocks * BLOCK_BYTES;
    return blocks > (uint64_t)status.st_size ? blocks : (uint64_t)status.st_size;
}

static void sample(struct watched *watched)
{
    uint64_t memory = process_anonymous_kib(watched->pid);
    uint64_t file = file_bytes(watched->file);
    pthread_mutex_lock(&watched->mutex);
    struct watched_result *seen = &watched->seen;
    seen->anonymous_now_kib = memory;
    seen->anonymous_peak_kib = memory > seen->anonymous_peak_kib ? memory : seen->anonymous_peak_kib;
    seen->file_last_bytes = file;
    seen->file_peak_bytes = file > seen->file_peak_bytes ? file : seen->file_peak_bytes;
    pthread_mutex_unlock(&watched->mutex);
}

static void *sampler_run(void *arg)
{
    struct watched *watched = arg;
    while (!atomic_load(&watched->stopped)) {
        sample(watched);
        usleep(SAMPLE_US);
    }
    return NULL;
}

static pid_t program_start(const char *const *arguments, int output)
{
    char *copies[ARGUMENTS] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    for (size_t i = 0; i + 1 < ARGUMENTS && arguments[i]; i++) {
        copies[i] = strdup(arguments[i]);
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (output >= 0) {
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    }
    int rc = posix_spawnp(&pid, copies[0], &actions, NULL, copies, environ);
    posix_spawn_file_actions_destroy(&actions);
    for (size_t i = 0; i < ARGUMENTS; i++) {
        free(copies[i]);
    }
    return rc ? -1 : pid;
}

int program_run(const char *const *arguments, char *ret_output, size_t size)
{
    int pipe_ends[2];
    int status = -1;
    size_t used = 0;
    if (pipe2(pipe_ends, O_CLOEXEC)) {
        return -1;
    }
    pid_t pid = program_start(arguments, pipe_ends[1]);
    close(pipe_ends[1]);
    char rest[PATH_BYTES];
    for (ssize_t got = 1; pid > 0 && got > 0;) {
        bool room = used + 1 < size;
        got = read(pipe_ends[0], room ? ret_output + used : rest, room ? size - used - 1 : sizeof(rest));
        used += room && got > 0 ? (size_t)got : 0;
    }
    close(pipe_ends[0]);
    ret_output[used] = '\0';
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

struct watched *watched_start(const char *data_dir, const char *mode)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    struct chatlog_error error;
    if (!watched) {
        give_up("out of memory");
    }
    snprintf(watched->url, sizeof(watched->url), "ipc://%s.sock", data_dir);
    snprintf(watched->file, sizeof(watched->file), "%s/data.mdb", data_dir);
    watched->seen.file_first_bytes = file_bytes(watched->file);
    pthread_mutex_init(&watched->mutex, NULL);
    const char *const arguments[] = {getenv("CHATLOGD"), "--data-dir", data_dir,      "--listen", watched->url,
                                     "--migrate",        mode,         "--log-level", "warning",  NULL};
    if (!arguments[0]) {
        give_up("CHATLOGD does not name the daemon");
    }
    double began = now_ms();
    watched->pid = program_start(arguments, -1);
    if (watched->pid < 0 || chatlog_open(watched->url, &watched->client, &error) ||
        chatlog_wait_ready(watched->client, READY_TIMEOUT_MS, &error)) {
        give_up("the daemon does not get ready");
    }
    watched->ready_ms = now_ms() - began;
    if (pthread_create(&watched->sampler, NULL, sampler_run, watched)) {
        give_up("no thread");
    }
    return watched;
}

const char *watched_url(const struct watched *watched)
{
    return watched->url;
}

double watched_ready_ms(const struct watched *watched)
{
    return watched->ready_ms;
}

bool watched_wait_moved(struct watched *watched, uint64_t messages, struct chatlog_migration *ret)
{
    for (;;) {
        struct chatlog_error error;
        if (chatlog_get_migration(watched->client, NULL, ret, &error)) {
            fprintf(stderr, "bench: %s\n", error.message);
            return false;
        }
        if (ret->state == CHATLOG_MIGRATION_NONE || ret->messages_moved >= messages) {
            return true;
        }
        if (ret->state != CHATLOG_MIGRATION_MOVING) {
            fprintf(stderr, "bench: the migration stopped: %s\n", ret->last_error);
            chatlog_migration_free(ret);
            return false;
        }
        chatlog_migration_free(ret);
        usleep(SAMPLE_US);
    }
}

struct watched_result watched_look(struct watched *watched)
{
    sample(watched);
    pthread_mutex_lock(&watched->mutex);
    struct watched_result result = watched->seen;
    pthread_mutex_unlock(&watched->mutex);
    return result;
}

void watched_stop(struct watched *watched)
{
    int status;
    atomic_store(&watched->stopped, true);
    pthread_join(watched->sampler, NULL);
    chatlog_close(watched->client);
    kill(watched->pid, SIGTERM);
    if (waitpid(watched->pid, &status, 0) != watched->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        give_up("the daemon did not end well");
    }
    pthread_mutex_destroy(&watched->mutex);
    free(watched);
}
