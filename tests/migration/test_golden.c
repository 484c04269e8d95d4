/* Golden databases of older layouts: what they held is what is read before, during and after a migration, back again
 * and forth again, in slices of any size. Runs the store and its methods in this process. */
#include "store/maintenance.h"
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

enum { ALL_AT_ONCE = 0, WAIT_SECONDS = 240 };

/* Dumps while the migration runs, again and again, and once when it is done. Returns how many dumps were begun before
 * it was. */
static unsigned up_go(struct golden *golden, size_t slice_records)
{
    struct rpc_fixture daemon;
    struct store_migration migration;
    unsigned during = 0;
    time_t until = time(NULL) + WAIT_SECONDS;
    golden_open(golden, STORE_MIGRATE_AUTO, slice_records, &daemon);
    store_migration(daemon.store, &migration);
    while (migration.state == STORE_MIGRATION_MOVING) {
        golden_compare(golden, &daemon, "during");
        during++;
        assert_true(time(NULL) < until);
        store_migration(daemon.store, &migration);
    }
    assert_int_equal(migration.state, STORE_MIGRATION_NONE);
    assert_int_equal(migration.quarantined, 0);
    assert_int_equal(store_describe(daemon.store).layout, 2);
    golden_compare(golden, &daemon, "after");
    golden_close(&daemon);
    return during;
}

static void down_go(struct golden *golden)
{
    static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};
    struct store_config config = golden_config(golden, &limits);
    struct store_migration migration;
    struct store_survey survey;
    struct error error;
    if (store_migrate_to(&config, 1, false, &migration, &error)) {
        fail_msg("%s: %s", golden->name, error.message);
    }
    assert_int_equal(migration.quarantined, 0);
    if (store_verify(&config, &survey, &error)) {
        fail_msg("%s: %s", golden->name, error.message);
    }
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays + survey.damaged_events, 0);
}

/* Up, down and up again. Returns how many dumps were begun in the first migration. */
static unsigned journey_make(const char *name, size_t slice_records)
{
    struct golden golden = golden_new(name);
    golden_compare_held(&golden, 1, "before");
    unsigned during = up_go(&golden, slice_records);
    golden_compare_held(&golden, 2, "after a restart");
    down_go(&golden);
    golden_compare_held(&golden, 1, "after the way back");
    up_go(&golden, ALL_AT_ONCE);
    golden_free(&golden);
    return during;
}

static void an_empty_database_is_migrated(void **state)
{
    (void)state;
    journey_make("empty", 1);
    journey_make("empty", ALL_AT_ONCE);
}

static void a_typical_database_says_the_same_in_every_layout(void **state)
{
    (void)state;
    journey_make("typical", 1);
    journey_make("typical", 7);
    journey_make("typical", ALL_AT_ONCE);
}

static void an_adversarial_database_says_the_same_in_every_layout(void **state)
{
    (void)state;
    journey_make("adversarial", 1000);
    journey_make("adversarial", ALL_AT_ONCE);
}

static void slices_of_seven_records_are_read_across(void **state)
{
    (void)state;
    assert_true(journey_make("adversarial", 7) > 0);
}

static void slices_of_one_record_are_read_across(void **state)
{
    (void)state;
    assert_true(journey_make("adversarial", 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_database_is_migrated),
        cmocka_unit_test(a_typical_database_says_the_same_in_every_layout),
        cmocka_unit_test(an_adversarial_database_says_the_same_in_every_layout),
        cmocka_unit_test(slices_of_seven_records_are_read_across),
        cmocka_unit_test(slices_of_one_record_are_read_across),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
