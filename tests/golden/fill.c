#include "golden/fill.h"

#include "support/dump.h"

#include "chatlog/v1/envelope.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ID_BYTES = 128,
    LONG_MESSAGES = 10000, /* of the long conversation */
    BATCH = 1000,
    LARGE_BYTES = 4 * 1024 * 1024,
    FAR_FUTURE_YEARS = 200,
    EXPIRY_MS = 1500,
};

#define YEAR_US INT64_C(31557600000000)

/* Who is spoken to, and the ID of the next change (empty: none). */
struct fill {
    struct chatlog *client;
    FILE *requests;
    char request_id[ID_BYTES + 1];
    unsigned changes; /* with a request ID */
    unsigned messages;
    bool legal_bytes[256]; /* of IDs, seen */
};

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void request_write(struct fill *fill, char *method, uint8_t *payload, size_t size)
{
    Chatlog__V1__Request request;
    chatlog__v1__request__init(&request);
    request.method = method;
    request.payload = (ProtobufCBinaryData){size, payload};
    request.request_id = fill->request_id;
    size_t packed = chatlog__v1__request__get_packed_size(&request);
    uint8_t *bytes = malloc(packed);
    if (!bytes) {
        give_up("out of memory");
    }
    chatlog__v1__request__pack(&request, bytes);
    dump_put_hex(fill->requests, span_of(bytes, packed));
    free(bytes);
}

/* Makes a change, and leaves its request ID behind. */
static void change_make(struct fill *fill, const char *name, const ProtobufCMessage *message)
{
    char method[64];
    struct chatlog_reply reply;
    struct chatlog_error error;
    snprintf(method, sizeof(method), "chatlog.v1.HistoryService/%s", name);
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *payload = malloc(size + 1);
    if (!payload) {
        give_up("out of memory");
    }
    protobuf_c_message_pack(message, payload);
    const struct chatlog_call_options options = {.request_id = fill->request_id[0] ? fill->request_id : NULL};
    if (chatlog_call(fill->client, method, payload, size, &options, &reply, &error)) {
        give_up("%s: %s", method, error.message);
    }
    chatlog_reply_free(&reply);
    if (fill->request_id[0]) {
        request_write(fill, method, payload, size);
        fill->changes++;
        fill->request_id[0] = '\0';
    }
    free(payload);
}

static void request_name(struct fill *fill, const char *name)
{
    snprintf(fill->request_id, sizeof(fill->request_id), "%s", name);
}

static void bytes_see(struct fill *fill, const char *text)
{
    for (; *text; text++) {
        fill->legal_bytes[(unsigned char)*text] = true;
    }
}

/* ---- Changes ---- */

static void create(struct fill *fill, char *user, Chatlog__V1__Conversation *conversation)
{
    Chatlog__V1__CreateConversationRequest request;
    chatlog__v1__create_conversation_request__init(&request);
    request.user_id = user;
    request.conversation = conversation;
    change_make(fill, "CreateConversation", &request.base);
}

static void append_all(struct fill *fill, char *user, char *conversation, Chatlog__V1__Message **messages, size_t count)
{
    Chatlog__V1__AppendMessagesRequest request;
    chatlog__v1__append_messages_request__init(&request);
    request.user_id = user;
    request.conversation_id = conversation;
    request.create_if_missing = 1;
    request.messages = messages;
    request.n_messages = count;
    change_make(fill, "AppendMessages", &request.base);
}

static ProtobufCBinaryData bytes_of(char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static char *role_of(unsigned number)
{
    static char roles[2][16] = {"user", "assistant"}; /* protobuf-c takes no const */
    return roles[number % 2];
}

/* Appends one message after the other with contents of its own and, unless NULL, a message_id. */
static void append_some(struct fill *fill, char *user, char *conversation, unsigned count, char *message_id)
{
    for (unsigned i = 0; i < count; i++) {
        char text[64];
        Chatlog__V1__Message message;
        chatlog__v1__message__init(&message);
        snprintf(text, sizeof(text), "message %u", fill->messages++);
        message.role = role_of(fill->messages);
        message.content = bytes_of(text);
        if (message_id && i == 0) {
            message.message_id = message_id;
        }
        append_all(fill, user, conversation, &(Chatlog__V1__Message *){&message}, 1);
    }
}

static void delete (struct fill *fill, char *user, char *conversation)
{
    Chatlog__V1__DeleteConversationRequest request;
    chatlog__v1__delete_conversation_request__init(&request);
    request.user_id = user;
    request.conversation_id = conversation;
    change_make(fill, "DeleteConversation", &request.base);
}

/* ---- What the data is made of ---- */

/* IDs of 1 and 128 bytes, and IDs that begin others, for users, conversations, messages and requests. */
static void ids_fill(struct fill *fill)
{
    char longest[ID_BYTES + 1];
    char almost[ID_BYTES + 1];
    memset(longest, 'z', ID_BYTES);
    memset(almost, 'z', ID_BYTES);
    longest[ID_BYTES] = '\0';
    almost[ID_BYTES - 1] = '\0';
    char *const ids[] = {(char[]){"a"},  (char[]){"aa"}, (char[]){"aaa"}, (char[]){"a "}, (char[]){" a"},
                         (char[]){"a1"}, (char[]){"1"},  (char[]){"11"},  (char[]){" "},  (char[]){"~"},
                         (char[]){"z"},  almost,         longest};
    const size_t count = sizeof(ids) / sizeof(ids[0]);
    for (size_t user = 0; user < count; user++) {
        for (size_t i = 0; i < count; i++) {
            request_name(fill, (user + i) % 3 == 0 ? ids[count - 1 - i] : "");
            append_some(fill, ids[user], ids[i], 1, ids[(user + i) % count]);
        }
    }
}

static void put_code_point(char **text, unsigned code)
{
    if (code < 0x80) {
        *(*text)++ = (char)code;
        return;
    }
    unsigned rest = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    *(*text)++ = (char)(leads[rest] | code >> (6 * rest));
    while (rest-- > 0) {
        *(*text)++ = (char)(0x80 | ((code >> (6 * rest)) & 0x3f));
    }
}

/* IDs in which, together, every byte that UTF-8 without control characters can have comes up. */
static void bytes_fill(struct fill *fill)
{
    unsigned codes[512];
    size_t count = 0;
    for (unsigned code = 0x20; code < 0x7f; code++) {
        codes[count++] = code;
    }
    for (unsigned code = 0xa0; code < 0x100; code++) { /* all continuations that follow a lead of two */
        codes[count++] = code;
    }
    for (unsigned lead = 0x100; lead < 0x800; lead += 0x40) {
        codes[count++] = lead + lead % 61 % 0x40;
    }
    for (unsigned code = 0x800; code < 0x10000; code += code < 0x1000 ? 0x800 : 0x1000) {
        codes[count++] = code + 0x123;
    }
    for (unsigned code = 0x10000; code < 0x110000; code += 0x8000) {
        codes[count++] = code + 0x80 + code % 53;
    }
    codes[count++] = 0x10fffd;
    for (size_t i = 0; i < count;) {
        char id[ID_BYTES + 1];
        char *end = id;
        while (i < count && end - id <= ID_BYTES - 4) {
            put_code_point(&end, codes[i++]);
        }
        *end = '\0';
        bytes_see(fill, id);
        request_name(fill, id);
        append_some(fill, id, id, 2, id);
    }
    for (unsigned byte = 0x20; byte < 0xf5; byte++) {
        bool is_legal = byte != 0x7f && byte != 0xc0 && byte != 0xc1;
        if (fill->legal_bytes[byte] != is_legal) {
            give_up("byte %02x is not in the IDs as it should be", byte);
        }
    }
}

/* One message, 10,000 messages, and a message of 4 MiB between others. */
static void sizes_fill(struct fill *fill)
{
    static char texts[BATCH][64];
    Chatlog__V1__Message messages[BATCH];
    Chatlog__V1__Message *pointers[BATCH];
    append_some(fill, (char[]){"sizes"}, (char[]){"one"}, 1, NULL);
    for (unsigned begin = 0; begin < LONG_MESSAGES; begin += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            snprintf(texts[i], sizeof(texts[i]), "the %u. message of the long conversation", begin + i + 1);
            chatlog__v1__message__init(&messages[i]);
            messages[i].role = role_of(i);
            messages[i].content = bytes_of(texts[i]);
            pointers[i] = &messages[i];
        }
        append_all(fill, (char[]){"sizes"}, (char[]){"long"}, pointers, BATCH);
    }
    char *large = malloc(LARGE_BYTES);
    if (!large) {
        give_up("out of memory");
    }
    for (size_t i = 0; i < LARGE_BYTES; i++) {
        large[i] = "large "[i % 6];
    }
    append_some(fill, (char[]){"sizes"}, (char[]){"large"}, 2, NULL);
    Chatlog__V1__Message message;
    chatlog__v1__message__init(&message);
    message.message_id = (char[]){"large"};
    message.content = (ProtobufCBinaryData){LARGE_BYTES, (uint8_t *)large};
    append_all(fill, (char[]){"sizes"}, (char[]){"large"}, &(Chatlog__V1__Message *){&message}, 1);
    append_some(fill, (char[]){"sizes"}, (char[]){"large"}, 2, NULL);
    free(large);
}

static Chatlog__V1__Conversation__MetadataEntry *pair_of(char *key, char *value,
                                                         Chatlog__V1__Conversation__MetadataEntry *ret)
{
    chatlog__v1__conversation__metadata_entry__init(ret);
    ret->key = key;
    ret->value = value;
    return ret;
}

/* Every field of a conversation and of a message, set by create, update and append. */
static void fields_fill(struct fill *fill)
{
    char title[1025];
    memset(title, 't', 1024);
    title[1024] = '\0';
    Chatlog__V1__Conversation__MetadataEntry pairs[2];
    Chatlog__V1__Conversation__MetadataEntry *labels[2] = {
        pair_of((char[]){"topic"}, (char[]){"\xc3\xa9t\xc3\xa9"}, &pairs[0]),
        pair_of((char[]){"empty"}, (char[]){""}, &pairs[1])};
    Chatlog__V1__Conversation conversation;
    chatlog__v1__conversation__init(&conversation);
    conversation.conversation_id = (char[]){"full"};
    conversation.title = title;
    conversation.metadata = labels;
    conversation.n_metadata = 2;
    request_name(fill, "create-full");
    create(fill, (char[]){"fields"}, &conversation);

    Chatlog__V1__Message__MetadataEntry entry;
    chatlog__v1__message__metadata_entry__init(&entry);
    entry.key = (char[]){"mood"};
    entry.value = (char[]){"good"};
    Chatlog__V1__Message message;
    chatlog__v1__message__init(&message);
    message.message_id = (char[]){"m-full"};
    message.role = (char[]){"tool"};
    message.content_type = (char[]){"application/octet-stream"};
    message.author = (char[]){"an author"};
    message.token_count = UINT32_MAX;
    message.sent_time_us = INT64_C(1600000000123456);
    message.metadata = &(Chatlog__V1__Message__MetadataEntry *){&entry};
    message.n_metadata = 1;
    message.content = (ProtobufCBinaryData){6, (uint8_t *)(char[]){"\0\xff\n\"\\x"}};
    request_name(fill, "append-full");
    append_all(fill, (char[]){"fields"}, (char[]){"full"}, &(Chatlog__V1__Message *){&message}, 1);

    conversation.archived = 1;
    conversation.expire_time_us = INT64_C(1600000000000000) + FAR_FUTURE_YEARS * YEAR_US;
    Chatlog__V1__UpdateConversationRequest update;
    chatlog__v1__update_conversation_request__init(&update);
    update.user_id = (char[]){"fields"};
    update.conversation = &conversation;
    update.update_mask = (char *[]){(char[]){"archived"}, (char[]){"expire_time_us"}};
    update.n_update_mask = 2;
    request_name(fill, "update-full");
    change_make(fill, "UpdateConversation", &update.base);
}

/* Messages edited, deleted, popped and replaced; conversations deleted, brought back and purged; a user forgotten. */
static void changes_fill(struct fill *fill)
{
    char *user = (char[]){"changes"};
    append_some(fill, user, (char[]){"thread"}, 12, (char[]){"first"});
    Chatlog__V1__Message message;
    chatlog__v1__message__init(&message);
    message.seq = 3;
    message.content = bytes_of((char[]){"edited"});
    Chatlog__V1__UpdateMessageRequest edit;
    chatlog__v1__update_message_request__init(&edit);
    edit.user_id = user;
    edit.conversation_id = (char[]){"thread"};
    edit.message = &message;
    edit.update_mask = (char *[]){(char[]){"content"}};
    edit.n_update_mask = 1;
    request_name(fill, "edit");
    change_make(fill, "UpdateMessage", &edit.base);

    Chatlog__V1__DeleteMessageRequest remove;
    chatlog__v1__delete_message_request__init(&remove);
    remove.user_id = user;
    remove.conversation_id = (char[]){"thread"};
    remove.seq = 5;
    request_name(fill, "remove");
    change_make(fill, "DeleteMessage", &remove.base);

    Chatlog__V1__PopMessagesRequest pop;
    chatlog__v1__pop_messages_request__init(&pop);
    pop.user_id = user;
    pop.conversation_id = (char[]){"thread"};
    pop.count = 2;
    request_name(fill, "pop");
    change_make(fill, "PopMessages", &pop.base);

    message.seq = 0;
    message.message_id = (char[]){"again"};
    Chatlog__V1__AppendMessagesRequest replace;
    chatlog__v1__append_messages_request__init(&replace);
    replace.user_id = user;
    replace.conversation_id = (char[]){"thread"};
    replace.messages = &(Chatlog__V1__Message *){&message};
    replace.n_messages = 1;
    replace.replace_case = CHATLOG__V1__APPEND_MESSAGES_REQUEST__REPLACE_REPLACE_AFTER_SEQ;
    replace.replace_after_seq = 7;
    request_name(fill, "replace");
    change_make(fill, "AppendMessages", &replace.base);
}

static void removals_fill(struct fill *fill)
{
    char *user = (char[]){"changes"};
    append_some(fill, user, (char[]){"deleted"}, 3, (char[]){"kept"});
    request_name(fill, "delete");
    delete (fill, user, (char[]){"deleted"});

    append_some(fill, user, (char[]){"brought back"}, 3, NULL);
    delete (fill, user, (char[]){"brought back"});
    Chatlog__V1__UndeleteConversationRequest undelete;
    chatlog__v1__undelete_conversation_request__init(&undelete);
    undelete.user_id = user;
    undelete.conversation_id = (char[]){"brought back"};
    request_name(fill, "undelete");
    change_make(fill, "UndeleteConversation", &undelete.base);

    append_some(fill, user, (char[]){"purged"}, 3, (char[]){"gone"});
    Chatlog__V1__DeleteConversationRequest purge;
    chatlog__v1__delete_conversation_request__init(&purge);
    purge.user_id = user;
    purge.conversation_id = (char[]){"purged"};
    purge.purge = 1;
    change_make(fill, "DeleteConversation", &purge.base);

    append_some(fill, (char[]){"forgotten"}, (char[]){"thread"}, 3, NULL);
    Chatlog__V1__ForgetUserRequest forget;
    chatlog__v1__forget_user_request__init(&forget);
    forget.user_id = (char[]){"forgotten"};
    change_make(fill, "ForgetUser", &forget.base);
}

/* Alive while this runs, expired when the data is opened again. */
static void expiring_fill(struct fill *fill)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    Chatlog__V1__Conversation conversation;
    chatlog__v1__conversation__init(&conversation);
    conversation.conversation_id = (char[]){"expiring"};
    conversation.expire_time_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + EXPIRY_MS * 1000;
    create(fill, (char[]){"changes"}, &conversation);
    append_some(fill, (char[]){"changes"}, (char[]){"expiring"}, 3, (char[]){"soon"});
}

void fill_adversarial(struct chatlog *client, FILE *requests)
{
    struct fill fill = {.client = client, .requests = requests};
    ids_fill(&fill);
    bytes_fill(&fill);
    sizes_fill(&fill);
    fields_fill(&fill);
    changes_fill(&fill);
    removals_fill(&fill);
    expiring_fill(&fill);
}
