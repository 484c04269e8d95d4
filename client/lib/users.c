/* The calls about users as a whole. */
#include "convert.h"
#include "error.h"
#include "unary.h"

#include "chatlog/v1/admin_service.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <string.h>

int chatlog_forget_user(struct chatlog *client, const char *user_id, const struct chatlog_call_options *options,
                        struct chatlog_receipt *ret_receipt, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {user_id, "user_id"});
    if (code != 0)
        return code;
    Chatlog__V1__ForgetUserRequest request;
    chatlog__v1__forget_user_request__init(&request);
    request.user_id = chatlog_convert_text(user_id);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_FORGET_USER, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__ForgetUserResponse *response = (const Chatlog__V1__ForgetUserResponse *)result.message;
    struct chatlog_receipt receipt = {
        .conversations = response->conversations,
        .messages = response->messages,
        .content_bytes = response->content_bytes,
        .commit_id = response->commit_id,
    };
    if (strlen(response->digest) >= sizeof receipt.digest) {
        code = chatlog_envelope_malformed(error);
    } else if (ret_receipt != NULL) {
        strcpy(receipt.digest, response->digest);
        *ret_receipt = receipt;
    }
    chatlog_arena_free(result.memory);
    return code;
}

int chatlog_list_users(struct chatlog *client, uint32_t page_size, const char *page_token,
                       const struct chatlog_call_options *options, struct chatlog_users *ret_page,
                       struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_page, "ret_page"});
    if (code != 0)
        return code;
    Chatlog__V1__ListUsersRequest request;
    chatlog__v1__list_users_request__init(&request);
    request.page_size = page_size;
    request.page_token = chatlog_convert_text(page_token);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_LIST_USERS, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__ListUsersResponse *response = (const Chatlog__V1__ListUsersResponse *)result.message;
    *ret_page = (struct chatlog_users){
        .user_ids = (const char *const *)response->user_ids,
        .count = response->n_user_ids,
        .next_page_token = response->next_page_token,
        .memory = result.memory,
    };
    return 0;
}

void chatlog_users_free(struct chatlog_users *page)
{
    if (page == NULL)
        return;
    chatlog_arena_free(page->memory);
    *page = (struct chatlog_users){0};
}
