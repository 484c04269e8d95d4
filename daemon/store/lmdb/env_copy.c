#include "store/lmdb/env_copy.h"

#include "store/lmdb/env_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIPE_BYTES_FIRST = 4096, /* less than any copy has, so that it waits for us while we look at its snapshot */
    PIPE_BYTES = 1 << 20,
};

struct env_copy {
    struct env *env;
    pthread_t thread;
    int read_end;
    int write_end;
    int rc;
    uint64_t commit;
};

static void *copy_main(void *arg)
{
    struct env_copy *copy = arg;
    copy->rc = mdb_env_copyfd2(copy->env->handle, copy->write_end, MDB_CP_COMPACT);
    close(copy->write_end);
    return NULL;
}

/* A line of mdb_reader_list: process, thread and commit. LMDB does not tell in another way which snapshot it copies. */
static int reader_look(const char *line, void *arg)
{
    struct env_copy *copy = arg;
    uintmax_t process;
    uintmax_t thread;
    uintmax_t commit;
    bool ours = sscanf(line, "%ju %jx %ju", &process, &thread, &commit) == 3 && process == (uintmax_t)getpid() &&
                thread == (uintmax_t)copy->thread;
    copy->commit = ours ? commit : copy->commit;
    return 0;
}

static int copy_refuse(const char *what, int number, struct error *error)
{
    return error_set(error, ERROR_BACKUP_FAILED, "the backup cannot begin: %s: %s", what, strerror(number));
}

int env_copy_begin(struct env *env, struct env_copy **ret_copy, struct error *error)
{
    int ends[2];
    struct env_copy *copy = calloc(1, sizeof(*copy));
    if (!copy || pipe2(ends, O_CLOEXEC)) {
        int number = copy ? errno : ENOMEM;
        free(copy);
        return copy_refuse("no pipe", number, error);
    }
    *copy = (struct env_copy){.env = env, .read_end = ends[0], .write_end = ends[1]};
    int rc = fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES_FIRST) < 0 ? errno : 0;
    rc = rc ? rc : pthread_create(&copy->thread, NULL, copy_main, copy);
    if (rc) {
        close(ends[0]);
        close(ends[1]);
        free(copy);
        return copy_refuse("no thread", rc, error);
    }
    struct pollfd readable = {.fd = copy->read_end, .events = POLLIN};
    while (poll(&readable, 1, -1) < 0 && errno == EINTR) {
    }
    mdb_reader_list(env->handle, reader_look, copy);
    fcntl(copy->read_end, F_SETPIPE_SZ, PIPE_BYTES); /* more is faster; a limit of the system may not allow it */
    if (copy->commit == 0) {
        rc = env_copy_end(copy);
        return error_set(error, ERROR_BACKUP_FAILED, "the backup cannot begin: %s", mdb_strerror(rc));
    }
    *ret_copy = copy;
    return 0;
}

int env_copy_descriptor(const struct env_copy *copy)
{
    return copy->read_end;
}

uint64_t env_copy_commit(const struct env_copy *copy)
{
    return copy->commit;
}

int env_copy_end(struct env_copy *copy)
{
    close(copy->read_end); /* a copy that is still written fails now */
    pthread_join(copy->thread, NULL);
    int rc = copy->rc;
    free(copy);
    return rc;
}
