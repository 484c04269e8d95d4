/* The calls about messages that are there already. */
#include "convert.h"
#include "error.h"
#include "unary.h"

#include "chatlog/v1/history_service.pb-c.h"

#include <assert.h>

void chatlog_message_free(struct chatlog_message *message)
{
    if (message == NULL)
        return;
    chatlog_arena_free(message->memory);
    *message = (struct chatlog_message){0};
}

void chatlog_messages_free(struct chatlog_messages *page)
{
    if (page == NULL)
        return;
    chatlog_arena_free(page->memory);
    *page = (struct chatlog_messages){0};
}

/* ---- Pages ------------------------------------------------------------------------------------------------------- */

/* Gives the result's memory and these messages to *ret_page, whose other fields are those of *page; frees it when that
 * fails. */
static int give_page(const struct chatlog_result *result, Chatlog__V1__Message *const *wire, size_t count,
                     const struct chatlog_messages *page, struct chatlog_messages *ret_page,
                     struct chatlog_error *error)
{
    struct chatlog_message *items = chatlog_arena_get(result->memory, count, sizeof *items);
    int code = items == NULL ? chatlog_error_memory(error) : 0;
    for (size_t i = 0; i < count && code == 0; i++)
        code = chatlog_convert_message_back(result->memory, wire[i], &items[i], error);
    if (code != 0) {
        chatlog_arena_free(result->memory);
        return code;
    }
    *ret_page = *page;
    ret_page->items = items;
    ret_page->count = count;
    ret_page->memory = result->memory;
    return 0;
}

static void set_query(Chatlog__V1__ListMessagesRequest *request, const struct chatlog_message_query *query)
{
    request->limit = query->limit;
    request->max_bytes = query->max_bytes;
    if (query->basic)
        request->view = CHATLOG__V1__MESSAGE_VIEW__MESSAGE_VIEW_BASIC;
    switch (query->anchor) {
    case CHATLOG_LATEST:
        break;
    case CHATLOG_BEFORE:
        request->anchor_case = CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_BEFORE_SEQ;
        request->before_seq = query->seq;
        break;
    case CHATLOG_AFTER:
        request->anchor_case = CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_AFTER_SEQ;
        request->after_seq = query->seq;
        break;
    case CHATLOG_AROUND:
        request->anchor_case = CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_AROUND_SEQ;
        request->around_seq = query->seq;
        break;
    }
}

static int check_query(const struct chatlog_message_query *query, struct chatlog_error *error)
{
    if (query == NULL || (unsigned)query->anchor <= CHATLOG_AROUND)
        return 0;
    return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_INVALID",
                             "anchor is %d; it must be one of enum chatlog_anchor", (int)query->anchor);
}

int chatlog_list_messages(struct chatlog *client, const char *user_id, const char *conversation_id,
                          const struct chatlog_message_query *query, const struct chatlog_call_options *options,
                          struct chatlog_messages *ret_page, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"},
                               {ret_page, "ret_page"});
    if (code == 0)
        code = check_query(query, error);
    if (code != 0)
        return code;
    Chatlog__V1__ListMessagesRequest request;
    chatlog__v1__list_messages_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    request.conversation_id = chatlog_convert_text(conversation_id);
    if (query != NULL)
        set_query(&request, query);

    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_LIST_MESSAGES, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__ListMessagesResponse *response = (const Chatlog__V1__ListMessagesResponse *)result.message;
    struct chatlog_messages page = {
        .has_more_before = response->has_more_before != 0,
        .has_more_after = response->has_more_after != 0,
        .last_seq = response->last_seq,
        .etag = response->etag,
    };
    return give_page(&result, response->messages, response->n_messages, &page, ret_page, error);
}

int chatlog_pop_messages(struct chatlog *client, const char *user_id, const char *conversation_id, uint32_t count,
                         bool check_last_seq, uint64_t expected_last_seq, const struct chatlog_call_options *options,
                         struct chatlog_messages *ret_page, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"},
                               {ret_page, "ret_page"});
    if (code != 0)
        return code;
    Chatlog__V1__PopMessagesRequest request;
    chatlog__v1__pop_messages_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    request.conversation_id = chatlog_convert_text(conversation_id);
    request.count = count;
    if (check_last_seq) {
        request.expected_case = CHATLOG__V1__POP_MESSAGES_REQUEST__EXPECTED_EXPECTED_LAST_SEQ;
        request.expected_last_seq = expected_last_seq;
    }
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_POP_MESSAGES, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__PopMessagesResponse *response = (const Chatlog__V1__PopMessagesResponse *)result.message;
    struct chatlog_messages page = {.etag = response->etag};
    return give_page(&result, response->messages, response->n_messages, &page, ret_page, error);
}

/* ---- One message ------------------------------------------------------------------------------------------------- */

/* Frees the result's memory, or gives it to *ret_message (may be NULL). */
static int give_message(const struct chatlog_result *result, const Chatlog__V1__Message *wire,
                        struct chatlog_message *ret_message, struct chatlog_error *error)
{
    struct chatlog_message message;
    int code = wire == NULL ? chatlog_envelope_malformed(error)
                            : chatlog_convert_message_back(result->memory, wire, &message, error);
    if (code != 0 || ret_message == NULL) {
        chatlog_arena_free(result->memory);
        return code;
    }
    message.memory = result->memory;
    *ret_message = message;
    return 0;
}

int chatlog_get_message(struct chatlog *client, const char *user_id, const char *conversation_id, uint64_t seq,
                        const char *message_id, const struct chatlog_call_options *options,
                        struct chatlog_message *ret_message, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"},
                               {ret_message, "ret_message"});
    if (code != 0)
        return code;
    Chatlog__V1__GetMessageRequest request;
    chatlog__v1__get_message_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    request.conversation_id = chatlog_convert_text(conversation_id);
    if (message_id != NULL) {
        request.key_case = CHATLOG__V1__GET_MESSAGE_REQUEST__KEY_MESSAGE_ID;
        request.message_id = chatlog_convert_text(message_id);
    } else {
        request.key_case = CHATLOG__V1__GET_MESSAGE_REQUEST__KEY_SEQ;
        request.seq = seq;
    }
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_GET_MESSAGE, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__GetMessageResponse *response = (const Chatlog__V1__GetMessageResponse *)result.message;
    return give_message(&result, response->message, ret_message, error);
}

int chatlog_update_message(struct chatlog *client, const char *user_id, const char *conversation_id,
                           const struct chatlog_message *message, unsigned fields, uint32_t expected_revision,
                           const struct chatlog_call_options *options, struct chatlog_message *ret_message,
                           struct chatlog_error *error)
{
    static const char *const names[] = {"content", "content_type", "metadata", "token_count"};
    struct chatlog_mask mask;
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"},
                               {message, "message"});
    if (code == 0)
        code = chatlog_convert_mask(fields, names, sizeof names / sizeof names[0], &mask, error);
    if (code != 0)
        return code;
    struct chatlog_arena *arena = chatlog_arena_new(SIZE_MAX);
    if (arena == NULL)
        return chatlog_error_memory(error);
    Chatlog__V1__Message wire;
    struct chatlog_result result;
    code = chatlog_convert_message(arena, message, &wire, error);
    if (code == 0) {
        Chatlog__V1__UpdateMessageRequest request;
        chatlog__v1__update_message_request__init(&request);
        request.user_id = chatlog_convert_text(user_id);
        request.conversation_id = chatlog_convert_text(conversation_id);
        request.message = &wire;
        request.n_update_mask = mask.count;
        request.update_mask = mask.paths;
        request.expected_revision = expected_revision;
        code = chatlog_unary_call(client, METHOD_UPDATE_MESSAGE, &request.base, options, &result, error);
    }
    chatlog_arena_free(arena);
    if (code != 0)
        return code;
    const Chatlog__V1__UpdateMessageResponse *response = (const Chatlog__V1__UpdateMessageResponse *)result.message;
    return give_message(&result, response->message, ret_message, error);
}

int chatlog_delete_message(struct chatlog *client, const char *user_id, const char *conversation_id, uint64_t seq,
                           const struct chatlog_call_options *options, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"});
    if (code != 0)
        return code;
    Chatlog__V1__DeleteMessageRequest request;
    chatlog__v1__delete_message_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    request.conversation_id = chatlog_convert_text(conversation_id);
    request.seq = seq;
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_DELETE_MESSAGE, &request.base, options, &result, error);
    if (code == 0)
        chatlog_arena_free(result.memory);
    return code;
}
