/* HistoryService: the methods about conversations. */
#include "history/check.h"
#include "history/methods.h"
#include "history/page_token.h"
#include "history/reply.h"

#include "base/wire.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <inttypes.h>

static const struct mask_path conversation_paths[] = {
    {"title", STORE_MASK_TITLE},
    {"metadata", STORE_MASK_METADATA},
    {"archived", STORE_MASK_ARCHIVED},
    {"expire_time_us", STORE_MASK_EXPIRE_TIME},
    {NULL, 0},
};

static ProtobufCMessage *const *metadata_entries(const Chatlog__V1__Conversation *conversation)
{
    return (ProtobufCMessage *const *)(const void *)conversation->metadata;
}

static int check_conversation(const struct limits *limits, const char *user_id,
                              const Chatlog__V1__Conversation *conversation, struct error *error)
{
    if (!conversation) {
        return error_set(error, ERROR_FIELD_REQUIRED, "conversation is needed, with its conversation_id");
    }
    int rc = check_owner(limits, user_id, conversation->conversation_id, error);
    if (!rc) {
        rc = check_text("title", conversation->title, limits->title_bytes, error);
    }
    if (!rc) {
        rc = check_metadata(limits, conversation->n_metadata, metadata_entries(conversation), error);
    }
    return rc ? rc : check_time("expire_time_us", conversation->expire_time_us, error);
}

static int conversation_fill(struct call *call, const Chatlog__V1__Conversation *from, struct store_conversation *to)
{
    const struct store_pair *metadata = call_pairs(call, from->n_metadata, metadata_entries(from));
    if (!metadata) {
        return call_memory_short(call);
    }
    *to = (struct store_conversation){
        .title = span_of_string(from->title),
        .metadata = metadata,
        .metadata_count = from->n_metadata,
        .archived = from->archived,
        .expire_time_us = from->expire_time_us,
    };
    return 0;
}

static int create_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__CreateConversationRequest *request = (const void *)message;
    return check_conversation(limits, request->user_id, request->conversation, error);
}

static int create_handle(struct call *call)
{
    const Chatlog__V1__CreateConversationRequest *request = (const void *)call->request;
    int rc = conversation_fill(call, request->conversation, &call->op.create);
    return rc ? rc : call_store(call, STORE_CREATE_CONVERSATION, request->conversation->conversation_id);
}

static int get_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__GetConversationRequest *request = (const void *)message;
    return check_owner(limits, request->user_id, request->conversation_id, error);
}

static int get_handle(struct call *call)
{
    const Chatlog__V1__GetConversationRequest *request = (const void *)call->request;
    return call_store(call, STORE_GET_CONVERSATION, request->conversation_id);
}

static int update_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__UpdateConversationRequest *request = (const void *)message;
    unsigned mask;
    int rc = check_conversation(limits, request->user_id, request->conversation, error);
    if (!rc) {
        rc = check_mask(limits, request->n_update_mask, request->update_mask, conversation_paths, &mask, error);
    }
    return rc ? rc : check_text("etag", request->etag, limits->id_bytes, error);
}

static int update_handle(struct call *call)
{
    const Chatlog__V1__UpdateConversationRequest *request = (const void *)call->request;
    int rc = conversation_fill(call, request->conversation, &call->op.update.conversation);
    if (!rc) {
        rc = check_mask(call->service->limits, request->n_update_mask, request->update_mask, conversation_paths,
                        &call->op.update.mask, &call->error);
    }
    call->op.update.etag = span_of_string(request->etag);
    return rc ? rc : call_store(call, STORE_UPDATE_CONVERSATION, request->conversation->conversation_id);
}

static int delete_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__DeleteConversationRequest *request = (const void *)message;
    int rc = check_owner(limits, request->user_id, request->conversation_id, error);
    return rc ? rc : check_text("etag", request->etag, limits->id_bytes, error);
}

static int delete_handle(struct call *call)
{
    const Chatlog__V1__DeleteConversationRequest *request = (const void *)call->request;
    call->op.delete.etag = span_of_string(request->etag);
    call->op.delete.purge = request->purge;
    return call_store(call, STORE_DELETE_CONVERSATION, request->conversation_id);
}

static int undelete_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__UndeleteConversationRequest *request = (const void *)message;
    return check_owner(limits, request->user_id, request->conversation_id, error);
}

static int undelete_handle(struct call *call)
{
    const Chatlog__V1__UndeleteConversationRequest *request = (const void *)call->request;
    return call_store(call, STORE_UNDELETE_CONVERSATION, request->conversation_id);
}

static int list_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__ListConversationsRequest *request = (const void *)message;
    int rc = check_id(limits, "user_id", request->user_id, error);
    if (!rc) {
        rc = check_count(limits, "page_size", request->page_size, true, error);
    }
    if (!rc) {
        rc = check_text("page_token", request->page_token, limits->page_token_bytes, error);
    }
    int last = CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_INCLUDE;
    if (!rc && ((int)request->archived < 0 || (int)request->archived > last)) {
        rc = error_set(error, ERROR_FIELD_INVALID, "archived is %d; 0 to %d are allowed", (int)request->archived, last);
    }
    return rc;
}

static unsigned list_filters(const struct call *call)
{
    return (unsigned)call->op.list.archived << 1 | (call->op.list.show_deleted ? 1u : 0u);
}

static int list_handle(struct call *call)
{
    static const enum store_archived archived[] = {
        [CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_UNSPECIFIED] = STORE_ARCHIVED_EXCLUDE,
        [CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_EXCLUDE] = STORE_ARCHIVED_EXCLUDE,
        [CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_ONLY] = STORE_ARCHIVED_ONLY,
        [CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_INCLUDE] = STORE_ARCHIVED_INCLUDE,
    };
    const Chatlog__V1__ListConversationsRequest *request = (const void *)call->request;
    call->op.list.archived = archived[request->archived];
    call->op.list.show_deleted = request->show_deleted;
    call->op.list.page_size = request->page_size ? request->page_size : call->service->limits->page_default;
    int rc = page_token_open(call, request->page_token, list_filters(call), &call->op.list.after);
    return rc ? rc : call_store(call, STORE_LIST_CONVERSATIONS, "");
}

static void list_reply(struct call *call, struct store_result *result)
{
    reply_records(call, result);
    page_token_put(call, 2, list_filters(call), buffer_span(&result->next));
}

#define ROW(method, scope, message, name)                                                                              \
    {                                                                                                                  \
        "chatlog.v1.HistoryService/" method, scope, &chatlog__v1__##message##_request__descriptor, name##_check,       \
            name##_handle, reply_records                                                                               \
    }

const struct method conversation_methods[] = {
    ROW("CreateConversation", SCOPE_WRITE, create_conversation, create),
    ROW("GetConversation", SCOPE_READ, get_conversation, get),
    ROW("UpdateConversation", SCOPE_WRITE, update_conversation, update),
    ROW("DeleteConversation", SCOPE_WRITE, delete_conversation, delete),
    ROW("UndeleteConversation", SCOPE_WRITE, undelete_conversation, undelete),
    {"chatlog.v1.HistoryService/ListConversations", SCOPE_READ, &chatlog__v1__list_conversations_request__descriptor,
     list_check, list_handle, list_reply},
    {0},
};
