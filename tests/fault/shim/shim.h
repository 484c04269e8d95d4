/* What the parts of the shim share. */
#ifndef FAULT_SHIM_H
#define FAULT_SHIM_H

#include "fault/shim/iofault.h"

#include <sys/types.h>

/* So that it takes the place of the library's. */
#define SHIM_VISIBLE __attribute__((visibility("default")))

enum shim_class {
    SHIM_WRITE,
    SHIM_SYNC,
    SHIM_META,
    SHIM_DISK,
    SHIM_MALLOC,
    SHIM_MMAP,
    SHIM_BACKUP,
    SHIM_BACKUP_SYNC,
    SHIM_CLASS_COUNT,
};

enum shim_action {
    SHIM_NONE,
    SHIM_ERROR,
    SHIM_LATE,
    SHIM_SHORT,
    SHIM_EXIT,
    SHIM_HALF,
    SHIM_ABORT,
    SHIM_DROP,
    SHIM_STALL,
    SHIM_ACTION_COUNT,
};

struct shim_fault {
    enum shim_action action;
    int value;
};

/* Counts a call and tells what is to happen to it. Ends the process, or waits, where that is the action. */
struct shim_fault shim_meet(enum shim_class what);

/* The library's own function; ends the process when there is none. `function` points to a function pointer. */
void shim_find(const char *name, void *function, size_t size);

/* Appends to IOFAULT_RECORD, if there is one. */
void shim_record(enum iofault_kind kind, const void *bytes, size_t size, off_t offset);
bool shim_records(void);

/* Descriptors of a backup's files and directories (backup.c). */
bool shim_backup_has(int fd);
void shim_backup_close(int fd);
int shim_backup_sync(int fd); /* fsync */

_Noreturn void shim_die(const char *why);

#endif
