/* The calls that take the daemon long: backups and verifications. */
#include "arena.h"
#include "convert.h"
#include "error.h"
#include "unary.h"

#include "chatlog/v1/admin_service.pb-c.h"

int chatlog_make_backup(struct chatlog *client, const char *name, const struct chatlog_call_options *options,
                        struct chatlog_backup *ret_backup, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {name, "name"});
    if (code != 0)
        return code;
    Chatlog__V1__BackupRequest request;
    chatlog__v1__backup_request__init(&request);
    request.name = chatlog_convert_text(name);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_BACKUP, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__BackupResponse *response = (const Chatlog__V1__BackupResponse *)result.message;
    if (ret_backup != NULL) {
        *ret_backup = (struct chatlog_backup){
            .commit_id = response->commit_id,
            .time_us = (int64_t)response->time_us,
            .layout = response->layout,
            .target_layout = response->target_layout,
            .file_bytes = response->file_bytes,
            .users = response->users,
            .conversations = response->conversations,
            .messages = response->messages,
            .content_bytes = response->content_bytes,
            .findings = response->findings,
        };
    }
    chatlog_arena_free(result.memory);
    return 0;
}

int chatlog_verify(struct chatlog *client, const struct chatlog_call_options *options,
                   struct chatlog_verification *ret_verification, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_verification, "ret_verification"});
    if (code != 0)
        return code;
    Chatlog__V1__VerifyRequest request;
    chatlog__v1__verify_request__init(&request);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_VERIFY, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__VerifyResponse *response = (const Chatlog__V1__VerifyResponse *)result.message;
    *ret_verification = (struct chatlog_verification){
        .users = response->users,
        .conversations = response->conversations,
        .messages = response->messages,
        .message_ids = response->message_ids,
        .requests = response->requests,
        .events = response->events,
        .content_bytes = response->content_bytes,
        .unreadable = response->unreadable,
        .mismatches = response->mismatches,
        .strays = response->strays,
        .damaged_events = response->damaged_events,
        .changed_meanwhile = response->changed_meanwhile != 0,
        .findings = (const char *const *)response->findings,
        .finding_count = response->n_findings,
        .memory = result.memory,
    };
    return 0;
}

void chatlog_verification_free(struct chatlog_verification *verification)
{
    if (verification == NULL)
        return;
    chatlog_arena_free(verification->memory);
    *verification = (struct chatlog_verification){0};
}
