#include "fault/story.h"

#include "chatlog/v1/history_service.pb-c.h"
#include "support/history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    USER_CONVERSATIONS = 4,
    BATCH_MAX = 3,
    LONG = 30, /* messages: then it is shortened */
    TEXT_SMALL = 300,
    TEXT_LARGE = 9000, /* more than a page of the data file */
    LARGE_EVERY = 16,
    TEXT_MAX = TEXT_LARGE + TEXT_SMALL,
};

enum kind { STORY_APPEND, STORY_REPLACE, STORY_EDIT, STORY_POP, STORY_REMOVE };

/* What the next change is. */
struct change {
    enum kind kind;
    size_t at;    /* the message it concerns; STORY_REPLACE: how many stay; STORY_POP: how many go */
    size_t count; /* of new messages */
    uint64_t text;
};

struct story story_new(uint64_t seed, uint32_t conversation)
{
    assert(conversation < STORY_CONVERSATIONS_MAX);
    return (struct story){.seed = seed, .conversation = conversation};
}

void story_user(uint32_t conversation, char id[STORY_ID_BYTES])
{
    snprintf(id, STORY_ID_BYTES, "user-%" PRIu32, conversation / USER_CONVERSATIONS);
}

void story_conversation(uint32_t conversation, char id[STORY_ID_BYTES])
{
    snprintf(id, STORY_ID_BYTES, "story-%" PRIu32, conversation);
}

static struct change change_next(const struct story *story)
{
    static const enum kind kinds[] = {STORY_APPEND, STORY_APPEND, STORY_APPEND,  STORY_APPEND, STORY_APPEND,
                                      STORY_EDIT,   STORY_EDIT,   STORY_REPLACE, STORY_POP,    STORY_REMOVE};
    uint64_t random = history_random(story->seed ^ history_random((uint64_t)story->conversation << 32 | story->done));
    struct change change = {.kind = kinds[random % 10], .count = 1 + (random >> 8) % BATCH_MAX, .text = random | 7};
    if (story->count == 0) {
        change.kind = STORY_APPEND;
    } else if (story->count > LONG) {
        change.kind = STORY_REPLACE;
    }
    if (change.kind == STORY_REPLACE) {
        change.at = story->count - (random >> 16) % (story->count > LONG ? story->count : 4) % story->count;
    } else if (change.kind == STORY_POP) {
        change.at = 1 + (random >> 16) % 2;
        change.at = change.at < story->count ? change.at : story->count;
    } else if (story->count > 0) {
        change.at = (random >> 16) % story->count;
    }
    return change;
}

static size_t text_write(uint64_t text, char bytes[TEXT_MAX])
{
    uint64_t random = history_random(text);
    size_t size = 1 + random % TEXT_SMALL;
    size += (random >> 20) % LARGE_EVERY == 0 ? (random >> 30) % TEXT_LARGE : 0;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) {
            random = history_random(random);
        }
        bytes[i] = (char)(random >> i % 8 * 8);
    }
    return size;
}

static void message_make(Chatlog__V1__Message *message, uint64_t text, char bytes[TEXT_MAX])
{
    static char role[] = "user";
    chatlog__v1__message__init(message);
    message->role = role;
    message->content.len = text_write(text, bytes);
    message->content.data = (uint8_t *)bytes;
}

static void payload_pack(const ProtobufCMessage *message, struct story_request *ret)
{
    ret->size = protobuf_c_message_get_packed_size(message);
    ret->payload = malloc(ret->size + 1);
    if (!ret->payload) {
        abort();
    }
    protobuf_c_message_pack(message, ret->payload);
}

static void append_ask(const struct story *story, const struct change *change, char *user, char *conversation,
                       struct story_request *ret)
{
    char texts[BATCH_MAX][TEXT_MAX];
    Chatlog__V1__Message messages[BATCH_MAX];
    Chatlog__V1__Message *pointers[BATCH_MAX];
    Chatlog__V1__AppendMessagesRequest request;
    chatlog__v1__append_messages_request__init(&request);
    for (size_t i = 0; i < change->count; i++) {
        message_make(&messages[i], change->text + i, texts[i]);
        pointers[i] = &messages[i];
    }
    request.user_id = user;
    request.conversation_id = conversation;
    request.messages = pointers;
    request.n_messages = change->count;
    request.create_if_missing = true;
    if (change->kind == STORY_REPLACE) {
        request.replace_case = CHATLOG__V1__APPEND_MESSAGES_REQUEST__REPLACE_REPLACE_AFTER_SEQ;
        request.replace_after_seq = change->at > 0 ? story->messages[change->at - 1].seq : 0;
    }
    ret->method = "chatlog.v1.HistoryService/AppendMessages";
    payload_pack(&request.base, ret);
}

static void edit_ask(const struct story *story, const struct change *change, char *user, char *conversation,
                     struct story_request *ret)
{
    static char path[] = "content";
    char *paths[] = {path};
    char text[TEXT_MAX];
    Chatlog__V1__Message message;
    Chatlog__V1__UpdateMessageRequest request;
    chatlog__v1__update_message_request__init(&request);
    message_make(&message, change->text, text);
    message.seq = story->messages[change->at].seq;
    request.user_id = user;
    request.conversation_id = conversation;
    request.message = &message;
    request.update_mask = paths;
    request.n_update_mask = 1;
    ret->method = "chatlog.v1.HistoryService/UpdateMessage";
    payload_pack(&request.base, ret);
}

static void less_ask(const struct story *story, const struct change *change, char *user, char *conversation,
                     struct story_request *ret)
{
    Chatlog__V1__PopMessagesRequest pop;
    Chatlog__V1__DeleteMessageRequest removal;
    if (change->kind == STORY_POP) {
        chatlog__v1__pop_messages_request__init(&pop);
        pop.user_id = user;
        pop.conversation_id = conversation;
        pop.count = (uint32_t)change->at;
        ret->method = "chatlog.v1.HistoryService/PopMessages";
        payload_pack(&pop.base, ret);
    } else {
        chatlog__v1__delete_message_request__init(&removal);
        removal.user_id = user;
        removal.conversation_id = conversation;
        removal.seq = story->messages[change->at].seq;
        ret->method = "chatlog.v1.HistoryService/DeleteMessage";
        payload_pack(&removal.base, ret);
    }
}

void story_ask(const struct story *story, struct story_request *ret)
{
    char user[STORY_ID_BYTES];
    char conversation[STORY_ID_BYTES];
    struct change change = change_next(story);
    story_user(story->conversation, user);
    story_conversation(story->conversation, conversation);
    snprintf(ret->request_id, sizeof(ret->request_id), "%" PRIx64 "-%" PRIu64, story->seed, story->done);
    ret->number = story->conversation << STORY_NUMBER_BITS |
                  (uint32_t)((story->done + 1) & ((UINT32_C(1) << STORY_NUMBER_BITS) - 1));
    switch (change.kind) {
    case STORY_APPEND:
    case STORY_REPLACE:
        append_ask(story, &change, user, conversation, ret);
        break;
    case STORY_EDIT:
        edit_ask(story, &change, user, conversation, ret);
        break;
    case STORY_POP:
    case STORY_REMOVE:
        less_ask(story, &change, user, conversation, ret);
        break;
    }
}

void story_number_parse(uint32_t number, uint32_t *ret_conversation, uint32_t *ret_done)
{
    *ret_conversation = number >> STORY_NUMBER_BITS;
    *ret_done = number & ((UINT32_C(1) << STORY_NUMBER_BITS) - 1);
}

void story_advance(struct story *story)
{
    struct change change = change_next(story);
    switch (change.kind) {
    case STORY_REPLACE:
        story->count = change.at;
        break;
    case STORY_APPEND:
        break;
    case STORY_EDIT:
        story->messages[change.at].text = change.text;
        break;
    case STORY_POP:
        story->count -= change.at;
        break;
    case STORY_REMOVE:
        story->count--;
        memmove(&story->messages[change.at], &story->messages[change.at + 1],
                (story->count - change.at) * sizeof(story->messages[0]));
        break;
    }
    if (change.kind == STORY_APPEND || change.kind == STORY_REPLACE) {
        assert(story->count + change.count <= STORY_MESSAGES_MAX);
        for (size_t i = 0; i < change.count; i++) {
            story->messages[story->count].seq = ++story->last_seq;
            story->messages[story->count++].text = change.text + i;
        }
    }
    story->done++;
}

uint64_t story_digest_add(uint64_t digest, uint64_t seq, const void *content, size_t size)
{
    const uint8_t *bytes = content;
    digest = history_random(digest ^ history_random(seq));
    for (size_t i = 0; i < size; i++) {
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a: the formula */
    }
    return history_random(digest ^ size);
}

uint64_t story_digest_end(uint64_t digest, uint64_t last_seq)
{
    return history_random(digest ^ last_seq);
}

uint64_t story_digest(const struct story *story)
{
    char text[TEXT_MAX];
    uint64_t digest = 0;
    for (size_t i = 0; i < story->count; i++) {
        digest = story_digest_add(digest, story->messages[i].seq, text, text_write(story->messages[i].text, text));
    }
    return story->done == 0 ? 0 : story_digest_end(digest, story->last_seq);
}
