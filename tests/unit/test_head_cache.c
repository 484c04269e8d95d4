/* What the writer knows of conversations: it is of nobody else, it can be forgotten, and it has a bound. */
#include "store/lmdb/head_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MANY = 300000, NAME_BYTES = 32 };

static struct span text(const char *string)
{
    return span_of_string(string);
}

static void remember(struct head_cache *cache, const char *user, const char *conversation, uint64_t number)
{
    struct cached_head *head = head_cache_put(cache, text(user), text(conversation));
    assert_non_null(head);
    assert_int_equal(head->conversation_number, 0);
    assert_false(head->requests_known);
    head->conversation_number = number;
}

static uint64_t recall(struct head_cache *cache, const char *user, const char *conversation)
{
    const struct cached_head *head = head_cache_find(cache, text(user), text(conversation));
    return head ? head->conversation_number : 0;
}

static int setup(void **state)
{
    *state = head_cache_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    *state = head_cache_free(*state);
    return 0;
}

static void what_is_known_is_of_that_user_and_that_conversation_alone(void **state)
{
    struct head_cache *cache = *state;
    remember(cache, "alice", "thread", 7);
    assert_int_equal(recall(cache, "alice", "thread"), 7);
    assert_int_equal(recall(cache, "bob", "thread"), 0);
    assert_int_equal(recall(cache, "alice", "threa"), 0);
    assert_int_equal(recall(cache, "alicet", "hread"), 0); /* the same bytes in a row */
    remember(cache, "alicet", "hread", 8);
    assert_int_equal(recall(cache, "alice", "thread"), 7);
    assert_int_equal(recall(cache, "alicet", "hread"), 8);
}

static void what_is_dropped_or_put_again_is_not_known_any_more(void **state)
{
    struct head_cache *cache = *state;
    remember(cache, "alice", "thread", 7);
    remember(cache, "alice", "other", 8);
    head_cache_drop(cache, text("alice"), text("thread"));
    head_cache_drop(cache, text("alice"), text("nothing"));
    assert_int_equal(recall(cache, "alice", "thread"), 0);
    assert_int_equal(recall(cache, "alice", "other"), 8);
    remember(cache, "alice", "other", 9); /* begins anew */
    assert_int_equal(recall(cache, "alice", "other"), 9);
    head_cache_clear(cache);
    assert_int_equal(recall(cache, "alice", "other"), 0);
}

static void what_is_fetched_before_it_is_looked_for_is_what_is_found(void **state)
{
    struct head_cache *cache = *state;
    head_cache_prefetch_place(cache, text("alice"), text("thread"));
    assert_null(head_cache_prefetch(cache, text("alice"), text("thread")));
    remember(cache, "alice", "thread", 7);
    remember(cache, "bob", "thread", 8);
    head_cache_prefetch_place(cache, text("alice"), text("thread"));
    assert_ptr_equal(head_cache_prefetch(cache, text("alice"), text("thread")),
                     head_cache_find(cache, text("alice"), text("thread")));
    head_cache_clear(cache);
    assert_null(head_cache_prefetch(cache, text("alice"), text("thread")));
}

static void names_that_are_too_long_are_not_kept(void **state)
{
    static const char longest[HEAD_CACHE_NAMES_BYTES + 1] = {0};
    struct head_cache *cache = *state;
    struct span user = span_of(longest, HEAD_CACHE_NAMES_BYTES - 1);
    assert_non_null(head_cache_put(cache, user, span_of(longest, 1)));
    assert_non_null(head_cache_find(cache, user, span_of(longest, 1)));
    assert_null(head_cache_put(cache, user, span_of(longest, 2)));
    assert_null(head_cache_find(cache, user, span_of(longest, 2)));
}

static void more_than_there_is_room_for_push_out_others_and_are_never_taken_for_them(void **state)
{
    struct head_cache *cache = *state;
    char name[NAME_BYTES];
    size_t known = 0;
    remember(cache, "alice", "often", MANY + 1);
    for (uint64_t i = 1; i <= MANY; i++) {
        snprintf(name, sizeof(name), "thread-%llu", (unsigned long long)i);
        remember(cache, "alice", name, i);
        assert_int_equal(recall(cache, "alice", "often"), MANY + 1); /* asked for again and again: stays */
    }
    for (uint64_t i = 1; i <= MANY; i++) {
        snprintf(name, sizeof(name), "thread-%llu", (unsigned long long)i);
        uint64_t number = recall(cache, "alice", name);
        assert_true(number == 0 || number == i);
        known += number == i;
    }
    assert_true(known > 100000 && known <= 131072);
}

static void a_filter_has_every_request_that_was_added_and_few_others(void **state)
{
    struct cached_head head = {0};
    size_t wrong = 0;
    (void)state;
    for (uint32_t tag = 1; tag <= 50; tag++) {
        head_cache_add_request(&head, tag * 2654435761U);
    }
    for (uint32_t tag = 1; tag <= 50; tag++) {
        assert_true(head_cache_may_have_request(&head, tag * 2654435761U));
    }
    for (uint32_t tag = 51; tag <= 10050; tag++) {
        wrong += head_cache_may_have_request(&head, tag * 2654435761U);
    }
    assert_true(wrong < 1000);
    head_cache_fill_requests(&head);
    for (uint32_t tag = 1; tag <= 1000; tag++) {
        assert_true(head_cache_may_have_request(&head, tag));
    }
}

static void a_cache_that_is_not_there_knows_nothing(void **state)
{
    (void)state;
    assert_null(head_cache_put(NULL, text("alice"), text("thread")));
    assert_null(head_cache_find(NULL, text("alice"), text("thread")));
    head_cache_prefetch_place(NULL, text("alice"), text("thread"));
    assert_null(head_cache_prefetch(NULL, text("alice"), text("thread")));
    head_cache_drop(NULL, text("alice"), text("thread"));
    head_cache_clear(NULL);
}

#define cache_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cache_test(what_is_known_is_of_that_user_and_that_conversation_alone),
        cache_test(what_is_dropped_or_put_again_is_not_known_any_more),
        cache_test(what_is_fetched_before_it_is_looked_for_is_what_is_found),
        cache_test(names_that_are_too_long_are_not_kept),
        cache_test(more_than_there_is_room_for_push_out_others_and_are_never_taken_for_them),
        cmocka_unit_test(a_filter_has_every_request_that_was_added_and_few_others),
        cmocka_unit_test(a_cache_that_is_not_there_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
