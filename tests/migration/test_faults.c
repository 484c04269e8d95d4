/* A migration whose n-th write to the data file, or n-th wait for the disk, is the last thing its process does, or
 * finds the disk full; for every n there is. This program takes the place of libc's functions for LMDB. */
#include "store/maintenance.h"
#include "support/control.h"
#include "support/golden.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SLICE_RECORDS = 3,
    CHILD_CUT = 99,
    CHILD_FAILED = 98,
    SECTOR_BYTES = 512,
    POLL_US = 500,
    WAIT_SECONDS = 60,
    FULL_STEP = 17, /* each pause takes a second */
#ifdef __SANITIZE_ADDRESS__
    CALL_STEP = 7, /* of the calls at which it ends; every one of them is met without the sanitizer's weight */
#else
    CALL_STEP = 1,
#endif
    FAR_DOWN = 20, /* calls a migration makes at least */
    NEWEST = 3,
    LOST_FROM = 28, /* calls: the migration is under way */
};

/* So that liblmdb finds it. */
#define VISIBLE __attribute__((visibility("default")))

/* What happens at a call. */
enum fault { FAULT_NONE, FAULT_EXIT, FAULT_EXIT_HALF_WRITTEN, FAULT_FULL, FAULT_LOST };

#define LOST_WRITE "a lost write" /* a control */

static atomic_int fault;
static atomic_ulong fault_at; /* the number of the call, from 1; FAULT_FULL: it and every later write */
static atomic_ulong calls;
static atomic_bool is_lost; /* FAULT_LOST: one write of pages is */

static void fault_set(enum fault what, unsigned long at)
{
    atomic_store(&fault, what);
    atomic_store(&fault_at, at);
    atomic_store(&calls, 0);
}

static bool is_data_file(int fd)
{
    char link[64];
    char path[512];
    static const char name[] = "/data.mdb";
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof(path));
    size_t tail = sizeof(name) - 1;
    return size > (ssize_t)tail && memcmp(path + (size_t)size - tail, name, tail) == 0;
}

/* What is to happen at this call. */
static enum fault fault_meet(int fd)
{
    enum fault what = (enum fault)atomic_load(&fault);
    if (what == FAULT_NONE || !is_data_file(fd)) {
        return FAULT_NONE;
    }
    unsigned long call = atomic_fetch_add(&calls, 1) + 1;
    unsigned long at = atomic_load(&fault_at);
    if (call >= LOST_FROM && call < at && control_is(LOST_WRITE)) {
        return FAULT_LOST;
    }
    return call == at || (what == FAULT_FULL && call > at) ? what : FAULT_NONE;
}

static void real_find(const char *name, void *function, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found || size != sizeof(found)) {
        abort();
    }
    memcpy(function, &found, size);
}

VISIBLE ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off_t);
    real_find("pwrite", &real, sizeof(real));
    switch (fault_meet(fd)) {
    case FAULT_EXIT_HALF_WRITTEN: /* but a meta page fits in a sector: it is written whole or not at all */
        real(fd, bytes, size > SECTOR_BYTES ? size / 2 : 0, offset);
        _exit(CHILD_CUT);
    case FAULT_EXIT:
        _exit(CHILD_CUT);
    case FAULT_FULL:
        if (size > SECTOR_BYTES) { /* a meta page has its room already */
            errno = ENOSPC;
            return -1;
        }
        break;
    case FAULT_LOST:
        if (size > SECTOR_BYTES && !atomic_exchange(&is_lost, true)) {
            return (ssize_t)size;
        }
        break;
    case FAULT_NONE:
        break;
    }
    return real(fd, bytes, size, offset);
}

static ssize_t parts_size(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    return (ssize_t)size;
}

VISIBLE ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t (*real)(int, const struct iovec *, int);
    real_find("writev", &real, sizeof(real));
    switch (fault_meet(fd)) {
    case FAULT_EXIT_HALF_WRITTEN:
        real(fd, parts, count / 2);
        _exit(CHILD_CUT);
    case FAULT_EXIT:
        _exit(CHILD_CUT);
    case FAULT_FULL:
        errno = ENOSPC;
        return -1;
    case FAULT_LOST:
        if (!atomic_exchange(&is_lost, true)) {
            return parts_size(parts, count);
        }
        break;
    case FAULT_NONE:
        break;
    }
    return real(fd, parts, count);
}

VISIBLE int fdatasync(int fd)
{
    int (*real)(int);
    real_find("fdatasync", &real, sizeof(real));
    enum fault what = fault_meet(fd);
    if (what == FAULT_EXIT || what == FAULT_EXIT_HALF_WRITTEN) {
        _exit(CHILD_CUT);
    }
    return real(fd);
}

/* ---- The process that is cut off ---- */

static _Noreturn void child_fatal(void *arg, const char *message)
{
    (void)arg;
    fprintf(stderr, "the store gave up: %s\n", message);
    _exit(CHILD_FAILED);
}

/* Opens the data as a daemon does, and waits until the migration up is done. */
static int child_up(const struct store_config *config, uint32_t layout)
{
    (void)layout;
    struct store *store;
    struct store_migration migration = {.state = STORE_MIGRATION_MOVING};
    struct error error;
    if (store_open(config, &store, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return CHILD_FAILED;
    }
    while (migration.state == STORE_MIGRATION_MOVING) {
        usleep(POLL_US);
        store_migration(store, &migration);
    }
    store_close(store);
    return migration.state == STORE_MIGRATION_NONE ? 0 : CHILD_FAILED;
}

/* Migrates down as `chatlogd migrate --to N` does. */
static int child_down(const struct store_config *config, uint32_t layout)
{
    struct store_migration migration;
    struct error error;
    if (store_migrate_to(config, layout, false, &migration, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return CHILD_FAILED;
    }
    return 0;
}

/* Returns false when the process came to its end without meeting the fault. */
static bool child_is_cut(struct golden *golden, int (*go)(const struct store_config *config, uint32_t layout),
                         enum fault what, unsigned long at)
{
    static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};
    struct store_config config = golden_config(golden, &limits);
    config.migrate_slice_records = SLICE_RECORDS;
    config.fatal = child_fatal;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fault_set(what, at);
        _exit(go(&config, golden->layout));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CHILD_CUT);
    return WEXITSTATUS(status) == CHILD_CUT;
}

/* ---- What is there afterwards ---- */

/* Waits until the migration is in this state, or done. */
static void state_wait(struct rpc_fixture *daemon, enum store_migration_state wanted, struct store_migration *ret)
{
    time_t until = time(NULL) + WAIT_SECONDS;
    store_migration(daemon->store, ret);
    while (ret->state != wanted && ret->state != STORE_MIGRATION_NONE) {
        assert_true(time(NULL) < until);
        usleep(POLL_US);
        store_migration(daemon->store, ret);
    }
}

/* Opens the data, lets the migration under way come to its end, and closes it. Returns the layout. */
static uint32_t migration_finish(struct golden *golden)
{
    struct rpc_fixture daemon;
    struct store_migration migration;
    golden_open(golden, STORE_MIGRATE_AUTO, 0, &daemon);
    state_wait(&daemon, STORE_MIGRATION_NONE, &migration);
    assert_int_equal(migration.quarantined, 0);
    golden_compare(golden, &daemon, "in the end");
    uint32_t layout = store_describe(daemon.store).layout;
    golden_close(&daemon);
    return layout;
}

/* All is there as the cut left it, and after the migration has come to its end. */
static void assert_whole(struct golden *golden)
{
    struct rpc_fixture daemon;
    golden_open(golden, STORE_MIGRATE_HOLD, 0, &daemon);
    golden_compare(golden, &daemon, "as it was cut off");
    golden_close(&daemon);
    if (migration_finish(golden) != NEWEST) { /* a way back that was cut off is finished first */
        assert_int_equal(migration_finish(golden), NEWEST);
    }
}

static void assert_sound(const struct golden *golden)
{
    static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};
    const struct store_config config = golden_config(golden, &limits);
    struct store_survey survey;
    struct error error;
    assert_int_equal(store_verify(&config, &survey, &error), 0);
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays, 0);
}

static void up_is_cut_at_every_call(uint32_t layout, enum fault what)
{
    struct golden golden = golden_new(layout, "typical");
    unsigned long at = 1;
    while (child_is_cut(&golden, child_up, what, at)) {
        assert_whole(&golden);
        golden_reset(&golden);
        at += CALL_STEP;
    }
    print_message("cut off at %lu of %lu calls\n", (at - 1) / CALL_STEP, at - 1);
    assert_true(at > FAR_DOWN);
    assert_whole(&golden);
    assert_sound(&golden);
    golden_free(&golden);
}

static void down_is_cut_at_every_call(uint32_t layout, enum fault what)
{
    struct golden golden = golden_new(layout, "typical");
    unsigned long at = 1;
    assert_whole(&golden);
    while (child_is_cut(&golden, child_down, what, at)) {
        assert_whole(&golden); /* and is up again */
        at += CALL_STEP;
    }
    print_message("cut off at %lu of %lu calls\n", (at - 1) / CALL_STEP, at - 1);
    assert_true(at > FAR_DOWN);
    golden_compare_held(&golden, layout, "down");
    assert_sound(&golden);
    golden_free(&golden);
}

static void a_migration_may_end_at_any_write_and_any_sync(void **state)
{
    (void)state;
    up_is_cut_at_every_call(1, FAULT_EXIT);
    up_is_cut_at_every_call(2, FAULT_EXIT);
}

static void a_migration_may_end_in_the_middle_of_any_write(void **state)
{
    (void)state;
    up_is_cut_at_every_call(1, FAULT_EXIT_HALF_WRITTEN);
    up_is_cut_at_every_call(2, FAULT_EXIT_HALF_WRITTEN);
}

static void the_way_back_may_end_at_any_write_and_any_sync(void **state)
{
    (void)state;
    for (uint32_t layout = 1; layout < NEWEST; layout++) {
        down_is_cut_at_every_call(layout, FAULT_EXIT);
        down_is_cut_at_every_call(layout, FAULT_EXIT_HALF_WRITTEN);
    }
}

/* ---- A full disk ---- */

static void a_full_disk_is_survived(uint32_t layout)
{
    struct golden golden = golden_new(layout, "typical");
    bool met = true;
    unsigned pauses = 0;
    for (unsigned long at = 1; met; at += FULL_STEP) {
        struct rpc_fixture daemon;
        struct store_migration migration;
        golden_reset(&golden);
        golden_open(&golden, STORE_MIGRATE_HOLD, 0, &daemon); /* so that opening has written what it has to */
        golden_close(&daemon);
        fault_set(FAULT_FULL, at);
        golden_open(&golden, STORE_MIGRATE_AUTO, SLICE_RECORDS, &daemon);
        state_wait(&daemon, STORE_MIGRATION_PAUSED, &migration);
        met = atomic_load(&calls) >= at;
        if (migration.state == STORE_MIGRATION_PAUSED) {
            pauses++;
            golden_compare(&golden, &daemon, "on a full disk");
        }
        fault_set(FAULT_NONE, 0);
        state_wait(&daemon, STORE_MIGRATION_NONE, &migration);
        golden_compare(&golden, &daemon, "after the full disk");
        golden_close(&daemon);
    }
    assert_true(pauses > FAR_DOWN / FULL_STEP);
    golden_free(&golden);
}

static void a_disk_that_is_full_at_any_write_pauses_the_migration_and_loses_nothing(void **state)
{
    (void)state;
    a_full_disk_is_survived(1);
    a_full_disk_is_survived(2);
}

static void control_a_disk_that_loses_a_write_is_found_out(void **state)
{
    (void)state;
    control_must_fail(23, LOST_WRITE, "a_migration_may_end_at_any_write_and_any_sync");
}

int main(void)
{
    control_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_migration_may_end_at_any_write_and_any_sync),
        cmocka_unit_test(a_migration_may_end_in_the_middle_of_any_write),
        cmocka_unit_test(the_way_back_may_end_at_any_write_and_any_sync),
        cmocka_unit_test(a_disk_that_is_full_at_any_write_pauses_the_migration_and_loses_nothing),
        cmocka_unit_test(control_a_disk_that_loses_a_write_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
