#include "bench/process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In nanoseconds where /proc counts ticks, of which many short-lived children each lose one. False: it is gone. */
static bool process_time(pid_t pid, double *ret_us)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used)) {
        return false;
    }
    *ret_us = (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
    return true;
}

double process_cpu_us(pid_t pid)
{
    double used_us;
    if (!process_time(pid, &used_us)) {
        fprintf(stderr, "bench: cannot read the time of process %d\n", (int)pid);
        exit(1);
    }
    return used_us;
}

/* Its parent, and the time of those of its own children that have ended. */
static bool process_relatives(pid_t pid, pid_t *ret_parent, double *ret_ended_us)
{
    char path[64];
    int parent = 0;
    unsigned long user = 0;
    unsigned long system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        return false;
    }
    int found = fscanf(file, "%*d (%*[^)]) %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &parent, &user,
                       &system);
    fclose(file);
    *ret_parent = parent;
    *ret_ended_us = (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
    return found == 3;
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
        pid_t its_parent;
        double ended_us;
        if (pid > 0 && process_relatives(pid, &its_parent, &ended_us) && its_parent == parent) {
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
    pid_t grandparent;
    double sum_us = 0;
    process_relatives(parent, &grandparent, &sum_us);
    sum_us += process_cpu_us(parent);
    for (size_t i = 1; i < count; i++) {
        double used_us;
        sum_us += process_time(family[i], &used_us) ? used_us : 0;
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
