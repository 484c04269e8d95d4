/* What is packed ahead of folding: the same runs that the writer would pack itself, given for that input alone, and
 * always of what the sweep comes to next. */
#include "store/lmdb/packed_runs.h"

#include "base/wire.h"
#include "store/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MESSAGES_MAX = 600, TEXT_BYTES = 300, ENTRIES_MAX = 1000, USER = 7, CONVERSATION = 9 };

/* Messages from seq `first` on, of about so many bytes each, half of which do not compress. */
struct messages {
    struct buffer bytes;
    struct run_message items[MESSAGES_MAX];
    size_t count;
};

static uint8_t byte_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint8_t)(*seed >> 56);
}

static void messages_make(struct messages *ret, uint64_t first, size_t count, size_t size)
{
    uint64_t seed = first;
    size_t ends[MESSAGES_MAX];
    uint8_t *content = malloc(size + 1);
    assert_non_null(content);
    *ret = (struct messages){.count = count};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < size; k++) {
            content[k] = k % 2 ? byte_random(&seed) : 'x';
        }
        const struct message_record record = {
            .seq = first + i, .revision = 1, .content_size = size, .content = span_of(content, size)};
        record_put_message(&ret->bytes, &record);
        ends[i] = ret->bytes.size;
    }
    assert_false(ret->bytes.failed);
    for (size_t i = 0, begin = 0; i < count; begin = ends[i++]) {
        ret->items[i] = (struct run_message){first + i, span_of(ret->bytes.data + begin, ends[i] - begin)};
    }
    free(content);
}

static struct packed_input input_of(struct span tail, const struct messages *messages)
{
    return (struct packed_input){.tail = tail, .messages = messages->items, .count = messages->count};
}

/* A table that has one conversation, and what packed_make made of the input for it. */
static struct packed_runs *table_make(const struct packed_input *input)
{
    struct packed_runs *runs = packed_runs_new();
    struct pending *pending = pending_new(ENTRIES_MAX);
    struct packed packed = {.count = 0};
    struct buffer memory = {0};
    struct pending_place place;
    const struct pending_entry entry = {.id = 1, .user_number = USER, .conversation_number = CONVERSATION};
    assert_true(runs && pending);
    pending_push(pending, &entry);
    pending_commit(pending, 1);
    pending_begin_sweep(pending);
    packed_runs_look(runs, pending);
    assert_true(packed_runs_await(runs, &place));
    assert_int_equal(place.user_number, USER);
    assert_int_equal(place.conversation_number, CONVERSATION);
    packed_make(&packed, input, input->messages, input->count, &memory);
    packed_runs_put(runs, place, &packed);
    packed_runs_settle(runs);
    packed_free(&packed);
    buffer_free(&memory);
    pending_free(pending);
    return runs;
}

static void the_runs_are_those_the_writer_would_pack(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 100; count++) {
        struct messages messages;
        struct buffer memory = {0}, value = {0};
        messages_make(&messages, 1000, count, TEXT_BYTES);
        const struct packed_input input = input_of(span_of(NULL, 0), &messages);
        struct packed_runs *runs = table_make(&input);
        const struct packed *found = packed_runs_find(runs, CONVERSATION, &input);
        assert_non_null(found);
        size_t done = 0;
        for (size_t i = 0; done < count; i++) {
            size_t taken = run_pack(messages.items + done, count - done, &memory, &value);
            assert_in_range(taken, 1, count - done);
            assert_in_range(i, 0, found->count - 1);
            assert_int_equal(found->runs[i].last_seq, messages.items[done + taken - 1].seq);
            assert_true(span_equal(found->runs[i].value, buffer_span(&value)));
            done += taken;
        }
        packed_runs_free(runs);
        buffer_free(&memory);
        buffer_free(&value);
        buffer_free(&messages.bytes);
    }
}

static void every_other_input_is_left_to_the_writer(void **state)
{
    (void)state;
    static struct messages messages, more;
    struct span tail = span_of_string("a run"), other = span_of_string("a rum");
    messages_make(&messages, 1, 5, TEXT_BYTES);
    messages_make(&more, 1, 6, TEXT_BYTES);
    struct packed_input input = input_of(tail, &messages);
    struct packed_runs *runs = table_make(&input);
    assert_non_null(packed_runs_find(runs, CONVERSATION, &input));
    assert_null(packed_runs_find(runs, CONVERSATION + 1, &input));
    input = input_of(other, &messages);
    assert_null(packed_runs_find(runs, CONVERSATION, &input));
    input = input_of(span_of(NULL, 0), &messages);
    assert_null(packed_runs_find(runs, CONVERSATION, &input));
    input = input_of(tail, &more); /* one was appended meanwhile */
    assert_null(packed_runs_find(runs, CONVERSATION, &input));
    input = (struct packed_input){.tail = tail, .messages = messages.items, .count = 4};
    assert_null(packed_runs_find(runs, CONVERSATION, &input));
    input = (struct packed_input){.tail = tail, .messages = messages.items + 1, .count = 4};
    assert_null(packed_runs_find(runs, CONVERSATION, &input));
    input = input_of(tail, &messages);
    for (size_t at = 0; at < messages.bytes.size; at++) {
        messages.bytes.data[at] ^= 1;
        assert_null(packed_runs_find(runs, CONVERSATION, &input));
        messages.bytes.data[at] ^= 1;
    }
    messages.items[0].record.size--; /* the same bytes, cut in another place */
    messages.items[1].record = span_of(messages.items[1].record.data - 1, messages.items[1].record.size + 1);
    assert_null(packed_runs_find(runs, CONVERSATION, &input));
    messages.items[0].record.size++;
    messages.items[1].record = span_of(messages.items[1].record.data + 1, messages.items[1].record.size - 1);
    assert_non_null(packed_runs_find(runs, CONVERSATION, &input));
    packed_runs_free(runs);
    buffer_free(&messages.bytes);
    buffer_free(&more.bytes);
}

static void what_is_too_much_is_left_to_the_writer(void **state)
{
    (void)state;
    static const struct {
        size_t count, size;
        bool packs;
    } cases[] = {
        {1, PACKED_RAW_MAX - 100, true},
        {1, PACKED_RAW_MAX, false},
        {MESSAGES_MAX, PACKED_RAW_MAX / MESSAGES_MAX, false},
        {PACKED_RUNS_MAX, 2000, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct messages messages;
        messages_make(&messages, 1, cases[i].count, cases[i].size);
        const struct packed_input input = input_of(span_of(NULL, 0), &messages);
        struct packed_runs *runs = table_make(&input);
        assert_int_equal(packed_runs_find(runs, CONVERSATION, &input) != NULL, cases[i].packs);
        packed_runs_free(runs);
        buffer_free(&messages.bytes);
    }
}

static void a_message_that_no_run_holds_is_left_to_the_writer(void **state)
{
    (void)state;
    static struct messages messages;
    struct packed packed = {.count = 0};
    struct buffer memory = {0};
    messages_make(&messages, 1, 5, TEXT_BYTES);
    messages.items[3].record.size = 0; /* as a damaged one is read */
    const struct packed_input input = input_of(span_of(NULL, 0), &messages);
    packed_make(&packed, &input, input.messages, input.count, &memory);
    assert_int_equal(packed.count, 0);
    packed_free(&packed);
    buffer_free(&memory);
    buffer_free(&messages.bytes);
}

static void what_comes_next_is_packed_in_the_order_of_the_sweep(void **state)
{
    (void)state;
    enum { ALL = 3 * PACKED_CONVERSATIONS, FOLDED = 20 };
    struct packed_runs *runs = packed_runs_new();
    struct pending *pending = pending_new(ENTRIES_MAX);
    struct pending_place places[PENDING_SWEEP_MAX];
    for (uint64_t i = 0; i < ALL; i++) { /* the last is pushed first */
        const struct pending_entry entry = {.id = i + 1, .user_number = USER, .conversation_number = 2 * (ALL - i)};
        pending_push(pending, &entry);
    }
    pending_commit(pending, 1);
    pending_begin_sweep(pending);
    packed_runs_look(runs, pending);
    struct pending_place place;
    for (size_t i = 0; i < PACKED_CONVERSATIONS; i++) {
        struct packed none = {.count = 0};
        assert_true(packed_runs_await(runs, &place));
        assert_int_equal(place.conversation_number, 2 * (i + 1));
        packed_runs_put(runs, place, &none);
    }
    packed_runs_settle(runs); /* no more are kept */
    assert_int_equal(pending_sweep(pending, FOLDED, places), FOLDED);
    packed_runs_look(runs, pending);
    uint64_t last = place.conversation_number;
    assert_true(packed_runs_await(runs, &place)); /* the first of those that follow, and none twice */
    assert_int_equal(place.conversation_number, last + 2);
    /* One more waits now, before all others: it comes first, and they are to be packed again. */
    const struct pending_entry entry = {.id = ALL + 1, .user_number = USER, .conversation_number = 2 * FOLDED + 1};
    pending_push(pending, &entry);
    packed_runs_look(runs, pending);
    assert_true(packed_runs_await(runs, &place));
    assert_int_equal(place.conversation_number, 2 * FOLDED + 1);
    packed_runs_end(runs);
    assert_false(packed_runs_await(runs, &place));
    packed_runs_free(runs);
    pending_free(pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_runs_are_those_the_writer_would_pack),
        cmocka_unit_test(every_other_input_is_left_to_the_writer),
        cmocka_unit_test(what_is_too_much_is_left_to_the_writer),
        cmocka_unit_test(a_message_that_no_run_holds_is_left_to_the_writer),
        cmocka_unit_test(what_comes_next_is_packed_in_the_order_of_the_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
