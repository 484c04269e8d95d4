/* chatlog_fault_history SOCKET SEED CLIENTS MILLISECONDS [stale|reorder]: clients append to a few shared conversations
 * and read them, through whatever happens to the daemon meanwhile, and write down when each call began and was over.
 * Then the history must be linearizable. When the connection breaks, a client gives the append up, or sends it again
 * with its request_id until it is answered.
 *
 * "stale" and "reorder" falsify one entry of the history: the check must find it. Prints
 * "calls N appends A unanswered U violations V". */
#include "support/history.h"
#include "fault/caller.h"
#include "fault/linear.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 64,
    CONVERSATIONS = 3,
    CALLS_MAX = 20000, /* of a client */
    TEXT_BYTES = 32,
    PAYLOAD_BYTES = 1024,
    FINAL_PAGE = 1000,
    OWNERS_MAX = 1 << 20,
    RETRY_US = 500,
    FINAL_US = 30 * 1000 * 1000, /* for each page at the end */
    VERDICT_BYTES = 200,
};

struct entry {
    unsigned conversation;
    struct linear_call call;
};

struct history;

struct client {
    struct history *history;
    unsigned number;
    pthread_t thread;
    struct caller caller;
    uint64_t random;
    uint64_t known[CONVERSATIONS]; /* last_seq */
    struct entry *entries;
    size_t count;
};

struct history {
    const char *socket;
    uint64_t seed;
    unsigned client_count;
    int64_t until_us;
    struct client clients[CLIENTS_MAX];
};

static char user_id[] = "linear";

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t client_random(struct client *client)
{
    return client->random = history_random(client->random);
}

static void conversation_name(unsigned conversation, char name[TEXT_BYTES])
{
    snprintf(name, TEXT_BYTES, "shared-%u", conversation);
}

/* ---- One call ---- */

static size_t append_pack(const struct entry *entry, uint64_t expected, bool checks, uint8_t payload[PAYLOAD_BYTES])
{
    char name[TEXT_BYTES];
    char text[TEXT_BYTES];
    Chatlog__V1__Message message;
    Chatlog__V1__Message *messages[LINEAR_APPEND_MAX];
    Chatlog__V1__AppendMessagesRequest request;
    chatlog__v1__append_messages_request__init(&request);
    chatlog__v1__message__init(&message);
    message.content.len = (size_t)snprintf(text, sizeof(text), "%" PRIu64, entry->call.id);
    message.content.data = (uint8_t *)text;
    for (size_t i = 0; i < entry->call.count; i++) {
        messages[i] = &message;
    }
    conversation_name(entry->conversation, name);
    request.user_id = user_id;
    request.conversation_id = name;
    request.messages = messages;
    request.n_messages = entry->call.count;
    request.create_if_missing = true;
    if (checks) {
        request.expected_case = CHATLOG__V1__APPEND_MESSAGES_REQUEST__EXPECTED_EXPECTED_LAST_SEQ;
        request.expected_last_seq = expected;
    }
    return chatlog__v1__append_messages_request__pack(&request, payload);
}

static size_t read_pack(unsigned conversation, uint64_t after, uint32_t limit, uint8_t payload[PAYLOAD_BYTES])
{
    char name[TEXT_BYTES];
    Chatlog__V1__ListMessagesRequest request;
    chatlog__v1__list_messages_request__init(&request);
    conversation_name(conversation, name);
    request.user_id = user_id;
    request.conversation_id = name;
    request.limit = limit;
    if (limit == FINAL_PAGE) {
        request.anchor_case = CHATLOG__V1__LIST_MESSAGES_REQUEST__ANCHOR_AFTER_SEQ;
        request.after_seq = after;
    }
    return chatlog__v1__list_messages_request__pack(&request, payload);
}

static uint64_t detail_of(const Chatlog__V1__Response *response, const char *key)
{
    for (size_t i = 0; i < response->n_details; i++) {
        if (strcmp(response->details[i]->key, key) == 0) {
            return strtoull(response->details[i]->value, NULL, 10);
        }
    }
    return 0;
}

static uint64_t owner_of(const Chatlog__V1__Message *message)
{
    char text[TEXT_BYTES] = "";
    size_t size = message->content.len < sizeof(text) - 1 ? message->content.len : sizeof(text) - 1;
    memcpy(text, message->content.data, size);
    return strtoull(text, NULL, 10);
}

/* What an append's answer says. False: it was refused for a reason that says nothing of the conversation. */
static bool append_note(struct client *client, struct entry *entry, const Chatlog__V1__Response *response)
{
    uint64_t *known = &client->known[entry->conversation];
    if (response->code == CHATLOG__V1__CODE__CODE_ABORTED) { /* it is a read that saw another last_seq */
        entry->call.append = false;
        entry->call.count = 0;
        entry->call.last = *known = detail_of(response, "last_seq");
        return true;
    }
    Chatlog__V1__AppendMessagesResponse *answer =
        response->code == CHATLOG__V1__CODE__CODE_OK
            ? chatlog__v1__append_messages_response__unpack(NULL, response->payload.len, response->payload.data)
            : NULL;
    if (!answer) {
        return false;
    }
    entry->call.last = *known = answer->last_seq;
    chatlog__v1__append_messages_response__free_unpacked(answer, NULL);
    return true;
}

static void append_call(struct client *client, struct entry *entry)
{
    uint8_t payload[PAYLOAD_BYTES];
    char request_id[TEXT_BYTES];
    uint64_t random = client_random(client);
    bool gives_up = random % 2;
    entry->call.append = true;
    entry->call.count = 1 + (random >> 8) % LINEAR_APPEND_MAX;
    entry->call.id = (uint64_t)(client->number + 1) * CALLS_MAX * 10 + client->count;
    size_t size = append_pack(entry, client->known[entry->conversation], (random >> 16) % 4 == 0, payload);
    snprintf(request_id, sizeof(request_id), "%" PRIu64, entry->call.id);
    for (;;) {
        Chatlog__V1__Response *response = caller_call(&client->caller, "chatlog.v1.HistoryService/AppendMessages",
                                                      payload, size, request_id, client->number);
        bool noted = response && append_note(client, entry, response);
        chatlog__v1__response__free_unpacked(response, NULL);
        if (noted) {
            entry->call.end_us = now_us();
            return;
        }
        if (gives_up) {
            entry->call.end_us = LINEAR_NEVER;
            return;
        }
        usleep(RETRY_US);
    }
}

static bool read_call(struct client *client, struct entry *entry)
{
    uint8_t payload[PAYLOAD_BYTES];
    size_t size = read_pack(entry->conversation, 0, LINEAR_SEEN_MAX, payload);
    Chatlog__V1__Response *response =
        caller_call(&client->caller, "chatlog.v1.HistoryService/ListMessages", payload, size, NULL, client->number);
    entry->call.end_us = now_us();
    bool known = response && response->code == CHATLOG__V1__CODE__CODE_NOT_FOUND; /* a state as well: nothing yet */
    if (response && response->code == CHATLOG__V1__CODE__CODE_OK) {
        Chatlog__V1__ListMessagesResponse *page =
            chatlog__v1__list_messages_response__unpack(NULL, response->payload.len, response->payload.data);
        known = page && page->n_messages <= LINEAR_SEEN_MAX;
        for (size_t i = 0; known && i < page->n_messages; i++) {
            entry->call.seen[i] = owner_of(page->messages[i]);
        }
        if (known) {
            entry->call.count = page->n_messages;
            entry->call.last = client->known[entry->conversation] = page->last_seq;
        }
        chatlog__v1__list_messages_response__free_unpacked(page, NULL);
    }
    chatlog__v1__response__free_unpacked(response, NULL);
    return known;
}

static void *client_main(void *arg)
{
    struct client *client = arg;
    while (now_us() < client->history->until_us && client->count < CALLS_MAX) {
        if (!caller_open(&client->caller)) {
            usleep(RETRY_US);
            continue;
        }
        struct entry *entry = &client->entries[client->count];
        uint64_t random = client_random(client);
        *entry = (struct entry){.conversation = (unsigned)(random % CONVERSATIONS)};
        entry->call.start_us = now_us();
        if ((random >> 32) % 2) {
            append_call(client, entry);
            client->count++;
        } else {
            client->count += read_call(client, entry);
        }
    }
    caller_close(&client->caller);
    return NULL;
}

/* ---- What it comes to ---- */

/* Reads a page when the daemon is back: the clients may have ended before. */
static Chatlog__V1__Response *page_read(struct caller *caller, unsigned conversation, uint64_t after)
{
    uint8_t payload[PAYLOAD_BYTES];
    size_t size = read_pack(conversation, after, FINAL_PAGE, payload);
    for (int64_t until = now_us() + FINAL_US; now_us() < until; usleep(RETRY_US)) {
        Chatlog__V1__Response *response =
            caller_call(caller, "chatlog.v1.HistoryService/ListMessages", payload, size, NULL, 1);
        if (response &&
            (response->code == CHATLOG__V1__CODE__CODE_OK || response->code == CHATLOG__V1__CODE__CODE_NOT_FOUND)) {
            return response;
        }
        chatlog__v1__response__free_unpacked(response, NULL);
    }
    fprintf(stderr, "chatlog_fault_history: the daemon does not come back\n");
    exit(1);
}

/* Reads the whole conversation. Returns how many messages it has. */
static size_t owners_read(const struct history *history, unsigned conversation, uint64_t *owners)
{
    struct caller caller = {.socket = history->socket, .fd = -1};
    size_t count = 0;
    bool more = true;
    while (more) {
        Chatlog__V1__Response *response = page_read(&caller, conversation, count);
        Chatlog__V1__ListMessagesResponse *page =
            response->code == CHATLOG__V1__CODE__CODE_OK
                ? chatlog__v1__list_messages_response__unpack(NULL, response->payload.len, response->payload.data)
                : NULL;
        for (size_t i = 0; page && i < page->n_messages && count < OWNERS_MAX; i++, count++) {
            owners[count] = page->messages[i]->seq == count + 1 ? owner_of(page->messages[i]) : 0;
        }
        more = page && page->has_more_after && count < OWNERS_MAX;
        chatlog__v1__list_messages_response__free_unpacked(page, NULL);
        chatlog__v1__response__free_unpacked(response, NULL);
    }
    caller_close(&caller);
    return count;
}

static size_t calls_collect(const struct history *history, unsigned conversation, struct linear_call *calls)
{
    size_t count = 0;
    for (unsigned i = 0; i < history->client_count; i++) {
        for (size_t j = 0; j < history->clients[i].count; j++) {
            if (history->clients[i].entries[j].conversation == conversation) {
                calls[count++] = history->clients[i].entries[j].call;
            }
        }
    }
    return count;
}

/* A read that began after an append was answered, and yet did not see it. */
static bool read_falsify(struct linear_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count && calls[i].append && calls[i].last > calls[i].count; j++) {
            if (!calls[j].append && calls[j].start_us > calls[i].end_us && calls[j].last >= calls[i].last) {
                calls[j].last = calls[i].last - calls[i].count;
                calls[j].count = 0;
                return true;
            }
        }
    }
    return false;
}

/* Two appends, one after the other, that are stored the other way round. Nobody has read them. */
static bool order_falsify(struct linear_call *calls, size_t *count, uint64_t *owners)
{
    size_t appends = 0;
    for (size_t i = 0; i < *count; i++) {
        if (calls[i].append && calls[i].end_us != LINEAR_NEVER) {
            calls[appends++] = calls[i];
        }
    }
    for (size_t i = 0; i < appends; i++) {
        for (size_t j = 0; j < appends; j++) {
            if (calls[i].end_us < calls[j].start_us && calls[i].count == calls[j].count) {
                for (size_t k = 0; k < calls[i].count; k++) {
                    owners[calls[i].last - 1 - k] = calls[j].id;
                    owners[calls[j].last - 1 - k] = calls[i].id;
                }
                uint64_t last = calls[i].last;
                calls[i].last = calls[j].last;
                calls[j].last = last;
                return true;
            }
        }
    }
    return false;
}

static size_t history_check(const struct history *history, const char *control, size_t *ret_appends,
                            size_t *ret_unanswered)
{
    char text[VERDICT_BYTES];
    size_t violations = 0;
    size_t all = (size_t)history->client_count * CALLS_MAX;
    struct linear_call *calls = calloc(all, sizeof(*calls));
    uint64_t *owners = calloc(OWNERS_MAX, sizeof(*owners));
    if (!calls || !owners) {
        exit(1);
    }
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        size_t count = calls_collect(history, i, calls);
        size_t owner_count = owners_read(history, i, owners);
        if (i == 0 && strcmp(control, "stale") == 0 && !read_falsify(calls, count)) {
            exit(1);
        }
        if (i == 0 && strcmp(control, "reorder") == 0 && !order_falsify(calls, &count, owners)) {
            exit(1);
        }
        for (size_t j = 0; j < count; j++) {
            *ret_appends += calls[j].append;
            *ret_unanswered += calls[j].end_us == LINEAR_NEVER;
        }
        size_t found = linear_check(calls, count, owners, owner_count, text, sizeof(text));
        if (found > 0) {
            fprintf(stderr, "chatlog_fault_history: conversation %u: %s\n", i, text);
        }
        violations += found;
    }
    free(calls);
    free(owners);
    return violations;
}

int main(int count, char **arguments)
{
    static struct history history;
    size_t calls = 0;
    size_t appends = 0;
    size_t unanswered = 0;
    if (count != 5 && count != 6) {
        fprintf(stderr, "usage: chatlog_fault_history SOCKET SEED CLIENTS MILLISECONDS [stale|reorder]\n");
        return 64;
    }
    history.socket = arguments[1];
    history.seed = strtoull(arguments[2], NULL, 10);
    history.client_count = (unsigned)strtoul(arguments[3], NULL, 10);
    history.until_us = now_us() + (int64_t)strtoul(arguments[4], NULL, 10) * 1000;
    if (history.client_count > CLIENTS_MAX) {
        return 64;
    }
    for (unsigned i = 0; i < history.client_count; i++) {
        struct client *client = &history.clients[i];
        *client = (struct client){.history = &history, .number = i, .caller = {history.socket, -1}};
        client->random = history_random(history.seed + i);
        client->entries = calloc(CALLS_MAX, sizeof(*client->entries));
        if (!client->entries || pthread_create(&client->thread, NULL, client_main, client)) {
            return 1;
        }
    }
    for (unsigned i = 0; i < history.client_count; i++) {
        pthread_join(history.clients[i].thread, NULL);
        calls += history.clients[i].count;
    }
    size_t violations = history_check(&history, count == 6 ? arguments[5] : "", &appends, &unanswered);
    printf("calls %zu appends %zu unanswered %zu violations %zu\n", calls, appends, unanswered, violations);
    for (unsigned i = 0; i < history.client_count; i++) {
        free(history.clients[i].entries);
    }
    return 0;
}
