#include "bench/workload.h"

#include "chatlog/v1/history_service.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 32, LOAD_MESSAGES_MAX = 100, TURN_MESSAGES = 4, NEWEST = 50 };

struct names {
    char user[NAME_BYTES];
    char conversation[NAME_BYTES];
};

static struct names names_of(uint64_t conversation)
{
    struct names names;
    snprintf(names.user, sizeof(names.user), "user-%llu", (unsigned long long)conversation / CONVERSATIONS_PER_USER);
    snprintf(names.conversation, sizeof(names.conversation), "chat-%llu", (unsigned long long)conversation);
    return names;
}

/* English words, different from message to message. */
static void text_fill(uint64_t random, uint8_t text[MESSAGE_BYTES])
{
    static const char words[16][10] = {"order ",   "the ",   "table ",  "for ", "two ",     "please ",
                                       "confirm ", "your ",  "trip ",   "to ",  "airport ", "tomorrow ",
                                       "at ",      "seven ", "thanks ", "and "};
    for (size_t used = 0; used < MESSAGE_BYTES;) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const char *word = words[random >> 60];
        size_t size = strlen(word);
        size = size < MESSAGE_BYTES - used ? size : MESSAGE_BYTES - used;
        memcpy(text + used, word, size);
        used += size;
    }
}

static void request_pack(const ProtobufCMessage *message, const char *method, struct request *request)
{
    assert(protobuf_c_message_get_packed_size(message) <= REQUEST_BYTES_MAX);
    request->method = method;
    request->size = protobuf_c_message_pack(message, request->payload);
}

static void append_fill(uint64_t conversation, uint64_t random, size_t count, struct request *request)
{
    static char roles[4][16] = {"user", "assistant", "tool", "tool"}; /* protobuf-c takes no const */
    uint8_t texts[LOAD_MESSAGES_MAX][MESSAGE_BYTES];
    Chatlog__V1__Message messages[LOAD_MESSAGES_MAX];
    Chatlog__V1__Message *pointers[LOAD_MESSAGES_MAX];
    assert(count <= LOAD_MESSAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        text_fill(random + i, texts[i]);
        chatlog__v1__message__init(&messages[i]);
        messages[i].role = roles[i % 4];
        messages[i].content = (ProtobufCBinaryData){MESSAGE_BYTES, texts[i]};
        pointers[i] = &messages[i];
    }
    struct names names = names_of(conversation);
    Chatlog__V1__AppendMessagesRequest append;
    chatlog__v1__append_messages_request__init(&append);
    append.user_id = names.user;
    append.conversation_id = names.conversation;
    append.create_if_missing = 1;
    append.n_messages = count;
    append.messages = pointers;
    request_pack(&append.base, "chatlog.v1.HistoryService/AppendMessages", request);
}

void workload_load(uint64_t conversation, size_t count, struct request *request)
{
    append_fill(conversation, conversation * LOAD_MESSAGES_MAX, count, request);
}

static void append_one(const struct dataset *dataset, uint64_t random, struct request *request)
{
    append_fill(random % dataset->conversations, random, 1, request);
}

static void append_turn(const struct dataset *dataset, uint64_t random, struct request *request)
{
    append_fill(random % dataset->conversations, random, TURN_MESSAGES, request);
}

static void list_newest(const struct dataset *dataset, uint64_t random, struct request *request)
{
    struct names names = names_of(random % dataset->conversations);
    Chatlog__V1__ListMessagesRequest list;
    chatlog__v1__list_messages_request__init(&list);
    list.user_id = names.user;
    list.conversation_id = names.conversation;
    list.limit = NEWEST;
    request_pack(&list.base, "chatlog.v1.HistoryService/ListMessages", request);
}

static void append_and_read(const struct dataset *dataset, uint64_t random, struct request *request)
{
    (random >> 32) % 5 == 0 ? append_one(dataset, random, request) : list_newest(dataset, random, request);
}

static void list_conversations(const struct dataset *dataset, uint64_t random, struct request *request)
{
    struct names names = names_of(random % dataset->conversations);
    Chatlog__V1__ListConversationsRequest list;
    chatlog__v1__list_conversations_request__init(&list);
    list.user_id = names.user;
    list.page_size = NEWEST;
    request_pack(&list.base, "chatlog.v1.HistoryService/ListConversations", request);
}

const struct workload workloads[] = {
    {"W1", "append one message of 300 B to a random conversation", append_one},
    {"W2", "append a turn of four messages", append_turn},
    {"W3", "read the newest 50 messages", list_newest},
    {"W4", "one append to four reads", append_and_read},
    {"W5", "list 50 conversations of a user", list_conversations},
    {NULL, NULL, NULL},
};
