/* The operations that read, and those that try to get at what is another's. */
#include "identity/isolation_request.h"

void isolation_draw_get(struct isolation_user *user)
{
    const struct isolation_conversation *conversation = isolation_begin(user, HISTORY "GetConversation");
    user->turn.check = isolation_check_conversation;
    if (!conversation->exists) {
        user->turn.reason = "CONVERSATION_NOT_FOUND";
    }
}

void isolation_draw_list(struct isolation_user *user)
{
    struct isolation_turn *turn = &user->turn;
    turn->method = HISTORY "ListConversations";
    turn->check = isolation_check_list;
    if (!user->listing) {
        user->list_filter = (uint32_t)isolation_draw(user, 4);
        user->list_time_us = INT64_MAX;
        user->listed = 0;
        user->page_token[0] = '\0';
    }
    user->listing = true;
    isolation_put_text(&turn->payload, FIELD_USER, user->marker.text);
    wire_put_uint(&turn->payload, 2, 1 + isolation_draw(user, 4));
    isolation_put_text(&turn->payload, 3, user->page_token);
    wire_put_uint(&turn->payload, 4, user->list_filter);
    wire_put_uint(&turn->payload, 5, user->list_filter == 3);
}

void isolation_draw_list_messages(struct isolation_user *user)
{
    enum { LATEST, BEFORE, AFTER, AROUND, ANCHORS };
    const struct isolation_conversation *conversation = isolation_begin(user, HISTORY "ListMessages");
    struct isolation_turn *turn = &user->turn;
    uint64_t anchor = isolation_draw(user, ANCHORS);
    uint64_t seq = 1 + isolation_draw(user, conversation->last_seq + 2);
    size_t limit = 1 + isolation_draw(user, ISOLATION_MESSAGES);
    turn->basic = isolation_one_in(user, 4);
    turn->check = isolation_check_messages;
    if (anchor != LATEST) {
        isolation_put_choice(&turn->payload, (uint32_t)(2 + anchor), seq);
    }
    wire_put_uint(&turn->payload, 6, limit);
    wire_put_uint(&turn->payload, 8, turn->basic);
    if (!isolation_is_live(user)) {
        return;
    }
    size_t first = anchor == AFTER ? isolation_count_to(conversation, seq) : 0;
    size_t end = anchor == BEFORE ? isolation_count_to(conversation, seq - 1) : conversation->count;
    size_t count = limit < end - first ? limit : end - first;
    isolation_expect(user, anchor == AFTER ? first : end - count, count);
    turn->any = anchor == AROUND;
}

void isolation_draw_get_message(struct isolation_user *user)
{
    isolation_begin(user, HISTORY "GetMessage");
    uint64_t seq;
    const struct isolation_message *message = isolation_pick_message(user, &seq);
    user->turn.check = isolation_check_message;
    if (message && message->id > 0 && isolation_one_in(user, 2)) {
        isolation_put_number(user, &user->turn.payload, 4, message->id);
    } else {
        isolation_put_choice(&user->turn.payload, 3, seq);
    }
    if (message) {
        user->turn.messages[0] = *message;
        user->turn.count = 1;
    }
}

/* Under his own name, a conversation that only the other has. */
void isolation_probe_conversation(struct isolation_user *user)
{
    static const char *const methods[] = {HISTORY "GetConversation", HISTORY "ListMessages", HISTORY "PopMessages",
                                          HISTORY "DeleteConversation", HISTORY "UndeleteConversation"};
    char name[ISOLATION_TEXT_BYTES];
    isolation_name(user->other, 1 + 2 * isolation_draw(user, ISOLATION_CONVERSATIONS / 2), name);
    user->turn.method = methods[isolation_draw(user, sizeof(methods) / sizeof(methods[0]))];
    user->turn.reason = "CONVERSATION_NOT_FOUND";
    isolation_put_text(&user->turn.payload, FIELD_USER, user->marker.text);
    isolation_put_text(&user->turn.payload, FIELD_CONVERSATION, name);
    if (strcmp(user->turn.method, HISTORY "PopMessages") == 0) {
        wire_put_uint(&user->turn.payload, 3, 1);
    }
}

/* In his own conversation, a message by the other's message_id. */
void isolation_probe_message(struct isolation_user *user)
{
    isolation_begin(user, HISTORY "GetMessage");
    isolation_put_number(user->other, &user->turn.payload, 4, 1 + (uint32_t)isolation_draw(user, user->numbers + 1));
    if (isolation_is_live(user)) {
        user->turn.reason = "MESSAGE_NOT_FOUND";
    }
}

/* The other's page token. */
void isolation_probe_page(struct isolation_user *user)
{
    if (!user->other->last_page_token[0]) {
        isolation_probe_conversation(user);
        return;
    }
    user->turn.method = HISTORY "ListConversations";
    user->turn.reason = "PAGE_TOKEN_INVALID";
    isolation_put_text(&user->turn.payload, FIELD_USER, user->marker.text);
    wire_put_uint(&user->turn.payload, 2, 4);
    isolation_put_text(&user->turn.payload, 3, user->other->last_page_token);
    wire_put_uint(&user->turn.payload, 4, user->other->list_filter);
    wire_put_uint(&user->turn.payload, 5, user->other->list_filter == 3);
}

/* In the other's name, and what only an admin may. Who may act for all has a right to it. */
void isolation_probe_right(struct isolation_user *user)
{
    static const char *const admin[] = {ADMIN "ListUsers", ADMIN "ListAuditEvents", ADMIN "GetStats",
                                        ADMIN "GetServerInfo", ADMIN "GetMigration"};
    if (user->caller == ISOLATION_BY_UNIX) {
        isolation_probe_message(user);
    } else if (user->caller == ISOLATION_BY_SERVICE || isolation_one_in(user, 2)) {
        user->turn.method = admin[isolation_draw(user, sizeof(admin) / sizeof(admin[0]))];
        user->turn.reason = "SCOPE_MISSING";
    } else {
        static const char *const methods[] = {HISTORY "ListConversations", HISTORY "ForgetUser",
                                              HISTORY "GetConversation", HISTORY "ListMessages",
                                              HISTORY "UndeleteConversation"};
        size_t method = isolation_draw(user, sizeof(methods) / sizeof(methods[0]));
        user->turn.method = methods[method];
        user->turn.reason = "USER_FOREIGN";
        isolation_put_text(&user->turn.payload, FIELD_USER, user->other->marker.text);
        isolation_put_text(&user->turn.payload, FIELD_CONVERSATION, method < 2 ? "" : "shared 0");
    }
}
