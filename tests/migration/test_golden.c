/* Golden databases of older layouts: what they held is what is read before, during and after a migration, back again
 * and forth again, in slices of any size. Runs the store and its methods in this process. */
#include "store/maintenance.h"
#include "support/golden.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

enum { ALL_AT_ONCE = 0, WAIT_SECONDS = 240, NEWEST = 3 };

static const uint32_t older_layouts[] = {1, 2};
enum { OLDER_LAYOUT_COUNT = sizeof(older_layouts) / sizeof(older_layouts[0]) };

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
    assert_int_equal(store_describe(daemon.store).layout, NEWEST);
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
    if (store_migrate_to(&config, golden->layout, false, &migration, &error)) {
        fail_msg("%s: %s", golden->name, error.message);
    }
    assert_int_equal(migration.quarantined, 0);
    if (store_verify(&config, &survey, &error)) {
        fail_msg("%s: %s", golden->name, error.message);
    }
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays + survey.damaged_events, 0);
}

/* Up, down and up again. Returns how many dumps were begun in the first migration. */
static unsigned journey_make(uint32_t layout, const char *name, size_t slice_records)
{
    struct golden golden = golden_new(layout, name);
    golden_compare_held(&golden, layout, "before");
    unsigned during = up_go(&golden, slice_records);
    golden_compare_held(&golden, NEWEST, "after a restart");
    down_go(&golden);
    golden_compare_held(&golden, layout, "after the way back");
    up_go(&golden, ALL_AT_ONCE);
    golden_free(&golden);
    return during;
}

/* The same from every older layout. Returns how many dumps were begun in the first migration that had fewest. */
static unsigned journeys_make(const char *name, size_t slice_records)
{
    unsigned fewest = UINT_MAX;
    for (size_t i = 0; i < OLDER_LAYOUT_COUNT; i++) {
        unsigned during = journey_make(older_layouts[i], name, slice_records);
        fewest = during < fewest ? during : fewest;
    }
    return fewest;
}

static void every_older_layout_is_served_as_it_is(void **state)
{
    (void)state;
    static const char *const names[] = {"empty", "typical", "adversarial"};
    for (size_t i = 0; i < OLDER_LAYOUT_COUNT; i++) {
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            struct golden golden = golden_new(older_layouts[i], names[k]);
            golden_compare_held(&golden, golden.layout, "held");
            golden_free(&golden);
        }
    }
}

static void an_empty_database_is_migrated(void **state)
{
    (void)state;
    journeys_make("empty", 1);
    journeys_make("empty", ALL_AT_ONCE);
}

static void a_typical_database_says_the_same_in_every_layout(void **state)
{
    (void)state;
    journeys_make("typical", 1);
    journeys_make("typical", 7);
    journeys_make("typical", ALL_AT_ONCE);
}

static void an_adversarial_database_says_the_same_in_every_layout(void **state)
{
    (void)state;
    journeys_make("adversarial", 1000);
    journeys_make("adversarial", ALL_AT_ONCE);
}

static void slices_of_seven_records_are_read_across(void **state)
{
    (void)state;
    assert_true(journeys_make("adversarial", 7) > 0);
}

static void slices_of_one_record_are_read_across(void **state)
{
    (void)state;
    assert_true(journeys_make("adversarial", 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_older_layout_is_served_as_it_is),
        cmocka_unit_test(an_empty_database_is_migrated),
        cmocka_unit_test(a_typical_database_says_the_same_in_every_layout),
        cmocka_unit_test(an_adversarial_database_says_the_same_in_every_layout),
        cmocka_unit_test(slices_of_seven_records_are_read_across),
        cmocka_unit_test(slices_of_one_record_are_read_across),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
