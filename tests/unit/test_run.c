/* Runs: what is packed comes back, a value keeps to its page, and no bytes, however damaged, are believed or read past
 * their end. */
#include "store/lmdb/run.h"

#include "base/wire.h"
#include "store/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LARGE = 60000 };

static const char *const words[] = {"the", "answer", "to",     "your",     "question", "is",     "that",
                                    "you", "can",    "call",   "function", "with",     "an",     "argument",
                                    "of",  "type",   "string", "\n",       "and",      "Tuesday"};

/* Messages whose records lie in memory of their own. */
struct messages {
    struct run_message *items;
    size_t count;
};

static uint32_t random_below(uint64_t *seed, uint32_t end)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % end);
}

/* Content of this size: words, or bytes that do not compress. */
static void content_fill(uint8_t *content, size_t size, bool text, uint64_t *seed)
{
    for (size_t i = 0; i < size;) {
        if (!text) {
            content[i++] = (uint8_t)random_below(seed, 256);
            continue;
        }
        const char *word = words[random_below(seed, sizeof(words) / sizeof(words[0]))];
        for (size_t k = 0; word[k] && i < size; k++) {
            content[i++] = (uint8_t)word[k];
        }
        if (i < size) {
            content[i++] = ' ';
        }
    }
}

static void messages_add(struct messages *messages, uint64_t seq, size_t size, bool text, uint64_t *seed)
{
    uint8_t *content = malloc(size + 1);
    assert_non_null(content);
    content_fill(content, size, text, seed);
    const struct message_record record = {
        .seq = seq,
        .create_time_us = 1700000000000000 + (int64_t)seq * 1000003,
        .revision = 1,
        .content_size = size,
        .role = span_of_string(seq % 2 ? "user" : "assistant"),
        .content = span_of(content, size),
    };
    struct buffer bytes = {0};
    record_put_message(&bytes, &record);
    assert_false(bytes.failed);
    free(content);
    messages->items = realloc(messages->items, (messages->count + 1) * sizeof(messages->items[0]));
    assert_non_null(messages->items);
    messages->items[messages->count++] = (struct run_message){.seq = seq, .record = buffer_span(&bytes)};
}

static void messages_free(struct messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        uint8_t *bytes;
        memcpy(&bytes, &messages->items[i].record.data, sizeof(bytes));
        free(bytes);
    }
    free(messages->items);
    *messages = (struct messages){0};
}

/* The value must hold exactly these messages. It is read from memory that ends with it. */
static void assert_unpacks(struct span value, const struct run_message *wanted, size_t count)
{
    static struct run_message got[RUN_MESSAGES_MAX];
    struct buffer raw = {0};
    struct run_info info;
    uint8_t *exact = malloc(value.size);
    assert_non_null(exact);
    memcpy(exact, value.data, value.size);
    buffer_append(&raw, "before", 6);
    assert_true(run_is(value));
    assert_int_equal(run_info_get(span_of(exact, value.size), &info), 0);
    assert_int_equal(info.count, count);
    assert_int_equal(info.first_seq, wanted[0].seq);
    assert_int_equal(run_unpack(&info, wanted[count - 1].seq + 1, &raw, got), -1); /* under another run's key */
    assert_int_equal(raw.size, 6);
    assert_int_equal(run_unpack(&info, wanted[count - 1].seq, &raw, got), 0);
    free(exact);
    assert_int_equal(raw.size, 6 + info.raw_size);
    assert_memory_equal(raw.data, "before", 6);
    struct buffer reply = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].seq, wanted[i].seq);
        assert_true(span_equal(got[i].record, wanted[i].record));
        wire_put_element(&reply, RUN_FIELD, wanted[i].record);
    }
    assert_true(span_equal(buffer_span(&reply), span_of(raw.data + 6, info.raw_size))); /* as a reply has them */
    buffer_free(&reply);
    buffer_free(&raw);
}

/* Packs all of them into runs that come back. Returns how many runs. */
static size_t assert_packs(const struct messages *messages)
{
    struct buffer raw = {0};
    struct buffer value = {0};
    size_t done = 0;
    size_t runs = 0;
    while (done < messages->count) {
        size_t taken = run_pack(messages->items + done, messages->count - done, &raw, &value);
        assert_in_range(taken, 1, messages->count - done);
        assert_true(taken == 1 || value.size <= RUN_VALUE_BYTES);
        assert_unpacks(buffer_span(&value), messages->items + done, taken);
        done += taken;
        runs++;
    }
    buffer_free(&raw);
    buffer_free(&value);
    return runs;
}

static void messages_of_every_count_and_size_come_back(void **state)
{
    (void)state;
    static const uint32_t most[] = {1, 20, 400, 3000, LARGE};
    for (uint64_t round = 0; round < 200; round++) {
        uint64_t seed = round;
        struct messages messages = {0};
        uint32_t size = most[round % (sizeof(most) / sizeof(most[0]))];
        uint32_t count = 1 + random_below(&seed, size > 400 ? 20 : RUN_MESSAGES_MAX + 100);
        uint64_t seq = 1 + random_below(&seed, round % 3 ? 5 : UINT32_MAX);
        for (uint32_t i = 0; i < count; i++) {
            messages_add(&messages, seq, random_below(&seed, size), random_below(&seed, 8) > 0, &seed);
            seq += 1 + (random_below(&seed, 10) ? 0 : random_below(&seed, 1000));
        }
        assert_packs(&messages);
        messages_free(&messages);
    }
}

static void chat_messages_fill_their_page(void **state)
{
    (void)state;
    struct messages messages = {0};
    struct buffer raw = {0};
    struct buffer value = {0};
    uint64_t seed = 1;
    for (uint64_t seq = 1; seq <= 200; seq++) {
        messages_add(&messages, seq, 300, true, &seed);
    }
    size_t taken = run_pack(messages.items, messages.count, &raw, &value);
    assert_true(value.size > RUN_FULL_BYTES && value.size <= RUN_VALUE_BYTES);
    assert_true(taken > 2 * RUN_VALUE_BYTES / 340); /* it compresses */
    size_t same = run_pack(messages.items, taken, &raw, &value);
    assert_int_equal(same, taken); /* what fits once fits again */
    messages_free(&messages);
    buffer_free(&raw);
    buffer_free(&value);
}

static void the_smallest_messages_fill_a_page_before_they_are_too_many(void **state)
{
    (void)state;
    struct messages messages = {0};
    struct buffer raw = {0};
    struct buffer value = {0};
    for (uint64_t seq = 1; seq <= RUN_MESSAGES_MAX + 1; seq++) {
        struct buffer record = {0};
        wire_put_uint(&record, 1, seq);
        messages.items = realloc(messages.items, (messages.count + 1) * sizeof(messages.items[0]));
        assert_non_null(messages.items);
        messages.items[messages.count++] = (struct run_message){.seq = seq, .record = buffer_span(&record)};
    }
    size_t taken = run_pack(messages.items, messages.count, &raw, &value);
    assert_in_range(taken, 500, RUN_MESSAGES_MAX);
    assert_true(value.size > RUN_FULL_BYTES);
    assert_int_equal(run_pack(messages.items, 10, &raw, &value), 10); /* and no more than are given */
    assert_packs(&messages);
    messages_free(&messages);
    buffer_free(&raw);
    buffer_free(&value);
}

/* A message of which the field of a run has exactly this size. */
static void messages_add_element(struct messages *messages, uint64_t seq, size_t element_size, uint64_t *seed)
{
    for (size_t size = element_size - 100;; size++) {
        messages_add(messages, seq, size, false, seed);
        if (wire_element_size(RUN_FIELD, messages->items[messages->count - 1].record.size) == element_size) {
            return;
        }
        struct messages last = {.items = malloc(sizeof(struct run_message)), .count = 1};
        assert_true(last.items && size < element_size);
        last.items[0] = messages->items[--messages->count];
        messages_free(&last);
    }
}

static void a_message_is_packed_up_to_the_raw_limit_and_no_further(void **state)
{
    (void)state;
    struct messages fits = {0};
    struct messages too_large = {0};
    struct buffer raw = {0};
    struct buffer value = {0};
    uint64_t seed = 3;
    messages_add_element(&fits, 7, RUN_RAW_MAX, &seed);
    assert_int_equal(assert_packs(&fits), 1); /* though it does not compress and takes many pages */
    messages_add(&fits, 8, 10, true, &seed);
    assert_int_equal(assert_packs(&fits), 2);

    messages_add_element(&too_large, 9, RUN_RAW_MAX + 1, &seed);
    assert_int_equal(run_pack(too_large.items, 1, &raw, &value), 0);
    assert_false(value.failed);
    struct run_message behind[] = {fits.items[1], too_large.items[0]};
    assert_int_equal(run_pack(behind, 2, &raw, &value), 1); /* it ends the run before it */
    assert_unpacks(buffer_span(&value), behind, 1);
    messages_free(&fits);
    messages_free(&too_large);
    buffer_free(&raw);
    buffer_free(&value);
}

static void a_record_that_does_not_hold_its_seq_spoils_no_run(void **state)
{
    (void)state;
    struct messages messages = {0};
    struct buffer raw = {0};
    struct buffer value = {0};
    uint64_t seed = 4;
    for (uint64_t seq = 1; seq <= 3; seq++) {
        messages_add(&messages, seq, 100, true, &seed);
    }
    struct run_message damaged[] = {messages.items[0], messages.items[1], messages.items[2]};
    damaged[1].seq = 0x7ff;
    damaged[2].seq = 0x800;
    assert_int_equal(run_pack(damaged, 3, &raw, &value), 1);
    assert_int_equal(run_pack(damaged + 1, 2, &raw, &value), 0);
    damaged[1] = (struct run_message){.seq = 2, .record = span_of("", 0)};
    assert_int_equal(run_pack(damaged, 3, &raw, &value), 1);
    messages_free(&messages);
    buffer_free(&raw);
    buffer_free(&value);
}

/* Whatever the bytes are: they are refused, or well-formed messages come out of them. */
static bool unpacks_soundly(struct span value)
{
    static struct run_message got[RUN_MESSAGES_MAX];
    struct buffer raw = {0};
    struct run_info info;
    bool sound = run_info_get(value, &info) == 0 && run_unpack(&info, 0, &raw, got) == 0;
    if (sound) {
        assert_in_range(info.count, 1, RUN_MESSAGES_MAX);
        assert_int_equal(got[0].seq, info.first_seq);
        for (size_t i = 0; i < info.count; i++) {
            assert_true(i == 0 || got[i].seq > got[i - 1].seq);
            assert_true(got[i].record.data > raw.data &&
                        got[i].record.data + got[i].record.size <= raw.data + raw.size);
        }
    } else {
        assert_int_equal(raw.size, 0);
    }
    buffer_free(&raw);
    return sound;
}

static void no_damaged_byte_is_read_past_the_end(void **state)
{
    (void)state;
    struct messages messages = {0};
    struct buffer raw = {0};
    struct buffer value = {0};
    uint64_t seed = 5;
    for (uint64_t seq = 1; seq <= 60; seq++) {
        messages_add(&messages, seq, 300, true, &seed);
    }
    assert_true(run_pack(messages.items, messages.count, &raw, &value) > 10);
    uint8_t *bytes = malloc(value.size);
    assert_non_null(bytes);
    size_t refused = 0;
    for (size_t i = 0; i < value.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(bytes, value.data, value.size);
            bytes[i] ^= (uint8_t)(1u << bit);
            refused += !unpacks_soundly(span_of(bytes, value.size));
        }
    }
    assert_true(refused > value.size); /* most damage shows; the rest is for the seal */
    free(bytes);
    for (size_t size = 0; size < value.size; size++) {
        bytes = malloc(size + 1);
        assert_non_null(bytes);
        memcpy(bytes, value.data, size);
        assert_false(unpacks_soundly(span_of(bytes, size)));
        free(bytes);
    }
    buffer_append(&value, "x", 1);
    assert_false(unpacks_soundly(buffer_span(&value)));
    messages_free(&messages);
    buffer_free(&raw);
    buffer_free(&value);
}

/* A run of these raw bytes, less than 15 of them, as an LZ4 block without matches. */
static struct span run_of(uint8_t *value, uint8_t count, uint8_t first_seq, const char *raw, size_t size)
{
    const uint8_t head[] = {0, 1, count, first_seq, (uint8_t)size, (uint8_t)(size << 4)};
    memcpy(value, head, sizeof(head));
    memcpy(value + sizeof(head), raw, size);
    return span_of(value, sizeof(head) + size);
}

#define RUN_OF(value, count, first_seq, raw) run_of((value), (count), (first_seq), (raw), sizeof(raw) - 1)

static void bytes_that_are_no_sound_run_are_refused(void **state)
{
    (void)state;
    uint8_t value[32];
    assert_true(unpacks_soundly(RUN_OF(value, 2, 5, "\x0a\2\x08\5\x0a\2\x08\7")));
    assert_false(unpacks_soundly(RUN_OF(value, 1, 5, "\x0a\2\x08\5\x0a\2\x08\7"))); /* one is left over */
    assert_false(unpacks_soundly(RUN_OF(value, 3, 5, "\x0a\2\x08\5\x0a\2\x08\7")));
    assert_false(unpacks_soundly(RUN_OF(value, 2, 4, "\x0a\2\x08\5\x0a\2\x08\7")));
    assert_false(unpacks_soundly(RUN_OF(value, 2, 5, "\x0a\2\x08\5\x0a\2\x08\5"))); /* seqs do not ascend */
    assert_false(unpacks_soundly(RUN_OF(value, 2, 5, "\x0a\2\x08\5\x0a\2\x08\4")));
    assert_false(unpacks_soundly(RUN_OF(value, 1, 5, "\x12\2\x08\5"))); /* another field */
    assert_false(unpacks_soundly(RUN_OF(value, 1, 5, "\x0a\2\x10\5"))); /* no seq */
    assert_false(unpacks_soundly(RUN_OF(value, 1, 5, "\x0a\0")));
    assert_false(unpacks_soundly(RUN_OF(value, 1, 5, "\x0a\3\x08\5")));
    assert_false(unpacks_soundly(RUN_OF(value, 0, 5, "")));
    assert_false(unpacks_soundly(RUN_OF(value, 1, 0, "\x0a\2\x08\0")));
    struct span sound = RUN_OF(value, 1, 5, "\x0a\2\x08\5");
    value[4]++; /* the raw size */
    assert_false(unpacks_soundly(sound));
    value[4] -= 2;
    assert_false(unpacks_soundly(sound));
    value[4]++;
    value[1] = 2; /* the form */
    assert_false(unpacks_soundly(sound));
    assert_false(unpacks_soundly(span_of("\0\1\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1x", 15))); /* a huge raw size */
    assert_false(unpacks_soundly(span_of("\0\1\x81\x08\1\1x", 7)));                                /* 1025 messages */
}

static void a_record_is_no_run(void **state)
{
    (void)state;
    struct messages messages = {0};
    uint64_t seed = 6;
    messages_add(&messages, 1, 10, true, &seed);
    assert_false(run_is(messages.items[0].record));
    assert_false(run_is(span_of(NULL, 0)));
    struct run_info info;
    assert_int_equal(run_info_get(messages.items[0].record, &info), -1);
    messages_free(&messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_every_count_and_size_come_back),
        cmocka_unit_test(chat_messages_fill_their_page),
        cmocka_unit_test(the_smallest_messages_fill_a_page_before_they_are_too_many),
        cmocka_unit_test(a_message_is_packed_up_to_the_raw_limit_and_no_further),
        cmocka_unit_test(a_record_that_does_not_hold_its_seq_spoils_no_run),
        cmocka_unit_test(no_damaged_byte_is_read_past_the_end),
        cmocka_unit_test(bytes_that_are_no_sound_run_are_refused),
        cmocka_unit_test(a_record_is_no_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
