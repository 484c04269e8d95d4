/* Migrations that meet failures. This program takes the place of some of LMDB's and the C library's functions, so that
 * it can make the n-th call fail, or end the process there; the real ones are called else. */
#include "store/lmdb/keys.h"
#include "store/maintenance.h"
#include "support/directory.h"
#include "support/lmdb_file.h"
#include "support/store_image.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLICE = 20, PATH_BYTES = 256, COPY_BYTES = 1 << 16, DIED = 9 };

enum call { CALL_PUT, CALL_APPEND, CALL_DELETE, CALL_COMMIT, CALL_WRITE, CALL_SYNC, CALL_COUNT };

/* Calls are counted down, and the one that reaches 0 fails with rc, or ends the process when rc is DIED; with `stays`
 * every later one too. */
static struct fault {
    atomic_int calls_left; /* 0: none is set */
    atomic_int rc;
    atomic_bool stays;
} faults[CALL_COUNT];

static void fault_set(enum call call, int at, int rc, bool stays)
{
    atomic_store(&faults[call].rc, rc);
    atomic_store(&faults[call].stays, stays);
    atomic_store(&faults[call].calls_left, at);
}

static void faults_clear(void)
{
    for (int i = 0; i < CALL_COUNT; i++) {
        fault_set((enum call)i, 0, 0, false);
    }
}

/* The error this call is to fail with, or 0. */
static int fault_meet(enum call call)
{
    struct fault *fault = &faults[call];
    if (atomic_load(&fault->calls_left) == 0 || atomic_fetch_sub(&fault->calls_left, 1) > 1) {
        return 0;
    }
    if (atomic_load(&fault->rc) == DIED) {
        _exit(DIED);
    }
    if (atomic_load(&fault->stays)) {
        atomic_store(&fault->calls_left, 1);
    }
    return atomic_load(&fault->rc);
}

static void real_function(const char *name, void *function, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found || size != sizeof(found)) {
        abort();
    }
    memcpy(function, &found, size);
}

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags)
{
    int (*real)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned int);
    real_function("mdb_put", &real, sizeof(real));
    int rc = fault_meet(CALL_PUT);
    return rc ? rc : real(txn, dbi, key, data, flags);
}

int mdb_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned int flags)
{
    int (*real)(MDB_cursor *, MDB_val *, MDB_val *, unsigned int);
    real_function("mdb_cursor_put", &real, sizeof(real));
    int rc = fault_meet(CALL_PUT);
    if (flags & MDB_APPEND) { /* only a migration does */
        int append = fault_meet(CALL_APPEND);
        rc = rc ? rc : append;
    }
    return rc ? rc : real(cursor, key, data, flags);
}

int mdb_cursor_del(MDB_cursor *cursor, unsigned int flags)
{
    int (*real)(MDB_cursor *, unsigned int);
    real_function("mdb_cursor_del", &real, sizeof(real));
    int rc = fault_meet(CALL_DELETE);
    return rc ? rc : real(cursor, flags);
}

int mdb_txn_commit(MDB_txn *txn)
{
    int (*real)(MDB_txn *);
    real_function("mdb_txn_commit", &real, sizeof(real));
    int rc = fault_meet(CALL_COMMIT);
    if (rc) {
        mdb_txn_abort(txn); /* as LMDB does */
        return rc;
    }
    return real(txn);
}

/* These are called by LMDB's library, so they must be seen from there. */
#define SEEN __attribute__((visibility("default")))

SEEN ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t);
    real_function("pwrite", &real, sizeof(real));
    if (atomic_load(&faults[CALL_WRITE].calls_left) == 1 && size > 1) {
        real(file, bytes, size / 2, at); /* half of it gets there */
    }
    fault_meet(CALL_WRITE);
    return real(file, bytes, size, at);
}

SEEN ssize_t writev(int file, const struct iovec *parts, int count)
{
    ssize_t (*real)(int, const struct iovec *, int);
    real_function("writev", &real, sizeof(real));
    if (atomic_load(&faults[CALL_WRITE].calls_left) == 1 && count > 1) {
        real(file, parts, count / 2);
    }
    fault_meet(CALL_WRITE);
    return real(file, parts, count);
}

SEEN int fdatasync(int file)
{
    int (*real)(int);
    real_function("fdatasync", &real, sizeof(real));
    fault_meet(CALL_SYNC);
    return real(file);
}

/* ---- A small store of layout 1 to migrate again and again -------------------------------------------------------- */

struct case_ {
    struct client *client;
    char *original; /* a directory with data.mdb as it was at first */
    struct buffer wanted;
};

static void file_copy(const char *from, const char *to)
{
    char path[PATH_BYTES];
    char bytes[COPY_BYTES];
    snprintf(path, sizeof(path), "%s/data.mdb", from);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/data.mdb", to);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    ssize_t size;
    while ((size = read(in, bytes, sizeof(bytes))) > 0) {
        assert_int_equal(write(out, bytes, (size_t)size), size);
    }
    close(in);
    close(out);
}

static void small_fill(struct client *client)
{
    struct store_message messages[] = {message_of("user", "one"), message_of("assistant", "two"),
                                       message_of("user", "three")};
    messages[1].message_id = span_of_string("m-2");
    assert_ok(client_run(client, op_with_request(op_creating(op_append("ann", "c1", messages, 3)), "r", 1)));
    assert_ok(client_run(client, op_creating(op_append("ann", "c2", messages, 2))));
    assert_ok(client_run(client, op_creating(op_append("bob", "c1", messages, 1))));
    assert_ok(client_run(client, op_delete("ann", "c2")));
}

static int case_setup(void **state)
{
    struct case_ *one = calloc(1, sizeof(*one));
    assert_non_null(one);
    faults_clear();
    clock_set(CLIENT_EPOCH_US);
    one->client = client_new();
    one->original = directory_new();
    image_begin_old(one->client, 1);
    small_fill(one->client);
    one->wanted = image_take(one->client);
    client_close(one->client);
    file_copy(client_config(one->client)->data_dir, one->original);
    client_config(one->client)->migrate_slice_records = 3;
    *state = one;
    return 0;
}

static int case_teardown(void **state)
{
    struct case_ *one = *state;
    faults_clear();
    one->client = client_free(one->client);
    one->original = directory_remove(one->original);
    buffer_free(&one->wanted);
    free(one);
    return 0;
}

#define case_test(name) cmocka_unit_test_setup_teardown(name, case_setup, case_teardown)

static void case_begin(struct case_ *one)
{
    file_copy(one->original, client_config(one->client)->data_dir);
}

static int to_layout(struct case_ *one, uint32_t layout, struct error *error)
{
    struct store_migration migration;
    *error = (struct error){0};
    return store_migrate_to(client_config(one->client), layout, false, &migration, error);
}

/* The data is whole wherever it stands, and the migration can be finished. */
static void case_finish(struct case_ *one, uint32_t layout)
{
    struct store_survey survey;
    struct error error;
    struct store_config *config = client_config(one->client);
    faults_clear();
    config->migrate = STORE_MIGRATE_HOLD;
    client_open(one->client);
    image_expect(one->client, &one->wanted, "half way");
    client_close(one->client);
    if (to_layout(one, layout, &error)) {
        fail_msg("again: %s", error.message);
    }
    client_open(one->client);
    image_expect(one->client, &one->wanted, "at last");
    client_close(one->client);
    client_release(one->client);
    assert_int_equal(store_verify(config, &survey, &error), 0);
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays, 0);
}

static int fault_run(struct case_ *one, enum call call, int at, int rc, uint32_t layout)
{
    struct error error;
    fault_set(call, at, rc, false);
    to_layout(one, layout, &error);
    return atomic_load(&faults[call].calls_left) == 0; /* it was met */
}

static int every_call_fails(struct case_ *one, enum call call, int rc)
{
    int at = 1;
    bool met = true;
    for (; met; at++) {
        case_begin(one);
        met = fault_run(one, call, at, rc, 2);
        case_finish(one, 2);
        fault_run(one, call, at, rc, 1);
        case_finish(one, 1);
    }
    return at;
}

static void whichever_put_fails_nothing_is_lost(void **state)
{
    assert_true(every_call_fails(*state, CALL_PUT, MDB_MAP_FULL) > 20);
    assert_true(every_call_fails(*state, CALL_PUT, ENOMEM) > 20);
}

static void whichever_deletion_fails_nothing_is_lost(void **state)
{
    assert_true(every_call_fails(*state, CALL_DELETE, MDB_MAP_FULL) > 8);
}

static void whichever_commit_fails_nothing_is_lost(void **state)
{
    assert_true(every_call_fails(*state, CALL_COMMIT, ENOSPC) > 4);
}

/* In another process, which ends at that call. Returns whether it got there. */
static bool death_run(struct case_ *one, enum call call, int at, uint32_t layout)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error;
        fault_set(call, at, DIED, false);
        int rc = to_layout(one, layout, &error);
        _exit(rc ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == DIED || WEXITSTATUS(status) == 0);
    return WEXITSTATUS(status) == DIED;
}

static int every_call_dies(struct case_ *one, enum call call)
{
    int at = 1;
    bool died = true;
    for (; died; at++) {
        case_begin(one);
        died = death_run(one, call, at, 2);
        case_finish(one, 2);
        death_run(one, call, at, 1);
        case_finish(one, 1);
    }
    return at;
}

static void ended_at_any_commit_it_goes_on(void **state)
{
    assert_true(every_call_dies(*state, CALL_COMMIT) > 4);
}

static void ended_in_the_middle_of_any_write_it_goes_on(void **state)
{
    assert_true(every_call_dies(*state, CALL_WRITE) > 8);
}

static void ended_at_any_sync_it_goes_on(void **state)
{
    assert_true(every_call_dies(*state, CALL_SYNC) > 4);
}

/* ---- In the daemon's store --------------------------------------------------------------------------------------- */

static void wait_state(struct client *client, enum store_migration_state state)
{
    struct store_migration migration;
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    do {
        usleep(1000);
        store_migration(client_store(client), &migration);
        assert_true(clock_monotonic_us() < end);
    } while (migration.state != state);
    assert_true(state == STORE_MIGRATION_NONE || migration.last_error[0] != '\0');
}

static void it_pauses_while_the_disk_is_full_and_goes_on_by_itself(void **state)
{
    struct case_ *one = *state;
    fault_set(CALL_APPEND, 1, ENOSPC, true);
    image_migrate(one->client, 3);
    wait_state(one->client, STORE_MIGRATION_PAUSED);
    image_expect(one->client, &one->wanted, "paused");
    faults_clear();
    wait_state(one->client, STORE_MIGRATION_NONE);
    image_expect(one->client, &one->wanted, "gone on");
}

static void after_three_failures_it_halts_and_serves_and_the_next_start_goes_on(void **state)
{
    struct case_ *one = *state;
    struct store_message more = message_of("user", "more");
    fault_set(CALL_APPEND, 4, ENOMEM, true);
    image_migrate(one->client, 3);
    wait_state(one->client, STORE_MIGRATION_HALTED);
    faults_clear(); /* the journal appends too */
    image_expect(one->client, &one->wanted, "halted");
    assert_ok(client_run(one->client, op_append("ann", "c1", &more, 1)));
    assert_ok(client_run(one->client, op_creating(op_append("eve", "new", &more, 1))));
    assert_ok(client_run(one->client, op_pop("ann", "c1", 1)));
    assert_ok(client_run(one->client, op_forget("eve")));
    struct buffer wanted = image_take(one->client);
    client_reopen(one->client);
    wait_state(one->client, STORE_MIGRATION_NONE);
    image_expect(one->client, &wanted, "gone on");
    buffer_free(&wanted);
}

/* ---- Damage ------------------------------------------------------------------------------------------------------ */

static struct key message_key(const char *user, const char *conversation, uint64_t seq)
{
    return key_message(span_of_string(user), span_of_string(conversation), seq);
}

static void what_cannot_be_read_stays_so_and_a_copy_is_in_quarantine(void **state)
{
    struct case_ *one = *state;
    struct client *client = one->client;
    const char *directory = client_config(client)->data_dir;
    struct error error;
    struct key message = message_key("ann", "c1", 2);
    struct key head = key_conversation(span_of_string("bob"), span_of_string("c1"));
    struct key stray = message_key("eve", "gone", 1);
    lmdb_file_put(directory, "messages", key_span(&message), span_of_string("damaged"));
    lmdb_file_put(directory, "messages", key_span(&stray), span_of_string("stray"));
    lmdb_file_put(directory, "messages", span_of("ann\0c1\0odd", 10), span_of_string("odd"));
    lmdb_file_put(directory, "conversations", key_span(&head), span_of_string("damaged"));
    image_migrate(client, 0);
    struct store_migration migration = image_wait_migrated(client);
    assert_int_equal(migration.quarantined, 4);
    const struct answer *damaged = client_run(client, op_message("ann", "c1", 2));
    assert_refused(damaged, RECORD_DAMAGED);
    assert_non_null(strstr(damaged->error.message, "ann/c1/0000000002"));
    assert_ok(client_run(client, op_message("ann", "c1", 1)));
    assert_ok(client_run(client, op_message("ann", "c1", 3)));
    assert_refused(client_run(client, op_get("bob", "c1")), RECORD_DAMAGED);
    assert_int_equal(client_run(client, op_list("bob", 9, span_of(NULL, 0)))->reason, ERROR_RECORD_DAMAGED);
    client_close(client);
    assert_int_equal(lmdb_file_count(directory, "quarantine"), 4);
    assert_int_equal(lmdb_file_count(directory, "messages"), 0);
    /* Layout 1 could not tell any more that they are damaged. */
    assert_int_equal(to_layout(one, 1, &error), -ERROR_STARTUP);
    assert_non_null(strstr(error.message, "--accept-loss"));
    assert_int_equal(store_migrate_to(client_config(client), 1, true, &migration, &error), 0);
    client_config(client)->migrate = STORE_MIGRATE_HOLD;
    client_open(client);
    assert_refused(client_run(client, op_message("ann", "c1", 2)), RECORD_DAMAGED);
    assert_ok(client_run(client, op_forget("ann")));
    assert_ok(client_run(client, op_forget("eve")));
    client_close(client);
    assert_int_equal(lmdb_file_count(directory, "quarantine"), 1); /* bob's */
    client_open(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_test(whichever_put_fails_nothing_is_lost),
        case_test(whichever_deletion_fails_nothing_is_lost),
        case_test(whichever_commit_fails_nothing_is_lost),
        case_test(ended_at_any_commit_it_goes_on),
        case_test(ended_in_the_middle_of_any_write_it_goes_on),
        case_test(ended_at_any_sync_it_goes_on),
        case_test(it_pauses_while_the_disk_is_full_and_goes_on_by_itself),
        case_test(after_three_failures_it_halts_and_serves_and_the_next_start_goes_on),
        case_test(what_cannot_be_read_stays_so_and_a_copy_is_in_quarantine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
