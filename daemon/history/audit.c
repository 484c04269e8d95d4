/* AdminService: what was changed, and who asked for it. */
#include "history/check.h"
#include "history/methods.h"
#include "history/page_token.h"
#include "history/reply.h"

#include "chatlog/v1/admin_service.pb-c.h"

#include <assert.h>
#include <inttypes.h>
#include <xxhash.h>

/* The store keeps the contract's numbers. */
#define SAME(name)                                                                                                     \
    static_assert((int)STORE_ACTION_##name == (int)CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_##name,                     \
                  "actions have the same numbers in the store and in the contract")
SAME(DAMAGED);
SAME(CREATE_CONVERSATION);
SAME(UPDATE_CONVERSATION);
SAME(DELETE_CONVERSATION);
SAME(UNDELETE_CONVERSATION);
SAME(PURGE_CONVERSATION);
SAME(EXPIRE_CONVERSATION);
SAME(REPLACE_MESSAGES);
SAME(UPDATE_MESSAGE);
SAME(DELETE_MESSAGE);
SAME(POP_MESSAGES);
SAME(FORGET_USER_BEGIN);
SAME(FORGET_USER_END);
SAME(MIGRATION_BEGIN);
SAME(MIGRATION_END);
SAME(RELOAD_TOKENS);
SAME(BACKUP);
SAME(RELOAD_TOKENS_FAILED);
#undef SAME

static int events_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__ListAuditEventsRequest *request = (const void *)message;
    int rc = check_text("user_id", request->user_id, limits->id_bytes, error);
    rc = rc ? rc : check_time("since_time_us", request->since_time_us, error);
    rc = rc ? rc : check_time("until_time_us", request->until_time_us, error);
    rc = rc ? rc : check_count(limits, "page_size", request->page_size, true, error);
    return rc ? rc : check_text("page_token", request->page_token, limits->page_token_bytes, error);
}

/* A page token goes with the times it was given for. */
static unsigned filters_of(const Chatlog__V1__ListAuditEventsRequest *request)
{
    const int64_t times[] = {request->since_time_us, request->until_time_us};
    return (unsigned)XXH3_64bits(times, sizeof(times));
}

static int events_handle(struct call *call)
{
    const Chatlog__V1__ListAuditEventsRequest *request = (const void *)call->request;
    call->op.user = span_of_string(request->user_id);
    call->op.events.since_us = request->since_time_us;
    call->op.events.until_us = request->until_time_us;
    call->op.events.page_size = request->page_size ? request->page_size : call->service->limits->page_default;
    int rc = page_token_open(call, request->page_token, filters_of(request), &call->op.events.after);
    return rc ? rc : call_store(call, STORE_LIST_EVENTS, "");
}

static void events_reply(struct call *call, struct store_result *result)
{
    const Chatlog__V1__ListAuditEventsRequest *request = (const void *)call->request;
    reply_records(call, result);
    page_token_put(call, 2, filters_of(request), buffer_span(&result->next));
}

const struct method audit_methods[] = {
    {"chatlog.v1.AdminService/ListAuditEvents", SCOPE_ADMIN, &chatlog__v1__list_audit_events_request__descriptor,
     events_check, events_handle, events_reply},
    {0},
};
