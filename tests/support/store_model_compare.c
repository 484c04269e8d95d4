/* Compares a store with the model, by reading all there is. */
#include "support/store_model_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 7 };

static void compare_record(const struct record *record, const Chatlog__V1__Message *message)
{
    size_t size = strlen(record->content.bytes);
    assert_int_equal(message->seq, record->seq);
    assert_int_equal(message->create_time_us, record->create_time_us);
    assert_int_equal(message->update_time_us, record->update_time_us);
    assert_int_equal(message->revision, record->revision);
    assert_int_equal(message->token_count, record->token_count);
    assert_int_equal(message->n_metadata, record->metadata_count);
    assert_int_equal(message->content_size, size);
    assert_int_equal(message->content.len, size);
    assert_true(size == 0 || memcmp(message->content.data, record->content.bytes, size) == 0);
    assert_string_equal(message->message_id, record->message_id.bytes);
    assert_string_equal(message->role, record->role.bytes);
    assert_string_equal(message->content_type, record->content_type.bytes);
}

static uint64_t thread_bytes(const struct thread *thread)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < thread->count; i++) {
        bytes += strlen(thread->records[i].content.bytes);
    }
    return bytes;
}

static void compare_head(struct thread *thread, const Chatlog__V1__Conversation *now)
{
    if (thread->update_time_unsure) {
        assert_true(now->update_time_us >= thread->update_time_us && now->update_time_us <= clock_now());
        thread->update_time_us = now->update_time_us;
        thread->update_time_unsure = false;
    }
    assert_string_equal(now->conversation_id, thread->name.bytes);
    assert_string_equal(now->title, thread->title.bytes);
    assert_string_equal(now->etag, thread->etag.bytes);
    assert_int_equal(now->n_metadata, thread->metadata_count);
    assert_int_equal(now->archived, thread->archived);
    assert_int_equal(now->expire_time_us, thread->expire_time_us);
    assert_int_equal(now->create_time_us, thread->create_time_us);
    assert_int_equal(now->update_time_us, thread->update_time_us);
    assert_int_equal(now->activity_time_us, thread->activity_time_us);
    assert_int_equal(now->delete_time_us, thread->delete_time_us);
    assert_int_equal(now->message_count, thread->count);
    assert_int_equal(now->last_seq, thread->last_seq);
    assert_int_equal(now->content_bytes, thread_bytes(thread));
}

/* Reads all messages forwards, page by page, and the newest by number and by ID. */
static void compare_messages(struct thread *thread, struct client *client, const char *user, const char *name)
{
    uint64_t after = 0;
    size_t seen = 0;
    bool more = true;
    while (more) {
        const struct answer *page = client_run(client, op_page(user, name, STORE_AFTER, after, PAGE));
        assert_ok(page);
        assert_true(seen + page->count <= thread->count);
        for (size_t i = 0; i < page->count; i++) {
            compare_record(&thread->records[seen++], page->messages[i]);
        }
        more = page->result.has_more_after;
        assert_true(!more || page->count > 0);
        assert_int_equal(page->result.last_seq, thread->last_seq);
        after = page->count > 0 ? page->messages[page->count - 1]->seq : after;
    }
    assert_int_equal(seen, thread->count);
    for (size_t i = 0; i < thread->count; i++) {
        if (thread->records[i].message_id.bytes[0] != '\0') {
            const struct answer *found =
                client_run(client, op_message_by_id(user, name, thread->records[i].message_id.bytes));
            assert_ok(found);
            compare_record(&thread->records[i], found->messages[0]);
        }
    }
}

void model_compare_conversation(struct model *model, struct client *client, const char *user, const char *conversation)
{
    model_expire(model);
    struct thread *thread = *model_slot(model, user, conversation);
    const struct answer *read = client_run(client, op_get(user, conversation));
    if (!thread) {
        assert_refused(read, CONVERSATION_NOT_FOUND);
        assert_refused(client_run(client, op_page(user, conversation, STORE_LATEST, 0, 1)), CONVERSATION_NOT_FOUND);
        return;
    }
    assert_ok(read);
    compare_head(thread, read->conversations[0]);
    if (thread->delete_time_us == 0) {
        compare_messages(thread, client, user, conversation);
    }
}

static size_t model_count(const struct model *model, const char *user, uint64_t *ret_messages)
{
    size_t count = 0;
    *ret_messages = 0;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        const struct thread *thread = model->threads[i];
        if (thread && (!user || strcmp(thread->user.bytes, user) == 0)) {
            count++;
            *ret_messages += thread->count;
        }
    }
    return count;
}

void model_compare_list(struct model *model, struct client *client, const char *user)
{
    uint64_t messages;
    size_t seen = 0;
    int64_t newest = INT64_MAX;
    struct store_op list = op_list(user, 2, span_of(NULL, 0));
    list.list.archived = STORE_ARCHIVED_INCLUDE;
    list.list.show_deleted = true;
    model_expire(model);
    do {
        const struct answer *page = client_run(client, list);
        assert_ok(page);
        for (size_t i = 0; i < page->count; i++) {
            struct thread *thread = *model_slot(model, user, page->conversations[i]->conversation_id);
            assert_non_null(thread);
            compare_head(thread, page->conversations[i]);
            assert_true(page->conversations[i]->activity_time_us <= newest);
            newest = page->conversations[i]->activity_time_us;
            seen++;
        }
        list.list.after = buffer_span(&page->result.next);
    } while (list.list.after.size > 0);
    assert_int_equal(seen, model_count(model, user, &messages));
}

void model_compare_stats(struct model *model, struct client *client)
{
    uint64_t messages;
    uint64_t users = 0;
    model_expire(model);
    size_t conversations = model_count(model, NULL, &messages);
    for (size_t i = 0; i < THREADS_MAX; i++) {
        bool first = model->threads[i] != NULL;
        for (size_t k = 0; first && k < i; k++) {
            first = !model->threads[k] || strcmp(model->threads[k]->user.bytes, model->threads[i]->user.bytes) != 0;
        }
        users += first;
    }
    client_wait_until_stored(client, users, conversations, messages);
}
