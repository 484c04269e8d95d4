/* The operations that change something: in the daemon, and at once in the model. */
#include "identity/isolation_request.h"

#include <stdio.h>

static void conversation_clear(struct isolation_conversation *conversation)
{
    struct buffer payload = conversation->payload;
    struct buffer answer = conversation->answer;
    memset(conversation, 0, sizeof(*conversation));
    buffer_clear(&payload);
    buffer_clear(&answer);
    conversation->payload = payload;
    conversation->answer = answer;
}

/* CreateConversation, or UpdateConversation of all fields. */
void isolation_draw_labels(struct isolation_user *user)
{
    bool creates = isolation_one_in(user, 2);
    size_t index = isolation_draw(user, ISOLATION_CONVERSATIONS);
    struct isolation_turn *turn = &user->turn;
    struct isolation_conversation *conversation = turn->conversation = &user->conversations[index];
    struct buffer inner = {0};
    char name[ISOLATION_TEXT_BYTES];
    uint32_t title = isolation_number(user);
    uint32_t label = isolation_one_in(user, 2) ? isolation_number(user) : 0;
    bool archived = isolation_one_in(user, 4);
    isolation_name(user, index, name);
    isolation_put_text(&inner, 1, name);
    isolation_put_number(user, &inner, 2, title);
    isolation_put_label(user, &inner, 3, label);
    wire_put_uint(&inner, 4, archived);
    isolation_put_text(&turn->payload, FIELD_USER, user->marker.text);
    wire_put_element(&turn->payload, 2, buffer_span(&inner));
    buffer_free(&inner);
    turn->method = creates ? HISTORY "CreateConversation" : HISTORY "UpdateConversation";
    turn->changes = true;
    turn->check = isolation_check_conversation;
    if (!creates) {
        isolation_put_text(&turn->payload, 3, "title");
        isolation_put_text(&turn->payload, 3, "metadata");
        isolation_put_text(&turn->payload, 3, "archived");
    }
    if (creates ? conversation->exists : !isolation_is_live(user)) {
        turn->reason = creates ? "CONVERSATION_EXISTS" : turn->reason;
        return;
    }
    conversation->exists = true;
    conversation->title = title;
    conversation->label = label;
    conversation->archived = archived;
}

void isolation_draw_delete(struct isolation_user *user)
{
    struct isolation_conversation *conversation = isolation_begin(user, HISTORY "DeleteConversation");
    bool purge = isolation_one_in(user, 2);
    wire_put_uint(&user->turn.payload, 4, purge);
    user->turn.changes = true;
    user->turn.check = purge ? NULL : isolation_check_conversation;
    if (purge && conversation->exists) {
        conversation_clear(conversation);
    } else if (isolation_is_live(user) && isolation_one_in(user, 4)) {
        isolation_put_text(&user->turn.payload, 3, "another etag");
        user->turn.reason = "ETAG_MISMATCH";
    } else if (isolation_is_live(user)) {
        isolation_put_text(&user->turn.payload, 3, conversation->etag);
        conversation->deleted = true;
    }
}

void isolation_draw_undelete(struct isolation_user *user)
{
    struct isolation_conversation *conversation = isolation_begin(user, HISTORY "UndeleteConversation");
    user->turn.changes = true;
    user->turn.check = isolation_check_conversation;
    if (!conversation->exists) {
        user->turn.reason = "CONVERSATION_NOT_FOUND";
    } else if (!conversation->deleted) {
        user->turn.reason = "CONVERSATION_NOT_DELETED";
    }
    conversation->deleted = false;
}

static void put_message(struct isolation_user *user, const struct isolation_message *message)
{
    struct buffer inner = {0};
    isolation_put_number(user, &inner, 6, message->id);
    isolation_put_text(&inner, 7, "user");
    isolation_put_text(&inner, 9, user->marker.text);
    wire_put_uint(&inner, 10, message->token_count);
    isolation_put_label(user, &inner, 12, message->label);
    isolation_put_number(user, &inner, 13, message->content);
    wire_put_element(&user->turn.payload, 3, buffer_span(&inner));
    buffer_free(&inner);
}

void isolation_draw_append(struct isolation_user *user)
{
    struct isolation_conversation *conversation = isolation_begin(user, HISTORY "AppendMessages");
    struct isolation_turn *turn = &user->turn;
    size_t count = 1 + isolation_draw(user, ISOLATION_APPEND_MAX);
    bool replaces = conversation->count + count > ISOLATION_MESSAGES || isolation_one_in(user, 8);
    uint64_t keep_seq = replaces ? isolation_draw(user, conversation->last_seq / 2 + 1) : conversation->last_seq;
    if (replaces && conversation->count > 0 &&
        isolation_count_to(conversation, keep_seq) + count > ISOLATION_MESSAGES) {
        keep_seq = 0;
    }
    bool creates = isolation_one_in(user, 2);
    bool expects = conversation->exists && !conversation->deleted && isolation_one_in(user, 4);
    bool wrong = expects && isolation_one_in(user, 4);
    turn->changes = true;
    turn->check = isolation_check_append;
    for (size_t i = 0; i < count; i++) {
        turn->messages[i] = (struct isolation_message){.seq = conversation->last_seq + 1 + i,
                                                       .revision = 1,
                                                       .token_count = (uint32_t)isolation_draw(user, 3),
                                                       .content = isolation_number(user),
                                                       .label = isolation_one_in(user, 3) ? isolation_number(user) : 0,
                                                       .id = isolation_one_in(user, 3) ? isolation_number(user) : 0};
        put_message(user, &turn->messages[i]);
    }
    turn->count = count;
    wire_put_uint(&turn->payload, 4, creates);
    if (expects) {
        isolation_put_choice(&turn->payload, 5, conversation->last_seq + wrong);
    }
    if (replaces) {
        isolation_put_choice(&turn->payload, 6, keep_seq);
    }
    if (!creates || conversation->exists) {
        if (!isolation_is_live(user)) {
            return;
        }
    }
    if (wrong) {
        turn->reason = "LAST_SEQ_MISMATCH";
        return;
    }
    conversation->exists = true;
    conversation->count = isolation_count_to(conversation, keep_seq);
    memcpy(&conversation->messages[conversation->count], turn->messages, count * sizeof(turn->messages[0]));
    conversation->count += count;
    conversation->last_seq += count;
}

void isolation_draw_update_message(struct isolation_user *user)
{
    isolation_begin(user, HISTORY "UpdateMessage");
    struct isolation_turn *turn = &user->turn;
    uint64_t seq;
    struct isolation_message *message = isolation_pick_message(user, &seq);
    uint32_t content = isolation_number(user);
    uint32_t label = isolation_one_in(user, 2) ? isolation_number(user) : 0;
    bool wrong = message && isolation_one_in(user, 6);
    struct buffer inner = {0};
    wire_put_uint(&inner, 1, seq);
    isolation_put_label(user, &inner, 12, label);
    isolation_put_number(user, &inner, 13, content);
    wire_put_element(&turn->payload, 3, buffer_span(&inner));
    buffer_free(&inner);
    isolation_put_text(&turn->payload, 4, "content");
    isolation_put_text(&turn->payload, 4, "metadata");
    turn->changes = true;
    turn->basic = true;
    turn->check = isolation_check_message;
    if (wrong) {
        wire_put_uint(&turn->payload, 5, message->revision + 1);
        turn->reason = "REVISION_MISMATCH";
    } else if (message) {
        message->content = content;
        message->label = label;
        message->revision++;
        turn->messages[0] = *message;
        turn->count = 1;
    }
}

void isolation_draw_delete_message(struct isolation_user *user)
{
    struct isolation_conversation *conversation = isolation_begin(user, HISTORY "DeleteMessage");
    uint64_t seq;
    struct isolation_message *message = isolation_pick_message(user, &seq);
    wire_put_uint(&user->turn.payload, 3, seq);
    user->turn.changes = true;
    user->turn.check = isolation_check_etag;
    if (message) {
        size_t behind = conversation->count - (size_t)(message - conversation->messages) - 1;
        memmove(message, message + 1, behind * sizeof(*message));
        conversation->count--;
    }
}

void isolation_draw_pop(struct isolation_user *user)
{
    struct isolation_conversation *conversation = isolation_begin(user, HISTORY "PopMessages");
    size_t count = 1 + isolation_draw(user, 6);
    wire_put_uint(&user->turn.payload, 3, count);
    user->turn.changes = true;
    user->turn.check = isolation_check_messages;
    if (isolation_is_live(user)) {
        count = count < conversation->count ? count : conversation->count;
        isolation_expect(user, conversation->count - count, count);
        conversation->count -= count;
    }
}

void isolation_draw_forget(struct isolation_user *user)
{
    if (!isolation_one_in(user, 20)) {
        isolation_draw_pop(user);
        return;
    }
    user->turn.method = HISTORY "ForgetUser";
    user->turn.check = isolation_check_receipt;
    isolation_put_text(&user->turn.payload, FIELD_USER, user->marker.text);
    for (size_t i = 0; i < ISOLATION_CONVERSATIONS; i++) {
        user->turn.count += user->conversations[i].exists;
        conversation_clear(&user->conversations[i]);
    }
}

/* The last change that carried a request_id, or another one under that id. */
void isolation_draw_again(struct isolation_user *user)
{
    struct isolation_turn *turn = &user->turn;
    size_t index = isolation_draw(user, ISOLATION_CONVERSATIONS);
    const struct isolation_conversation *conversation = &user->conversations[index];
    if (!conversation->exists || !conversation->method) {
        isolation_draw_append(user);
        return;
    }
    turn->conversation = &user->conversations[index];
    snprintf(turn->request_id, sizeof(turn->request_id), "%s", conversation->request_id);
    if (isolation_one_in(user, 2)) {
        char name[ISOLATION_TEXT_BYTES];
        isolation_name(user, index, name);
        turn->method = HISTORY "PopMessages";
        isolation_put_text(&turn->payload, FIELD_USER, user->marker.text);
        isolation_put_text(&turn->payload, FIELD_CONVERSATION, name);
        wire_put_uint(&turn->payload, 3, 999);
        turn->reason = "REQUEST_ID_REUSED";
    } else {
        turn->method = conversation->method;
        buffer_append(&turn->payload, conversation->payload.data, conversation->payload.size);
        turn->replays = true;
        turn->check = isolation_check_replay;
    }
}
