/* The small things below everything: errors, arenas. */
#include "base/arena.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_reason_has_a_name_and_a_code(void **state)
{
    (void)state;
    for (int reason = 1; reason < ERROR_REASON_COUNT; reason++) {
        assert_true(strlen(error_reason_name((enum error_reason)reason)) > 0);
        assert_true(error_reason_code((enum error_reason)reason) != ERROR_OK);
    }
}

static void an_error_keeps_its_sentence_and_two_numbers(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_set(&error, ERROR_QUEUE_FULL, "%d wait", 7), -ERROR_QUEUE_FULL);
    error_add_detail(&error, "first", 1);
    error_add_detail(&error, "second", 2);
    assert_int_equal(error_add_detail(&error, "third", 3), -ERROR_QUEUE_FULL);
    assert_string_equal(error.message, "7 wait");
    assert_string_equal(error.details[0].key, "first");
    assert_int_equal(error.details[1].value, 2);
}

static void a_long_sentence_is_cut_not_overrun(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, ERROR_DEFECT, "%0500d", 1);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void an_arena_gives_zeroed_aligned_memory_up_to_its_cap(void **state)
{
    (void)state;
    struct arena arena = arena_new(100000);
    for (size_t size = 0; size < 300; size++) {
        uint8_t *memory = arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(memory[i], 0);
        }
        memset(memory, 0xff, size);
    }
    assert_null(arena_alloc(&arena, 100000));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_true(arena.used <= arena.cap);
    arena_free(&arena);
    assert_int_equal(arena.used, 0);
}

static void an_arena_that_is_reset_gives_zeros_again_up_to_its_new_cap(void **state)
{
    (void)state;
    struct arena arena = arena_new(100000);
    uint8_t *first = arena_alloc(&arena, 100);
    uint8_t *large = arena_alloc(&arena, 50000);
    assert_non_null(first);
    assert_non_null(large);
    memset(first, 0xff, 100);
    arena_reset(&arena, 200);
    assert_int_equal(arena.used, 0);
    uint8_t *again = arena_alloc(&arena, 100);
    assert_non_null(again);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(again[i], 0);
    }
    assert_null(arena_alloc(&arena, 100));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_name_and_a_code),
        cmocka_unit_test(an_error_keeps_its_sentence_and_two_numbers),
        cmocka_unit_test(a_long_sentence_is_cut_not_overrun),
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory_up_to_its_cap),
        cmocka_unit_test(an_arena_that_is_reset_gives_zeros_again_up_to_its_new_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
