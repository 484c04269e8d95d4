/* What an answer must bring: compared with the turn and the model. */
#include "identity/isolation_request.h"

#include "chatlog/v1/history_service.pb-c.h"

#include <stdio.h>

/* A change moves the etag, a read shows it as it was. */
static void take_etag(struct isolation_user *user, const char *etag)
{
    struct isolation_conversation *conversation = user->turn.conversation;
    if (user->turn.changes) {
        snprintf(conversation->etag, sizeof(conversation->etag), "%s", etag);
    } else if (strcmp(conversation->etag, etag) != 0) {
        isolation_complain(user, "etag %s instead of %s", etag, conversation->etag);
    }
}

static void malformed(struct isolation_user *user)
{
    isolation_complain(user, "the payload is malformed, or lacks what it must hold");
}

/* All answers that hold one conversation hold it in field 1. */
void isolation_check_conversation(struct isolation_user *user, struct span payload)
{
    Chatlog__V1__GetConversationResponse *response =
        chatlog__v1__get_conversation_response__unpack(NULL, payload.size, payload.data);
    if (response && response->conversation) {
        isolation_compare_conversation(user, isolation_index(user), response->conversation);
        take_etag(user, response->conversation->etag);
    } else {
        malformed(user);
    }
    chatlog__v1__get_conversation_response__free_unpacked(response, NULL);
}

/* Which of his conversations has this name; ISOLATION_CONVERSATIONS: none. */
static size_t find(const struct isolation_user *user, const char *wanted)
{
    size_t index = 0;
    char name[ISOLATION_TEXT_BYTES];
    for (; index < ISOLATION_CONVERSATIONS; index++) {
        isolation_name(user, index, name);
        if (strcmp(name, wanted) == 0) {
            break;
        }
    }
    return index;
}

static void list_take(struct isolation_user *user, const Chatlog__V1__Conversation *conversation)
{
    size_t index = find(user, conversation->conversation_id);
    if (index == ISOLATION_CONVERSATIONS || user->listed & 1u << index ||
        conversation->activity_time_us > user->list_time_us) {
        isolation_complain(user, "\"%s\" is not his, comes twice or in another order", conversation->conversation_id);
        return;
    }
    user->listed |= 1u << index;
    user->list_time_us = conversation->activity_time_us;
    isolation_compare_conversation(user, index, conversation);
}

static unsigned list_expected(const struct isolation_user *user)
{
    unsigned expected = 0;
    for (size_t i = 0; i < ISOLATION_CONVERSATIONS; i++) {
        const struct isolation_conversation *conversation = &user->conversations[i];
        bool all = user->list_filter == CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_INCLUDE;
        bool archived = user->list_filter == CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_ONLY;
        bool shown = all || (conversation->archived == archived && !conversation->deleted);
        expected |= conversation->exists && shown ? 1u << i : 0;
    }
    return expected;
}

void isolation_check_list(struct isolation_user *user, struct span payload)
{
    Chatlog__V1__ListConversationsResponse *response =
        chatlog__v1__list_conversations_response__unpack(NULL, payload.size, payload.data);
    if (!response || strlen(response->next_page_token) >= sizeof(user->page_token)) {
        malformed(user);
        chatlog__v1__list_conversations_response__free_unpacked(response, NULL);
        return;
    }
    for (size_t i = 0; i < response->n_conversations; i++) {
        list_take(user, response->conversations[i]);
    }
    snprintf(user->page_token, sizeof(user->page_token), "%s", response->next_page_token);
    user->listing = user->page_token[0] != '\0';
    if (user->listing) {
        snprintf(user->last_page_token, sizeof(user->last_page_token), "%s", user->page_token);
    } else if (user->listed != list_expected(user)) {
        isolation_complain(user, "conversations %x are listed instead of %x", user->listed, list_expected(user));
    }
    chatlog__v1__list_conversations_response__free_unpacked(response, NULL);
}

void isolation_check_append(struct isolation_user *user, struct span payload)
{
    const struct isolation_turn *turn = &user->turn;
    Chatlog__V1__AppendMessagesResponse *response =
        chatlog__v1__append_messages_response__unpack(NULL, payload.size, payload.data);
    if (!response) {
        malformed(user);
        return;
    }
    if (response->first_seq != turn->messages[0].seq || response->last_seq != turn->messages[turn->count - 1].seq) {
        isolation_complain(user, "messages %llu to %llu instead of from %llu on",
                           (unsigned long long)response->first_seq, (unsigned long long)response->last_seq,
                           (unsigned long long)turn->messages[0].seq);
    }
    take_etag(user, response->etag);
    chatlog__v1__append_messages_response__free_unpacked(response, NULL);
}

/* The messages of a list around a seq: neighbours among the conversation's, at most as many as were asked for. */
static void compare_any(struct isolation_user *user, Chatlog__V1__Message *const *messages, size_t count)
{
    const struct isolation_conversation *conversation = user->turn.conversation;
    size_t behind = count > 0 ? isolation_count_to(conversation, messages[0]->seq) : 1;
    size_t first = behind > 0 ? behind - 1 : conversation->count;
    if (count > user->turn.count || (count == 0 && user->turn.count > 0) || first + count > conversation->count) {
        isolation_complain(user, "%zu messages instead of %zu", count, user->turn.count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        isolation_compare_message(user, &conversation->messages[first + i], user->turn.basic, messages[i]);
    }
}

static void compare_messages(struct isolation_user *user, Chatlog__V1__Message *const *messages, size_t count)
{
    if (user->turn.any) {
        compare_any(user, messages, count);
    } else if (count != user->turn.count) {
        isolation_complain(user, "%zu messages instead of %zu", count, user->turn.count);
    } else {
        for (size_t i = 0; i < count; i++) {
            isolation_compare_message(user, &user->turn.messages[i], user->turn.basic, messages[i]);
        }
    }
}

/* Of ListMessages, and of PopMessages, whose answer has nothing behind the messages but the etag, in field 2. */
void isolation_check_messages(struct isolation_user *user, struct span payload)
{
    if (user->turn.changes) {
        Chatlog__V1__PopMessagesResponse *popped =
            chatlog__v1__pop_messages_response__unpack(NULL, payload.size, payload.data);
        if (!popped) {
            malformed(user);
            return;
        }
        compare_messages(user, popped->messages, popped->n_messages);
        take_etag(user, popped->etag);
        chatlog__v1__pop_messages_response__free_unpacked(popped, NULL);
        return;
    }
    const struct isolation_turn *turn = &user->turn;
    Chatlog__V1__ListMessagesResponse *list =
        chatlog__v1__list_messages_response__unpack(NULL, payload.size, payload.data);
    if (!list) {
        malformed(user);
        return;
    }
    compare_messages(user, list->messages, list->n_messages);
    if (!turn->any && turn->count > 0 &&
        (list->has_more_before != turn->has_more_before || list->has_more_after != turn->has_more_after)) {
        isolation_complain(user, "more before: %d, more after: %d", list->has_more_before, list->has_more_after);
    }
    if (list->last_seq != turn->conversation->last_seq) {
        isolation_complain(user, "last_seq is %llu", (unsigned long long)list->last_seq);
    }
    take_etag(user, list->etag);
    chatlog__v1__list_messages_response__free_unpacked(list, NULL);
}

/* Of GetMessage, and of UpdateMessage, which has the etag in field 2. */
void isolation_check_message(struct isolation_user *user, struct span payload)
{
    Chatlog__V1__UpdateMessageResponse *response =
        chatlog__v1__update_message_response__unpack(NULL, payload.size, payload.data);
    if (response && response->message) {
        isolation_compare_message(user, &user->turn.messages[0], user->turn.basic, response->message);
        if (user->turn.changes) {
            take_etag(user, response->etag);
        }
    } else {
        malformed(user);
    }
    chatlog__v1__update_message_response__free_unpacked(response, NULL);
}

void isolation_check_etag(struct isolation_user *user, struct span payload)
{
    Chatlog__V1__DeleteMessageResponse *response =
        chatlog__v1__delete_message_response__unpack(NULL, payload.size, payload.data);
    if (response) {
        take_etag(user, response->etag);
    } else {
        malformed(user);
    }
    chatlog__v1__delete_message_response__free_unpacked(response, NULL);
}

void isolation_check_receipt(struct isolation_user *user, struct span payload)
{
    Chatlog__V1__ForgetUserResponse *response =
        chatlog__v1__forget_user_response__unpack(NULL, payload.size, payload.data);
    if (!response || response->conversations != user->turn.count) {
        isolation_complain(user, "the receipt tells of another number of conversations than %zu", user->turn.count);
    }
    chatlog__v1__forget_user_response__free_unpacked(response, NULL);
}

void isolation_check_replay(struct isolation_user *user, struct span payload)
{
    if (!span_equal(payload, buffer_span(&user->turn.conversation->answer))) {
        isolation_complain(user, "sent again it is answered otherwise");
    }
}
