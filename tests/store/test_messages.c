/* Changing and removing messages that are there: update, delete, pop. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Alice's thread with one message that has a value in each field. */
static void thread_make(struct client *client)
{
    const struct store_pair label = {span_of_string("old"), span_of_string("label")};
    const struct store_message message = {
        .message_id = span_of_string("id"),
        .role = span_of_string("user"),
        .content_type = span_of_string("text/old"),
        .author = span_of_string("author"),
        .token_count = 7,
        .sent_time_us = 8,
        .metadata = &label,
        .metadata_count = 1,
        .content = span_of_string("old content"),
    };
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
}

static const Chatlog__V1__Message *message_now(struct client *client, uint64_t seq)
{
    const struct answer *read = client_run(client, op_message("alice", "thread", seq));
    assert_ok(read);
    return read->messages[0];
}

static const Chatlog__V1__Conversation *thread_now(struct client *client)
{
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    return read->conversations[0];
}

static void an_update_changes_only_the_fields_of_its_mask(void **state)
{
    struct client *client = *state;
    static const unsigned masks[] = {STORE_MASK_TOKEN_COUNT, STORE_MASK_CONTENT_TYPE, STORE_MASK_MESSAGE_METADATA,
                                     STORE_MASK_CONTENT};
    const struct store_pair label = {span_of_string("new"), span_of_string("label")};
    const struct store_message values = {
        .message_id = span_of_string("ignored"),
        .role = span_of_string("ignored"),
        .content_type = span_of_string("text/new"),
        .author = span_of_string("ignored"),
        .token_count = 70,
        .sent_time_us = 80,
        .metadata = &label,
        .metadata_count = 1,
        .content = span_of_string("new"),
    };
    thread_make(client);
    unsigned changed = 0;
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        clock_advance(CLOCK_SECOND_US);
        changed |= masks[i];
        assert_ok(client_run(client, op_edit("alice", "thread", 1, masks[i], &values)));
        const Chatlog__V1__Message *now = message_now(client, 1);
        const char *content = changed & STORE_MASK_CONTENT ? "new" : "old content";
        assert_int_equal(now->content.len, strlen(content));
        assert_memory_equal(now->content.data, content, strlen(content));
        assert_int_equal(now->content_size, strlen(content));
        assert_string_equal(now->content_type, changed & STORE_MASK_CONTENT_TYPE ? "text/new" : "text/old");
        assert_int_equal(now->token_count, changed & STORE_MASK_TOKEN_COUNT ? 70 : 7);
        assert_int_equal(now->n_metadata, 1);
        assert_string_equal(now->metadata[0]->key, changed & STORE_MASK_MESSAGE_METADATA ? "new" : "old");
        assert_int_equal(now->revision, i + 2);
        assert_int_equal(now->update_time_us, clock_now());
        assert_int_equal(now->create_time_us, CLIENT_EPOCH_US);
        assert_string_equal(now->message_id, "id");
        assert_string_equal(now->role, "user");
        assert_string_equal(now->author, "author");
        assert_int_equal(now->sent_time_us, 8);
    }
}

static void an_update_answers_with_the_message_without_its_content(void **state)
{
    struct client *client = *state;
    const struct store_message values = message_of("", "brand new content");
    thread_make(client);
    const struct answer *updated = client_run(client, op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &values));
    assert_ok(updated);
    assert_int_equal(updated->count, 1);
    assert_int_equal(updated->messages[0]->seq, 1);
    assert_int_equal(updated->messages[0]->revision, 2);
    assert_int_equal(updated->messages[0]->content_size, strlen("brand new content"));
    assert_int_equal(updated->messages[0]->content.len, 0);
    assert_int_equal(updated->messages[0]->n_metadata, 0);
    const Chatlog__V1__Conversation *now = thread_now(client);
    assert_string_equal(updated->result.etag, now->etag);
    assert_int_equal(now->content_bytes, strlen("brand new content"));
    assert_int_equal(now->message_count, 1);
    assert_int_equal(client_run(client, op_stats())->result.stats.content_bytes, strlen("brand new content"));
}

static void an_update_can_empty_every_field(void **state)
{
    struct client *client = *state;
    const struct store_message nothing = {0};
    unsigned all = STORE_MASK_CONTENT | STORE_MASK_CONTENT_TYPE | STORE_MASK_MESSAGE_METADATA | STORE_MASK_TOKEN_COUNT;
    thread_make(client);
    assert_ok(client_run(client, op_edit("alice", "thread", 1, all, &nothing)));
    const Chatlog__V1__Message *now = message_now(client, 1);
    assert_int_equal(now->content.len, 0);
    assert_int_equal(now->content_size, 0);
    assert_string_equal(now->content_type, "");
    assert_int_equal(now->n_metadata, 0);
    assert_int_equal(now->token_count, 0);
    assert_string_equal(now->message_id, "id");
    assert_int_equal(thread_now(client)->content_bytes, 0);
}

static void an_update_of_another_revision_changes_nothing(void **state)
{
    struct client *client = *state;
    const struct store_message values = message_of("", "new");
    thread_make(client);
    struct store_op edit = op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &values);
    edit.edit.expected_revision = 2;
    assert_refused(client_run(client, edit), REVISION_MISMATCH);
    assert_int_equal(message_now(client, 1)->revision, 1);
    assert_int_equal(message_now(client, 1)->content_size, strlen("old content"));
    edit.edit.expected_revision = 1;
    assert_ok(client_run(client, edit));
    assert_refused(client_run(client, edit), REVISION_MISMATCH);
    edit.edit.expected_revision = 2;
    assert_ok(client_run(client, edit));
    assert_int_equal(message_now(client, 1)->revision, 3);
}

static void what_is_not_there_can_not_be_changed(void **state)
{
    struct client *client = *state;
    static const uint64_t absent[] = {2, 4, UINT64_C(10000000001), UINT64_MAX};
    const struct store_message values = message_of("", "new");
    client_fill(client, "alice", "thread", 3);
    assert_ok(client_run(client, op_delete_message("alice", "thread", 2)));
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_refused(client_run(client, op_edit("alice", "thread", absent[i], STORE_MASK_CONTENT, &values)),
                       MESSAGE_NOT_FOUND);
        assert_refused(client_run(client, op_delete_message("alice", "thread", absent[i])), MESSAGE_NOT_FOUND);
    }
    const struct answer *after = client_run(client, op_get("alice", "thread"));
    assert_true(span_equal(before->records[0], after->records[0]));
}

static void a_deleted_message_leaves_its_neighbours_and_a_gap(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    const struct answer *deleted = client_run(client, op_delete_message("alice", "thread", 2));
    assert_ok(deleted);
    assert_int_equal(deleted->count, 0);
    assert_refused(client_run(client, op_message("alice", "thread", 2)), MESSAGE_NOT_FOUND);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 3);
    const Chatlog__V1__Conversation *now = thread_now(client);
    assert_int_equal(now->message_count, 2);
    assert_int_equal(now->last_seq, 3);
    assert_int_equal(now->content_bytes, 2 * strlen("message 1"));
    assert_string_equal(now->etag, deleted->result.etag);
    client_wait_until_stored(client, 1, 1, 2);
}

static void pop_removes_the_newest_messages_and_returns_them(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 6);
    assert_ok(client_run(client, op_delete_message("alice", "thread", 5)));
    const struct answer *page = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 3));
    const struct answer *popped = client_run(client, op_pop("alice", "thread", 3));
    assert_seqs(popped, 3, 4, 6);
    for (size_t i = 0; i < 3; i++) {
        assert_true(span_equal(popped->records[i], page->records[i]));
    }
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2);
    const Chatlog__V1__Conversation *now = thread_now(client);
    assert_int_equal(now->message_count, 2);
    assert_int_equal(now->last_seq, 6);
    assert_int_equal(now->content_bytes, 2 * strlen("message 1"));
    assert_string_equal(now->etag, popped->result.etag);
}

static void pop_removes_fewer_when_there_are_fewer(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    assert_seqs(client_run(client, op_pop("alice", "thread", 1000)), 1, 2);
    const struct answer *none = client_run(client, op_pop("alice", "thread", 1000));
    assert_ok(none);
    assert_int_equal(none->count, 0);
    assert_int_equal(thread_now(client)->last_seq, 2);
}

static void pop_removes_no_more_than_fits_its_budget_but_at_least_one(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 6);
    const struct answer *page = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 2));
    struct store_op pop = op_pop("alice", "thread", 5);
    pop.pop.max_bytes = page->result.records.size;
    assert_seqs(client_run(client, pop), 5, 6);
    pop.pop.max_bytes = page->records[0].size + page->records[1].size - 1;
    assert_seqs(client_run(client, pop), 4);
    pop.pop.max_bytes = 1;
    assert_seqs(client_run(client, pop), 3);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2);
    assert_int_equal(thread_now(client)->message_count, 2);
}

static void a_pop_of_another_state_than_expected_removes_nothing(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    const struct answer *refused = client_run(client, op_expecting(op_pop("alice", "thread", 1), 2));
    assert_refused(refused, LAST_SEQ_MISMATCH);
    assert_int_equal(answer_detail(refused, "last_seq"), 3);
    assert_int_equal(thread_now(client)->message_count, 3);
    assert_seqs(client_run(client, op_expecting(op_pop("alice", "thread", 1), 3)), 3);
    assert_seqs(client_run(client, op_expecting(op_pop("alice", "thread", 1), 3)), 2);
}

static void what_was_changed_and_removed_stays_so_after_a_restart(void **state)
{
    struct client *client = *state;
    const struct store_message values = message_of("", "edited");
    client_fill(client, "alice", "thread", 5);
    assert_ok(client_run(client, op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &values)));
    assert_ok(client_run(client, op_delete_message("alice", "thread", 2)));
    assert_ok(client_run(client, op_pop("alice", "thread", 1)));
    const struct answer *before = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10));
    client_reopen(client);
    const struct answer *after = client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10));
    assert_seqs(after, 1, 3, 4);
    assert_true(span_equal(buffer_span(&before->result.records), buffer_span(&after->result.records)));
    assert_string_equal(before->result.etag, after->result.etag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(an_update_changes_only_the_fields_of_its_mask),
        store_test(an_update_answers_with_the_message_without_its_content),
        store_test(an_update_can_empty_every_field),
        store_test(an_update_of_another_revision_changes_nothing),
        store_test(what_is_not_there_can_not_be_changed),
        store_test(a_deleted_message_leaves_its_neighbours_and_a_gap),
        store_test(pop_removes_the_newest_messages_and_returns_them),
        store_test(pop_removes_fewer_when_there_are_fewer),
        store_test(pop_removes_no_more_than_fits_its_budget_but_at_least_one),
        store_test(a_pop_of_another_state_than_expected_removes_nothing),
        store_test(what_was_changed_and_removed_stays_so_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
