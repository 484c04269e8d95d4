/* Appending: atomic batches, sequence numbers, message IDs, times. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = CHATLOG_LIMIT_append_messages };

static struct store_message message_with_id(const char *message_id, const char *content)
{
    struct store_message message = message_of("user", content);
    message.message_id = span_of_string(message_id);
    return message;
}

/* The conversation as a read sees it now. */
static const Chatlog__V1__Conversation *conversation_now(struct client *client, const char *user,
                                                         const char *conversation)
{
    const struct answer *read = client_run(client, op_get(user, conversation));
    assert_ok(read);
    return read->conversations[0];
}

static void sequence_numbers_begin_at_one_and_have_no_gap(void **state)
{
    struct client *client = *state;
    const struct store_message messages[] = {message_of("user", "a"), message_of("user", "b"), message_of("user", "c")};
    uint64_t last = 0;
    assert_ok(client_run(client, op_create("alice", "thread")));
    for (size_t count = 1; count <= 3; count++) {
        const struct answer *appended = client_run(client, op_append("alice", "thread", messages, count));
        assert_ok(appended);
        assert_int_equal(appended->result.first_seq, last + 1);
        assert_int_equal(appended->result.last_seq, last + count);
        assert_false(appended->result.replayed);
        last += count;
    }
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2, 3, 4, 5, 6);
}

static void a_message_is_kept_byte_for_byte_with_all_its_fields(void **state)
{
    struct client *client = *state;
    uint8_t content[512];
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] = (uint8_t)i;
    }
    const struct store_pair labels[] = {{span_of_string("model"), span_of_string("m-1")},
                                        {span_of_string("empty"), span_of_string("")}};
    const struct store_message message = {
        .message_id = span_of_string("msg-1"),
        .role = span_of_string("assistant"),
        .content_type = span_of_string("application/json"),
        .author = span_of_string("Zoë"),
        .token_count = UINT32_MAX,
        .sent_time_us = 12345,
        .metadata = labels,
        .metadata_count = 2,
        .content = span_of(content, sizeof(content)),
    };
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
    const struct answer *read = client_run(client, op_message("alice", "thread", 1));
    assert_ok(read);
    const Chatlog__V1__Message *kept = read->messages[0];
    assert_int_equal(kept->seq, 1);
    assert_int_equal(kept->create_time_us, CLIENT_EPOCH_US);
    assert_int_equal(kept->update_time_us, 0);
    assert_int_equal(kept->revision, 1);
    assert_int_equal(kept->content_size, sizeof(content));
    assert_string_equal(kept->message_id, "msg-1");
    assert_string_equal(kept->role, "assistant");
    assert_string_equal(kept->content_type, "application/json");
    assert_string_equal(kept->author, "Zoë");
    assert_int_equal(kept->token_count, UINT32_MAX);
    assert_int_equal(kept->sent_time_us, 12345);
    assert_int_equal(kept->n_metadata, 2);
    assert_string_equal(message_label(kept, "model"), "m-1");
    assert_string_equal(message_label(kept, "empty"), "");
    assert_int_equal(kept->content.len, sizeof(content));
    assert_memory_equal(kept->content.data, content, sizeof(content));
}

static void an_append_to_an_absent_conversation_creates_it_only_when_asked(void **state)
{
    struct client *client = *state;
    const struct store_message message = message_of("user", "hello");
    assert_refused(client_run(client, op_append("alice", "thread", &message, 1)), CONVERSATION_NOT_FOUND);
    assert_refused(client_run(client, op_get("alice", "thread")), CONVERSATION_NOT_FOUND);
    const struct answer *appended = client_run(client, op_creating(op_append("alice", "thread", &message, 1)));
    assert_ok(appended);
    assert_int_equal(appended->result.first_seq, 1);
    const Chatlog__V1__Conversation *created = conversation_now(client, "alice", "thread");
    assert_string_equal(created->conversation_id, "thread");
    assert_string_equal(created->title, "");
    assert_string_equal(created->etag, appended->result.etag);
    assert_int_equal(created->create_time_us, CLIENT_EPOCH_US);
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
    assert_int_equal(conversation_now(client, "alice", "thread")->last_seq, 2);
}

static void a_conversation_counts_what_it_holds(void **state)
{
    struct client *client = *state;
    const struct store_message messages[] = {message_of("user", "four"), message_of("user", ""),
                                             message_of("user", "seventeen letters")};
    assert_ok(client_run(client, op_create("alice", "thread")));
    clock_advance(CLOCK_SECOND_US);
    const struct answer *appended = client_run(client, op_append("alice", "thread", messages, 3));
    assert_ok(appended);
    assert_int_equal(appended->result.create_time_us, clock_now());
    const Chatlog__V1__Conversation *now = conversation_now(client, "alice", "thread");
    assert_int_equal(now->message_count, 3);
    assert_int_equal(now->last_seq, 3);
    assert_int_equal(now->content_bytes, 21);
    assert_int_equal(now->create_time_us, CLIENT_EPOCH_US);
    assert_int_equal(now->update_time_us, clock_now());
    assert_int_equal(now->activity_time_us, clock_now());
    client_wait_until_stored(client, 1, 1, 3);
    assert_int_equal(client_run(client, op_stats())->result.stats.content_bytes, 21);
}

static void a_message_id_is_unique_in_its_conversation(void **state)
{
    struct client *client = *state;
    const struct store_message first[] = {message_with_id("a", "1"), message_with_id("b", "2")};
    const struct store_message known[] = {message_with_id("c", "3"), message_with_id("b", "4")};
    const struct store_message twins[] = {message_with_id("d", "5"), message_of("user", ""), message_with_id("d", "6")};
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", first, 2))));
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    assert_refused(client_run(client, op_append("alice", "thread", known, 2)), MESSAGE_ID_EXISTS);
    assert_refused(client_run(client, op_append("alice", "thread", twins, 3)), MESSAGE_ID_EXISTS);

    const struct answer *after = client_run(client, op_get("alice", "thread"));
    assert_true(span_equal(before->records[0], after->records[0]));
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "c")), MESSAGE_NOT_FOUND);
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "d")), MESSAGE_NOT_FOUND);
    assert_seqs(client_run(client, op_message_by_id("alice", "thread", "b")), 2);
    assert_ok(client_run(client, op_creating(op_append("alice", "other", first, 2))));
    assert_ok(client_run(client, op_creating(op_append("bob", "thread", first, 2))));
    const struct answer *next = client_run(client, op_append("alice", "thread", known, 1));
    assert_ok(next);
    assert_int_equal(next->result.first_seq, 3);
}

static void a_refused_batch_creates_no_conversation(void **state)
{
    struct client *client = *state;
    const struct store_message twins[] = {message_with_id("a", "1"), message_with_id("a", "2")};
    const struct store_message message = message_of("user", "hello");
    assert_refused(client_run(client, op_creating(op_append("alice", "thread", twins, 2))), MESSAGE_ID_EXISTS);
    struct store_op unexpected = op_expecting(op_creating(op_append("alice", "thread", &message, 1)), 3);
    const struct answer *refused = client_run(client, unexpected);
    assert_refused(refused, LAST_SEQ_MISMATCH);
    assert_int_equal(answer_detail(refused, "last_seq"), 0);
    assert_refused(client_run(client, op_get("alice", "thread")), CONVERSATION_NOT_FOUND);
    client_wait_until_stored(client, 0, 0, 0);
}

static void a_message_id_is_free_again_when_its_message_is_gone(void **state)
{
    struct client *client = *state;
    const struct store_message message = message_with_id("a", "1");
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
    assert_ok(client_run(client, op_delete_message("alice", "thread", 1)));
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "a")), MESSAGE_NOT_FOUND);
    assert_ok(client_run(client, op_append("alice", "thread", &message, 1)));
    assert_seqs(client_run(client, op_message_by_id("alice", "thread", "a")), 2);
    assert_ok(client_run(client, op_pop("alice", "thread", 1)));
    assert_refused(client_run(client, op_message_by_id("alice", "thread", "a")), MESSAGE_NOT_FOUND);
    assert_ok(client_run(client, op_append("alice", "thread", &message, 1)));
    assert_seqs(client_run(client, op_message_by_id("alice", "thread", "a")), 3);
}

static void an_append_that_expects_another_last_seq_stores_nothing_and_tells_the_real_one(void **state)
{
    struct client *client = *state;
    const uint64_t wrong[] = {0, 1, 3, UINT32_MAX, UINT64_MAX};
    const struct store_message message = message_of("user", "next");
    client_fill(client, "alice", "thread", 2);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct store_op op = op_expecting(op_append("alice", "thread", &message, 1), wrong[i]);
        const struct answer *refused = client_run(client, op);
        assert_refused(refused, LAST_SEQ_MISMATCH);
        assert_int_equal(answer_detail(refused, "last_seq"), 2);
    }
    assert_int_equal(conversation_now(client, "alice", "thread")->message_count, 2);
    assert_ok(client_run(client, op_expecting(op_append("alice", "thread", &message, 1), 2)));
    assert_ok(client_run(client, op_expecting(op_creating(op_append("alice", "new", &message, 1)), 0)));
}

static void an_expected_last_seq_counts_messages_that_were_removed(void **state)
{
    struct client *client = *state;
    const struct store_message message = message_of("user", "next");
    client_fill(client, "alice", "thread", 3);
    assert_ok(client_run(client, op_pop("alice", "thread", 2)));
    assert_refused(client_run(client, op_expecting(op_append("alice", "thread", &message, 1), 1)), LAST_SEQ_MISMATCH);
    assert_ok(client_run(client, op_expecting(op_append("alice", "thread", &message, 1), 3)));
}

static void a_sequence_number_is_never_used_again(void **state)
{
    struct client *client = *state;
    const struct store_message message = message_of("user", "next");
    client_fill(client, "alice", "thread", 3);
    assert_ok(client_run(client, op_delete_message("alice", "thread", 3)));
    const struct answer *appended = client_run(client, op_append("alice", "thread", &message, 1));
    assert_int_equal(appended->result.first_seq, 4);
    assert_ok(client_run(client, op_pop("alice", "thread", 10)));
    client_reopen(client);
    appended = client_run(client, op_append("alice", "thread", &message, 1));
    assert_int_equal(appended->result.first_seq, 5);
    assert_ok(client_run(client, op_replace("alice", "thread", 0, NULL, 0)));
    client_reopen(client);
    appended = client_run(client, op_append("alice", "thread", &message, 1));
    assert_int_equal(appended->result.first_seq, 6);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 6);
}

static void create_time_never_goes_backwards_while_the_clock_steps_back(void **state)
{
    struct client *client = *state;
    const int64_t steps[] = {0, 5, -3, 2, -100 * INT64_C(1000000), 90 * INT64_C(1000000), 1, -CLIENT_EPOCH_US / 2};
    const struct store_message message = message_of("user", "tick");
    int64_t newest = 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        clock_advance(steps[i]);
        if (i % 3 == 2) {
            client_reopen(client);
        }
        const struct answer *appended = client_run(client, op_creating(op_append("alice", "thread", &message, 1)));
        assert_ok(appended);
        assert_true(appended->result.create_time_us >= newest);
        assert_true(appended->result.create_time_us >= clock_now());
        newest = appended->result.create_time_us;
        const struct answer *read = client_run(client, op_message("alice", "thread", i + 1));
        assert_ok(read);
        assert_int_equal(read->messages[0]->create_time_us, newest);
    }
    assert_ok(client_run(client, op_pop("alice", "thread", 100)));
    const struct answer *appended = client_run(client, op_append("alice", "thread", &message, 1));
    assert_true(appended->result.create_time_us >= newest);
}

static void the_messages_of_an_append_share_one_create_time(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 20);
    const struct answer *page = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100));
    assert_int_equal(page->count, 20);
    for (size_t i = 0; i < page->count; i++) {
        assert_int_equal(page->messages[i]->create_time_us, CLIENT_EPOCH_US);
    }
}

static void a_batch_of_the_largest_count_is_stored_whole(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", BATCH);
    const struct answer *page = client_run(client, op_page("alice", "thread", STORE_AFTER, 0, BATCH));
    assert_ok(page);
    assert_int_equal(page->count, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        char text[32];
        snprintf(text, sizeof(text), "message %zu", i + 1);
        assert_int_equal(page->messages[i]->seq, i + 1);
        assert_int_equal(page->messages[i]->content.len, strlen(text));
        assert_memory_equal(page->messages[i]->content.data, text, strlen(text));
    }
}

static void the_largest_message_is_kept_byte_for_byte(void **state)
{
    struct client *client = *state;
    size_t size = CHATLOG_LIMIT_message_bytes;
    uint8_t *content = malloc(size);
    assert_non_null(content);
    for (size_t i = 0; i < size; i++) {
        content[i] = (uint8_t)(i * 31 + i / 255);
    }
    const struct store_message messages[] = {{.content = span_of(content, size)}, {.content = span_of(content, 0)}};
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", messages, 2))));
    client_reopen(client);
    const struct answer *read = client_run(client, op_message("alice", "thread", 1));
    assert_ok(read);
    assert_int_equal(read->messages[0]->content_size, size);
    assert_int_equal(read->messages[0]->content.len, size);
    assert_true(memcmp(read->messages[0]->content.data, content, size) == 0);
    read = client_run(client, op_message("alice", "thread", 2));
    assert_ok(read);
    assert_int_equal(read->messages[0]->content.len, 0);
    free(content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(sequence_numbers_begin_at_one_and_have_no_gap),
        store_test(a_message_is_kept_byte_for_byte_with_all_its_fields),
        store_test(an_append_to_an_absent_conversation_creates_it_only_when_asked),
        store_test(a_conversation_counts_what_it_holds),
        store_test(a_message_id_is_unique_in_its_conversation),
        store_test(a_refused_batch_creates_no_conversation),
        store_test(a_message_id_is_free_again_when_its_message_is_gone),
        store_test(an_append_that_expects_another_last_seq_stores_nothing_and_tells_the_real_one),
        store_test(an_expected_last_seq_counts_messages_that_were_removed),
        store_test(a_sequence_number_is_never_used_again),
        store_test(create_time_never_goes_backwards_while_the_clock_steps_back),
        store_test(the_messages_of_an_append_share_one_create_time),
        store_test(a_batch_of_the_largest_count_is_stored_whole),
        store_test(the_largest_message_is_kept_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
