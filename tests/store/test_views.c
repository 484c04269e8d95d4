/* How much of a message is read: view BASIC, the byte budget, one message by its number or ID. Must not know an
 * engine. */
#include "base/wire.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 6, ALL = 1000 };

static const size_t content_sizes[MESSAGES] = {10, 3000, 1, 500, 0, 70};

/* Alice's thread: six messages whose contents are of very different sizes. */
static void thread_fill(struct client *client)
{
    static const char text[3000] = {'x'};
    static const char *const ids[MESSAGES] = {"one", "two", "three", "four", "five", "six"};
    const struct store_pair label = {span_of_string("key"), span_of_string("value")};
    for (size_t i = 0; i < MESSAGES; i++) {
        const struct store_message message = {
            .message_id = span_of_string(ids[i]),
            .role = span_of_string("user"),
            .content_type = span_of_string("text/x-test"),
            .author = span_of_string("author"),
            .token_count = (uint32_t)i,
            .sent_time_us = (int64_t)i,
            .content = span_of(text, content_sizes[i]),
            .metadata = &label,
            .metadata_count = 1,
        };
        assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
    }
}

static struct store_op op_basic(struct store_op op)
{
    if (op.verb == STORE_GET_MESSAGE) {
        op.message.basic = true;
    } else {
        op.messages.basic = true;
    }
    return op;
}

/* `basic` is `full` without content and metadata. */
static void assert_basic_of(const Chatlog__V1__Message *basic, const Chatlog__V1__Message *full)
{
    assert_int_equal(basic->content.len, 0);
    assert_int_equal(basic->n_metadata, 0);
    assert_int_equal(basic->content_size, full->content.len);
    assert_int_equal(basic->content_size, full->content_size);
    assert_int_equal(basic->seq, full->seq);
    assert_int_equal(basic->create_time_us, full->create_time_us);
    assert_int_equal(basic->update_time_us, full->update_time_us);
    assert_int_equal(basic->revision, full->revision);
    assert_string_equal(basic->message_id, full->message_id);
    assert_string_equal(basic->role, full->role);
    assert_string_equal(basic->content_type, full->content_type);
    assert_string_equal(basic->author, full->author);
    assert_int_equal(basic->token_count, full->token_count);
    assert_int_equal(basic->sent_time_us, full->sent_time_us);
}

static void view_basic_has_everything_but_content_and_metadata(void **state)
{
    struct client *client = *state;
    thread_fill(client);
    struct store_op op = op_page("alice", "thread", STORE_LATEST, 0, ALL);
    const struct answer *full = client_run(client, op);
    const struct answer *basic = client_run(client, op_basic(op));
    assert_ok(full);
    assert_ok(basic);
    assert_int_equal(full->count, MESSAGES);
    assert_int_equal(basic->count, MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(full->messages[i]->content.len, content_sizes[i]);
        assert_string_equal(message_label(full->messages[i], "key"), "value");
        assert_basic_of(basic->messages[i], full->messages[i]);
        const struct answer *one = client_run(client, op_basic(op_message("alice", "thread", i + 1)));
        assert_ok(one);
        assert_basic_of(one->messages[0], full->messages[i]);
    }
    assert_true(basic->result.records.size < content_sizes[1]);
}

static void a_message_is_found_by_its_number_and_by_its_id(void **state)
{
    struct client *client = *state;
    thread_fill(client);
    const struct answer *page = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, ALL));
    assert_ok(page);
    for (size_t i = 0; i < MESSAGES; i++) {
        const struct answer *by_seq = client_run(client, op_message("alice", "thread", i + 1));
        const struct answer *by_id =
            client_run(client, op_message_by_id("alice", "thread", page->messages[i]->message_id));
        assert_ok(by_seq);
        assert_ok(by_id);
        assert_int_equal(by_seq->count, 1);
        assert_int_equal(by_id->count, 1);
        assert_true(span_equal(by_seq->records[0], page->records[i]));
        assert_true(span_equal(by_id->records[0], page->records[i]));
    }
}

static void a_message_that_is_not_there_is_not_found(void **state)
{
    struct client *client = *state;
    thread_fill(client);
    assert_refused(client_run(client, op_message("alice", "thread", MESSAGES + 1)), MESSAGE_NOT_FOUND);
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "on")), MESSAGE_NOT_FOUND);
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "onee")), MESSAGE_NOT_FOUND);
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "1")), MESSAGE_NOT_FOUND);
    assert_ok(client_run(client, op_delete_message("alice", "thread", 1)));
    assert_refused(client_run(client, op_message("alice", "thread", 1)), MESSAGE_NOT_FOUND);
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "one")), MESSAGE_NOT_FOUND);
}

/* A page under this budget holds the `count` records of `whole` that are nearest to the end it begins from. */
static void assert_nearest(struct client *client, struct store_op op, size_t max_bytes, const struct answer *whole,
                           size_t count)
{
    op.messages.max_bytes = max_bytes;
    const struct answer *page = client_run(client, op);
    assert_ok(page);
    assert_int_equal(page->count, count);
    bool upwards = op.messages.anchor == STORE_AFTER;
    for (size_t i = 0; i < count; i++) {
        size_t at = upwards ? i : whole->count - count + i;
        assert_true(span_equal(page->records[i], whole->records[at]));
    }
    bool cut = count < whole->count;
    assert_int_equal(page->result.has_more_before,
                     upwards ? whole->result.has_more_before : cut || whole->result.has_more_before);
    assert_int_equal(page->result.has_more_after,
                     upwards ? cut || whole->result.has_more_after : whole->result.has_more_after);
}

static void budgets_try(struct client *client, struct store_op op)
{
    const struct answer *whole = client_run(client, op);
    assert_ok(whole);
    assert_true(whole->count > 1);
    size_t records = 0;
    size_t values = 0;
    for (size_t count = 1; count <= whole->count; count++) {
        size_t near = op.messages.anchor == STORE_AFTER ? count - 1 : whole->count - count;
        records += wire_element_size(op.record_field, whole->records[near].size);
        values += whole->records[near].size;
        assert_nearest(client, op, records, whole, count);
        assert_nearest(client, op, values - 1, whole, count > 1 ? count - 1 : 1);
    }
}

static void a_byte_budget_cuts_a_page_at_its_far_end(void **state)
{
    struct client *client = *state;
    thread_fill(client);
    budgets_try(client, op_page("alice", "thread", STORE_LATEST, 0, ALL));
    budgets_try(client, op_page("alice", "thread", STORE_BEFORE, MESSAGES, ALL));
    budgets_try(client, op_page("alice", "thread", STORE_AFTER, 1, ALL));
    budgets_try(client, op_page("alice", "thread", STORE_AFTER, 0, ALL));
}

static void a_byte_budget_counts_what_view_basic_leaves(void **state)
{
    struct client *client = *state;
    thread_fill(client);
    budgets_try(client, op_basic(op_page("alice", "thread", STORE_LATEST, 0, ALL)));
    budgets_try(client, op_basic(op_page("alice", "thread", STORE_AFTER, 0, ALL)));
}

static void the_first_message_of_a_page_comes_however_large(void **state)
{
    struct client *client = *state;
    thread_fill(client);
    struct store_op op = op_page("alice", "thread", STORE_AFTER, 1, ALL);
    op.messages.max_bytes = 1;
    assert_seqs(client_run(client, op), 2);
    op = op_page("alice", "thread", STORE_BEFORE, 3, ALL);
    op.messages.max_bytes = 1;
    assert_seqs(client_run(client, op), 2);
    op = op_page("alice", "thread", STORE_AROUND, 2, ALL);
    op.messages.max_bytes = 1;
    assert_seqs(client_run(client, op), 2);
}

static void a_page_around_a_message_keeps_to_its_budget_and_has_no_hole(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 30);
    const struct answer *whole = client_run(client, op_page("alice", "thread", STORE_AFTER, 0, ALL));
    assert_ok(whole);
    for (size_t budget = 1; budget <= whole->result.records.size; budget += 7) {
        struct store_op op = op_page("alice", "thread", STORE_AROUND, 15, ALL);
        op.messages.max_bytes = budget;
        const struct answer *page = client_run(client, op);
        assert_ok(page);
        assert_true(page->count == 1 || page->result.records.size <= budget);
        uint64_t first = page->messages[0]->seq;
        assert_true(first <= 15 && first + page->count > 15);
        for (size_t i = 0; i < page->count; i++) {
            assert_int_equal(page->messages[i]->seq, first + i);
        }
        assert_int_equal(page->result.has_more_before, first > 1);
        assert_int_equal(page->result.has_more_after, first + page->count <= 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(view_basic_has_everything_but_content_and_metadata),
        store_test(a_message_is_found_by_its_number_and_by_its_id),
        store_test(a_message_that_is_not_there_is_not_found),
        store_test(a_byte_budget_cuts_a_page_at_its_far_end),
        store_test(a_byte_budget_counts_what_view_basic_leaves),
        store_test(the_first_message_of_a_page_comes_however_large),
        store_test(a_page_around_a_message_keeps_to_its_budget_and_has_no_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
