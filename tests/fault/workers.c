#include "fault/workers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void *workers_share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(WORKERS_DEFECT);
    }
    return memory;
}

static pid_t worker_start(workers_go *go, const void *arg, unsigned worker, size_t first, size_t *current)
{
    pid_t id = fork();
    if (id < 0) {
        perror("fork");
        exit(WORKERS_DEFECT);
    }
    if (id == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        go(arg, worker, first, current);
        _exit(0);
    }
    return id;
}

size_t workers_run(workers_go *go, const void *arg, size_t lost_max)
{
    pid_t workers[WORKERS_COUNT];
    size_t *current = workers_share(sizeof(*current) * WORKERS_COUNT);
    size_t lost = 0;
    unsigned running = WORKERS_COUNT;
    for (unsigned i = 0; i < WORKERS_COUNT; i++) {
        workers[i] = worker_start(go, arg, i, 0, &current[i]);
    }
    while (running > 0) {
        int status;
        pid_t ended = wait(&status);
        unsigned i = ended == workers[0] ? 0 : 1;
        if (WIFEXITED(status) && WEXITSTATUS(status) == WORKERS_DEFECT) {
            exit(WORKERS_DEFECT);
        }
        running--;
        lost += status != 0;
        if (status != 0 && lost < lost_max) {
            workers[i] = worker_start(go, arg, i, current[i] + 1, &current[i]);
            running++;
        }
    }
    return lost;
}
