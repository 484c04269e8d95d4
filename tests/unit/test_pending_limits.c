/* The index of the journal's entries: how much it takes, and what gives the room back. */
#include "store/lmdb/pending.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void push(struct pending *pending, uint64_t id, uint64_t user_number, uint64_t conversation_number,
                 uint32_t bytes)
{
    const struct pending_entry entry = {
        .id = id,
        .user_number = user_number,
        .conversation_number = conversation_number,
        .activity_us = (int64_t)id,
        .bytes = bytes,
    };
    assert_true(pending_has_room(pending, &entry));
    pending_push(pending, &entry);
}

static bool has_room(struct pending *pending, uint64_t user_number, uint64_t conversation_number, uint32_t bytes)
{
    struct pending_entry entry = {
        .user_number = user_number, .conversation_number = conversation_number, .bytes = bytes};
    return pending_has_room(pending, &entry);
}

static void a_conversation_has_room_for_so_many_entries(void **state)
{
    (void)state;
    struct pending *pending = pending_new(1000);
    struct pending_chain chain;
    uint64_t id = 1;
    for (; id <= PENDING_CHAIN_MAX; id++) {
        push(pending, id, 1, 1, 1);
    }
    assert_false(has_room(pending, 1, 1, 1));
    assert_true(has_room(pending, 1, 2, 1));
    pending_commit(pending, 1);
    assert_false(has_room(pending, 1, 1, 1));
    pending_chain(pending, 1, false, &chain);
    assert_int_equal(chain.count, PENDING_CHAIN_MAX);
    assert_int_equal(chain.ids[PENDING_CHAIN_MAX - 1], 1);

    pending_remove(pending, 1);
    push(pending, id++, 1, 1, 1); /* at once */
    pending_chain(pending, 1, true, &chain);
    assert_int_equal(chain.count, 1);
    pending_chain(pending, 1, false, &chain);
    assert_int_equal(chain.count, PENDING_CHAIN_MAX);
    pending_rollback(pending);
    assert_false(has_room(pending, 1, 1, 1));
    pending_free(pending);
}

static void a_conversation_has_room_for_so_many_bytes(void **state)
{
    (void)state;
    struct pending *pending = pending_new(1000);
    assert_false(has_room(pending, 1, 1, PENDING_CHAIN_BYTES + 1));
    assert_false(has_room(pending, 1, 1, UINT32_MAX));
    push(pending, 1, 1, 1, PENDING_CHAIN_BYTES);
    assert_false(has_room(pending, 1, 1, 1));
    assert_true(has_room(pending, 1, 1, 0));
    push(pending, 2, 1, 2, PENDING_CHAIN_BYTES - 10);
    assert_true(has_room(pending, 1, 2, 10));
    assert_false(has_room(pending, 1, 2, 11));
    pending_commit(pending, 1);
    pending_remove(pending, 1);
    assert_true(has_room(pending, 1, 1, PENDING_CHAIN_BYTES));
    pending_free(pending);
}

static void a_user_has_room_for_so_many_conversations(void **state)
{
    (void)state;
    struct pending *pending = pending_new(2000);
    struct pending_user user;
    uint64_t id = 1;
    for (; id <= PENDING_USER_MAX; id++) {
        push(pending, id, 1, id, 1);
    }
    assert_false(has_room(pending, 1, id, 1));
    assert_true(has_room(pending, 1, 5, 1));
    assert_true(has_room(pending, 2, id, 1));
    pending_commit(pending, 1);
    pending_remove(pending, 7);
    push(pending, id++, 1, 1000, 1); /* at once */
    assert_false(has_room(pending, 1, 1001, 1));
    pending_user(pending, 1, false, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    pending_rollback(pending);
    assert_false(has_room(pending, 1, 1001, 1));
    id--;
    for (uint64_t number = 1; number <= PENDING_USER_MAX; number++) { /* all of them for others, in one transaction */
        pending_remove(pending, number);
        push(pending, id++, 1, 1000 + number, 1);
    }
    assert_false(has_room(pending, 1, 5000, 1));
    pending_user(pending, 1, false, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    assert_int_equal(user.conversations[0].conversation_number, PENDING_USER_MAX);
    pending_user(pending, 1, true, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    assert_int_equal(user.conversations[0].conversation_number, 1000 + PENDING_USER_MAX);
    pending_commit(pending, 2);
    pending_user(pending, 1, false, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    assert_int_equal(user.conversations[PENDING_USER_MAX - 1].conversation_number, 1001);
    pending_free(pending);
}

static void the_oldest_entry_holds_the_room_of_all_behind_it_until_it_is_gone(void **state)
{
    (void)state;
    struct pending *pending = pending_new(4);
    uint64_t oldest;
    assert_int_equal(pending_span(pending, &oldest), 0);
    assert_int_equal(oldest, 0);
    for (uint64_t id = 11; id <= 14; id++) {
        push(pending, id, 1, id, 1);
    }
    pending_commit(pending, 1);
    pending_remove(pending, 12);
    pending_remove(pending, 13);
    pending_remove(pending, 14);
    pending_commit(pending, 2);
    assert_false(has_room(pending, 1, 15, 1));
    assert_int_equal(pending_span(pending, &oldest), 4);
    assert_int_equal(oldest, 11);
    pending_remove(pending, 11);
    assert_false(has_room(pending, 1, 15, 1)); /* not before the commit */
    pending_commit(pending, 3);
    assert_int_equal(pending_span(pending, &oldest), 0);
    assert_int_equal(oldest, 15);
    push(pending, 15, 1, 15, 1);
    pending_commit(pending, 4);
    assert_int_equal(pending_span(pending, &oldest), 1);
    pending_free(pending);
}

static void numbers_can_be_skipped_but_not_without_end(void **state)
{
    (void)state;
    struct pending *pending = pending_new(8);
    uint64_t oldest;
    assert_int_equal(pending_next_id(pending), 1);
    assert_int_equal(pending_skip(pending, UINT64_C(1) << 40), 0);
    uint64_t first = pending_next_id(pending);
    assert_int_equal(first, (UINT64_C(1) << 40) + 1);
    push(pending, first, 1, 1, 1);
    assert_int_equal(pending_skip(pending, first + 1), 0);
    assert_int_equal(pending_skip(pending, first + 1000), -1);
    assert_int_equal(pending_next_id(pending), first + 2);
    push(pending, first + 2, 1, 1, 1);
    pending_commit(pending, 1);
    struct pending_chain chain;
    pending_chain(pending, 1, false, &chain);
    assert_int_equal(chain.count, 2);
    assert_int_equal(chain.ids[1], first);
    pending_remove(pending, 1);
    assert_int_equal(pending_skip(pending, first + 3), 0);
    pending_commit(pending, 2);
    assert_int_equal(pending_span(pending, &oldest), 0);
    assert_int_equal(oldest, first + 4);
    pending_free(pending);
}

static void a_tag_is_never_none_and_tells_ids_apart(void **state)
{
    (void)state;
    assert_int_not_equal(pending_tag(NULL, 0), 0);
    assert_int_not_equal(pending_tag((const uint8_t *)"r-1", 3), pending_tag((const uint8_t *)"r-2", 3));
    assert_int_equal(pending_tag((const uint8_t *)"r-1", 3), pending_tag((const uint8_t *)"r-12", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_has_room_for_so_many_entries),
        cmocka_unit_test(a_conversation_has_room_for_so_many_bytes),
        cmocka_unit_test(a_user_has_room_for_so_many_conversations),
        cmocka_unit_test(the_oldest_entry_holds_the_room_of_all_behind_it_until_it_is_gone),
        cmocka_unit_test(numbers_can_be_skipped_but_not_without_end),
        cmocka_unit_test(a_tag_is_never_none_and_tells_ids_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
