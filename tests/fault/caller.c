#include "fault/caller.h"

#include "support/rawsp.h"

#include <stdlib.h>
#include <unistd.h>

enum { READ_NUMBER = STORY_CONVERSATIONS_MAX << STORY_NUMBER_BITS, READ_LIMIT = 1000 };

bool caller_open(struct caller *caller)
{
    if (caller->fd < 0) {
        caller->fd = rawsp_try_connect(caller->socket);
        if (caller->fd >= 0 && !rawsp_handshake(caller->fd, RAWSP_PROTOCOL_REQ)) {
            caller_close(caller);
        }
    }
    return caller->fd >= 0;
}

void caller_close(struct caller *caller)
{
    if (caller->fd >= 0) {
        close(caller->fd);
        caller->fd = -1;
    }
}

Chatlog__V1__Response *caller_call(struct caller *caller, const char *method, const void *payload, size_t size,
                                   const char *request_id, uint32_t number)
{
    size_t envelope_size;
    size_t answer_size = 0;
    uint32_t id = 0;
    Chatlog__V1__Response *response = NULL;
    if (!caller_open(caller)) {
        return NULL;
    }
    uint8_t *envelope = rawsp_envelope(method, payload, size, request_id, &envelope_size);
    uint8_t *answer = NULL;
    if (rawsp_send_request(caller->fd, number, envelope, envelope_size)) {
        answer = rawsp_receive(caller->fd, &id, &answer_size);
    }
    if (answer && id == number) {
        response = chatlog__v1__response__unpack(NULL, answer_size, answer);
    }
    if (!response) {
        caller_close(caller);
    }
    free(envelope);
    free(answer);
    return response;
}

Chatlog__V1__Response *caller_tell(struct caller *caller, const struct story *story)
{
    struct story_request request;
    story_ask(story, &request);
    Chatlog__V1__Response *response =
        caller_call(caller, request.method, request.payload, request.size, request.request_id, request.number);
    free(request.payload);
    return response;
}

static bool page_digest(const Chatlog__V1__Response *response, uint64_t *ret_digest, uint64_t *ret_messages)
{
    Chatlog__V1__ListMessagesResponse *page =
        chatlog__v1__list_messages_response__unpack(NULL, response->payload.len, response->payload.data);
    uint64_t digest = 0;
    if (!page || page->has_more_before || page->has_more_after) {
        return false;
    }
    for (size_t i = 0; i < page->n_messages; i++) {
        const Chatlog__V1__Message *message = page->messages[i];
        digest = story_digest_add(digest, message->seq, message->content.data, message->content.len);
    }
    *ret_digest = story_digest_end(digest, page->last_seq);
    *ret_messages = page->n_messages;
    chatlog__v1__list_messages_response__free_unpacked(page, NULL);
    return true;
}

bool caller_read(struct caller *caller, const struct story *story, uint64_t *ret_digest, uint64_t *ret_messages)
{
    char user[STORY_ID_BYTES];
    char conversation[STORY_ID_BYTES];
    uint8_t payload[2 * STORY_ID_BYTES + 64];
    Chatlog__V1__ListMessagesRequest request;
    chatlog__v1__list_messages_request__init(&request);
    story_user(story->conversation, user);
    story_conversation(story->conversation, conversation);
    request.user_id = user;
    request.conversation_id = conversation;
    request.limit = READ_LIMIT;
    size_t size = chatlog__v1__list_messages_request__pack(&request, payload);
    Chatlog__V1__Response *response =
        caller_call(caller, "chatlog.v1.HistoryService/ListMessages", payload, size, NULL, READ_NUMBER);
    bool read = response &&
                (response->code == CHATLOG__V1__CODE__CODE_OK || response->code == CHATLOG__V1__CODE__CODE_NOT_FOUND);
    *ret_digest = *ret_messages = 0;
    if (read && response->code == CHATLOG__V1__CODE__CODE_OK) {
        read = page_digest(response, ret_digest, ret_messages);
    }
    chatlog__v1__response__free_unpacked(response, NULL);
    return read;
}
