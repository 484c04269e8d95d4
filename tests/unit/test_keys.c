/* The keys that are the same in every layout, and the text names of records: their bytes are the data of users, so
 * every one is pinned here. */
#include "store/lmdb/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT(literal) span_of((literal), sizeof(literal) - 1) /* with the NULs inside */

static const struct span ann = {(const uint8_t *)"ann", 3};
static const struct span c1 = {(const uint8_t *)"c1", 2};

static void assert_key(struct key key, struct span wanted)
{
    assert_int_equal(key.size, wanted.size);
    assert_memory_equal(key.bytes, wanted.data, wanted.size);
}

static void every_key_has_the_bytes_the_layout_names(void **state)
{
    (void)state;
    assert_key(key_conversation(ann, c1), TEXT("ann\0c1"));
    assert_key(key_message(ann, c1, 7), TEXT("ann\0c1\0"
                                             "0000000007"));
    assert_key(key_message(ann, c1, KEY_SEQ_MAX), TEXT("ann\0c1\0"
                                                       "9999999999"));
    assert_key(key_id(ann, c1, span_of_string("m-9")), TEXT("ann\0c1\0m-9"));
    assert_key(key_position(1700000000000000, c1), TEXT("8299999999999999\0c1"));
    assert_key(key_deadline(1700000000000000, ann, c1), TEXT("1700000000000000\0ann\0c1"));
    assert_key(key_forgotten_user(ann), TEXT("ann"));
    assert_key(key_user_prefix(ann), TEXT("ann\0"));
    assert_key(key_seq_value(42), TEXT("0000000042"));
    struct key event = key_event(0x1122334455, 7);
    assert_key(event, TEXT("\0\0\0\x11\x22\x33\x44\x55\0\0\0\0\0\0\0\x07"));
    assert_key(key_event_of_user(ann, false, TEXT("x")), TEXT("ann\0\0x"));
    assert_key(key_event_of_user(ann, true, TEXT("")), TEXT("ann\0\x01"));
}

static void times_outside_sixteen_digits_count_as_the_nearest_inside(void **state)
{
    (void)state;
    assert_key(key_deadline(INT64_MAX, ann, c1), TEXT("9999999999999999\0ann\0c1"));
    assert_key(key_deadline(-5, ann, c1), TEXT("0000000000000000\0ann\0c1"));
    assert_key(key_position(INT64_MAX, c1), TEXT("0000000000000000\0c1"));
    assert_key(key_position(-5, c1), TEXT("9999999999999999\0c1"));
}

static void the_longest_ids_give_the_longest_key_and_it_fits(void **state)
{
    (void)state;
    uint8_t id[KEY_ID_MAX];
    memset(id, 'x', sizeof(id));
    struct span longest = span_of(id, sizeof(id));
    assert_int_equal(key_id(longest, longest, longest).size, KEY_BYTES_MAX);
    assert_true(key_deadline(1, longest, longest).size <= KEY_BYTES_MAX);
}

static void the_end_of_a_prefix_is_above_all_that_begin_with_it_and_below_the_next(void **state)
{
    (void)state;
    struct key end = key_end_of(key_user_prefix(ann));
    struct key highest = key_conversation(ann, span_of_string("\xf4\x8f\xbf\xbd"));
    const struct span longer[] = {span_of_string("ann "), span_of_string("anna"), span_of_string("ann\xc3\xa4")};
    assert_true(span_order(key_span(&highest), key_span(&end)) < 0);
    for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
        struct key other = key_conversation(longer[i], c1);
        assert_true(span_order(key_span(&end), key_span(&other)) < 0);
    }
}

static void numbers_in_keys_sort_as_they_count(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 9, 10, 255, 256, 65535, 65536, 999999999, 1000000000, KEY_SEQ_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct key binary = {0}, text = {0}, next_binary = {0}, next_text = {0};
        key_add_number(&binary, numbers[i]);
        key_add_digits(&text, numbers[i], KEY_SEQ_DIGITS);
        assert_int_equal(key_get_number(binary.bytes), numbers[i]);
        if (i > 0) {
            key_add_number(&next_binary, numbers[i - 1]);
            key_add_digits(&next_text, numbers[i - 1], KEY_SEQ_DIGITS);
            assert_true(span_order(key_span(&next_binary), key_span(&binary)) < 0);
            assert_true(span_order(key_span(&next_text), key_span(&text)) < 0);
        }
    }
    struct key newer = key_position(1700000000000001, span_of_string("z"));
    struct key older = key_position(1700000000000000, span_of_string("a"));
    assert_true(span_order(key_span(&newer), key_span(&older)) < 0);
}

static void keys_are_parsed_into_what_they_were_built_from(void **state)
{
    (void)state;
    struct span user, conversation;
    int64_t time;
    uint64_t seq;
    struct key key = key_conversation(ann, c1);
    assert_int_equal(key_parse_conversation(key_span(&key), &user, &conversation), 0);
    assert_true(span_equal(user, ann) && span_equal(conversation, c1));
    key = key_position(1700000000000000, c1);
    assert_int_equal(key_parse_position(key_span(&key), &time, &conversation), 0);
    assert_true(time == 1700000000000000 && span_equal(conversation, c1));
    key = key_deadline(1700000000000000, ann, c1);
    assert_int_equal(key_parse_deadline(key_span(&key), &time, &user, &conversation), 0);
    assert_true(time == 1700000000000000 && span_equal(user, ann) && span_equal(conversation, c1));
    key = key_seq_value(1234567890);
    assert_int_equal(key_parse_seq(key_span(&key), &seq), 0);
    assert_int_equal(seq, 1234567890);
    key = key_forgotten_user(ann);
    assert_int_equal(key_parse_purge(key_span(&key), &user, &conversation), 0);
    assert_true(span_equal(user, ann) && conversation.size == 0);
    key = key_conversation(ann, c1);
    assert_int_equal(key_parse_purge(key_span(&key), &user, &conversation), 0);
    assert_true(span_equal(user, ann) && span_equal(conversation, c1));
}

static void bytes_that_are_no_key_are_refused(void **state)
{
    (void)state;
    const struct span none[] = {TEXT(""),     TEXT("\0"),        TEXT("ann\0"),
                                TEXT("\0c1"), TEXT("ann\0c1\0"), TEXT("ann\0c1\0x")};
    struct span user, conversation;
    int64_t time;
    uint64_t seq;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(key_parse_conversation(none[i], &user, &conversation), -1);
        assert_int_equal(key_parse_purge(none[i], &user, &conversation), -1);
        assert_int_equal(key_parse_deadline(none[i], &time, &user, &conversation), -1);
    }
    const struct span times[] = {TEXT("170000000000000\0ann\0c1"),  TEXT("17000000000000000\0ann\0c1"),
                                 TEXT("170000000000000x\0ann\0c1"), TEXT("1700000000000000\0ann\0"),
                                 TEXT("1700000000000000\0\0c1"),    TEXT("-170000000000000\0ann\0c1")};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        assert_int_equal(key_parse_deadline(times[i], &time, &user, &conversation), -1);
    }
    const struct span seqs[] = {TEXT(""), TEXT("1"), TEXT("000000000a"), TEXT("00000000001"), TEXT(" 000000001")};
    for (size_t i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
        assert_int_equal(key_parse_seq(seqs[i], &seq), -1);
    }
}

static void an_events_key_is_sixteen_bytes_of_a_time_that_can_be(void **state)
{
    (void)state;
    int64_t time = -1;
    uint64_t counter = 0;
    struct key key = key_event(KEY_TIME_MAX, UINT64_MAX);
    assert_int_equal(key_parse_event(key_span(&key), &time, &counter), 0);
    assert_true(time == KEY_TIME_MAX && counter == UINT64_MAX);
    assert_int_equal(key_parse_event(span_of(key.bytes, key.size - 1), &time, &counter), -1);
    assert_int_equal(key_parse_event(span_of(key.bytes, key.size + 1), &time, &counter), -1);
    key.bytes[0] = 1;
    assert_int_equal(key_parse_event(key_span(&key), &time, &counter), -1);
    assert_key(key_event(-5, 1), TEXT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"));
}

static void what_is_no_position_is_refused(void **state)
{
    (void)state;
    int64_t time;
    struct span conversation;
    char long_id[KEY_TIME_DIGITS + 1 + KEY_ID_MAX + 2];
    snprintf(long_id, sizeof(long_id), "%016d", 0);
    memset(long_id + KEY_TIME_DIGITS + 1, 'x', KEY_ID_MAX + 1);
    const struct span none[] = {TEXT(""),
                                TEXT("8299999999999999"),
                                TEXT("8299999999999999\0"),
                                TEXT("829999999999999\0c1"),
                                TEXT("82999999999999999\0c1"),
                                TEXT("82999999999999/9\0c1"),
                                TEXT("8299999999999999\0c1\0"),
                                TEXT("\0"
                                     "8299999999999999\0c1"),
                                span_of(long_id, KEY_TIME_DIGITS + 1 + KEY_ID_MAX + 1)};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(key_parse_position(none[i], &time, &conversation), -1);
    }
}

static void a_key_is_described_in_one_line_that_is_cut_to_fit(void **state)
{
    (void)state;
    char text[32];
    struct key key = key_message(ann, c1, 7);
    key_describe(key_span(&key), text, sizeof(text));
    assert_string_equal(text, "ann/c1/0000000007");
    key_describe(key_span(&key), text, 6);
    assert_string_equal(text, "ann/c");
    key_describe(TEXT("a\n\x7f"), text, sizeof(text));
    assert_string_equal(text, "a??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_the_bytes_the_layout_names),
        cmocka_unit_test(times_outside_sixteen_digits_count_as_the_nearest_inside),
        cmocka_unit_test(the_longest_ids_give_the_longest_key_and_it_fits),
        cmocka_unit_test(the_end_of_a_prefix_is_above_all_that_begin_with_it_and_below_the_next),
        cmocka_unit_test(numbers_in_keys_sort_as_they_count),
        cmocka_unit_test(keys_are_parsed_into_what_they_were_built_from),
        cmocka_unit_test(bytes_that_are_no_key_are_refused),
        cmocka_unit_test(what_is_no_position_is_refused),
        cmocka_unit_test(an_events_key_is_sixteen_bytes_of_a_time_that_can_be),
        cmocka_unit_test(a_key_is_described_in_one_line_that_is_cut_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
