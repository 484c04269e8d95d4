/* CRC-32C: the published check values, by the instruction and by the table. */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void both_ways_give_the_published_values(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t ascending[32];
    memset(ones, 0xff, sizeof(ones));
    for (uint8_t i = 0; i < sizeof(ascending); i++) {
        ascending[i] = i;
    }
    const struct {
        struct span bytes;
        uint32_t sum;
    } published[] = {
        {span_of("123456789", 9), 0xe3069283},       /* the check value of every CRC catalogue */
        {span_of(zeros, sizeof(zeros)), 0x8a9136aa}, /* these three: RFC 3720, B.4 */
        {span_of(ones, sizeof(ones)), 0x62a8ab43},
        {span_of(ascending, sizeof(ascending)), 0x46dd794e},
        {span_of(NULL, 0), 0},
    };
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        assert_int_equal(crc32c_add(0, published[i].bytes), published[i].sum);
        assert_int_equal(crc32c_add_portably(0, published[i].bytes), published[i].sum);
    }
}

static void a_sum_can_be_made_in_parts_of_any_size_at_any_address(void **state)
{
    (void)state;
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t start = 0; start < 8; start++) {
        struct span whole = span_of(bytes + start, sizeof(bytes) - start);
        uint32_t sum = crc32c_add_portably(0, whole);
        for (size_t cut = 0; cut <= whole.size; cut++) {
            struct span head = span_of(whole.data, cut);
            struct span tail = span_of(whole.data + cut, whole.size - cut);
            assert_int_equal(crc32c_add(crc32c_add(0, head), tail), sum);
            assert_int_equal(crc32c_add_portably(crc32c_add(0, head), tail), sum);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_give_the_published_values),
        cmocka_unit_test(a_sum_can_be_made_in_parts_of_any_size_at_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
