/* The calls about conversations. */
#include "convert.h"
#include "error.h"
#include "unary.h"

#include "chatlog/v1/history_service.pb-c.h"

#include <assert.h>

/* ---- Calls that return one conversation -------------------------------------------------------------------------- */

/* The one field these responses have. */
static const Chatlog__V1__Conversation *response_conversation(enum chatlog_method_id method,
                                                              const ProtobufCMessage *response)
{
    switch (method) {
    case METHOD_CREATE_CONVERSATION:
        return ((const Chatlog__V1__CreateConversationResponse *)response)->conversation;
    case METHOD_GET_CONVERSATION:
        return ((const Chatlog__V1__GetConversationResponse *)response)->conversation;
    case METHOD_UPDATE_CONVERSATION:
        return ((const Chatlog__V1__UpdateConversationResponse *)response)->conversation;
    case METHOD_DELETE_CONVERSATION:
        return ((const Chatlog__V1__DeleteConversationResponse *)response)->conversation;
    case METHOD_UNDELETE_CONVERSATION:
        return ((const Chatlog__V1__UndeleteConversationResponse *)response)->conversation;
    default:
        assert(false); /* only called for the methods above */
        return NULL;
    }
}

static int call_for_conversation(struct chatlog *client, enum chatlog_method_id method, const ProtobufCMessage *request,
                                 const struct chatlog_call_options *options,
                                 struct chatlog_conversation *ret_conversation, struct chatlog_error *error)
{
    struct chatlog_result result;
    int code = chatlog_unary_call(client, method, request, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__Conversation *wire = response_conversation(method, result.message);
    struct chatlog_conversation conversation = {0};
    if (wire == NULL)
        code = chatlog_envelope_malformed(error);
    else if (ret_conversation != NULL)
        code = chatlog_convert_conversation_back(result.memory, wire, &conversation, error);
    if (code != 0 || ret_conversation == NULL) {
        chatlog_arena_free(result.memory);
        return code;
    }
    conversation.memory = result.memory;
    *ret_conversation = conversation;
    return 0;
}

void chatlog_conversation_free(struct chatlog_conversation *conversation)
{
    if (conversation == NULL)
        return;
    chatlog_arena_free(conversation->memory);
    *conversation = (struct chatlog_conversation){0};
}

int chatlog_create_conversation(struct chatlog *client, const char *user_id,
                                const struct chatlog_conversation *conversation,
                                const struct chatlog_call_options *options,
                                struct chatlog_conversation *ret_conversation, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation, "conversation"});
    if (code != 0)
        return code;
    struct chatlog_arena *arena = chatlog_arena_new(SIZE_MAX);
    if (arena == NULL)
        return chatlog_error_memory(error);
    Chatlog__V1__Conversation wire;
    code = chatlog_convert_conversation(arena, conversation, &wire, error);
    if (code == 0) {
        Chatlog__V1__CreateConversationRequest request;
        chatlog__v1__create_conversation_request__init(&request);
        request.user_id = chatlog_convert_text(user_id);
        request.conversation = &wire;
        code =
            call_for_conversation(client, METHOD_CREATE_CONVERSATION, &request.base, options, ret_conversation, error);
    }
    chatlog_arena_free(arena);
    return code;
}

int chatlog_get_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                             const struct chatlog_call_options *options, struct chatlog_conversation *ret_conversation,
                             struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"});
    if (code != 0)
        return code;
    Chatlog__V1__GetConversationRequest request;
    chatlog__v1__get_conversation_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    request.conversation_id = chatlog_convert_text(conversation_id);
    return call_for_conversation(client, METHOD_GET_CONVERSATION, &request.base, options, ret_conversation, error);
}

int chatlog_update_conversation(struct chatlog *client, const char *user_id,
                                const struct chatlog_conversation *conversation, unsigned fields, const char *etag,
                                const struct chatlog_call_options *options,
                                struct chatlog_conversation *ret_conversation, struct chatlog_error *error)
{
    static const char *const names[] = {"title", "metadata", "archived", "expire_time_us"};
    struct chatlog_mask mask;
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation, "conversation"});
    if (code == 0)
        code = chatlog_convert_mask(fields, names, sizeof names / sizeof names[0], &mask, error);
    if (code != 0)
        return code;
    struct chatlog_arena *arena = chatlog_arena_new(SIZE_MAX);
    if (arena == NULL)
        return chatlog_error_memory(error);
    Chatlog__V1__Conversation wire;
    code = chatlog_convert_conversation(arena, conversation, &wire, error);
    if (code == 0) {
        Chatlog__V1__UpdateConversationRequest request;
        chatlog__v1__update_conversation_request__init(&request);
        request.user_id = chatlog_convert_text(user_id);
        request.conversation = &wire;
        request.n_update_mask = mask.count;
        request.update_mask = mask.paths;
        request.etag = chatlog_convert_text(etag);
        code =
            call_for_conversation(client, METHOD_UPDATE_CONVERSATION, &request.base, options, ret_conversation, error);
    }
    chatlog_arena_free(arena);
    return code;
}

int chatlog_undelete_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                                  const struct chatlog_call_options *options,
                                  struct chatlog_conversation *ret_conversation, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"});
    if (code != 0)
        return code;
    Chatlog__V1__UndeleteConversationRequest request;
    chatlog__v1__undelete_conversation_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    request.conversation_id = chatlog_convert_text(conversation_id);
    return call_for_conversation(client, METHOD_UNDELETE_CONVERSATION, &request.base, options, ret_conversation, error);
}

/* ---- Deleting ---------------------------------------------------------------------------------------------------- */

static int make_delete(struct chatlog *client, const char *user_id, const char *conversation_id, const char *etag,
                       bool purge, Chatlog__V1__DeleteConversationRequest *ret_request, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"});
    if (code != 0)
        return code;
    chatlog__v1__delete_conversation_request__init(ret_request);
    ret_request->user_id = chatlog_convert_text(user_id);
    ret_request->conversation_id = chatlog_convert_text(conversation_id);
    ret_request->etag = chatlog_convert_text(etag);
    ret_request->purge = purge;
    return 0;
}

int chatlog_delete_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                                const char *etag, const struct chatlog_call_options *options,
                                struct chatlog_conversation *ret_conversation, struct chatlog_error *error)
{
    Chatlog__V1__DeleteConversationRequest request;
    int code = make_delete(client, user_id, conversation_id, etag, false, &request, error);
    return code != 0 ? code
                     : call_for_conversation(client, METHOD_DELETE_CONVERSATION, &request.base, options,
                                             ret_conversation, error);
}

int chatlog_purge_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                               const char *etag, const struct chatlog_call_options *options,
                               struct chatlog_error *error)
{
    Chatlog__V1__DeleteConversationRequest request;
    struct chatlog_result result;
    int code = make_delete(client, user_id, conversation_id, etag, true, &request, error);
    if (code == 0)
        code = chatlog_unary_call(client, METHOD_DELETE_CONVERSATION, &request.base, options, &result, error);
    if (code == 0)
        chatlog_arena_free(result.memory);
    return code;
}

/* ---- Listing ----------------------------------------------------------------------------------------------------- */

static int read_page(const struct chatlog_result *result, struct chatlog_conversations *ret_page,
                     struct chatlog_error *error)
{
    const Chatlog__V1__ListConversationsResponse *response =
        (const Chatlog__V1__ListConversationsResponse *)result->message;
    struct chatlog_conversation *items = chatlog_arena_get(result->memory, response->n_conversations, sizeof *items);
    if (items == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < response->n_conversations; i++) {
        int code = chatlog_convert_conversation_back(result->memory, response->conversations[i], &items[i], error);
        if (code != 0)
            return code;
    }
    *ret_page = (struct chatlog_conversations){
        .items = items,
        .count = response->n_conversations,
        .next_page_token = response->next_page_token,
        .memory = result->memory,
    };
    return 0;
}

int chatlog_list_conversations(struct chatlog *client, const char *user_id,
                               const struct chatlog_conversation_query *query,
                               const struct chatlog_call_options *options, struct chatlog_conversations *ret_page,
                               struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {ret_page, "ret_page"});
    if (code != 0)
        return code;
    Chatlog__V1__ListConversationsRequest request;
    chatlog__v1__list_conversations_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    if (query != NULL) {
        request.page_size = query->page_size;
        request.page_token = chatlog_convert_text(query->page_token);
        request.archived = (Chatlog__V1__ArchivedFilter)query->archived;
        request.show_deleted = query->show_deleted;
    }
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_LIST_CONVERSATIONS, &request.base, options, &result, error);
    if (code != 0)
        return code;
    code = read_page(&result, ret_page, error);
    if (code != 0)
        chatlog_arena_free(result.memory);
    return code;
}

void chatlog_conversations_free(struct chatlog_conversations *page)
{
    if (page == NULL)
        return;
    chatlog_arena_free(page->memory);
    *page = (struct chatlog_conversations){0};
}
