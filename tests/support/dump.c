#include "support/dump.h"

#include "chatlog/v1/admin_service.pb-c.h"
#include "chatlog/v1/envelope.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* Small pages, so that a dump stops and goes on in many places. */
enum { USERS_PAGE = 3, CONVERSATIONS_PAGE = 7, MESSAGES_PAGE = 997, NEWEST = 3 };
enum { SETTLE_POLLS = 600, SETTLE_POLL_US = 50000 };

#define HISTORY "chatlog.v1.HistoryService/"
#define ADMIN   "chatlog.v1.AdminService/"

struct dump {
    FILE *out;
    dump_call *call;
    void *arg;
    Chatlog__V1__GetStatsResponse total;
};

/* ---- Any message as JSON ---- */

static void text_write(FILE *out, const uint8_t *bytes, size_t size)
{
    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\') {
            fputc(bytes[i], out);
        } else {
            fprintf(out, "\\u%04x", bytes[i]);
        }
    }
    fputc('"', out);
}

static void message_write(FILE *out, const ProtobufCMessage *message);

static void value_write(FILE *out, const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        fprintf(out, "%" PRIu32, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        fprintf(out, "%" PRIu64, *(const uint64_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT64:
        fprintf(out, "%" PRId64, *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)value;
        text_write(out, (const uint8_t *)text, strlen(text));
        break;
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = value;
        text_write(out, bytes->data, bytes->len);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        message_write(out, *(const ProtobufCMessage *const *)value);
        break;
    default:
        assert(false && "a type of field that the dump does not know");
    }
}

static bool value_is_default(const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return !*(const protobuf_c_boolean *)value;
    case PROTOBUF_C_TYPE_UINT32:
        return *(const uint32_t *)value == 0;
    case PROTOBUF_C_TYPE_STRING:
        return (*(char *const *)value)[0] == '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)value)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return !*(const ProtobufCMessage *const *)value;
    default:
        return *(const uint64_t *)value == 0;
    }
}

static void list_write(FILE *out, const ProtobufCFieldDescriptor *field, size_t count, const void *items)
{
    assert(field->type == PROTOBUF_C_TYPE_MESSAGE);
    const ProtobufCMessage *const *messages = items;
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? "," : "", out);
        message_write(out, messages[i]);
    }
    fputc(']', out);
}

/* Fields that are not set are left out. */
static void message_write(FILE *out, const ProtobufCMessage *message)
{
    const char *comma = "";
    fputc('{', out);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const uint8_t *value = (const uint8_t *)message + field->offset;
        size_t count = 0;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, (const uint8_t *)message + field->quantifier_offset, sizeof(count));
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED ? count == 0 : value_is_default(field, value)) {
            continue;
        }
        fprintf(out, "%s\"%s\":", comma, field->name);
        comma = ",";
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            const void *items;
            memcpy(&items, value, sizeof(items));
            list_write(out, field, count, items);
        } else {
            value_write(out, field, value);
        }
    }
    fputc('}', out);
}

static void line_write(struct dump *dump, const char *what, const ProtobufCMessage *message)
{
    fprintf(dump->out, "{\"%s\":", what);
    message_write(dump->out, message);
    fputs("}\n", dump->out);
}

/* ---- Calls ---- */

/* Returns the decoded answer, or writes what went wrong and returns NULL. */
static void *dump_ask(struct dump *dump, const char *method, const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *response)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    uint8_t *payload = malloc(size + 1);
    assert(payload);
    protobuf_c_message_pack(request, payload);
    struct dump_answer answer = {0};
    dump->call(dump->arg, method, span_of(payload, size), span_of(NULL, 0), &answer);
    ProtobufCMessage *message = NULL;
    if (answer.code == 0) {
        message = protobuf_c_message_unpack(response, NULL, answer.size, answer.payload);
    }
    if (!message) {
        fprintf(dump->out, "{\"failed\":\"%s\",\"code\":%u,\"reason\":\"%s\",\"request\":", method, answer.code,
                answer.reason);
        message_write(dump->out, request);
        fputs("}\n", dump->out);
    }
    free(answer.payload);
    free(payload);
    return message;
}

static void answer_drop(void *message)
{
    if (message) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static bool messages_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t size = protobuf_c_message_get_packed_size(a);
    uint8_t *bytes = malloc(2 * size + 1);
    assert(bytes);
    bool equal = protobuf_c_message_get_packed_size(b) == size;
    if (equal) {
        protobuf_c_message_pack(a, bytes);
        protobuf_c_message_pack(b, bytes + size);
        equal = memcmp(bytes, bytes + size, size) == 0;
    }
    free(bytes);
    return equal;
}

/* ---- One conversation ---- */

/* What the index of message_ids leads to is what the run of messages showed. */
static void by_message_id_check(struct dump *dump, char *user, char *conversation, const Chatlog__V1__Message *wanted)
{
    Chatlog__V1__GetMessageRequest request;
    chatlog__v1__get_message_request__init(&request);
    request.user_id = user;
    request.conversation_id = conversation;
    request.key_case = CHATLOG__V1__GET_MESSAGE_REQUEST__KEY_MESSAGE_ID;
    request.message_id = wanted->message_id;
    Chatlog__V1__GetMessageResponse *got =
        dump_ask(dump, HISTORY "GetMessage", &request.base, &chatlog__v1__get_message_response__descriptor);
    if (got && !messages_equal(&got->message->base, &wanted->base)) {
        line_write(dump, "found_by_message_id", &got->message->base);
    }
    answer_drop(got);
}

static void messages_write(struct dump *dump, char *user, char *conversation)
{
    Chatlog__V1__ListMessagesRequest request;
    chatlog__v1__list_messages_request__init(&request);
    request.user_id = user;
    request.conversation_id = conversation;
    request.anchor_case = CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_AFTER_SEQ;
    request.limit = MESSAGES_PAGE;
    bool more = true;
    while (more) {
        Chatlog__V1__ListMessagesResponse *page =
            dump_ask(dump, HISTORY "ListMessages", &request.base, &chatlog__v1__list_messages_response__descriptor);
        for (size_t i = 0; page && i < page->n_messages; i++) {
            const Chatlog__V1__Message *message = page->messages[i];
            line_write(dump, "message", &message->base);
            if (message->message_id[0]) {
                by_message_id_check(dump, user, conversation, message);
            }
            request.after_seq = message->seq;
            dump->total.messages++;
            dump->total.content_bytes += message->content_size;
        }
        more = page && page->has_more_after && page->n_messages > 0;
        answer_drop(page);
    }
}

/* The same run from its other end. */
static void newest_write(struct dump *dump, char *user, char *conversation)
{
    Chatlog__V1__ListMessagesRequest request;
    chatlog__v1__list_messages_request__init(&request);
    request.user_id = user;
    request.conversation_id = conversation;
    request.limit = NEWEST;
    request.view = CHATLOG__V1__MESSAGE_VIEW__MESSAGE_VIEW_BASIC;
    Chatlog__V1__ListMessagesResponse *page =
        dump_ask(dump, HISTORY "ListMessages", &request.base, &chatlog__v1__list_messages_response__descriptor);
    if (page) {
        line_write(dump, "newest", &page->base);
    }
    answer_drop(page);
}

static void conversation_write(struct dump *dump, char *user, const Chatlog__V1__Conversation *listed)
{
    Chatlog__V1__GetConversationRequest request;
    chatlog__v1__get_conversation_request__init(&request);
    request.user_id = user;
    request.conversation_id = listed->conversation_id;
    Chatlog__V1__GetConversationResponse *got =
        dump_ask(dump, HISTORY "GetConversation", &request.base, &chatlog__v1__get_conversation_response__descriptor);
    line_write(dump, "conversation", &listed->base);
    if (got && !messages_equal(&got->conversation->base, &listed->base)) {
        line_write(dump, "found_by_name", &got->conversation->base);
    }
    answer_drop(got);
    if (listed->delete_time_us == 0) { /* the messages of a deleted one are not shown */
        messages_write(dump, user, listed->conversation_id);
        newest_write(dump, user, listed->conversation_id);
    } else {
        dump->total.messages += listed->message_count;
        dump->total.content_bytes += listed->content_bytes;
    }
    dump->total.conversations++;
}

/* ---- Lists ---- */

static void conversations_write(struct dump *dump, char *user)
{
    Chatlog__V1__ListConversationsRequest request;
    chatlog__v1__list_conversations_request__init(&request);
    char token[2048] = "";
    request.user_id = user;
    request.page_size = CONVERSATIONS_PAGE;
    request.page_token = token;
    request.archived = CHATLOG__V1__ARCHIVED_FILTER__ARCHIVED_FILTER_INCLUDE;
    request.show_deleted = 1;
    do {
        Chatlog__V1__ListConversationsResponse *page = dump_ask(dump, HISTORY "ListConversations", &request.base,
                                                                &chatlog__v1__list_conversations_response__descriptor);
        for (size_t i = 0; page && i < page->n_conversations; i++) {
            conversation_write(dump, user, page->conversations[i]);
        }
        snprintf(token, sizeof(token), "%s", page ? page->next_page_token : "");
        answer_drop(page);
    } while (token[0]);
}

static void users_write(struct dump *dump)
{
    Chatlog__V1__ListUsersRequest request;
    chatlog__v1__list_users_request__init(&request);
    char token[2048] = "";
    request.page_size = USERS_PAGE;
    request.page_token = token;
    do {
        Chatlog__V1__ListUsersResponse *page =
            dump_ask(dump, ADMIN "ListUsers", &request.base, &chatlog__v1__list_users_response__descriptor);
        for (size_t i = 0; page && i < page->n_user_ids; i++) {
            fputs("{\"user\":", dump->out);
            text_write(dump->out, (const uint8_t *)page->user_ids[i], strlen(page->user_ids[i]));
            fputs("}\n", dump->out);
            conversations_write(dump, page->user_ids[i]);
            dump->total.users++;
        }
        snprintf(token, sizeof(token), "%s", page ? page->next_page_token : "");
        answer_drop(page);
    } while (token[0]);
}

/* ---- Replays and counts ---- */

void dump_put_hex(FILE *out, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        fprintf(out, "%02x", bytes.data[i]);
    }
    fputc('\n', out);
}

uint8_t *dump_get_hex(struct span line, size_t *ret_size)
{
    uint8_t *bytes = malloc(line.size / 2 + 1);
    assert(bytes);
    for (size_t i = 0; i < line.size / 2; i++) {
        const char digits[3] = {(char)line.data[2 * i], (char)line.data[2 * i + 1], '\0'};
        char *end;
        bytes[i] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2 || !isxdigit((unsigned char)digits[0])) {
            free(bytes);
            return NULL;
        }
    }
    *ret_size = line.size / 2;
    return bytes;
}

static void replay_write(struct dump *dump, struct span line)
{
    size_t size;
    uint8_t *bytes = dump_get_hex(line, &size);
    Chatlog__V1__Request *request = bytes ? chatlog__v1__request__unpack(NULL, size, bytes) : NULL;
    assert(request);
    struct dump_answer answer = {0};
    dump->call(dump->arg, request->method, span_of(request->payload.data, request->payload.len),
               span_of_string(request->request_id), &answer);
    fprintf(dump->out, "{\"method\":\"%s\",\"request_id\":", request->method);
    text_write(dump->out, (const uint8_t *)request->request_id, strlen(request->request_id));
    fprintf(dump->out, ",\"code\":%u,\"reason\":\"%s\",\"replayed\":%s,\"payload\":", answer.code, answer.reason,
            answer.replayed ? "true" : "false");
    text_write(dump->out, answer.payload, answer.size);
    fputs("}\n", dump->out);
    free(answer.payload);
    chatlog__v1__request__free_unpacked(request, NULL);
    free(bytes);
}

static void replays_write(struct dump *dump, struct span requests)
{
    while (requests.size > 0) {
        const uint8_t *end = memchr(requests.data, '\n', requests.size);
        size_t size = end ? (size_t)(end - requests.data) : requests.size;
        replay_write(dump, span_of(requests.data, size));
        size += end ? 1 : 0;
        requests = span_of(requests.data + size, requests.size - size);
    }
}

/* What is expired counts until it is removed, which the daemon does by and by. */
static void stats_write(struct dump *dump)
{
    Chatlog__V1__GetStatsRequest request;
    chatlog__v1__get_stats_request__init(&request);
    Chatlog__V1__GetStatsResponse stats;
    chatlog__v1__get_stats_response__init(&stats);
    bool settled = false;
    for (int i = 0; i < SETTLE_POLLS && !settled; i++) {
        Chatlog__V1__GetStatsResponse *got =
            dump_ask(dump, ADMIN "GetStats", &request.base, &chatlog__v1__get_stats_response__descriptor);
        if (!got) {
            return;
        }
        stats.users = got->users;
        stats.conversations = got->conversations;
        stats.messages = got->messages;
        stats.content_bytes = got->content_bytes;
        answer_drop(got);
        settled = messages_equal(&stats.base, &dump->total.base);
        usleep(settled ? 0 : SETTLE_POLL_US);
    }
    line_write(dump, "stats", &stats.base);
}

void dump_write(FILE *out, struct span requests, dump_call *call, void *arg)
{
    struct dump dump = {out, call, arg, CHATLOG__V1__GET_STATS_RESPONSE__INIT};
    users_write(&dump);
    replays_write(&dump, requests);
    stats_write(&dump);
}

bool dump_differ(struct span wanted, struct span got, char *text, size_t size)
{
    size_t at = 0;
    size_t line = 0;
    size_t number = 1;
    while (at < wanted.size && at < got.size && wanted.data[at] == got.data[at]) {
        if (wanted.data[at++] == '\n') {
            line = at;
            number++;
        }
    }
    if (at == wanted.size && at == got.size) {
        return false;
    }
    int shown = (int)(size / 2) - 64;
    int wanted_size = (int)(wanted.size - line) < shown ? (int)(wanted.size - line) : shown;
    int got_size = (int)(got.size - line) < shown ? (int)(got.size - line) : shown;
    snprintf(text, size, "line %zu, byte %zu of it: wanted\n%.*s\ngot\n%.*s", number, at - line, wanted_size,
             (const char *)wanted.data + line, got_size, (const char *)got.data + line);
    return true;
}
