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

/* What the contract does not have today: a message in itself, and numbers of fixed size. */
static const ProtobufCMessageDescriptor nested;
static const ProtobufCFieldDescriptor nested_fields[] = {
    {.name = "inner", .id = 1, .label = PROTOBUF_C_LABEL_NONE, .type = PROTOBUF_C_TYPE_MESSAGE, .descriptor = &nested},
    {.name = "short", .id = 2, .label = PROTOBUF_C_LABEL_NONE, .type = PROTOBUF_C_TYPE_FIXED32},
    {.name = "long", .id = 3, .label = PROTOBUF_C_LABEL_NONE, .type = PROTOBUF_C_TYPE_FIXED64},
};
static const ProtobufCIntRange nested_ranges[] = {{1, 0}, {0, 3}};
static const ProtobufCMessageDescriptor nested = {.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
                                                  .short_name = "Nested",
                                                  .n_fields = 3,
                                                  .fields = nested_fields,
                                                  .n_field_ranges = 1,
                                                  .field_ranges = nested_ranges};

/* Validates so many messages, each in the one before. */
static int validate_nested(unsigned depth, struct error *error)
{
    struct buffer bytes = {0};
    for (unsigned i = 0; i < depth; i++) {
        struct buffer outer = {0};
        wire_put_element(&outer, 1, buffer_span(&bytes));
        buffer_free(&bytes);
        bytes = outer;
    }
    int rc = validate_message(&nested, buffer_span(&bytes), &limits, NULL, error);
    buffer_free(&bytes);
    return rc;
}

static void messages_nested_without_end_are_refused(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(validate_nested(3, &error), 0); /* what the contract needs */
    assert_int_equal(validate_nested(20, &error), -ERROR_REQUEST_TOO_LARGE);
    assert_int_equal(validate_nested(2000, &error), -ERROR_REQUEST_TOO_LARGE);
    assert_non_null(strstr(error.message, "nested more than"));
}

static void numbers_of_fixed_size_must_have_it(void **state)
{
    (void)state;
    struct error error;
    struct span good = span_of("\x15\1\2\3\4\x19\1\2\3\4\5\6\7\10", 14);
    assert_int_equal(validate_message(&nested, good, &limits, NULL, &error), 0);
    struct span cut = span_of(good.data, good.size - 1);
    assert_int_equal(validate_message(&nested, cut, &limits, NULL, &error), -ERROR_REQUEST_MALFORMED);
    static const struct span swapped[] = {{(const uint8_t *)"\x1d\1\2\3\4", 5}, {(const uint8_t *)"\x10\1", 2}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(validate_message(&nested, swapped[i], &limits, NULL, &error), -ERROR_REQUEST_MALFORMED);
    }
}

static void the_fingerprint_knows_fields_that_nobody_knows(void **state)
{
    (void)state;
    struct fingerprint prints[3] = {{0}};
    static const char *const values[] = {"new", "new", "newer"};
    for (size_t i = 0; i < 3; i++) {
        struct buffer bytes = {0};
        struct error error;
        wire_put_bytes(&bytes, 99, span_of_string(values[i]));
        assert_int_equal(validate(&bytes, &prints[i], &error), 0);
        buffer_free(&bytes);
    }
    assert_memory_equal(&prints[0], &prints[1], sizeof(prints[0]));
    assert_memory_not_equal(&prints[0], &prints[2], sizeof(prints[0]));
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
        cmocka_unit_test(messages_nested_without_end_are_refused),
        cmocka_unit_test(numbers_of_fixed_size_must_have_it),
        cmocka_unit_test(the_fingerprint_knows_fields_that_nobody_knows),
        cmocka_unit_test(the_fingerprint_knows_what_is_said_not_in_which_order_it_is_encoded),
        cmocka_unit_test(the_utf8_prefix_ends_before_what_is_no_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
