/* Appending messages, waiting for it or not. */
#include "convert.h"
#include "error.h"
#include "exchange.h"
#include "memory.h"
#include "unary.h"

#include "chatlog/v1/history_service.pb-c.h"

#include <string.h>

static int convert_messages(struct chatlog_arena *arena, const struct chatlog_message *messages, size_t count,
                            Chatlog__V1__AppendMessagesRequest *request, struct chatlog_error *error)
{
    Chatlog__V1__Message **list = chatlog_arena_get(arena, count, sizeof *list);
    Chatlog__V1__Message *wire = chatlog_arena_get(arena, count, sizeof *wire);
    if (list == NULL || wire == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < count; i++) {
        int code = chatlog_convert_message(arena, &messages[i], &wire[i], error);
        if (code != 0)
            return code;
        list[i] = &wire[i];
    }
    request->n_messages = count;
    request->messages = list;
    return 0;
}

static int make_request(struct chatlog_arena *arena, const char *user_id, const char *conversation_id,
                        const struct chatlog_message *messages, size_t count,
                        const struct chatlog_append_options *append, Chatlog__V1__AppendMessagesRequest *ret_request,
                        struct chatlog_error *error)
{
    chatlog__v1__append_messages_request__init(ret_request);
    ret_request->user_id = chatlog_convert_text(user_id);
    ret_request->conversation_id = chatlog_convert_text(conversation_id);
    if (append != NULL) {
        ret_request->create_if_missing = append->create_if_missing;
        if (append->check_last_seq) {
            ret_request->expected_case = CHATLOG__V1__APPEND_MESSAGES_REQUEST__EXPECTED_EXPECTED_LAST_SEQ;
            ret_request->expected_last_seq = append->expected_last_seq;
        }
        if (append->replace) {
            ret_request->replace_case = CHATLOG__V1__APPEND_MESSAGES_REQUEST__REPLACE_REPLACE_AFTER_SEQ;
            ret_request->replace_after_seq = append->replace_after_seq;
        }
    }
    return convert_messages(arena, messages, count, ret_request, error);
}

/* Frees the result's memory. */
static int read_result(const struct chatlog_result *result, struct chatlog_append_result *ret,
                       struct chatlog_error *error)
{
    const Chatlog__V1__AppendMessagesResponse *response = (const Chatlog__V1__AppendMessagesResponse *)result->message;
    int code = 0;
    if (strlen(response->etag) >= sizeof ret->etag) {
        code = chatlog_envelope_malformed(error);
    } else {
        *ret = (struct chatlog_append_result){
            .first_seq = response->first_seq,
            .last_seq = response->last_seq,
            .create_time_us = response->create_time_us,
            .replayed = result->replayed,
        };
        strcpy(ret->etag, response->etag);
    }
    chatlog_arena_free(result->memory);
    return code;
}

/* ---- Without waiting --------------------------------------------------------------------------------------------- */

struct completion {
    chatlog_append_done *done;
    void *arg;
};

static void complete(void *arg, const struct chatlog_answer *answer, const struct chatlog_error *error)
{
    struct completion completion = *(struct completion *)arg;
    chatlog_memory_free(arg);
    struct chatlog_append_result append;
    struct chatlog_result result;
    struct chatlog_error unreadable;
    if (answer != NULL && (chatlog_unary_unpack(METHOD_APPEND_MESSAGES, answer, &result, &unreadable) != 0 ||
                           read_result(&result, &append, &unreadable) != 0))
        error = &unreadable;
    if (error != NULL)
        completion.done(completion.arg, (int)error->code, NULL, error);
    else
        completion.done(completion.arg, CHATLOG_OK, &append, NULL);
}

int chatlog_append_async(struct chatlog *client, const char *user_id, const char *conversation_id,
                         const struct chatlog_message *messages, size_t count,
                         const struct chatlog_append_options *append, const struct chatlog_call_options *options,
                         chatlog_append_done *done, void *arg, struct chatlog_error *error)
{
    int code = done != NULL
                   ? 0
                   : chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_REQUIRED", "done must not be NULL");
    if (code == 0)
        code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"},
                               {count == 0 ? "" : (const void *)messages, "messages"});
    if (code != 0)
        return code;
    struct chatlog_arena *arena = chatlog_arena_new(SIZE_MAX);
    struct completion *completion = chatlog_memory_get(sizeof *completion);
    Chatlog__V1__AppendMessagesRequest request;
    if (arena == NULL || completion == NULL) {
        code = chatlog_error_memory(error);
    } else {
        *completion = (struct completion){done, arg};
        code = make_request(arena, user_id, conversation_id, messages, count, append, &request, error);
        if (code == 0)
            code = chatlog_unary_start(client, METHOD_APPEND_MESSAGES, &request.base, options, complete, completion,
                                       error);
    }
    if (code != 0)
        chatlog_memory_free(completion);
    chatlog_arena_free(arena);
    return code;
}

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

int chatlog_append(struct chatlog *client, const char *user_id, const char *conversation_id,
                   const struct chatlog_message *messages, size_t count, const struct chatlog_append_options *append,
                   const struct chatlog_call_options *options, struct chatlog_append_result *ret_result,
                   struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"}, {conversation_id, "conversation_id"},
                               {count == 0 ? "" : (const void *)messages, "messages"});
    if (code != 0)
        return code;
    struct chatlog_arena *arena = chatlog_arena_new(SIZE_MAX);
    if (arena == NULL)
        return chatlog_error_memory(error);
    Chatlog__V1__AppendMessagesRequest request;
    struct chatlog_result result;
    struct chatlog_append_result read;
    code = make_request(arena, user_id, conversation_id, messages, count, append, &request, error);
    if (code == 0)
        code = chatlog_unary_call(client, METHOD_APPEND_MESSAGES, &request.base, options, &result, error);
    chatlog_arena_free(arena);
    if (code == 0)
        code = read_result(&result, &read, error);
    if (code == 0 && ret_result != NULL)
        *ret_result = read;
    return code;
}
