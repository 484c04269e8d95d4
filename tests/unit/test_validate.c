/* Hostile bytes are refused before anything is unpacked from them. */
#include "base/limits.h"
#include "base/wire.h"
#include "chatlog/v1/history_service.pb-c.h"
#include "rpc/validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct limits limits = LIMITS_DEFAULT;

enum { USER_ID = 1, CONVERSATION_ID = 2, MESSAGES = 3, CREATE_IF_MISSING = 4, METADATA = 12, CONTENT = 13 };

static int validate(const struct buffer *bytes, struct fingerprint *fingerprint, struct error *error)
{
    return validate_message(&chatlog__v1__append_messages_request__descriptor, buffer_span(bytes), &limits, fingerprint,
                            error);
}

static void expect_refused(struct buffer *bytes, enum error_reason reason)
{
    struct error error;
    assert_int_equal(validate(bytes, NULL, &error), -(int)reason);
    assert_true(error.message[0]);
    buffer_free(bytes);
}

static void text_must_be_utf8_without_nul(void **state)
{
    (void)state;
    static const struct span bad[] = {
        {(const uint8_t *)"alice\0xevil", 11},    {(const uint8_t *)"\xff", 1},
        {(const uint8_t *)"\xc0\x80", 2},         {(const uint8_t *)"\xed\xa0\x80", 3},
        {(const uint8_t *)"\xf4\x90\x80\x80", 4}, {(const uint8_t *)"caf\xc3", 4},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buffer bytes = {0};
        wire_put_bytes(&bytes, USER_ID, bad[i]);
        expect_refused(&bytes, ERROR_FIELD_INVALID);
    }
}

static void content_may_be_any_bytes(void **state)
{
    (void)state;
    struct buffer message = {0};
    struct buffer bytes = {0};
    struct error error;
    wire_put_bytes(&message, CONTENT, span_of("\xff\0\xc0", 3));
    wire_put_element(&bytes, MESSAGES, buffer_span(&message));
    assert_int_equal(validate(&bytes, NULL, &error), 0);
    buffer_free(&message);
    buffer_free(&bytes);
}

static void a_bomb_of_empty_messages_is_refused(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    for (int i = 0; i < 512 * 1024; i++) {
        wire_put_element(&bytes, MESSAGES, span_of(NULL, 0));
    }
    expect_refused(&bytes, ERROR_REQUEST_TOO_LARGE);
}

static void a_bomb_of_metadata_is_refused(void **state)
{
    (void)state;
    struct buffer message = {0};
    struct buffer bytes = {0};
    for (uint64_t i = 0; i <= limits.metadata_pairs; i++) {
        wire_put_element(&message, METADATA, span_of(NULL, 0));
    }
    wire_put_element(&bytes, MESSAGES, buffer_span(&message));
    buffer_free(&message);
    expect_refused(&bytes, ERROR_REQUEST_TOO_LARGE);
}

static void unknown_fields_are_passed_over_but_not_without_end(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    struct error error;
    for (uint32_t i = 0; i < 16; i++) {
        wire_put_uint(&bytes, 100 + i, 1);
    }
    assert_int_equal(validate(&bytes, NULL, &error), 0);
    wire_put_uint(&bytes, 200, 1);
    expect_refused(&bytes, ERROR_REQUEST_TOO_LARGE);
}

static void a_field_of_another_type_is_refused(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    wire_put_uint(&bytes, USER_ID, 7);
    expect_refused(&bytes, ERROR_REQUEST_MALFORMED);
    wire_put_bytes(&bytes, CREATE_IF_MISSING, span_of_string("yes"));
    expect_refused(&bytes, ERROR_REQUEST_MALFORMED);
}

static void bytes_that_are_no_protobuf_are_refused(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    buffer_append(&bytes, "GET / HTTP/1.1\r\n", 16);
    expect_refused(&bytes, ERROR_REQUEST_MALFORMED);
}

static void put_entry(struct buffer *message, const char *key, const char *value)
{
    struct buffer entry = {0};
    wire_put_bytes(&entry, 1, span_of_string(key));
    wire_put_bytes(&entry, 2, span_of_string(value));
    wire_put_element(message, METADATA, buffer_span(&entry));
    buffer_free(&entry);
}

struct shape {
    bool user_last;
    bool entries_swapped;
    bool messages_swapped;
    const char *value;
};

static struct fingerprint fingerprint_of(struct shape shape)
{
    struct buffer first = {0};
    struct buffer second = {0};
    struct buffer bytes = {0};
    put_entry(&first, shape.entries_swapped ? "b" : "a", shape.entries_swapped ? "2" : "1");
    put_entry(&first, shape.entries_swapped ? "a" : "b", shape.entries_swapped ? "1" : "2");
    wire_put_bytes(&second, CONTENT, span_of_string(shape.value));
    if (!shape.user_last) {
        wire_put_bytes(&bytes, USER_ID, span_of_string("alice"));
    }
    wire_put_element(&bytes, MESSAGES, buffer_span(shape.messages_swapped ? &second : &first));
    wire_put_element(&bytes, MESSAGES, buffer_span(shape.messages_swapped ? &first : &second));
    if (shape.user_last) {
        wire_put_bytes(&bytes, USER_ID, span_of_string("alice"));
    }
    struct fingerprint fingerprint = {0};
    struct error error;
    assert_int_equal(validate(&bytes, &fingerprint, &error), 0);
    buffer_free(&first);
    buffer_free(&second);
    buffer_free(&bytes);
    return fingerprint;
}

static void the_fingerprint_knows_what_is_said_not_in_which_order_it_is_encoded(void **state)
{
    (void)state;
    struct fingerprint one = fingerprint_of((struct shape){.value = "x"});
    struct fingerprint same = fingerprint_of((struct shape){.value = "x", .user_last = true, .entries_swapped = true});
    struct fingerprint other = fingerprint_of((struct shape){.value = "y"});
    struct fingerprint swapped = fingerprint_of((struct shape){.value = "x", .messages_swapped = true});
    assert_memory_equal(&one, &same, sizeof(one));
    assert_memory_not_equal(&one, &other, sizeof(one));
    assert_memory_not_equal(&one, &swapped, sizeof(one));
}

static void the_utf8_prefix_ends_before_what_is_no_character(void **state)
{
    (void)state;
    assert_int_equal(validate_utf8_prefix(span_of_string("gr\xc3\xbc\xc3\x9f dich")), 11);
    assert_int_equal(validate_utf8_prefix(span_of("ab\xff"
                                                  "cd",
                                                  5)),
                     2);
    assert_int_equal(validate_utf8_prefix(span_of("ab\0cd", 5)), 2);
    assert_int_equal(validate_utf8_prefix(span_of(NULL, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_must_be_utf8_without_nul),
        cmocka_unit_test(content_may_be_any_bytes),
        cmocka_unit_test(a_bomb_of_empty_messages_is_refused),
        cmocka_unit_test(a_bomb_of_metadata_is_refused),
        cmocka_unit_test(unknown_fields_are_passed_over_but_not_without_end),
        cmocka_unit_test(a_field_of_another_type_is_refused),
        cmocka_unit_test(bytes_that_are_no_protobuf_are_refused),
        cmocka_unit_test(the_fingerprint_knows_what_is_said_not_in_which_order_it_is_encoded),
        cmocka_unit_test(the_utf8_prefix_ends_before_what_is_no_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
