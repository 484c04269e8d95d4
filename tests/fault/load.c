/* chatlog_fault_load SOCKET SEED CLIENTS CONVERSATIONS: clients that each tell the stories of so many conversations of
 * their own, and know what was answered, while somebody else does harm to the daemon. Takes lines from standard input:
 *
 *   go N P   begins; each client makes N changes (0: until "halt" or until the daemon is gone), P us after each call
 *   halt     lets the clients finish what is under way
 *   wait     waits for all clients: "acks A refused R failed F seconds S latency MS"; F: changes whose outcome is
 *            unknown
 *   check    reads everything: "conversations C messages M wrong W". A conversation must be as its last answer left it,
 *            or, when an answer is outstanding, one change further
 *   settle   sends every change without an answer again, with its request_id: "settled N replayed P wrong W"
 *   copy S FROM UNTIL
 *            reads everything from the daemon at socket S, which has a copy of the data that was made between these
 *            times (CLOCK_MONOTONIC, us): "changes C apart A". A: conversations that are as they never were, or were
 *            not at one moment in that time
 *   quit
 *
 * Whatever is wrong gets a line on standard error. */
#include "fault/caller.h"
#include "fault/moment.h"

#include "chatlog/v1/admin_service.pb-c.h"
#include "support/history.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 1000,
    READ_EVERY = 8, /* the others are changes */
    STATS_NUMBER = STORY_CONVERSATIONS_MAX << STORY_NUMBER_BITS,
    STATS_WAIT_MS = 5000,
    LINE_BYTES = 256,
    COMPLAINTS_MAX = 10,
};

/* One conversation: what its last answer left, and whether the next change is out. */
struct told {
    struct story story;
    bool outstanding;
    struct moment_log log;
};

struct load;

struct client {
    struct load *load;
    unsigned number;
    pthread_t thread;
    struct caller caller;
    uint64_t random;
    uint64_t acks;
    uint64_t refused;
    uint64_t failed;
    int64_t longest_us;
};

struct load {
    const char *socket;
    unsigned client_count;
    unsigned per_client;
    struct told *told; /* client c alone tells those from c * per_client on */
    struct client *clients;
    uint64_t goal;
    useconds_t pause_us;
    atomic_bool halted;
    atomic_uint wrong;
    int64_t began_us;
    bool running;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void complain(struct load *load, const struct story *story, const char *what)
{
    if (atomic_fetch_add(&load->wrong, 1) < COMPLAINTS_MAX) {
        fprintf(stderr, "chatlog_fault_load: conversation %" PRIu32 " after %" PRIu64 " changes: %s\n",
                story->conversation, story->done, what);
    }
}

static void told_answered(struct told *told)
{
    moment_answer(&told->log, told->story.done, now_us());
    story_advance(&told->story);
    told->outstanding = false;
}

/* Makes the next change. Returns false when the connection broke. */
static bool change_make(struct client *client, struct told *told)
{
    int64_t began = now_us();
    told->outstanding = true;
    moment_ask(&told->log, told->story.done, began);
    Chatlog__V1__Response *response = caller_tell(&client->caller, &told->story);
    if (!response) {
        client->failed++;
        return false;
    }
    int64_t took = now_us() - began;
    client->longest_us = took > client->longest_us ? took : client->longest_us;
    if (response->code == CHATLOG__V1__CODE__CODE_OK) {
        client->acks++;
        told_answered(told);
    } else if (response->code == CHATLOG__V1__CODE__CODE_RESOURCE_EXHAUSTED ||
               response->code == CHATLOG__V1__CODE__CODE_UNAVAILABLE) {
        client->refused++;
    } else {
        complain(client->load, &told->story, response->reason);
    }
    chatlog__v1__response__free_unpacked(response, NULL);
    return true;
}

/* What the conversation may be like: as it was answered, or one change further. */
static bool digest_fits(const struct told *told, uint64_t digest)
{
    struct story next = told->story;
    if (digest == story_digest(&told->story)) {
        return true;
    }
    story_advance(&next);
    return told->outstanding && digest == story_digest(&next);
}

static bool conversation_read(struct client *client, const struct told *told, uint64_t *ret_messages)
{
    uint64_t digest;
    if (!caller_read(&client->caller, &told->story, &digest, ret_messages)) {
        return false;
    }
    if (!digest_fits(told, digest)) {
        complain(client->load, &told->story, "it holds something else than what was answered");
    }
    return true;
}

static void *client_main(void *arg)
{
    struct client *client = arg;
    struct load *load = client->load;
    uint64_t messages;
    uint64_t attempts = 0;
    bool connected = caller_open(&client->caller);
    while (connected && !atomic_load(&load->halted) && (load->goal == 0 || attempts < load->goal)) {
        client->random = history_random(client->random);
        struct told *told = &load->told[client->number * load->per_client + client->random % load->per_client];
        if ((client->random >> 32) % READ_EVERY == 0) {
            connected = conversation_read(client, told, &messages);
        } else {
            connected = change_make(client, told);
            attempts++;
        }
        if (load->pause_us > 0) {
            usleep(load->pause_us);
        }
    }
    return NULL;
}

static void load_go(struct load *load, const char *numbers)
{
    char *rest;
    load->goal = strtoull(numbers, &rest, 10);
    load->pause_us = (useconds_t)strtoul(rest, NULL, 10);
    load->began_us = now_us();
    atomic_store(&load->halted, false);
    for (unsigned i = 0; i < load->client_count; i++) {
        struct client *client = &load->clients[i];
        client->acks = client->refused = client->failed = 0;
        client->longest_us = 0;
        if (pthread_create(&client->thread, NULL, client_main, client)) {
            abort();
        }
    }
    load->running = true;
}

static void load_wait(struct load *load)
{
    uint64_t acks = 0;
    uint64_t refused = 0;
    uint64_t failed = 0;
    int64_t longest = 0;
    for (unsigned i = 0; i < load->client_count && load->running; i++) {
        struct client *client = &load->clients[i];
        pthread_join(client->thread, NULL);
        caller_close(&client->caller);
        acks += client->acks;
        refused += client->refused;
        failed += client->failed;
        longest = client->longest_us > longest ? client->longest_us : longest;
    }
    load->running = false;
    printf("acks %" PRIu64 " refused %" PRIu64 " failed %" PRIu64 " seconds %.3f latency %.1f\n", acks, refused, failed,
           (double)(now_us() - load->began_us) / 1e6, (double)longest / 1e3);
}

/* The daemon's own counts, once it has removed what it was to remove. */
static bool totals_agree(struct load *load, uint64_t conversations, uint64_t messages)
{
    struct caller caller = {.socket = load->socket, .fd = -1};
    bool agree = false;
    for (int64_t until = now_us() + STATS_WAIT_MS * 1000; !agree && now_us() < until; usleep(1000)) {
        Chatlog__V1__Response *response =
            caller_call(&caller, "chatlog.v1.AdminService/GetStats", NULL, 0, NULL, STATS_NUMBER);
        Chatlog__V1__GetStatsResponse *stats =
            response ? chatlog__v1__get_stats_response__unpack(NULL, response->payload.len, response->payload.data)
                     : NULL;
        agree = stats && stats->conversations == conversations && stats->messages == messages;
        chatlog__v1__get_stats_response__free_unpacked(stats, NULL);
        chatlog__v1__response__free_unpacked(response, NULL);
    }
    caller_close(&caller);
    return agree;
}

static void load_check(struct load *load)
{
    struct client reader = {.load = load, .caller = {.socket = load->socket, .fd = -1}};
    uint64_t conversations = 0;
    uint64_t all = 0;
    for (unsigned i = 0; i < load->client_count * load->per_client; i++) {
        uint64_t messages = 0;
        if (!conversation_read(&reader, &load->told[i], &messages)) {
            complain(load, &load->told[i].story, "it cannot be read");
        }
        all += messages;
        conversations += load->told[i].story.done > 0 || messages > 0;
    }
    caller_close(&reader.caller);
    if (!totals_agree(load, conversations, all)) {
        complain(load, &load->told[0].story, "the daemon counts something else than what there is");
    }
    printf("conversations %" PRIu64 " messages %" PRIu64 " wrong %u\n", conversations, all, atomic_load(&load->wrong));
}

static void load_settle(struct load *load)
{
    struct client client = {.load = load, .caller = {.socket = load->socket, .fd = -1}};
    unsigned settled = 0;
    unsigned replayed = 0;
    for (unsigned i = 0; i < load->client_count * load->per_client; i++) {
        struct told *told = &load->told[i];
        if (!told->outstanding) {
            continue;
        }
        Chatlog__V1__Response *response = caller_tell(&client.caller, &told->story);
        if (response && response->code == CHATLOG__V1__CODE__CODE_OK) {
            settled++;
            replayed += response->replayed != 0;
            told_answered(told);
        } else {
            complain(load, &told->story, response ? response->reason : "trying it again brings no answer");
        }
        chatlog__v1__response__free_unpacked(response, NULL);
    }
    caller_close(&client.caller);
    printf("settled %u replayed %u wrong %u\n", settled, replayed, atomic_load(&load->wrong));
}

/* After how many changes a conversation was as the copy has it; UINT64_MAX: never. */
static uint64_t copy_done(struct caller *caller, const struct told *told)
{
    struct story story = story_new(told->story.seed, told->story.conversation);
    uint64_t digest;
    uint64_t messages;
    if (!caller_read(caller, &story, &digest, &messages)) {
        return UINT64_MAX;
    }
    while (story.count != messages || story_digest(&story) != digest) {
        if (story.done == told->log.count) {
            return UINT64_MAX;
        }
        story_advance(&story);
    }
    return story.done;
}

static void load_copy(struct load *load, const char *arguments)
{
    char socket[LINE_BYTES];
    struct moment_span span;
    struct caller caller = {.socket = socket, .fd = -1};
    uint64_t changes = 0;
    unsigned apart = 0;
    if (sscanf(arguments, "%255s %" SCNd64 " %" SCNd64, socket, &span.earliest_us, &span.latest_us) != 3) {
        apart++;
    }
    for (unsigned i = 0; i < load->client_count * load->per_client && apart == 0; i++) {
        uint64_t done = copy_done(&caller, &load->told[i]);
        changes += done == UINT64_MAX ? 0 : done;
        apart += !moment_narrow(&span, &load->told[i].log, done);
    }
    caller_close(&caller);
    printf("changes %" PRIu64 " apart %u\n", changes, apart);
}

static void commands_take(struct load *load)
{
    char line[LINE_BYTES];
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
        if (strncmp(line, "go ", 3) == 0) {
            load_go(load, line + 3);
        } else if (strcmp(line, "halt\n") == 0) {
            atomic_store(&load->halted, true);
        } else if (strcmp(line, "wait\n") == 0) {
            load_wait(load);
        } else if (strcmp(line, "check\n") == 0) {
            load_check(load);
        } else if (strcmp(line, "settle\n") == 0) {
            load_settle(load);
        } else if (strncmp(line, "copy ", 5) == 0) {
            load_copy(load, line + 5);
        }
        fflush(stdout);
    }
}

int main(int count, char **arguments)
{
    struct load load = {0};
    if (count != 5) {
        fprintf(stderr, "usage: chatlog_fault_load SOCKET SEED CLIENTS CONVERSATIONS\n");
        return 64;
    }
    load.socket = arguments[1];
    uint64_t seed = strtoull(arguments[2], NULL, 10);
    load.client_count = (unsigned)strtoul(arguments[3], NULL, 10);
    load.per_client = (unsigned)strtoul(arguments[4], NULL, 10);
    if (load.client_count < 1 || load.client_count > CLIENTS_MAX || load.per_client < 1 ||
        load.per_client > STORY_CONVERSATIONS_MAX / load.client_count) {
        fprintf(stderr, "chatlog_fault_load: at most %d clients and %d conversations\n", CLIENTS_MAX,
                STORY_CONVERSATIONS_MAX);
        return 64;
    }
    load.told = calloc((size_t)load.client_count * load.per_client, sizeof(*load.told));
    load.clients = calloc(load.client_count, sizeof(*load.clients));
    if (!load.told || !load.clients) {
        return 1;
    }
    for (unsigned i = 0; i < load.client_count * load.per_client; i++) {
        load.told[i].story = story_new(seed, i);
    }
    for (unsigned i = 0; i < load.client_count; i++) {
        load.clients[i] = (struct client){
            .load = &load, .number = i, .random = history_random(seed + i), .caller = {load.socket, -1}};
    }
    commands_take(&load);
    for (unsigned i = 0; i < load.client_count * load.per_client; i++) {
        moment_free(&load.told[i].log);
    }
    free(load.told);
    free(load.clients);
    return atomic_load(&load.wrong) > 0;
}
