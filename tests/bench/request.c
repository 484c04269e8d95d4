#include "bench/request.h"

#include "chatlog/v1/history_service.pb-c.h"

#include <assert.h>
#include <stdio.h>

static void request_pack(const ProtobufCMessage *message, const char *method, struct request *ret)
{
    assert(protobuf_c_message_get_packed_size(message) <= REQUEST_BYTES_MAX);
    ret->method = method;
    ret->request_id[0] = '\0';
    ret->size = protobuf_c_message_pack(message, ret->payload);
}

/* protobuf-c takes no const, and changes nothing. */
union borrowed {
    const char *from;
    char *text;
    uint8_t *bytes;
};

static void append_encode(const struct dataset *dataset, const struct operation *operation, struct request *ret)
{
    Chatlog__V1__Message messages[WORKLOAD_LOAD_MESSAGES];
    Chatlog__V1__Message *pointers[WORKLOAD_LOAD_MESSAGES];
    assert(operation->messages <= WORKLOAD_LOAD_MESSAGES);
    for (unsigned i = 0; i < operation->messages; i++) {
        chatlog__v1__message__init(&messages[i]);
        messages[i].role = ((union borrowed){dataset_role(i)}).text;
        messages[i].content = (ProtobufCBinaryData){
            DATASET_MESSAGE_BYTES, ((union borrowed){dataset_text(dataset, operation->text + i)}).bytes};
        pointers[i] = &messages[i];
    }
    struct dataset_names names = dataset_names(operation->conversation);
    Chatlog__V1__AppendMessagesRequest append;
    chatlog__v1__append_messages_request__init(&append);
    append.user_id = names.user;
    append.conversation_id = names.conversation;
    append.create_if_missing = 1;
    append.n_messages = operation->messages;
    append.messages = pointers;
    request_pack(&append.base, "chatlog.v1.HistoryService/AppendMessages", ret);
    snprintf(ret->request_id, sizeof(ret->request_id), "%016llx", (unsigned long long)operation->number);
}

static void read_encode(const struct operation *operation, struct request *ret)
{
    struct dataset_names names = dataset_names(operation->conversation);
    Chatlog__V1__ListMessagesRequest list;
    chatlog__v1__list_messages_request__init(&list);
    list.user_id = names.user;
    list.conversation_id = names.conversation;
    list.limit = WORKLOAD_NEWEST;
    request_pack(&list.base, "chatlog.v1.HistoryService/ListMessages", ret);
}

static void list_encode(const struct operation *operation, struct request *ret)
{
    struct dataset_names names = dataset_names(operation->conversation);
    Chatlog__V1__ListConversationsRequest list;
    chatlog__v1__list_conversations_request__init(&list);
    list.user_id = names.user;
    list.page_size = WORKLOAD_NEWEST;
    request_pack(&list.base, "chatlog.v1.HistoryService/ListConversations", ret);
}

void request_encode(const struct dataset *dataset, const struct operation *operation, struct request *ret)
{
    switch (operation->kind) {
    case OPERATION_APPEND:
        append_encode(dataset, operation, ret);
        break;
    case OPERATION_READ_NEWEST:
        read_encode(operation, ret);
        break;
    case OPERATION_LIST_CONVERSATIONS:
        list_encode(operation, ret);
        break;
    }
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* Returns the bytes left behind a varint; NULL when there is no whole one. */
static const uint8_t *varint_read(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        value |= (uint64_t)(*at & 0x7f) << shift;
        if (*at++ < 0x80) {
            *ret = value;
            return at;
        }
    }
    return NULL;
}

bool request_answered(const void *payload, size_t size, unsigned items)
{
    enum { FIRST_FIELD = 1 << 3 | 2, VARINT = 0, BYTES = 2 };
    const uint8_t *at = payload;
    const uint8_t *end = at + size;
    unsigned found = 0;
    while (at < end) {
        uint64_t tag = 0;
        uint64_t value = 0;
        at = varint_read(at, end, &tag);
        at = at ? varint_read(at, end, &value) : NULL;
        if (!at || ((tag & 7) == BYTES && value > (uint64_t)(end - at)) ||
            ((tag & 7) != BYTES && (tag & 7) != VARINT)) {
            return false;
        }
        at += (tag & 7) == BYTES ? value : 0;
        found += tag == FIRST_FIELD;
    }
    return found == items;
}
