/* The plan of the shim: which call of which class meets what, and the record. */
#include "fault/shim/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PLANS_MAX = 8, SPECIFICATION_BYTES = 512 };

struct plan {
    enum shim_class what;
    unsigned long at;
    bool stays;
    struct shim_fault fault;
    atomic_ulong calls;
};

static const char *const class_names[SHIM_CLASS_COUNT] = {"write",  "sync", "meta",   "disk",
                                                          "malloc", "mmap", "backup", "backup_sync"};
static const char *const action_names[SHIM_ACTION_COUNT] = {"none", "error", "late", "short", "exit",
                                                            "half", "abort", "drop", "stall"};

/* A process is told by its environment alone, before main: there is nowhere else for this to be. */
static struct plan plans[PLANS_MAX];
static size_t plan_count;
static int record_fd = -1;
static const char *met_path;

_Noreturn void shim_die(const char *why)
{
    static const char prefix[] = "iofault: ";
    const struct iovec parts[] = {{(void *)(uintptr_t)prefix, sizeof(prefix) - 1},
                                  {(void *)(uintptr_t)why, strlen(why)},
                                  {(void *)(uintptr_t) "\n", 1}};
    syscall(SYS_writev, STDERR_FILENO, parts, 3);
    _exit(127);
}

void shim_find(const char *name, void *function, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found || size != sizeof(found)) {
        shim_die(name);
    }
    memcpy(function, &found, size);
}

bool shim_records(void)
{
    return record_fd >= 0;
}

void shim_record(enum iofault_kind kind, const void *bytes, size_t size, off_t offset)
{
    if (record_fd < 0) {
        return;
    }
    struct iofault_record record = {.kind = kind, .size = (uint32_t)size, .offset = (uint64_t)offset};
    const struct iovec parts[] = {{&record, sizeof(record)}, {(void *)(uintptr_t)bytes, size}};
    /* One call each, so that records of several threads do not mix. */
    if (syscall(SYS_writev, record_fd, parts, 2) != (long)(sizeof(record) + size)) {
        shim_die("the record cannot be written");
    }
}

static void met_note(void)
{
    if (met_path) {
        syscall(SYS_close, (int)syscall(SYS_open, met_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
}

static bool plan_concerns(const struct plan *plan, enum shim_class what)
{
    return plan->what == what || (plan->what == SHIM_DISK && what < SHIM_DISK) ||
           (plan->what == SHIM_BACKUP && what == SHIM_BACKUP_SYNC);
}

struct shim_fault shim_meet(enum shim_class what)
{
    struct shim_fault met = {SHIM_NONE, 0};
    for (size_t i = 0; i < plan_count; i++) {
        struct plan *plan = &plans[i];
        if (!plan_concerns(plan, what)) {
            continue;
        }
        unsigned long call = atomic_fetch_add(&plan->calls, 1) + 1;
        if (call == plan->at || (plan->stays && call > plan->at)) {
            met_note();
            met = plan->fault;
        }
    }
    if (met.action == SHIM_EXIT) {
        _exit(IOFAULT_EXIT_STATUS);
    }
    if (met.action == SHIM_ABORT) {
        abort();
    }
    if (met.action == SHIM_STALL) {
        const struct timespec wait = {met.value / 1000, met.value % 1000 * 1000000L};
        syscall(SYS_nanosleep, &wait, NULL);
    }
    return met;
}

static int name_find(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (name && strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    shim_die("IOFAULT_FAIL has a word that is none");
}

/* CLASS:N[+]:ACTION[:VALUE] */
static void plan_add(char *text)
{
    char *rest;
    char *end;
    if (plan_count == PLANS_MAX) {
        shim_die("IOFAULT_FAIL has too many faults");
    }
    struct plan *plan = &plans[plan_count];
    plan->what = (enum shim_class)name_find(strtok_r(text, ":", &rest), class_names, SHIM_CLASS_COUNT);
    const char *number = strtok_r(NULL, ":", &rest);
    plan->at = strtoul(number ? number : "0", &end, 10);
    plan->stays = *end == '+';
    plan->fault.action = (enum shim_action)name_find(strtok_r(NULL, ":", &rest), action_names, SHIM_ACTION_COUNT);
    const char *value = strtok_r(NULL, ":", &rest);
    plan->fault.value = value ? atoi(value) : 0;
    if (plan->at == 0) {
        shim_die("IOFAULT_FAIL needs the number of a call");
    }
    plan_count++;
}

__attribute__((constructor)) static void shim_begin(void)
{
    static char specification[SPECIFICATION_BYTES];
    char *rest;
    const char *record = getenv("IOFAULT_RECORD");
    const char *fail = getenv("IOFAULT_FAIL");
    met_path = getenv("IOFAULT_MET");
    if (record) {
        record_fd = (int)syscall(SYS_open, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record_fd < 0) {
            shim_die("IOFAULT_RECORD cannot be opened");
        }
    }
    if (fail) {
        if (strlen(fail) >= sizeof(specification)) {
            shim_die("IOFAULT_FAIL is too long");
        }
        memcpy(specification, fail, strlen(fail) + 1);
        for (char *one = strtok_r(specification, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
            plan_add(one);
        }
    }
}
