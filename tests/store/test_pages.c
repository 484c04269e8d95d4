/* Pages of messages: which ones a page holds, compared with a plain list of the sequence numbers there are. Must not
 * know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 33, ALL = 1000 };

/* The sequence numbers a conversation holds, ascending. */
struct list {
    uint64_t seqs[MOST];
    size_t count;
};

/* What is deleted of `size` messages, by the pattern's name. */
static bool gap_none(uint64_t seq, uint64_t size)
{
    (void)seq, (void)size;
    return false;
}

static bool gap_third(uint64_t seq, uint64_t size)
{
    (void)size;
    return seq % 3 == 0;
}

static bool gap_head(uint64_t seq, uint64_t size)
{
    return seq <= size / 2;
}

static bool gap_tail(uint64_t seq, uint64_t size)
{
    return seq > size / 2;
}

static bool gap_all(uint64_t seq, uint64_t size)
{
    (void)seq, (void)size;
    return true;
}

static bool (*const gaps[])(uint64_t, uint64_t) = {gap_none, gap_third, gap_head, gap_tail, gap_all};

static struct list list_make(struct client *client, const char *conversation, size_t size,
                             bool (*gap)(uint64_t, uint64_t))
{
    struct list list = {0};
    assert_ok(client_run(client, op_create("alice", conversation)));
    client_fill(client, "alice", conversation, size);
    for (uint64_t seq = 1; seq <= size; seq++) {
        if (gap(seq, size)) {
            assert_ok(client_run(client, op_delete_message("alice", conversation, seq)));
        } else {
            list.seqs[list.count++] = seq;
        }
    }
    return list;
}

static size_t list_count_below(const struct list *list, uint64_t seq)
{
    size_t count = 0;
    while (count < list->count && list->seqs[count] < seq) {
        count++;
    }
    return count;
}

static size_t list_count_above(const struct list *list, uint64_t seq)
{
    size_t count = 0;
    while (count < list->count && list->seqs[list->count - 1 - count] > seq) {
        count++;
    }
    return count;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The page is list[first .. first + count), and says rightly what lies around it. */
static void assert_run(const struct list *list, const struct answer *page, size_t first, size_t count)
{
    assert_ok(page);
    answer_expect_seqs(page, count, list->seqs + first, __FILE__, __LINE__);
    if (count > 0) {
        assert_int_equal(page->result.has_more_before, first > 0);
        assert_int_equal(page->result.has_more_after, first + count < list->count);
    } else {
        uint64_t anchor = page->op.messages.seq;
        bool latest = page->op.messages.anchor == STORE_LATEST;
        assert_int_equal(page->result.has_more_before, !latest && list_count_below(list, anchor) > 0);
        assert_int_equal(page->result.has_more_after, !latest && list_count_above(list, anchor) > 0);
    }
}

/* Around: the run is as long as it can be, holds the anchor or lies at it, and has half on each side where there is
 * enough on both. */
static void assert_around(const struct list *list, const struct answer *page, uint64_t seq, size_t limit)
{
    assert_ok(page);
    size_t count = smaller(limit, list->count);
    assert_int_equal(page->count, count);
    if (count == 0) {
        assert_false(page->result.has_more_before || page->result.has_more_after);
        return;
    }
    size_t first = list_count_below(list, page->messages[0]->seq);
    assert_run(list, page, first, count);
    size_t below = list_count_below(list, seq);
    size_t above = list_count_above(list, seq);
    size_t page_below = below - smaller(below, first);
    size_t page_above = above - smaller(above, list->count - first - count);
    assert_int_equal(page_below + page_above + (list->count - below - above), count);
    if (below >= limit && above >= limit) {
        assert_true(page_below + 1 >= limit / 2 && page_below <= limit / 2 + 1);
        assert_true(page_above + 1 >= limit / 2 && page_above <= limit / 2 + 1);
    }
}

static void pages_compare(struct client *client, const char *conversation, const struct list *list, uint64_t seq,
                          size_t limit)
{
    size_t below = list_count_below(list, seq);
    size_t above = list_count_above(list, seq);
    size_t count = smaller(limit, below);
    assert_run(list, client_run(client, op_page("alice", conversation, STORE_BEFORE, seq, limit)), below - count,
               count);
    count = smaller(limit, above);
    assert_run(list, client_run(client, op_page("alice", conversation, STORE_AFTER, seq, limit)), list->count - above,
               count);
    assert_around(list, client_run(client, op_page("alice", conversation, STORE_AROUND, seq, limit)), seq, limit);
}

static void every_page_of_every_anchor_is_that_of_a_plain_list(void **state)
{
    struct client *client = *state;
    static const size_t sizes[] = {0, 1, 2, 3, 8, MOST};
    static const size_t limits[] = {1, 2, 3, 7, ALL};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) * sizeof(gaps) / sizeof(gaps[0]); i++) {
        size_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
        char conversation[32];
        snprintf(conversation, sizeof(conversation), "thread %zu", i);
        struct list list = list_make(client, conversation, size, gaps[i / (sizeof(sizes) / sizeof(sizes[0]))]);
        for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
            size_t count = smaller(limits[k], list.count);
            assert_run(&list, client_run(client, op_page("alice", conversation, STORE_LATEST, 0, limits[k])),
                       list.count - count, count);
            for (uint64_t seq = 0; seq <= size + 2; seq++) {
                pages_compare(client, conversation, &list, seq, limits[k]);
            }
            client_release(client);
        }
    }
}

static void anchors_beyond_any_sequence_number_are_harmless(void **state)
{
    struct client *client = *state;
    static const uint64_t anchors[] = {
        UINT32_MAX, UINT64_C(9999999998), UINT64_C(9999999999), UINT64_C(10000000000), INT64_MAX, UINT64_MAX - 1,
        UINT64_MAX};
    struct list list = list_make(client, "thread", 5, gap_none);
    client_fill(client, "alice", "thread later", 3);
    client_fill(client, "alice", "threae", 3);
    for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++) {
        pages_compare(client, "thread", &list, anchors[i], 3);
        assert_refused(client_run(client, op_message("alice", "thread", anchors[i])), MESSAGE_NOT_FOUND);
    }
}

static void a_page_tells_last_seq_and_etag_of_the_conversation(void **state)
{
    struct client *client = *state;
    list_make(client, "thread", 5, gap_tail);
    const struct answer *conversation = client_run(client, op_get("alice", "thread"));
    const struct answer *page = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 2));
    assert_ok(page);
    assert_int_equal(page->result.last_seq, 5);
    assert_string_equal(page->result.etag, conversation->result.etag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(every_page_of_every_anchor_is_that_of_a_plain_list),
        store_test(anchors_beyond_any_sequence_number_are_harmless),
        store_test(a_page_tells_last_seq_and_etag_of_the_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
