/* HistoryService: the methods about messages. */
#include "history/check.h"
#include "history/methods.h"
#include "history/reply.h"

#include "base/wire.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

static const struct mask_path message_paths[] = {
    {"content", STORE_MASK_CONTENT},
    {"content_type", STORE_MASK_CONTENT_TYPE},
    {"metadata", STORE_MASK_MESSAGE_METADATA},
    {"token_count", STORE_MASK_TOKEN_COUNT},
    {NULL, 0},
};

static ProtobufCMessage *const *metadata_entries(const Chatlog__V1__Message *message)
{
    return (ProtobufCMessage *const *)(const void *)message->metadata;
}

static int check_message(const struct limits *limits, const Chatlog__V1__Message *message, struct error *error)
{
    const struct {
        const char *field;
        const char *value;
        uint64_t max;
    } texts[] = {
        {"message_id", message->message_id, limits->id_bytes},
        {"role", message->role, limits->role_bytes},
        {"content_type", message->content_type, limits->content_type_bytes},
        {"author", message->author, limits->author_bytes},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int rc = check_text(texts[i].field, texts[i].value, texts[i].max, error);
        if (rc) {
            return rc;
        }
    }
    if (message->content.len > limits->message_bytes) {
        error_set(error, ERROR_REQUEST_TOO_LARGE, "content has %zu bytes; at most %" PRIu64 " are allowed",
                  message->content.len, limits->message_bytes);
        return error_add_detail(error, "limit", limits->message_bytes);
    }
    int rc = check_time("sent_time_us", message->sent_time_us, error);
    return rc ? rc : check_metadata(limits, message->n_metadata, metadata_entries(message), error);
}

static int check_view(Chatlog__V1__MessageView view, struct error *error)
{
    int last = CHATLOG__V1__MESSAGE_VIEW__MESSAGE_VIEW_FULL;
    if ((int)view < 0 || (int)view > last) {
        return error_set(error, ERROR_FIELD_INVALID, "view is %d; 0 to %d are allowed", (int)view, last);
    }
    return 0;
}

static bool is_basic(Chatlog__V1__MessageView view)
{
    return view == CHATLOG__V1__MESSAGE_VIEW__MESSAGE_VIEW_BASIC;
}

static int message_fill(struct call *call, const Chatlog__V1__Message *from, struct store_message *to)
{
    const struct store_pair *metadata = call_pairs(call, from->n_metadata, metadata_entries(from));
    if (!metadata) {
        return call_memory_short(call);
    }
    *to = (struct store_message){
        .message_id = span_of_string(from->message_id),
        .role = span_of_string(from->role),
        .content_type = span_of_string(from->content_type),
        .author = span_of_string(from->author),
        .token_count = from->token_count,
        .sent_time_us = from->sent_time_us,
        .metadata = metadata,
        .metadata_count = from->n_metadata,
        .content = span_of(from->content.data, from->content.len),
    };
    return 0;
}

static int append_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__AppendMessagesRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    bool replaces = request->replace_case == CHATLOG__V1__APPEND_MESSAGES_REQUEST__REPLACE_REPLACE_AFTER_SEQ;
    if (!rc) {
        rc = check_count(limits, "the number of messages", request->n_messages, replaces, error);
    }
    for (size_t i = 0; !rc && i < request->n_messages; i++) {
        rc = check_message(limits, request->messages[i], error);
        if (rc) {
            char reason[sizeof(error->message)];
            memcpy(reason, error->message, sizeof(reason));
            snprintf(error->message, sizeof(error->message), "messages[%zu]: %.220s", i, reason);
        }
    }
    return rc;
}

static int append_handle(struct call *call)
{
    const Chatlog__V1__AppendMessagesRequest *request = (const void *)call->request;
    struct store_message *messages = arena_alloc(&call->arena, request->n_messages * sizeof(*messages));
    if (!messages) {
        return call_memory_short(call);
    }
    for (size_t i = 0; i < request->n_messages; i++) {
        int rc = message_fill(call, request->messages[i], &messages[i]);
        if (rc) {
            return rc;
        }
    }
    call->op.append.messages = messages;
    call->op.append.count = request->n_messages;
    call->op.append.create_if_missing = request->create_if_missing;
    call->op.append.expected_last_seq = (struct store_expected){
        .given = request->expected_case == CHATLOG__V1__APPEND_MESSAGES_REQUEST__EXPECTED_EXPECTED_LAST_SEQ,
        .value = request->expected_last_seq,
    };
    call->op.append.replace_after_seq = (struct store_expected){
        .given = request->replace_case == CHATLOG__V1__APPEND_MESSAGES_REQUEST__REPLACE_REPLACE_AFTER_SEQ,
        .value = request->replace_after_seq,
    };
    return call_store(call, STORE_APPEND_MESSAGES, request->conversation_id);
}

static void append_reply(struct call *call, struct store_result *result)
{
    wire_put_uint(&call->payload, 1, result->first_seq);
    wire_put_uint(&call->payload, 2, result->last_seq);
    wire_put_bytes(&call->payload, 3, span_of_string(result->etag));
    wire_put_uint(&call->payload, 4, (uint64_t)result->create_time_us);
}

static int list_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__ListMessagesRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    if (!rc) {
        rc = check_count(limits, "limit", request->limit, true, error);
    }
    return rc ? rc : check_view(request->view, error);
}

static int list_handle(struct call *call)
{
    const Chatlog__V1__ListMessagesRequest *request = (const void *)call->request;
    const struct limits *limits = call->service->limits;
    switch (request->anchor_case) {
    case CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_BEFORE_SEQ:
        call->op.messages.anchor = STORE_BEFORE;
        call->op.messages.seq = request->before_seq;
        break;
    case CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_AFTER_SEQ:
        call->op.messages.anchor = STORE_AFTER;
        call->op.messages.seq = request->after_seq;
        break;
    case CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_AROUND_SEQ:
        call->op.messages.anchor = STORE_AROUND;
        call->op.messages.seq = request->around_seq;
        break;
    default:
        call->op.messages.anchor = STORE_LATEST;
    }
    bool budget = request->max_bytes > 0 && request->max_bytes < limits->request_bytes;
    call->op.messages.limit = request->limit ? request->limit : limits->page_default;
    call->op.messages.max_bytes = budget ? request->max_bytes : limits->request_bytes;
    call->op.messages.basic = is_basic(request->view);
    return call_store(call, STORE_LIST_MESSAGES, request->conversation_id);
}

static void list_reply(struct call *call, struct store_result *result)
{
    reply_records(call, result);
    wire_put_uint(&call->payload, 2, result->has_more_before);
    wire_put_uint(&call->payload, 3, result->has_more_after);
    wire_put_uint(&call->payload, 4, result->last_seq);
    wire_put_bytes(&call->payload, 5, span_of_string(result->etag));
}

static int get_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__GetMessageRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    if (!rc && request->key_case == CHATLOG__V1__GET_MESSAGE_REQUEST__KEY_MESSAGE_ID) {
        rc = check_id(limits, "message_id", request->message_id, error);
    } else if (!rc && (request->key_case != CHATLOG__V1__GET_MESSAGE_REQUEST__KEY_SEQ || request->seq == 0)) {
        rc = error_set(error, ERROR_FIELD_REQUIRED, "seq (from 1) or message_id is needed");
    }
    return rc ? rc : check_view(request->view, error);
}

static int get_handle(struct call *call)
{
    const Chatlog__V1__GetMessageRequest *request = (const void *)call->request;
    if (request->key_case == CHATLOG__V1__GET_MESSAGE_REQUEST__KEY_SEQ) {
        call->op.message.seq = request->seq;
    } else {
        call->op.message.message_id = span_of_string(request->message_id);
    }
    call->op.message.basic = is_basic(request->view);
    return call_store(call, STORE_GET_MESSAGE, request->conversation_id);
}

static int check_seq(uint64_t seq, struct error *error)
{
    return seq ? 0 : error_set(error, ERROR_FIELD_REQUIRED, "seq is needed; the first message has seq 1");
}

static int update_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__UpdateMessageRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    if (!rc && !request->message) {
        rc = error_set(error, ERROR_FIELD_REQUIRED, "message is needed, with its seq");
    }
    if (!rc) {
        rc = check_seq(request->message->seq, error);
    }
    if (!rc) {
        rc = check_message(limits, request->message, error);
    }
    unsigned mask;
    return rc ? rc : check_mask(limits, request->n_update_mask, request->update_mask, message_paths, &mask, error);
}

static int update_handle(struct call *call)
{
    const Chatlog__V1__UpdateMessageRequest *request = (const void *)call->request;
    int rc = message_fill(call, request->message, &call->op.edit.message);
    if (!rc) {
        rc = check_mask(call->service->limits, request->n_update_mask, request->update_mask, message_paths,
                        &call->op.edit.mask, &call->error);
    }
    call->op.edit.seq = request->message->seq;
    call->op.edit.expected_revision = request->expected_revision;
    return rc ? rc : call_store(call, STORE_UPDATE_MESSAGE, request->conversation_id);
}

static void records_reply(struct call *call, struct store_result *result)
{
    reply_records(call, result);
    wire_put_bytes(&call->payload, 2, span_of_string(result->etag));
}

static int delete_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__DeleteMessageRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    return rc ? rc : check_seq(request->seq, error);
}

static int delete_handle(struct call *call)
{
    const Chatlog__V1__DeleteMessageRequest *request = (const void *)call->request;
    call->op.message.seq = request->seq;
    return call_store(call, STORE_DELETE_MESSAGE, request->conversation_id);
}

static void delete_reply(struct call *call, struct store_result *result)
{
    wire_put_bytes(&call->payload, 1, span_of_string(result->etag));
}

static int pop_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__PopMessagesRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    return rc ? rc : check_count(limits, "count", request->count, false, error);
}

static int pop_handle(struct call *call)
{
    const Chatlog__V1__PopMessagesRequest *request = (const void *)call->request;
    call->op.pop.count = request->count;
    call->op.pop.max_bytes = call->service->limits->request_bytes;
    call->op.pop.expected_last_seq = (struct store_expected){
        .given = request->expected_case == CHATLOG__V1__POP_MESSAGES_REQUEST__EXPECTED_EXPECTED_LAST_SEQ,
        .value = request->expected_last_seq,
    };
    return call_store(call, STORE_POP_MESSAGES, request->conversation_id);
}

#define ROW(method, scope, message, name, reply)                                                                       \
    {                                                                                                                  \
        "chatlog.v1.HistoryService/" method, scope, &chatlog__v1__##message##_request__descriptor, name##_check,       \
            name##_handle, reply                                                                                       \
    }

const struct method message_methods[] = {
    ROW("AppendMessages", SCOPE_WRITE, append_messages, append, append_reply),
    ROW("ListMessages", SCOPE_READ, list_messages, list, list_reply),
    ROW("GetMessage", SCOPE_READ, get_message, get, reply_records),
    ROW("UpdateMessage", SCOPE_WRITE, update_message, update, records_reply),
    ROW("DeleteMessage", SCOPE_WRITE, delete_message, delete, delete_reply),
    ROW("PopMessages", SCOPE_READ | SCOPE_WRITE, pop_messages, pop, records_reply), /* it shows what it removes */
    {0},
};
