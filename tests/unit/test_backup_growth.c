/* A backup's snapshot keeps pages from being used again: a backup that makes the data file grow too much is given up,
 * and then pages are used again. */
#include "store/lmdb/backup.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { VALUE_BYTES = 1 << 20, WRITES = 100 };

static struct env *env; /* for the clock, which is told nothing */
static uint8_t *value;

static int64_t clock_still(void)
{
    return 1;
}

/* Replaces one value again and again: without a snapshot that takes the same pages all the time. */
static void value_replace(void)
{
    for (size_t i = 0; i < WRITES; i++) {
        struct txn txn = env_begin(env);
        value[0] = (uint8_t)i;
        txn_put(&txn, TABLE_MESSAGES, span_of_string("value"), span_of(value, VALUE_BYTES));
        assert_int_equal(env_commit(env, &txn), 0);
    }
}

/* The clock is read when the snapshot has been taken. */
static int64_t clock_busy(void)
{
    value_replace();
    return 1;
}

static uint64_t file_bytes(void)
{
    struct txn txn = env_begin_read(env);
    struct env_size size = env_size(env, &txn);
    env_abort(&txn);
    return size.file_bytes;
}

static int backup(const char *directory, const char *name, int64_t (*wall_clock_us)(void), struct error *error)
{
    static const atomic_bool never = false;
    struct store_backup done;
    const struct backup_config config = {.env = env,
                                         .directory = directory,
                                         .name = name,
                                         .map_bytes = UINT64_C(1) << 30,
                                         .wall_clock_us = wall_clock_us,
                                         .stop = &never};
    return -backup_run(&config, &done, error);
}

static void a_backup_is_given_up_when_the_data_file_grows_too_much(void **state)
{
    (void)state;
    char *data = directory_new();
    char *directory = directory_new();
    struct error error = {0};
    const struct env_config config = {.data_dir = data, .map_bytes = UINT64_C(1) << 30};
    value = calloc(1, VALUE_BYTES);
    assert_non_null(value);
    assert_int_equal(env_open(&config, &env, &error), 0);
    value_replace();
    uint64_t before = file_bytes();
    value_replace();
    assert_true(file_bytes() <= before + 2 * VALUE_BYTES); /* without a snapshot nothing grows */

    assert_int_equal(backup(directory, "quiet", clock_still, &error), 0);
    assert_int_equal(backup(directory, "busy", clock_busy, &error), ERROR_BACKUP_FAILED);
    assert_non_null(strstr(error.message, "grew"));
    uint64_t grown = file_bytes();
    assert_true(grown > before + STORE_BACKUP_GROWTH_BYTES); /* or the backup was given up too early */

    value_replace();
    assert_true(file_bytes() <= grown + 2 * VALUE_BYTES); /* the snapshot is gone */
    assert_int_equal(backup(directory, "busy", clock_still, &error), 0);
    env_close(env);
    free(value);
    directory_remove(data);
    directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup_is_given_up_when_the_data_file_grows_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
