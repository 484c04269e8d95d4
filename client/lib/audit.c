/* The call about the audit trail. */
#include "convert.h"
#include "error.h"
#include "unary.h"

#include "chatlog/v1/admin_service.pb-c.h"

#include <assert.h>

static_assert((int)CHATLOG_AUDIT_DAMAGED == (int)CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_DAMAGED &&
                  (int)CHATLOG_AUDIT_POP_MESSAGES == (int)CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_POP_MESSAGES &&
                  (int)CHATLOG_AUDIT_RELOAD_TOKENS_FAILED ==
                      (int)CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_RELOAD_TOKENS_FAILED,
              "actions have the numbers of the contract");

static struct chatlog_audit_event read_event(const Chatlog__V1__AuditEvent *event)
{
    bool known = (unsigned)event->action < CHATLOG_AUDIT_ACTION_COUNT;
    return (struct chatlog_audit_event){
        .time_us = event->time_us,
        .action = known ? (enum chatlog_audit_action)event->action : CHATLOG_AUDIT_UNKNOWN,
        .principal = event->principal,
        .user_id = event->user_id,
        .conversation_id = event->conversation_id,
        .first_seq = event->first_seq,
        .last_seq = event->last_seq,
        .request_id = event->request_id,
        .commit_id = event->commit_id,
        .conversations = event->conversations,
        .messages = event->messages,
        .content_bytes = event->content_bytes,
        .digest = event->digest,
        .from_layout = event->from_layout,
        .to_layout = event->to_layout,
    };
}

static int read_page(const struct chatlog_result *result, struct chatlog_audit_events *ret_page,
                     struct chatlog_error *error)
{
    const Chatlog__V1__ListAuditEventsResponse *response =
        (const Chatlog__V1__ListAuditEventsResponse *)result->message;
    struct chatlog_audit_event *items = chatlog_arena_get(result->memory, response->n_events, sizeof *items);
    if (items == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < response->n_events; i++)
        items[i] = read_event(response->events[i]);
    *ret_page = (struct chatlog_audit_events){
        .items = items,
        .count = response->n_events,
        .next_page_token = response->next_page_token,
        .memory = result->memory,
    };
    return 0;
}

int chatlog_list_audit_events(struct chatlog *client, const struct chatlog_audit_query *query,
                              const struct chatlog_call_options *options, struct chatlog_audit_events *ret_page,
                              struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_page, "ret_page"});
    if (code != 0)
        return code;
    Chatlog__V1__ListAuditEventsRequest request;
    chatlog__v1__list_audit_events_request__init(&request);
    if (query != NULL) {
        request.user_id = chatlog_convert_text(query->user_id);
        request.since_time_us = query->since_time_us;
        request.until_time_us = query->until_time_us;
        request.page_size = query->page_size;
        request.page_token = chatlog_convert_text(query->page_token);
    }
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_LIST_AUDIT_EVENTS, &request.base, options, &result, error);
    if (code != 0)
        return code;
    code = read_page(&result, ret_page, error);
    if (code != 0)
        chatlog_arena_free(result.memory);
    return code;
}

void chatlog_audit_events_free(struct chatlog_audit_events *page)
{
    if (page == NULL)
        return;
    chatlog_arena_free(page->memory);
    *page = (struct chatlog_audit_events){0};
}
