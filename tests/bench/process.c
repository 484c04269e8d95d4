#include "bench/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct times {
    pid_t parent;
    double own_us;
    double ended_children_us;
};

/* Returns false when the process is gone. */
static int process_times(pid_t pid, struct times *ret)
{
    char path[64];
    int parent = 0;
    unsigned long used[4] = {0};
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        return 0;
    }
    int found = fscanf(file, "%*d (%*[^)]) %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &parent,
                       &used[0], &used[1], &used[2], &used[3]);
    fclose(file);
    double tick_us = 1e6 / (double)sysconf(_SC_CLK_TCK);
    *ret = (struct times){parent, (double)(used[0] + used[1]) * tick_us, (double)(used[2] + used[3]) * tick_us};
    return found == 5;
}

static void times_need(pid_t pid, struct times *ret)
{
    if (!process_times(pid, ret)) {
        fprintf(stderr, "bench: cannot read the times of process %d\n", (int)pid);
        exit(1);
    }
}

double process_cpu_us(pid_t pid)
{
    struct times times;
    times_need(pid, &times);
    return times.own_us;
}

static unsigned long process_status_kib(pid_t pid, const char *name)
{
    char line[256];
    size_t length = strlen(name);
    unsigned long size = 0;
    snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
    FILE *file = fopen(line, "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, length) == 0) {
            size = strtoul(line + length, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return size;
}

unsigned long process_anonymous_kib(pid_t pid)
{
    return process_status_kib(pid, "RssAnon:");
}

size_t process_family(pid_t parent, pid_t ret_family[PROCESS_FAMILY_MAX])
{
    size_t count = 1;
    ret_family[0] = parent;
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL && count < PROCESS_FAMILY_MAX) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        struct times times;
        if (pid > 0 && process_times(pid, &times) && times.parent == parent) {
            ret_family[count++] = pid;
        }
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

double process_family_cpu_us(pid_t parent)
{
    pid_t family[PROCESS_FAMILY_MAX];
    size_t count = process_family(parent, family);
    struct times times;
    times_need(parent, &times);
    double sum_us = times.own_us + times.ended_children_us;
    for (size_t i = 1; i < count; i++) {
        sum_us += process_times(family[i], &times) ? times.own_us : 0;
    }
    return sum_us;
}

unsigned long process_family_kib(pid_t parent)
{
    pid_t family[PROCESS_FAMILY_MAX];
    size_t count = process_family(parent, family);
    unsigned long sum_kib = 0;
    unsigned long shared_kib = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned long kib = process_status_kib(family[i], "RssShmem:");
        shared_kib = kib > shared_kib ? kib : shared_kib;
        sum_kib += process_anonymous_kib(family[i]);
    }
    return sum_kib + shared_kib;
}
