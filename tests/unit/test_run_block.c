/* LZ4 blocks cut short: LZ4 reads of them what was asked for, wherever the cut is, and bytes that are no block are not
 * read past their end. */
#include "store/lmdb/run_block.h"

#include <lz4.h>
#include <lz4hc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RAW_MAX = 3000, BLOCK_MAX = RAW_MAX + 100 };

static uint32_t random_below(uint64_t *seed, uint32_t end)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % end);
}

/* Bytes with so many different values, in which each of these steps begins with what was there before. */
static void raw_fill(uint8_t *raw, uint32_t values, uint32_t step, uint64_t *seed)
{
    for (size_t i = 0; i < RAW_MAX; i++) {
        bool repeats = i >= step && i % step < step / 2;
        raw[i] = repeats ? raw[i - step] : (uint8_t)random_below(seed, values);
    }
}

/* Cuts a copy of the block, which ends where its memory does. Returns its size. */
static size_t cut(const uint8_t *block, size_t size, struct span raw, uint8_t *ret_cut)
{
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, block, size);
    size_t left = run_block_cut(copy, size, raw);
    assert_in_range(left, 0, size);
    memcpy(ret_cut, copy, left);
    free(copy);
    return left;
}

static void a_block_that_was_cut_anywhere_holds_what_is_before(void **state)
{
    (void)state;
    static const struct {
        uint32_t values, step;
    } texts[] = {{1, 1}, {2, 7}, {20, 40}, {256, 600}, {256, RAW_MAX}, {60, 1500}};
    uint8_t raw[RAW_MAX], block[BLOCK_MAX], shorter[BLOCK_MAX], back[RAW_MAX];
    uint64_t seed = 1;
    size_t refused = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        raw_fill(raw, texts[i].values, texts[i].step, &seed);
        int size = LZ4_compress_HC((const char *)raw, (char *)block, RAW_MAX, BLOCK_MAX, LZ4HC_CLEVEL_MIN);
        assert_in_range(size, 1, BLOCK_MAX);
        for (size_t end = 1; end <= RAW_MAX; end++) {
            size_t left = cut(block, (size_t)size, span_of(raw, end), shorter);
            refused += left == 0;
            if (left > 0) {
                int got = LZ4_decompress_safe((const char *)shorter, (char *)back, (int)left, RAW_MAX);
                assert_int_equal(got, end);
                assert_memory_equal(back, raw, end);
            }
        }
    }
    assert_in_range(refused, 0, 100); /* near the block's end there may be no room for literals instead of a match */
}

static void bytes_that_are_no_block_are_not_read_past_their_end(void **state)
{
    (void)state;
    uint8_t raw[RAW_MAX], block[BLOCK_MAX], shorter[BLOCK_MAX];
    uint64_t seed = 2;
    raw_fill(raw, 20, 40, &seed);
    int size = LZ4_compress_HC((const char *)raw, (char *)block, RAW_MAX, BLOCK_MAX, LZ4HC_CLEVEL_MIN);
    for (size_t end = 1; end <= (size_t)size; end++) {
        cut(block, end, span_of(raw, RAW_MAX), shorter);
    }
    for (size_t i = 0; i < 20000; i++) {
        size_t length = 1 + random_below(&seed, 60);
        for (size_t k = 0; k < length; k++) {
            block[k] = (uint8_t)(random_below(&seed, 2) ? 255 : random_below(&seed, 256));
        }
        cut(block, length, span_of(raw, 1 + random_below(&seed, RAW_MAX)), shorter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_was_cut_anywhere_holds_what_is_before),
        cmocka_unit_test(bytes_that_are_no_block_are_not_read_past_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
