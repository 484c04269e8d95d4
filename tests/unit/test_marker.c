/* The layout marker: what one daemon writes every daemon can judge, and no damage passes. */
#include "store/lmdb/marker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct marker sample = {
    .format = MARKER_FORMAT,
    .layout = 1,
    .target = 2,
    .min_reader = 3,
    .min_writer = 4,
    .state = 5,
    .create_time_us = 1700000000000000,
    .identity = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255},
};

static void a_marker_comes_back_as_it_was_written(void **state)
{
    (void)state;
    uint8_t bytes[MARKER_BYTES];
    struct marker read;
    marker_encode(&sample, bytes);
    assert_int_equal(marker_decode(span_of(bytes, sizeof(bytes)), &read), 0);
    assert_true(read.format == sample.format && read.layout == 1 && read.target == 2);
    assert_true(read.min_reader == 3 && read.min_writer == 4 && read.state == 5);
    assert_true(read.create_time_us == sample.create_time_us);
    assert_memory_equal(read.identity, sample.identity, sizeof(read.identity));
}

static void the_fields_stand_where_every_later_daemon_will_look(void **state)
{
    (void)state;
    uint8_t bytes[MARKER_BYTES];
    marker_encode(&sample, bytes);
    static const uint8_t head[] = {'c', 'h', 'a', 't', 'l', 'o', 'g', 'M', 1, 0, 1, 0,
                                   2,   0,   3,   0,   4,   0,   5,   0,   0, 0, 0, 0};
    assert_memory_equal(bytes, head, sizeof(head));
    assert_memory_equal(bytes + 24, "\x00\x40\x1e\x18\x24\x0a\x06\x00", 8);
    assert_memory_equal(bytes + 32, sample.identity, sizeof(sample.identity));
    for (size_t i = 48; i < 120; i++) {
        assert_int_equal(bytes[i], 0);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[MARKER_BYTES];
    struct marker read;
    marker_encode(&sample, bytes);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(marker_decode(span_of(bytes, sizeof(bytes)), &read), -1);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(marker_decode(span_of(bytes, sizeof(bytes)), &read), 0);
}

static void a_marker_cut_short_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[MARKER_BYTES];
    struct marker read;
    marker_encode(&sample, bytes);
    for (size_t size = 0; size < sizeof(bytes); size++) {
        assert_int_equal(marker_decode(span_of(bytes, size), &read), -1);
    }
}

static void a_longer_marker_of_a_later_format_tells_who_can_open_it(void **state)
{
    (void)state;
    uint8_t bytes[MARKER_BYTES + 64];
    struct marker later = sample;
    struct marker read;
    later.format = 2;
    later.min_reader = 7;
    marker_encode(&later, bytes);
    memset(bytes + MARKER_BYTES - 8, 0xaa, 64);
    static const uint8_t sum[] = {0xba, 0xd5, 0x95, 0xdd, 0x9b, 0x17, 0xcf, 0xba}; /* XXH3-64 of the 184 before */
    memcpy(bytes + sizeof(bytes) - sizeof(sum), sum, sizeof(sum));
    assert_int_equal(marker_decode(span_of(bytes, sizeof(bytes)), &read), 0);
    assert_true(read.format == 2 && read.min_reader == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_marker_comes_back_as_it_was_written),
        cmocka_unit_test(the_fields_stand_where_every_later_daemon_will_look),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_marker_cut_short_is_refused),
        cmocka_unit_test(a_longer_marker_of_a_later_format_tells_who_can_open_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
