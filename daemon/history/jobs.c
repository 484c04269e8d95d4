/* AdminService: what takes long: backups and verifications. */
#include "history/methods.h"
#include "history/reply.h"

#include "base/wire.h"
#include "chatlog/v1/admin_service.pb-c.h"

#include <string.h>

/* A name becomes a directory's: nothing that leads elsewhere, is hidden, or that a shell would take apart. */
static int backup_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const Chatlog__V1__BackupRequest *request = (const void *)message;
    size_t length = strlen(request->name);
    (void)limits;
    if (length == 0) {
        return error_set(error, ERROR_FIELD_REQUIRED, "name is not set: a backup needs one, such as 2026-11-22");
    }
    if (length > STORE_BACKUP_NAME_BYTES || request->name[0] == '.' || strspn(request->name, allowed) != length) {
        return error_set(error, ERROR_FIELD_INVALID,
                         "name is not one of a backup; allowed are 1 to %d of A-Z a-z 0-9 . _ -, not beginning with a "
                         "dot",
                         STORE_BACKUP_NAME_BYTES);
    }
    return 0;
}

static int backup_handle(struct call *call)
{
    const Chatlog__V1__BackupRequest *request = (const void *)call->request;
    call->op.backup.name = request->name;
    return call_store(call, STORE_BACKUP, "");
}

static void numbers_put(struct buffer *out, const uint64_t *numbers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        wire_put_uint(out, i + 1, numbers[i]); /* in the order of the response's fields */
    }
}

static void backup_reply(struct call *call, struct store_result *result)
{
    const struct store_backup *backup = &result->backup;
    const uint64_t numbers[] = {
        backup->commit_id, backup->time_us,       backup->layout,   backup->target,        backup->file_bytes,
        backup->users,     backup->conversations, backup->messages, backup->content_bytes, backup->findings,
    };
    numbers_put(&call->payload, numbers, sizeof(numbers) / sizeof(numbers[0]));
}

static int verify_handle(struct call *call)
{
    return call_store(call, STORE_VERIFY, "");
}

static void verify_reply(struct call *call, struct store_result *result)
{
    const struct store_survey *survey = result->survey;
    const uint64_t numbers[] = {
        survey->users,      survey->conversations, survey->messages,       survey->message_ids,
        survey->requests,   survey->events,        survey->content_bytes,  survey->unreadable,
        survey->mismatches, survey->strays,        survey->damaged_events, survey->changed_meanwhile,
    };
    numbers_put(&call->payload, numbers, sizeof(numbers) / sizeof(numbers[0]));
    for (size_t i = 0; i < survey->finding_count; i++) {
        wire_put_element(&call->payload, 13, span_of_string(survey->findings[i]));
    }
}

const struct method job_methods[] = {
    {"chatlog.v1.AdminService/Backup", SCOPE_ADMIN, &chatlog__v1__backup_request__descriptor, backup_check,
     backup_handle, backup_reply},
    {"chatlog.v1.AdminService/Verify", SCOPE_ADMIN, &chatlog__v1__verify_request__descriptor, NULL, verify_handle,
     verify_reply},
    {0},
};
