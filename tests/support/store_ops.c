/* Builds struct store_op. Must not know an engine. */
#include "support/store_ops.h"

#include <assert.h>

enum {
    /* Not 1 and longer than one byte as a tag, so that an engine that hard-codes a field number is found out. */
    RECORD_FIELD = 77,
    DEFAULT_MAX_BYTES = 8 * 1024 * 1024,
};

struct store_message message_of(const char *role, const char *content)
{
    return (struct store_message){.role = span_of_string(role), .content = span_of_string(content)};
}

static struct store_op op_of(enum store_verb verb, const char *user, const char *conversation)
{
    return (struct store_op){
        .verb = verb,
        .user = span_of_string(user),
        .conversation = span_of_string(conversation),
        .record_field = RECORD_FIELD,
        .size = sizeof(struct store_op),
    };
}

struct store_op op_create(const char *user, const char *conversation)
{
    return op_of(STORE_CREATE_CONVERSATION, user, conversation);
}

struct store_op op_get(const char *user, const char *conversation)
{
    return op_of(STORE_GET_CONVERSATION, user, conversation);
}

struct store_op op_update(const char *user, const char *conversation, unsigned mask,
                          const struct store_conversation *values)
{
    struct store_op op = op_of(STORE_UPDATE_CONVERSATION, user, conversation);
    op.update.conversation = *values;
    op.update.mask = mask;
    return op;
}

struct store_op op_delete(const char *user, const char *conversation)
{
    return op_of(STORE_DELETE_CONVERSATION, user, conversation);
}

struct store_op op_purge(const char *user, const char *conversation)
{
    struct store_op op = op_delete(user, conversation);
    op.delete.purge = true;
    return op;
}

struct store_op op_undelete(const char *user, const char *conversation)
{
    return op_of(STORE_UNDELETE_CONVERSATION, user, conversation);
}

struct store_op op_list(const char *user, size_t page_size, struct span after)
{
    struct store_op op = op_of(STORE_LIST_CONVERSATIONS, user, NULL);
    op.list.page_size = page_size;
    op.list.after = after;
    return op;
}

struct store_op op_append(const char *user, const char *conversation, const struct store_message *messages,
                          size_t count)
{
    struct store_op op = op_of(STORE_APPEND_MESSAGES, user, conversation);
    op.append.messages = messages;
    op.append.count = count;
    for (size_t i = 0; i < count; i++) {
        op.size += sizeof(messages[i]) + messages[i].content.size;
    }
    return op;
}

struct store_op op_replace(const char *user, const char *conversation, uint64_t after_seq,
                           const struct store_message *messages, size_t count)
{
    struct store_op op = op_append(user, conversation, messages, count);
    op.append.replace_after_seq = (struct store_expected){.given = true, .value = after_seq};
    return op;
}

struct store_op op_page(const char *user, const char *conversation, enum store_anchor anchor, uint64_t seq,
                        size_t limit)
{
    struct store_op op = op_of(STORE_LIST_MESSAGES, user, conversation);
    op.messages.anchor = anchor;
    op.messages.seq = seq;
    op.messages.limit = limit;
    op.messages.max_bytes = DEFAULT_MAX_BYTES;
    return op;
}

struct store_op op_message(const char *user, const char *conversation, uint64_t seq)
{
    struct store_op op = op_of(STORE_GET_MESSAGE, user, conversation);
    op.message.seq = seq;
    return op;
}

struct store_op op_message_by_id(const char *user, const char *conversation, const char *message_id)
{
    struct store_op op = op_message(user, conversation, 0);
    op.message.message_id = span_of_string(message_id);
    return op;
}

struct store_op op_edit(const char *user, const char *conversation, uint64_t seq, unsigned mask,
                        const struct store_message *values)
{
    struct store_op op = op_of(STORE_UPDATE_MESSAGE, user, conversation);
    op.edit.seq = seq;
    op.edit.mask = mask;
    op.edit.message = *values;
    return op;
}

struct store_op op_delete_message(const char *user, const char *conversation, uint64_t seq)
{
    struct store_op op = op_of(STORE_DELETE_MESSAGE, user, conversation);
    op.message.seq = seq;
    return op;
}

struct store_op op_pop(const char *user, const char *conversation, size_t count)
{
    struct store_op op = op_of(STORE_POP_MESSAGES, user, conversation);
    op.pop.count = count;
    op.pop.max_bytes = DEFAULT_MAX_BYTES;
    return op;
}

struct store_op op_forget(const char *user)
{
    return op_of(STORE_FORGET_USER, user, NULL);
}

struct store_op op_users(size_t page_size, struct span after)
{
    struct store_op op = op_of(STORE_LIST_USERS, NULL, NULL);
    op.list.page_size = page_size;
    op.list.after = after;
    return op;
}

struct store_op op_stats(void)
{
    return op_of(STORE_GET_STATS, NULL, NULL);
}

struct store_op op_events(const char *user, size_t page_size, struct span after)
{
    struct store_op op = op_of(STORE_LIST_EVENTS, user, NULL);
    op.events.page_size = page_size;
    op.events.after = after;
    return op;
}

struct store_op op_note(enum store_action action)
{
    struct store_op op = op_of(STORE_NOTE_EVENT, NULL, NULL);
    op.note.action = action;
    return op;
}

struct store_op op_by(struct store_op op, const char *actor)
{
    op.actor = span_of_string(actor);
    return op;
}

struct store_op op_with_request(struct store_op op, const char *request_id, uint64_t hash)
{
    op.request_id = span_of_string(request_id);
    op.request_hash[0] = hash;
    op.request_hash[1] = ~hash;
    return op;
}

struct store_op op_creating(struct store_op append)
{
    assert(append.verb == STORE_APPEND_MESSAGES);
    append.append.create_if_missing = true;
    return append;
}

struct store_op op_expecting(struct store_op append_or_pop, uint64_t last_seq)
{
    struct store_expected expected = {.given = true, .value = last_seq};
    if (append_or_pop.verb == STORE_POP_MESSAGES) {
        append_or_pop.pop.expected_last_seq = expected;
    } else {
        assert(append_or_pop.verb == STORE_APPEND_MESSAGES);
        append_or_pop.append.expected_last_seq = expected;
    }
    return append_or_pop;
}

struct store_op op_with_etag(struct store_op update_or_delete, const char *etag)
{
    if (update_or_delete.verb == STORE_DELETE_CONVERSATION) {
        update_or_delete.delete.etag = span_of_string(etag);
    } else {
        assert(update_or_delete.verb == STORE_UPDATE_CONVERSATION);
        update_or_delete.update.etag = span_of_string(etag);
    }
    return update_or_delete;
}
