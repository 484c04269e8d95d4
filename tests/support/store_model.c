/* A store as a plain list. Simple rather than fast: everything is searched from the front. */
#include "support/store_model_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

void model_expire(struct model *model)
{
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = model->threads[i];
        if (thread && thread->expire_time_us != 0 && thread->expire_time_us <= clock_now()) {
            free(thread);
            model->threads[i] = NULL;
        }
    }
}

struct thread **model_slot(struct model *model, const char *user, const char *name)
{
    struct thread **slot = NULL;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = model->threads[i];
        if (!thread) {
            slot = slot ? slot : &model->threads[i];
        } else if (strcmp(thread->user.bytes, user) == 0 && strcmp(thread->name.bytes, name) == 0) {
            return &model->threads[i];
        }
    }
    assert_non_null(slot);
    return slot;
}

uint64_t model_last_seq(struct model *model, const char *user, const char *conversation)
{
    const struct thread *thread = *model_slot(model, user, conversation);
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
        struct thread **slot = model_slot(model, text_of(op->user).bytes, text_of(op->conversation).bytes);
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
