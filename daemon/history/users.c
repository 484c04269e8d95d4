/* HistoryService: the method about a user as a whole. */
#include "history/check.h"
#include "history/methods.h"
#include "history/reply.h"

#include "base/wire.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

static int forget_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__ForgetUserRequest *request = (const void *)message;
    return check_id(limits, "user_id", request->user_id, error);
}

static int forget_handle(struct call *call)
{
    return call_store(call, STORE_FORGET_USER, "");
}

static void forget_reply(struct call *call, struct store_result *result)
{
    const struct store_receipt *receipt = &result->receipt;
    char digest[33];
    snprintf(digest, sizeof(digest), "%016" PRIx64 "%016" PRIx64, receipt->digest[0], receipt->digest[1]);
    wire_put_uint(&call->payload, 1, receipt->conversations);
    wire_put_uint(&call->payload, 2, receipt->messages);
    wire_put_uint(&call->payload, 3, receipt->content_bytes);
    wire_put_bytes(&call->payload, 4, span_of_string(digest));
    wire_put_uint(&call->payload, 5, receipt->commit_id);
}

const struct method user_methods[] = {
    {"chatlog.v1.HistoryService/ForgetUser", SCOPE_WRITE, &chatlog__v1__forget_user_request__descriptor, forget_check,
     forget_handle, forget_reply},
    {0},
};
