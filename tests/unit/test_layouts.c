/* The key layouts: their bytes are the data of users, so every one is pinned here; and what holds for each of them. */
#include "store/lmdb/env.h"
#include "store/lmdb/work.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LONG_ID = KEY_ID_MAX, IDS_MAX = 16 };

static const struct layout *const all_layouts[] = {&layout_1, &layout_2, &layout_3};
enum { LAYOUTS = sizeof(all_layouts) / sizeof(all_layouts[0]) };

/* IDs of 1 and 128 bytes, prefixes of each other, and every byte that an ID may hold. */
struct ids {
    uint8_t longest[LONG_ID];
    uint8_t almost[LONG_ID];
    uint8_t low[0x7f - 0x20];
    uint8_t high[0x100 - 0x80];
    struct span list[IDS_MAX]; /* ascending */
    size_t count;
};

static int span_compare(const void *a, const void *b)
{
    return span_order(*(const struct span *)a, *(const struct span *)b);
}

static void ids_make(struct ids *ids)
{
    memset(ids->longest, 'a', LONG_ID);
    memset(ids->almost, 'a', LONG_ID);
    ids->almost[LONG_ID - 1] = 'b';
    for (size_t i = 0; i < sizeof(ids->low); i++) {
        ids->low[i] = (uint8_t)(0x20 + i);
    }
    for (size_t i = 0; i < sizeof(ids->high); i++) {
        ids->high[i] = (uint8_t)(0x80 + i);
    }
    const struct span list[] = {
        span_of_string(" "),
        span_of_string("a"),
        span_of_string("a "),
        span_of_string("aa"),
        span_of_string("ab"),
        span_of_string("b"),
        span_of_string("~"),
        span_of_string("\xc3\xa4"),
        span_of_string("\xff"),
        span_of(ids->longest, LONG_ID),
        span_of(ids->longest, LONG_ID - 1),
        span_of(ids->almost, LONG_ID),
        span_of(ids->low, sizeof(ids->low)),
        span_of(ids->high, sizeof(ids->high)),
    };
    ids->count = sizeof(list) / sizeof(list[0]);
    memcpy(ids->list, list, sizeof(list));
    qsort(ids->list, ids->count, sizeof(ids->list[0]), span_compare);
}

/* The numbers rise with the names, as a migration gives them out. */
static struct place place_of(const struct layout *layout, const struct ids *ids, size_t user, size_t conversation)
{
    struct place place = {.layout = layout, .user = ids->list[user], .conversation = ids->list[conversation]};
    if (layout != &layout_1) {
        place.user_number = 1 + user;
        place.conversation_number = 1 + user * ids->count + conversation;
    }
    return place;
}

#define TEXT(literal) span_of((literal), sizeof(literal) - 1) /* with the NULs inside */

static void assert_key(struct key key, struct span wanted)
{
    assert_int_equal(key.size, wanted.size);
    assert_memory_equal(key.bytes, wanted.data, wanted.size);
}

static void the_keys_of_layout_1_have_the_bytes_it_names(void **state)
{
    (void)state;
    const struct layout *layout = layout_of(1);
    const struct place place = {.layout = layout, .user = TEXT("ann"), .conversation = TEXT("c1")};
    assert_key(layout->head_key(&place), TEXT("ann\0c1"));
    assert_key(layout->message_key(&place, 7), TEXT("ann\0c1\0"
                                                    "0000000007"));
    assert_key(layout->message_id_key(&place, TEXT("m-9")), TEXT("ann\0c1\0m-9"));
    assert_key(layout->request_key(&place, TEXT("r-1")), TEXT("ann\0c1\0r-1"));
    assert_key(layout->recency_key(&place, 1700000000000000), TEXT("ann\0"
                                                                   "8299999999999999\0c1"));
    assert_key(layout->conversation_prefix(&place, KIND_MESSAGE), TEXT("ann\0c1\0"));
    assert_key(layout->recency_prefix(&place), TEXT("ann\0"));
    assert_key(layout->user_prefix(&place), TEXT("ann\0"));
    assert_false(layout->sealed);
}

#define USER_7         "\0\0\0\0\0\0\0\7"
#define CONVERSATION_9 "\0\0\0\0\0\0\0\x09"

static void the_keys_of_layout_2_have_the_bytes_it_names(void **state)
{
    (void)state;
    const struct layout *layout = layout_of(2);
    const struct place place = {
        .layout = layout, .user = TEXT("ann"), .conversation = TEXT("c1"), .user_number = 7, .conversation_number = 9};
    assert_key(layout->head_key(&place), TEXT(USER_7 "\3" CONVERSATION_9 "\4"));
    assert_key(layout->message_key(&place, 258), TEXT(USER_7 "\3" CONVERSATION_9 "\3\0\0\0\0\0\0\1\2"));
    assert_key(layout->message_id_key(&place, TEXT("m-9")), TEXT(USER_7 "\3" CONVERSATION_9 "\1m-9"));
    assert_key(layout->request_key(&place, TEXT("r-1")), TEXT(USER_7 "\3" CONVERSATION_9 "\2r-1"));
    assert_key(layout->recency_key(&place, 1700000000000000), TEXT(USER_7 "\2\x00\x1d\x7c\xce\x57\xa2\xbf\xff"
                                                                          "c1"));
    assert_key(layout->conversation_prefix(&place, KIND_MESSAGE), TEXT(USER_7 "\3" CONVERSATION_9 "\3"));
    assert_key(layout->recency_prefix(&place), TEXT(USER_7 "\2"));
    assert_key(layout->user_prefix(&place), TEXT(USER_7));
    assert_true(layout->sealed);
    assert_true(layout->message_key(&place, KEY_SEQ_MAX).size <= 32);
}

static void every_layout_is_found_by_its_number_and_the_newest_is_the_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++) {
        assert_ptr_equal(layout_of(all_layouts[i]->number), all_layouts[i]);
    }
    assert_ptr_equal(layout_newest(), all_layouts[LAYOUTS - 1]);
    assert_null(layout_of(0));
    assert_null(layout_of(LAYOUTS + 1));
}

static void keys_are_parsed_into_what_they_were_built_from(void **state)
{
    (void)state;
    static const uint64_t seqs[] = {1, 9, 10, 255, 256, 65536, KEY_SEQ_MAX};
    static const int64_t times[] = {0, 1, 1700000000000000, KEY_TIME_MAX};
    struct ids ids;
    ids_make(&ids);
    for (size_t i = 0; i < LAYOUTS * ids.count; i++) {
        const struct layout *layout = all_layouts[i % LAYOUTS];
        struct place place = place_of(layout, &ids, i / LAYOUTS, ids.count - 1 - i / LAYOUTS);
        struct key prefix = layout->conversation_prefix(&place, KIND_MESSAGE);
        struct key user = layout->recency_prefix(&place);
        for (size_t k = 0; k < sizeof(seqs) / sizeof(seqs[0]); k++) {
            uint64_t seq = 0;
            struct key key = layout->message_key(&place, seqs[k]);
            assert_int_equal(layout->parse_message(key_span(&key), key_span(&prefix), &seq), 0);
            assert_int_equal(seq, seqs[k]);
            key.size--;
            assert_int_equal(layout->parse_message(key_span(&key), key_span(&prefix), &seq), -1);
        }
        for (size_t k = 0; k < sizeof(times) / sizeof(times[0]); k++) {
            int64_t time = -1;
            struct span conversation = {0};
            struct key key = layout->recency_key(&place, times[k]);
            assert_int_equal(layout->parse_recency(key_span(&key), key_span(&user), &time, &conversation), 0);
            assert_true(time == times[k] && span_equal(conversation, place.conversation));
        }
    }
}

/* Users and conversations ascending, and of each three messages. */
static void keys_sort_by_user_conversation_and_seq(void **state)
{
    (void)state;
    static const uint64_t seqs[] = {1, 300, KEY_SEQ_MAX};
    struct ids ids;
    ids_make(&ids);
    for (size_t i = 0; i < LAYOUTS; i++) {
        struct key last = {0};
        for (size_t at = 0; at < ids.count * ids.count * 3; at++) {
            struct place place = place_of(all_layouts[i], &ids, at / 3 / ids.count, at / 3 % ids.count);
            struct key key = place.layout->message_key(&place, seqs[at % 3]);
            assert_true(span_order(key_span(&last), key_span(&key)) < 0);
            last = key;
        }
    }
}

static void recent_conversations_sort_before_older_ones_and_equally_recent_by_name(void **state)
{
    (void)state;
    struct ids ids;
    ids_make(&ids);
    for (size_t i = 0; i < LAYOUTS; i++) {
        struct key last = {0};
        for (size_t at = 0; at < 3 * ids.count; at++) {
            struct place place = place_of(all_layouts[i], &ids, 3, at % ids.count);
            struct key key = place.layout->recency_key(&place, 1700000000000000 - (int64_t)(at / ids.count));
            assert_true(span_order(key_span(&last), key_span(&key)) < 0);
            last = key;
        }
    }
}

/* A conversation's records of every kind, those with IDs by the longest and the shortest. */
static size_t keys_of(const struct place *place, const struct ids *ids, struct key keys[8])
{
    const struct layout *layout = place->layout;
    size_t count = 0;
    keys[count++] = layout->head_key(place);
    keys[count++] = layout->message_key(place, 1);
    keys[count++] = layout->message_key(place, KEY_SEQ_MAX);
    keys[count++] = layout->message_id_key(place, ids->list[0]);
    keys[count++] = layout->message_id_key(place, span_of(ids->longest, LONG_ID));
    keys[count++] = layout->request_key(place, ids->list[0]);
    keys[count++] = layout->request_key(place, span_of(ids->longest, LONG_ID));
    keys[count++] = layout->recency_key(place, 1700000000000000);
    return count;
}

static const enum kind kinds_of_keys[8] = {KIND_HEAD,       KIND_MESSAGE, KIND_MESSAGE, KIND_MESSAGE_ID,
                                           KIND_MESSAGE_ID, KIND_REQUEST, KIND_REQUEST, KIND_RECENCY};

static void assert_prefixes_hold_apart(const struct place *own, const struct place *other, const struct ids *ids)
{
    static const enum kind kinds[] = {KIND_MESSAGE, KIND_MESSAGE_ID, KIND_REQUEST};
    struct key own_keys[8], other_keys[8];
    size_t count = keys_of(own, ids, own_keys);
    keys_of(other, ids, other_keys);
    bool same = span_equal(own->user, other->user) && span_equal(own->conversation, other->conversation);
    const enum table *tables = own->layout->tables;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct key prefix = own->layout->conversation_prefix(own, kinds[k]);
        for (size_t i = 0; i < count; i++) {
            bool begins = tables[kinds_of_keys[i]] == tables[kinds[k]] &&
                          span_starts_with(key_span(&other_keys[i]), key_span(&prefix));
            assert_int_equal(begins, same && kinds_of_keys[i] == kinds[k]);
        }
    }
    struct key user = own->layout->user_prefix(own);
    struct key recency = own->layout->recency_prefix(own);
    for (size_t i = 0; i < count; i++) {
        bool of_user = span_equal(own->user, other->user);
        assert_int_equal(span_starts_with(key_span(&other_keys[i]), key_span(&user)), of_user);
        bool listed = tables[kinds_of_keys[i]] == tables[KIND_RECENCY] &&
                      span_starts_with(key_span(&other_keys[i]), key_span(&recency));
        assert_int_equal(listed, of_user && kinds_of_keys[i] == KIND_RECENCY);
    }
}

static void no_prefix_of_one_conversation_or_user_is_one_of_another(void **state)
{
    (void)state;
    struct ids ids;
    ids_make(&ids);
    for (size_t i = 0; i < LAYOUTS * ids.count; i++) {
        struct place own = place_of(all_layouts[i % LAYOUTS], &ids, i / LAYOUTS, (i / LAYOUTS * 5 + 2) % ids.count);
        for (size_t at = 0; at < ids.count * ids.count; at++) {
            struct place other = place_of(own.layout, &ids, at / ids.count, at % ids.count);
            assert_prefixes_hold_apart(&own, &other, &ids);
        }
    }
}

static void a_flipped_bit_in_key_or_value_does_not_pass_the_seal(void **state)
{
    (void)state;
    const struct place place = {.layout = &layout_2,
                                .user = TEXT("ann"),
                                .conversation = TEXT("c1"),
                                .user_number = 7,
                                .conversation_number = 9};
    struct key key = layout_2.message_key(&place, 258);
    struct buffer value = {0};
    buffer_append(&value, "the bytes of a record", 21);
    layout_seal(&layout_2, key_span(&key), &value);
    assert_int_equal(value.size, 21 + LAYOUT_SEAL_BYTES);
    struct span opened = buffer_span(&value);
    assert_int_equal(layout_open(&layout_2, key_span(&key), &opened), 0);
    assert_true(span_equal(opened, TEXT("the bytes of a record")));
    for (size_t bit = 0; bit < 8 * value.size; bit++) {
        value.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        opened = buffer_span(&value);
        assert_int_equal(layout_open(&layout_2, key_span(&key), &opened), -1);
        assert_int_equal(opened.size, value.size);
        value.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * key.size; bit++) {
        struct key other = key;
        other.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        opened = buffer_span(&value);
        assert_int_equal(layout_open(&layout_2, key_span(&other), &opened), -1);
    }
    for (size_t size = 0; size < value.size; size++) {
        opened = span_of(value.data, size);
        assert_int_equal(layout_open(&layout_2, key_span(&key), &opened), -1);
    }
    buffer_free(&value);
}

/* A data file of one layout, open for one transaction. */
struct fixture {
    char *directory;
    struct env *env;
    struct work work;
    struct buffer scratch;
    struct ids ids;
};

static void fixture_open(struct fixture *fixture, uint32_t layout)
{
    struct error error = {0};
    *fixture = (struct fixture){.directory = directory_new()};
    ids_make(&fixture->ids);
    const struct env_config config = {
        .data_dir = fixture->directory, .map_bytes = 1 << 28, .now_us = 1, .create_layout = layout};
    assert_int_equal(env_open(&config, &fixture->env, &error), 0);
    fixture->work = (struct work){.txn = env_begin(fixture->env), .now_us = 1, .scratch = &fixture->scratch};
    work_load(&fixture->work);
    assert_int_equal(fixture->work.txn.rc, 0);
}

static void fixture_close(struct fixture *fixture)
{
    assert_int_equal(fixture->work.txn.rc, 0);
    env_abort(&fixture->work.txn);
    env_close(fixture->env);
    buffer_free(&fixture->scratch);
    directory_remove(fixture->directory);
}

/* Creates the conversation and, so that layout 1 has it too, its head. */
static void conversation_create(struct fixture *fixture, size_t user, size_t conversation)
{
    struct work *work = &fixture->work;
    struct conversation_place place;
    assert_int_equal(
        place_find(&work->txn, &work->layouts, fixture->ids.list[user], fixture->ids.list[conversation], &place),
        GET_MISSING);
    place_create(work, &place);
    buffer_clear(work->scratch);
    buffer_append(work->scratch, "head", 4);
    place_put_head(work, &place);
    assert_int_equal(place_find(&work->txn, &work->layouts, place.head.user, place.head.conversation, &place),
                     GET_FOUND);
}

static void conversation_remove(struct fixture *fixture, struct span user, struct span conversation)
{
    struct work *work = &fixture->work;
    struct conversation_place place;
    assert_int_equal(place_find(&work->txn, &work->layouts, user, conversation, &place), GET_FOUND);
    assert_true(place_delete_head(work, &place));
    place_remove(work, &place);
    assert_int_equal(place_find(&work->txn, &work->layouts, user, conversation, &place), GET_MISSING);
}

/* Walks over all conversations, which must be these, in order. */
static void assert_walk(struct fixture *fixture)
{
    const struct ids *ids = &fixture->ids;
    const struct layout *layout = fixture->work.layouts.home;
    struct buffer memory[2] = {{0}};
    struct place place = {.layout = layout};
    struct place next;
    size_t at = 0;
    for (; layout->next_conversation(&fixture->work.txn, &place, &next, &memory[at % 2]); at++) {
        assert_true(at < ids->count * ids->count);
        assert_int_equal(next.damaged.size, 0);
        assert_true(span_equal(next.user, ids->list[at / ids->count]));
        assert_true(span_equal(next.conversation, ids->list[at % ids->count]));
        struct place found = {.layout = layout, .user = next.user, .conversation = next.conversation};
        assert_int_equal(layout->find(&fixture->work.txn, &found), GET_FOUND);
        assert_int_equal(found.user_number, next.user_number);
        assert_int_equal(found.conversation_number, next.conversation_number);
        place = next;
    }
    assert_int_equal(at, ids->count * ids->count);
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
}

static void assert_users(struct fixture *fixture)
{
    const struct layout *layout = fixture->work.layouts.home;
    struct key user = {0};
    size_t count = 0;
    while (layout->next_user(&fixture->work.txn, key_span(&user), &user)) {
        assert_true(count < fixture->ids.count);
        assert_true(span_equal(key_span(&user), fixture->ids.list[count++]));
    }
    assert_int_equal(count, fixture->ids.count);
}

static void conversations_are_found_walked_in_order_and_removed(uint32_t layout)
{
    struct fixture fixture;
    fixture_open(&fixture, layout);
    size_t count = fixture.ids.count;
    for (size_t i = 0; i < count * count; i++) {
        size_t at = (i * 37 + 11) % (count * count); /* in no order */
        conversation_create(&fixture, at / count, at % count);
    }
    assert_int_equal(fixture.work.stats.users, count);
    assert_walk(&fixture);
    assert_users(&fixture);
    for (size_t i = 0; i < count * count; i++) {
        conversation_remove(&fixture, fixture.ids.list[i % count], fixture.ids.list[i / count]);
    }
    assert_int_equal(fixture.work.stats.users, 0);
    struct key user;
    struct place place = {.layout = fixture.work.layouts.home};
    struct buffer memory = {0};
    assert_false(place.layout->next_user(&fixture.work.txn, span_of(NULL, 0), &user));
    assert_false(place.layout->next_conversation(&fixture.work.txn, &(struct place){0}, &place, &memory));
    buffer_free(&memory);
    fixture_close(&fixture);
}

static void layout_1_finds_walks_in_order_and_removes_conversations(void **state)
{
    (void)state;
    conversations_are_found_walked_in_order_and_removed(1);
}

static void layout_2_finds_walks_in_order_and_removes_conversations(void **state)
{
    (void)state;
    conversations_are_found_walked_in_order_and_removed(2);
}

static void a_number_is_never_given_out_twice(void **state)
{
    (void)state;
    struct fixture fixture;
    struct place place[2];
    fixture_open(&fixture, 2);
    for (int i = 0; i < 2; i++) {
        conversation_create(&fixture, 0, 0);
        place[i] =
            (struct place){.layout = &layout_2, .user = fixture.ids.list[0], .conversation = fixture.ids.list[0]};
        assert_int_equal(layout_2.find(&fixture.work.txn, &place[i]), GET_FOUND);
        conversation_remove(&fixture, fixture.ids.list[0], fixture.ids.list[0]);
        work_save(&fixture.work);
        work_load(&fixture.work);
    }
    assert_true(place[1].user_number > place[0].user_number);
    assert_true(place[1].conversation_number > place[0].conversation_number);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keys_of_layout_1_have_the_bytes_it_names),
        cmocka_unit_test(the_keys_of_layout_2_have_the_bytes_it_names),
        cmocka_unit_test(every_layout_is_found_by_its_number_and_the_newest_is_the_last),
        cmocka_unit_test(keys_are_parsed_into_what_they_were_built_from),
        cmocka_unit_test(keys_sort_by_user_conversation_and_seq),
        cmocka_unit_test(recent_conversations_sort_before_older_ones_and_equally_recent_by_name),
        cmocka_unit_test(no_prefix_of_one_conversation_or_user_is_one_of_another),
        cmocka_unit_test(a_flipped_bit_in_key_or_value_does_not_pass_the_seal),
        cmocka_unit_test(layout_1_finds_walks_in_order_and_removes_conversations),
        cmocka_unit_test(layout_2_finds_walks_in_order_and_removes_conversations),
        cmocka_unit_test(a_number_is_never_given_out_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
