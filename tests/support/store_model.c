/* A store as a plain list. Simple rather than fast: everything is searched from the front. */
#include "support/store_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS_MAX = 64, MESSAGES_MAX = 2000, TEXT_BYTES = 32, PAGE = 7 };

struct text {
    char bytes[TEXT_BYTES];
};

struct record {
    uint64_t seq;
    int64_t create_time_us;
    int64_t update_time_us;
    uint32_t revision;
    uint32_t token_count;
    size_t metadata_count;
    struct text message_id;
    struct text role;
    struct text content_type;
    struct text content;
};

/* A conversation there is. */
struct thread {
    struct text user;
    struct text name;
    struct text title;
    struct text etag;
    size_t metadata_count;
    bool archived;
    int64_t expire_time_us;
    int64_t create_time_us;
    int64_t update_time_us;
    bool update_time_unsure; /* a change that had nothing to change may have moved it */
    int64_t activity_time_us;
    int64_t delete_time_us;
    uint64_t last_seq;
    struct record records[MESSAGES_MAX];
    size_t count;
};

struct model {
    struct thread *threads[THREADS_MAX]; /* NULL: free */
};

static struct text text_of(struct span span)
{
    struct text text = {""};
    assert_true(span.size < sizeof(text.bytes));
    if (span.size > 0) {
        memcpy(text.bytes, span.data, span.size);
    }
    return text;
}

struct model *model_new(void)
{
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    return model;
}

struct model *model_free(struct model *model)
{
    for (size_t i = 0; i < THREADS_MAX; i++) {
        free(model->threads[i]);
    }
    free(model);
    return NULL;
}

/* Drops the conversations whose time is over. */
static void model_expire(struct model *model)
{
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = model->threads[i];
        if (thread && thread->expire_time_us != 0 && thread->expire_time_us <= clock_now()) {
            free(thread);
            model->threads[i] = NULL;
        }
    }
}

static struct thread **thread_slot(const struct model *model, const char *user, const char *name)
{
    struct thread *const *slot = NULL;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = model->threads[i];
        if (!thread) {
            slot = slot ? slot : &model->threads[i];
        } else if (strcmp(thread->user.bytes, user) == 0 && strcmp(thread->name.bytes, name) == 0) {
            return (struct thread **)(uintptr_t)&model->threads[i];
        }
    }
    assert_non_null(slot);
    return (struct thread **)(uintptr_t)slot;
}

uint64_t model_last_seq(const struct model *model, const char *user, const char *conversation)
{
    const struct thread *thread = *thread_slot(model, user, conversation);
    return thread ? thread->last_seq : 0;
}

static struct thread *thread_new(const struct store_op *op)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    assert_non_null(thread);
    thread->user = text_of(op->user);
    thread->name = text_of(op->conversation);
    thread->create_time_us = clock_now();
    thread->activity_time_us = clock_now();
    return thread;
}

/* How many records lie below this seq, and so where the one of this seq is. */
static size_t records_below(const struct thread *thread, uint64_t seq)
{
    size_t count = 0;
    while (count < thread->count && thread->records[count].seq < seq) {
        count++;
    }
    return count;
}

static struct record *record_find(struct thread *thread, uint64_t seq)
{
    size_t at = records_below(thread, seq);
    return at < thread->count && thread->records[at].seq == seq ? &thread->records[at] : NULL;
}

static bool has_message_id(const struct thread *thread, size_t kept, struct text id)
{
    for (size_t i = 0; i < kept; i++) {
        if (strcmp(thread->records[i].message_id.bytes, id.bytes) == 0) {
            return true;
        }
    }
    return false;
}

static enum error_reason conversation_change(struct thread **slot, const struct store_op *op)
{
    struct thread *thread = *slot;
    unsigned mask = op->verb == STORE_CREATE_CONVERSATION ? ~0u : op->update.mask;
    const struct store_conversation *values = &op->update.conversation;
    if (op->verb == STORE_CREATE_CONVERSATION) {
        if (thread) {
            return ERROR_CONVERSATION_EXISTS;
        }
        thread = *slot = thread_new(op);
        values = &op->create;
    }
    if (mask & STORE_MASK_TITLE) {
        thread->title = text_of(values->title);
    }
    if (mask & STORE_MASK_METADATA) {
        thread->metadata_count = values->metadata_count;
    }
    if (mask & STORE_MASK_ARCHIVED) {
        thread->archived = values->archived;
    }
    if (mask & STORE_MASK_EXPIRE_TIME) {
        thread->expire_time_us = values->expire_time_us;
    }
    return ERROR_NONE_REASON;
}

static enum error_reason conversation_remove(struct thread **slot, const struct store_op *op)
{
    if (op->verb == STORE_UNDELETE_CONVERSATION) {
        bool deleted = (*slot)->delete_time_us != 0;
        (*slot)->delete_time_us = 0;
        return deleted ? ERROR_NONE_REASON : ERROR_CONVERSATION_NOT_DELETED;
    }
    if (op->delete.purge) {
        free(*slot);
        *slot = NULL;
    } else {
        (*slot)->delete_time_us = clock_now();
    }
    return ERROR_NONE_REASON;
}

static struct record record_of(const struct store_message *message, uint64_t seq)
{
    return (struct record){
        .seq = seq,
        .create_time_us = clock_now(),
        .revision = 1,
        .token_count = message->token_count,
        .metadata_count = message->metadata_count,
        .message_id = text_of(message->message_id),
        .role = text_of(message->role),
        .content_type = text_of(message->content_type),
        .content = text_of(message->content),
    };
}

static bool ids_are_new(const struct thread *thread, size_t kept, const struct store_op *op)
{
    for (size_t i = 0; i < op->append.count; i++) {
        struct span id = op->append.messages[i].message_id;
        if (id.size == 0) {
            continue;
        }
        for (size_t k = 0; k < i; k++) {
            if (span_equal(op->append.messages[k].message_id, id)) {
                return false;
            }
        }
        if (thread && has_message_id(thread, kept, text_of(id))) {
            return false;
        }
    }
    return true;
}

static enum error_reason messages_append(struct thread **slot, const struct store_op *op, const struct answer *answer)
{
    struct thread *thread = *slot;
    uint64_t last_seq = thread ? thread->last_seq : 0;
    size_t kept = thread ? thread->count : 0;
    if (op->append.expected_last_seq.given && op->append.expected_last_seq.value != last_seq) {
        return ERROR_LAST_SEQ_MISMATCH;
    }
    if (thread && op->append.replace_after_seq.given) {
        kept = records_below(thread, op->append.replace_after_seq.value + 1);
    }
    if (!ids_are_new(thread, kept, op)) {
        return ERROR_MESSAGE_ID_EXISTS;
    }
    thread = thread ? thread : (*slot = thread_new(op));
    thread->count = kept;
    for (size_t i = 0; i < op->append.count; i++) {
        assert_true(thread->count < MESSAGES_MAX);
        thread->records[thread->count++] = record_of(&op->append.messages[i], ++thread->last_seq);
        thread->activity_time_us = clock_now();
    }
    if (answer->reason == ERROR_NONE_REASON) {
        bool some = op->append.count > 0;
        assert_int_equal(answer->result.first_seq, some ? last_seq + 1 : 0);
        assert_int_equal(answer->result.last_seq, some ? thread->last_seq : 0);
        assert_true(!some || answer->result.create_time_us == clock_now());
    }
    return ERROR_NONE_REASON;
}

static enum error_reason messages_pop(struct thread *thread, const struct store_op *op, const struct answer *answer)
{
    if (op->pop.expected_last_seq.given && op->pop.expected_last_seq.value != thread->last_seq) {
        return ERROR_LAST_SEQ_MISMATCH;
    }
    size_t removed = op->pop.count < thread->count ? op->pop.count : thread->count;
    thread->count -= removed;
    if (answer->reason == ERROR_NONE_REASON) {
        assert_int_equal(answer->count, removed);
        for (size_t i = 0; i < removed; i++) {
            assert_int_equal(answer->messages[i]->seq, thread->records[thread->count + i].seq);
        }
    }
    return ERROR_NONE_REASON;
}

static enum error_reason message_change(struct thread *thread, const struct store_op *op)
{
    uint64_t seq = op->verb == STORE_DELETE_MESSAGE ? op->message.seq : op->edit.seq;
    struct record *record = record_find(thread, seq);
    if (!record) {
        return ERROR_MESSAGE_NOT_FOUND;
    }
    if (op->verb == STORE_DELETE_MESSAGE) {
        size_t at = (size_t)(record - thread->records);
        memmove(record, record + 1, (thread->count - at - 1) * sizeof(*record));
        thread->count--;
        return ERROR_NONE_REASON;
    }
    if (op->edit.expected_revision != 0 && op->edit.expected_revision != record->revision) {
        return ERROR_REVISION_MISMATCH;
    }
    if (op->edit.mask & STORE_MASK_CONTENT) {
        record->content = text_of(op->edit.message.content);
    }
    if (op->edit.mask & STORE_MASK_CONTENT_TYPE) {
        record->content_type = text_of(op->edit.message.content_type);
    }
    if (op->edit.mask & STORE_MASK_MESSAGE_METADATA) {
        record->metadata_count = op->edit.message.metadata_count;
    }
    if (op->edit.mask & STORE_MASK_TOKEN_COUNT) {
        record->token_count = op->edit.message.token_count;
    }
    record->revision++;
    record->update_time_us = clock_now();
    return ERROR_NONE_REASON;
}

static enum error_reason user_forget(struct model *model, const struct store_op *op, const struct answer *answer)
{
    struct store_receipt receipt = {0};
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = model->threads[i];
        if (thread && strcmp(thread->user.bytes, text_of(op->user).bytes) == 0) {
            receipt.conversations++;
            receipt.messages += thread->count;
            free(thread);
            model->threads[i] = NULL;
        }
    }
    /* What expired but was not removed yet is removed and counted too. */
    assert_true(answer->result.receipt.conversations >= receipt.conversations);
    assert_true(answer->result.receipt.messages >= receipt.messages);
    return ERROR_NONE_REASON;
}

/* What every change but CREATE and FORGET_USER says of a conversation that is absent or deleted. */
static enum error_reason thread_check(const struct thread *thread, const struct store_op *op)
{
    if (!thread) {
        bool creates = op->verb == STORE_APPEND_MESSAGES && op->append.create_if_missing;
        return creates ? ERROR_NONE_REASON : ERROR_CONVERSATION_NOT_FOUND;
    }
    bool on_deleted =
        op->verb == STORE_UNDELETE_CONVERSATION || (op->verb == STORE_DELETE_CONVERSATION && op->delete.purge);
    return thread->delete_time_us != 0 && !on_deleted ? ERROR_CONVERSATION_DELETED : ERROR_NONE_REASON;
}

static enum error_reason thread_change(struct thread **slot, const struct store_op *op, const struct answer *answer)
{
    enum error_reason reason = op->verb == STORE_CREATE_CONVERSATION ? ERROR_NONE_REASON : thread_check(*slot, op);
    if (reason != ERROR_NONE_REASON) {
        return reason;
    }
    switch (op->verb) {
    case STORE_APPEND_MESSAGES:
        return messages_append(slot, op, answer);
    case STORE_POP_MESSAGES:
        return messages_pop(*slot, op, answer);
    case STORE_UPDATE_MESSAGE:
    case STORE_DELETE_MESSAGE:
        return message_change(*slot, op);
    case STORE_DELETE_CONVERSATION:
    case STORE_UNDELETE_CONVERSATION:
        return conversation_remove(slot, op);
    default:
        return conversation_change(slot, op);
    }
}

/* What every change that was made does to its conversation. */
static void thread_touch(struct thread *thread, size_t count, uint64_t last_seq, const struct store_op *op,
                         const struct answer *answer)
{
    bool may_do_nothing = op->verb == STORE_POP_MESSAGES || op->verb == STORE_APPEND_MESSAGES;
    thread->update_time_unsure = may_do_nothing && thread->count == count && thread->last_seq == last_seq;
    if (!thread->update_time_unsure) {
        thread->update_time_us = clock_now();
    }
    thread->etag = text_of(span_of_string(answer->result.etag));
}

void model_apply(struct model *model, const struct store_op *op, const struct answer *answer)
{
    enum error_reason reason;
    model_expire(model);
    if (op->verb == STORE_FORGET_USER) {
        reason = user_forget(model, op, answer);
    } else {
        struct thread **slot = thread_slot(model, text_of(op->user).bytes, text_of(op->conversation).bytes);
        size_t count = *slot ? (*slot)->count : 0;
        uint64_t last_seq = *slot ? (*slot)->last_seq : 0;
        reason = thread_change(slot, op, answer);
        if (*slot && reason == ERROR_NONE_REASON) {
            thread_touch(*slot, count, last_seq, op, answer);
        }
        model_expire(model);
    }
    answer_expect(answer, reason, __FILE__, __LINE__);
}

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
    struct thread *thread = *thread_slot(model, user, conversation);
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
            struct thread *thread = *thread_slot(model, user, page->conversations[i]->conversation_id);
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
