/* chatlog_fault_grow SOCKET SEED WRITERS READERS BYTES [delete]: writers append texts that do not compress to
 * conversations of their own until so many bytes are stored or there is no more room, while readers read the newest of
 * random conversations and compare every byte. A writer that is refused goes on with shorter texts, so that no room is
 * left. With "delete" every message is deleted one by one afterwards. Prints
 * "acks A refused R failed F bytes B reads N wrong W read_p99 MS write_p99 MS deleted D kept K": F calls ended without
 * an answer or with another error than RESOURCE_EXHAUSTED, K messages could not be deleted. */
#include "fault/caller.h"
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
    THREADS_MAX = 64,
    TEXT_BYTES = 32768,
    TEXT_WORDS = TEXT_BYTES / 8,
    TEXT_BYTES_LEAST = 16,
    SHORTER = 8, /* times */
    PAYLOAD_BYTES = TEXT_BYTES + 256,
    PAGE = 4,
    TIMES_MAX = 1 << 20,
    NAME_BYTES = 32,
};

struct grow {
    const char *socket;
    uint64_t seed;
    uint64_t bytes_goal;
    _Atomic uint64_t bytes;
    atomic_bool ended;
    unsigned writers;
    atomic_uint lengths[THREADS_MAX]; /* answered messages of each writer's conversation */
};

struct worker {
    struct grow *grow;
    unsigned number;
    pthread_t thread;
    struct caller caller;
    uint64_t calls;
    uint64_t refused;
    uint64_t failed;
    uint64_t wrong;
    uint32_t *times_us; /* of TIMES_MAX calls at most */
    size_t time_count;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Message `seq` of a writer. */
static void text_write(const struct grow *grow, unsigned writer, uint64_t seq, uint64_t text[TEXT_WORDS])
{
    uint64_t random = history_random(grow->seed ^ history_random((uint64_t)writer << 40 | seq));
    for (size_t i = 0; i < TEXT_WORDS; i++) {
        random = history_random(random);
        text[i] = random;
    }
}

static Chatlog__V1__Response *call_timed(struct worker *worker, const char *method, const uint8_t *payload, size_t size)
{
    int64_t began = now_us();
    Chatlog__V1__Response *response = caller_call(&worker->caller, method, payload, size, NULL, worker->number + 1);
    if (worker->time_count < TIMES_MAX) {
        worker->times_us[worker->time_count++] = (uint32_t)(now_us() - began);
    }
    worker->calls++;
    return response;
}

/* Sorts an answer. Returns true when it was OK. */
static bool answer_take_in(struct worker *worker, const Chatlog__V1__Response *response)
{
    bool refused = response && response->code == CHATLOG__V1__CODE__CODE_RESOURCE_EXHAUSTED;
    bool ok = response && response->code == CHATLOG__V1__CODE__CODE_OK;
    worker->refused += refused;
    worker->failed += !ok && !refused;
    if (!ok && !refused) {
        fprintf(stderr, "chatlog_fault_grow: %s\n", response ? response->reason : "no answer");
    }
    return ok;
}

static void names_write(const struct grow *grow, unsigned writer, char user[NAME_BYTES], char conversation[NAME_BYTES])
{
    snprintf(user, NAME_BYTES, "grower-%" PRIx32 "-%u", (uint32_t)grow->seed, writer);
    snprintf(conversation, NAME_BYTES, "growth");
}

static void *writer_main(void *arg)
{
    static char role[] = "user";
    struct worker *worker = arg;
    struct grow *grow = worker->grow;
    uint8_t *payload = malloc(PAYLOAD_BYTES);
    uint64_t text[TEXT_WORDS];
    char user[NAME_BYTES];
    char conversation[NAME_BYTES];
    size_t text_bytes = payload ? TEXT_BYTES : 0;
    names_write(grow, worker->number, user, conversation);
    while (text_bytes >= TEXT_BYTES_LEAST && atomic_load(&grow->bytes) < grow->bytes_goal) {
        Chatlog__V1__Message message;
        Chatlog__V1__Message *messages[] = {&message};
        Chatlog__V1__AppendMessagesRequest request;
        chatlog__v1__append_messages_request__init(&request);
        chatlog__v1__message__init(&message);
        text_write(grow, worker->number, atomic_load(&grow->lengths[worker->number]) + 1, text);
        message.role = role;
        message.content.data = (uint8_t *)text;
        message.content.len = text_bytes;
        request.user_id = user;
        request.conversation_id = conversation;
        request.messages = messages;
        request.n_messages = 1;
        request.create_if_missing = true;
        size_t size = chatlog__v1__append_messages_request__pack(&request, payload);
        Chatlog__V1__Response *response = call_timed(worker, "chatlog.v1.HistoryService/AppendMessages", payload, size);
        if (answer_take_in(worker, response)) {
            atomic_fetch_add(&grow->lengths[worker->number], 1);
            atomic_fetch_add(&grow->bytes, text_bytes);
        } else {
            text_bytes = worker->failed > 0 ? 0 : text_bytes / SHORTER;
        }
        chatlog__v1__response__free_unpacked(response, NULL);
    }
    free(payload);
    return NULL;
}

/* What was answered before must be there, and every message be what its writer wrote. */
static bool page_is_right(const struct grow *grow, unsigned writer, unsigned least,
                          const Chatlog__V1__Response *response)
{
    uint64_t text[TEXT_WORDS];
    Chatlog__V1__ListMessagesResponse *page =
        chatlog__v1__list_messages_response__unpack(NULL, response->payload.len, response->payload.data);
    bool right = page && page->last_seq >= least && page->n_messages > 0;
    for (size_t i = 0; right && i < page->n_messages; i++) {
        text_write(grow, writer, page->messages[i]->seq, text);
        right = page->messages[i]->seq == page->last_seq - page->n_messages + 1 + i &&
                page->messages[i]->content.len <= TEXT_BYTES && page->messages[i]->content.len > 0 &&
                memcmp(page->messages[i]->content.data, text, page->messages[i]->content.len) == 0;
    }
    chatlog__v1__list_messages_response__free_unpacked(page, NULL);
    return right;
}

static void *reader_main(void *arg)
{
    struct worker *worker = arg;
    struct grow *grow = worker->grow;
    uint64_t random = history_random(grow->seed + worker->number);
    uint8_t payload[4 * NAME_BYTES];
    char user[NAME_BYTES];
    char conversation[NAME_BYTES];
    while (!atomic_load(&grow->ended)) {
        random = history_random(random);
        unsigned writer = (unsigned)(random % grow->writers);
        unsigned least = atomic_load(&grow->lengths[writer]);
        Chatlog__V1__ListMessagesRequest request;
        chatlog__v1__list_messages_request__init(&request);
        names_write(grow, writer, user, conversation);
        request.user_id = user;
        request.conversation_id = conversation;
        request.limit = PAGE;
        if (least > 0) {
            size_t size = chatlog__v1__list_messages_request__pack(&request, payload);
            Chatlog__V1__Response *response =
                call_timed(worker, "chatlog.v1.HistoryService/ListMessages", payload, size);
            worker->wrong += answer_take_in(worker, response) && !page_is_right(grow, writer, least, response);
            chatlog__v1__response__free_unpacked(response, NULL);
        }
        usleep(1000);
    }
    return NULL;
}

/* Deletes all of a writer's messages. Returns how many could not be. */
static uint64_t messages_delete(struct grow *grow, unsigned writer)
{
    struct caller caller = {.socket = grow->socket, .fd = -1};
    uint8_t payload[4 * NAME_BYTES];
    char user[NAME_BYTES];
    char conversation[NAME_BYTES];
    uint64_t kept = 0;
    names_write(grow, writer, user, conversation);
    for (unsigned seq = 1; seq <= atomic_load(&grow->lengths[writer]); seq++) {
        Chatlog__V1__DeleteMessageRequest request;
        chatlog__v1__delete_message_request__init(&request);
        request.user_id = user;
        request.conversation_id = conversation;
        request.seq = seq;
        size_t size = chatlog__v1__delete_message_request__pack(&request, payload);
        Chatlog__V1__Response *response =
            caller_call(&caller, "chatlog.v1.HistoryService/DeleteMessage", payload, size, NULL, 1);
        kept += !response || response->code != CHATLOG__V1__CODE__CODE_OK;
        chatlog__v1__response__free_unpacked(response, NULL);
    }
    caller_close(&caller);
    return kept;
}

static int time_compare(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a;
    uint32_t second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

/* The time, in ms, that 99 of 100 calls of these workers did not take longer than. */
static double times_p99(const struct worker *workers, unsigned count)
{
    size_t all = 0;
    for (unsigned i = 0; i < count; i++) {
        all += workers[i].time_count;
    }
    uint32_t *times = malloc((all + 1) * sizeof(*times));
    if (!times || all == 0) {
        free(times);
        return 0;
    }
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        memcpy(times + at, workers[i].times_us, workers[i].time_count * sizeof(*times));
        at += workers[i].time_count;
    }
    qsort(times, all, sizeof(*times), time_compare);
    double p99 = times[all - 1 - all / 100] / 1e3;
    free(times);
    return p99;
}

static void workers_start(struct worker *workers, unsigned count, struct grow *grow, void *(*go)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){.grow = grow,
                                     .number = i,
                                     .caller = {grow->socket, -1},
                                     .times_us = calloc(TIMES_MAX, sizeof(*workers[i].times_us))};
        if (!workers[i].times_us || pthread_create(&workers[i].thread, NULL, go, &workers[i])) {
            abort();
        }
    }
}

/* Waits for them, and adds up what they met. */
static struct worker workers_end(struct worker *workers, unsigned count)
{
    struct worker sum = {0};
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        caller_close(&workers[i].caller);
        sum.calls += workers[i].calls;
        sum.refused += workers[i].refused;
        sum.failed += workers[i].failed;
        sum.wrong += workers[i].wrong;
    }
    return sum;
}

static void times_free(struct worker *workers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(workers[i].times_us);
    }
}

int main(int count, char **arguments)
{
    struct grow grow = {0};
    struct worker writers[THREADS_MAX];
    struct worker readers[THREADS_MAX];
    if (count < 6 || count > 7 || (count == 7 && strcmp(arguments[6], "delete") != 0)) {
        fprintf(stderr, "usage: chatlog_fault_grow SOCKET SEED WRITERS READERS BYTES [delete]\n");
        return 64;
    }
    grow.socket = arguments[1];
    grow.seed = strtoull(arguments[2], NULL, 10);
    grow.writers = (unsigned)strtoul(arguments[3], NULL, 10);
    unsigned reader_count = (unsigned)strtoul(arguments[4], NULL, 10);
    grow.bytes_goal = strtoull(arguments[5], NULL, 10);
    if (grow.writers < 1 || grow.writers > THREADS_MAX || reader_count > THREADS_MAX) {
        fprintf(stderr, "chatlog_fault_grow: at most %d writers and readers each\n", THREADS_MAX);
        return 64;
    }
    workers_start(writers, grow.writers, &grow, writer_main);
    workers_start(readers, reader_count, &grow, reader_main);
    struct worker written = workers_end(writers, grow.writers);
    atomic_store(&grow.ended, true);
    struct worker read = workers_end(readers, reader_count);
    uint64_t stored = 0;
    uint64_t kept = 0;
    for (unsigned i = 0; i < grow.writers; i++) {
        stored += atomic_load(&grow.lengths[i]);
        kept += count == 7 ? messages_delete(&grow, i) : 0;
    }
    printf("acks %" PRIu64 " refused %" PRIu64 " failed %" PRIu64 " bytes %" PRIu64 " reads %" PRIu64 " wrong %" PRIu64
           " read_p99 %.1f write_p99 %.1f deleted %" PRIu64 " kept %" PRIu64 "\n",
           stored, written.refused, written.failed + read.failed, atomic_load(&grow.bytes), read.calls, read.wrong,
           times_p99(readers, reader_count), times_p99(writers, grow.writers), count == 7 ? stored - kept : 0, kept);
    times_free(writers, grow.writers);
    times_free(readers, reader_count);
    return 0;
}
