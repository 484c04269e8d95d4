/* The protobuf wire format, field by field. */
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void fields_come_back_as_they_were_put(void **state)
{
    (void)state;
    const uint64_t values[] = {1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct buffer out = {0};
        wire_put_uint(&out, 536870911, values[i]);
        wire_put_element(&out, 2, span_of_string("text"));
        struct span input = buffer_span(&out);
        struct wire_field field;
        assert_int_equal(wire_next(&input, &field), 1);
        assert_int_equal(field.number, 536870911);
        assert_true(field.type == WIRE_VARINT && field.value == values[i]);
        assert_int_equal(wire_next(&input, &field), 1);
        assert_true(span_equal(field.bytes, span_of_string("text")));
        assert_int_equal(field.whole.size, wire_element_size(2, 4));
        assert_int_equal(wire_next(&input, &field), 0);
        buffer_free(&out);
    }
}

static void zero_and_empty_values_take_no_bytes_but_elements_do(void **state)
{
    (void)state;
    struct buffer out = {0};
    wire_put_uint(&out, 1, 0);
    wire_put_bytes(&out, 2, span_of(NULL, 0));
    assert_int_equal(out.size, 0);
    wire_put_element(&out, 3, span_of(NULL, 0));
    assert_int_equal(out.size, 2);
    buffer_free(&out);
}

static void malformed_input_is_refused_and_not_read_past_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } rows[] = {
        {"tag cut off", "\x80", 1},
        {"field number 0", "\x02\x00", 2},
        {"field number over 29 bits", "\x80\x80\x80\x80\x10\x00", 6},
        {"varint cut off", "\x08\xff", 2},
        {"varint over 64 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},
        {"varint over 10 bytes", "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12},
        {"length past the end", "\x12\x05hell", 6},
        {"length of 2^64 - 1", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"fixed32 cut off", "\x0d\x00\x00\x00", 4},
        {"fixed64 cut off", "\x09\x00\x00\x00\x00\x00\x00\x00", 8},
        {"start of a group", "\x0b", 1},
        {"end of a group", "\x0c", 1},
        {"wire type 7", "\x0f\x00", 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t *exact = malloc(rows[i].size); /* so that ASan sees a read past the end */
        assert_non_null(exact);
        memcpy(exact, rows[i].bytes, rows[i].size);
        struct span input = span_of(exact, rows[i].size);
        struct wire_field field;
        if (wire_next(&input, &field) != -1) {
            fail_msg("accepted: %s", rows[i].why);
        }
        free(exact);
    }
}

static void a_buffer_that_ran_out_of_memory_stays_failed(void **state)
{
    (void)state;
    struct buffer out = {0};
    assert_null(buffer_extend(&out, SIZE_MAX));
    buffer_append(&out, "x", 1);
    assert_true(out.failed && out.size == 0);
    buffer_clear(&out);
    buffer_append(&out, "x", 1);
    assert_true(!out.failed && out.size == 1);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back_as_they_were_put),
        cmocka_unit_test(zero_and_empty_values_take_no_bytes_but_elements_do),
        cmocka_unit_test(malformed_input_is_refused_and_not_read_past_its_end),
        cmocka_unit_test(a_buffer_that_ran_out_of_memory_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
