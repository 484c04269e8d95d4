/* What is counted of requests and commits, and how it reads as Prometheus' text. */
#include "base/method_meters.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 4, NOTES = 10000 };

static void a_value_is_in_the_first_bucket_whose_bound_is_not_below_it(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(0, HISTOGRAM_TIME_SHIFT), 0);
    assert_int_equal(histogram_bucket(8, HISTOGRAM_TIME_SHIFT), 0);
    assert_int_equal(histogram_bucket(9, HISTOGRAM_TIME_SHIFT), 1);
    assert_int_equal(histogram_bucket(1, HISTOGRAM_COUNT_SHIFT), 0);
    assert_int_equal(histogram_bucket(2, HISTOGRAM_COUNT_SHIFT), 1);
    for (unsigned shift = HISTOGRAM_COUNT_SHIFT; shift <= HISTOGRAM_TIME_SHIFT; shift += HISTOGRAM_TIME_SHIFT) {
        for (size_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
            assert_int_equal(histogram_bucket(histogram_bound(i, shift), shift), i);
            assert_int_equal(histogram_bucket(histogram_bound(i, shift) + 1, shift), i + 1);
        }
        assert_int_equal(histogram_bucket(UINT64_MAX, shift), HISTOGRAM_BUCKETS - 1);
    }
}

static void *note_many(void *arg)
{
    for (unsigned i = 0; i < NOTES; i++) {
        method_meters_note(arg, i % 2, i % 4 == 1 ? ERROR_NOT_FOUND : ERROR_OK, i % 2 ? 100 : 8);
    }
    return NULL;
}

static void nothing_is_lost_when_several_threads_count(void **state)
{
    (void)state;
    static const char *const names[] = {"even", "odd"};
    struct method_meters *meters = method_meters_new(names, 2);
    struct method_view even, odd, none;
    pthread_t threads[THREADS];
    assert_non_null(meters);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, note_many, meters), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(method_meters_read(meters, 0, &even) && method_meters_read(meters, 1, &odd));
    assert_false(method_meters_read(meters, 2, &none));
    assert_string_equal(odd.name, "odd");
    assert_int_equal(even.codes[ERROR_OK], THREADS * NOTES / 2);
    assert_int_equal(even.latency.counts[0], THREADS * NOTES / 2);
    assert_int_equal(odd.codes[ERROR_OK], THREADS * NOTES / 4);
    assert_int_equal(odd.codes[ERROR_NOT_FOUND], THREADS * NOTES / 4);
    assert_int_equal(odd.latency.sum, (uint64_t)THREADS * NOTES / 2 * 100);
    assert_int_equal(histogram_total(&odd.latency), THREADS * NOTES / 2);
    method_meters_free(meters);
}

static char *rendered(const struct metrics_snapshot *snapshot)
{
    struct buffer out = {0};
    metrics_render(snapshot, &out);
    buffer_append(&out, "", 1);
    assert_false(out.failed);
    return (char *)out.data;
}

static void expect_line(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *found = strstr(text, line); found; found = strstr(found + 1, line)) {
        if ((found == text || found[-1] == '\n') && found[length] == '\n') {
            return;
        }
    }
    fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void every_metric_has_help_type_and_a_value(void **state)
{
    (void)state;
    static const char *const names[] = {
#define METRIC_NAME(name, type, more, help) #name,
        METRICS_NUMBERS(METRIC_NAME) METRICS_FAMILIES(METRIC_NAME)
#undef METRIC_NAME
    };
    struct metrics_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    assert_non_null(snapshot);
    snapshot->version = snapshot->nng_version = snapshot->engine_version = "1";
    char *text = rendered(snapshot);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char head[128];
        snprintf(head, sizeof(head), "# HELP chatlogd_%s ", names[i]);
        assert_non_null(strstr(text, head));
        snprintf(head, sizeof(head), "# TYPE chatlogd_%s ", names[i]);
        assert_non_null(strstr(text, head));
    }
    expect_line(text, "chatlogd_users 0");
    expect_line(text, "chatlogd_start_time_seconds 0.000000");
    free(text);
    free(snapshot);
}

static void numbers_keep_every_digit(void **state)
{
    (void)state;
    struct metrics_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    assert_non_null(snapshot);
    snapshot->version = snapshot->nng_version = snapshot->engine_version = "1.2.3";
    snapshot->messages = UINT64_MAX;
    snapshot->start_time_seconds = UINT64_C(1795352902472064);
    snapshot->migration = STORE_MIGRATION_HELD;
    char *text = rendered(snapshot);
    expect_line(text, "chatlogd_messages 18446744073709551615");
    expect_line(text, "chatlogd_start_time_seconds 1795352902.472064");
    expect_line(text, "chatlogd_build_info{version=\"1.2.3\",nng=\"1.2.3\",lmdb=\"1.2.3\"} 1");
    expect_line(text, "chatlogd_migration_state{state=\"held\"} 1");
    expect_line(text, "chatlogd_migration_state{state=\"none\"} 0");
    free(text);
    free(snapshot);
}

static void buckets_are_cumulative_and_end_in_all(void **state)
{
    (void)state;
    struct metrics_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    assert_non_null(snapshot);
    snapshot->version = snapshot->nng_version = snapshot->engine_version = "1";
    snapshot->commit_changes.counts[0] = 5;
    snapshot->commit_changes.counts[3] = 2;
    snapshot->commit_changes.sum = 21;
    snapshot->method_count = 2;
    snapshot->methods[0].name = "never.called";
    struct method_view *method = &snapshot->methods[1];
    *method = (struct method_view){.name = "a.B/C"};
    method->latency.counts[1] = 3;
    method->latency.counts[HISTOGRAM_BUCKETS - 1] = 1;
    method->latency.sum = 60000036;
    method->codes[ERROR_OK] = 3;
    method->codes[ERROR_DEADLINE_EXCEEDED] = 1;
    char *text = rendered(snapshot);
    expect_line(text, "chatlogd_commit_changes_bucket{le=\"1\"} 5");
    expect_line(text, "chatlogd_commit_changes_bucket{le=\"4\"} 5");
    expect_line(text, "chatlogd_commit_changes_bucket{le=\"8\"} 7");
    expect_line(text, "chatlogd_commit_changes_bucket{le=\"+Inf\"} 7");
    expect_line(text, "chatlogd_commit_changes_sum 21");
    expect_line(text, "chatlogd_commit_changes_count 7");
    expect_line(text, "chatlogd_request_duration_seconds_bucket{method=\"a.B/C\",le=\"0.000008\"} 0");
    expect_line(text, "chatlogd_request_duration_seconds_bucket{method=\"a.B/C\",le=\"0.000016\"} 3");
    expect_line(text, "chatlogd_request_duration_seconds_bucket{method=\"a.B/C\",le=\"33.554432\"} 3");
    expect_line(text, "chatlogd_request_duration_seconds_bucket{method=\"a.B/C\",le=\"+Inf\"} 4");
    expect_line(text, "chatlogd_request_duration_seconds_sum{method=\"a.B/C\"} 60.000036");
    expect_line(text, "chatlogd_requests_total{method=\"a.B/C\",code=\"OK\"} 3");
    expect_line(text, "chatlogd_requests_total{method=\"a.B/C\",code=\"DEADLINE_EXCEEDED\"} 1");
    assert_null(strstr(text, "never.called"));
    free(text);
    free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_in_the_first_bucket_whose_bound_is_not_below_it),
        cmocka_unit_test(nothing_is_lost_when_several_threads_count),
        cmocka_unit_test(every_metric_has_help_type_and_a_value),
        cmocka_unit_test(numbers_keep_every_digit),
        cmocka_unit_test(buckets_are_cumulative_and_end_in_all),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
