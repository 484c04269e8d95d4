/* chatlog_load URL CONVERSATIONS SEED: a live load that knows what must be there. Several threads append to the
 * conversations of support/history.h and to new ones, and read what they and others wrote, while somebody else kills
 * and starts the daemon. Each append is repeated with its request ID until it is answered, so every one must be there
 * once.
 *
 * Takes lines from standard input: "check" lets the appends under way finish, reads everything there is and prints
 * "checked C conversations M messages B bad", "quit" ends it. Each thing that is wrong gets a line on standard error;
 * ends with status 1 when there was one. */
#include "chatlog.h"
#include "support/history.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 4,
    BATCH_MAX = 5,
    PAGE = 1000,
    NEWEST = 50,
    CALL_TIMEOUT_MS = 600000,
    READY_TIMEOUT_MS = 60000,
    TEXT_BYTES = 64,
};

/* Conversations below `made` were there before; those from there to `count` are new. Thread t alone appends to those
 * whose number is t modulo THREADS. */
struct load {
    struct chatlog *client;
    uint64_t made;
    uint64_t count;
    uint64_t seed;
    uint64_t *appended;    /* answered, by conversation; that of a thread's own is read by others only under `gate` */
    pthread_rwlock_t gate; /* read: while a call is under way; write: while all is checked */
    atomic_bool stopped;
    atomic_uint_fast64_t bad;
};

struct worker {
    struct load *load;
    uint64_t number;
    uint64_t random;
    pthread_t thread;
};

static void __attribute__((format(printf, 2, 3))) bad(struct load *load, const char *format, ...)
{
    va_list arguments;
    char line[512];
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "chatlog_load: %s\n", line);
    atomic_fetch_add(&load->bad, 1);
}

static uint64_t base_length(const struct load *load, uint64_t conversation)
{
    return conversation < load->made ? history_length(conversation) : 0;
}

static size_t live_text(uint64_t conversation, uint64_t seq, char text[TEXT_BYTES])
{
    return (size_t)snprintf(text, TEXT_BYTES, "live %" PRIu64 " %" PRIu64, conversation, seq);
}

/* ---- Reading ---- */

static void message_check(struct load *load, uint64_t conversation, const struct chatlog_message *message)
{
    char text[HISTORY_TEXT_MAX];
    char live[TEXT_BYTES];
    uint64_t seq = message->seq;
    bool is_live = seq > base_length(load, conversation);
    size_t size = is_live ? live_text(conversation, seq, live) : history_text(conversation, seq, text);
    if (message->content_length != size || memcmp(message->content, is_live ? live : text, size) != 0 ||
        strcmp(message->role, history_role(seq)) != 0 || message->content_size != size) {
        bad(load, "conversation %" PRIu64 ", message %" PRIu64 " says \"%.*s\"", conversation, seq,
            (int)message->content_length, (const char *)message->content);
    }
}

/* A run that must hold every seq from `first` on. */
static void run_check(struct load *load, uint64_t conversation, const struct chatlog_messages *page, uint64_t first)
{
    for (size_t i = 0; i < page->count; i++) {
        if (page->items[i].seq != first + i) {
            bad(load, "conversation %" PRIu64 ", message %" PRIu64 " where %" PRIu64 " should be", conversation,
                page->items[i].seq, first + i);
        }
        message_check(load, conversation, &page->items[i]);
    }
}

/* Reads the newest messages; of a conversation of one's own every answered append must be there and no more. */
static void newest_read(struct load *load, uint64_t conversation, bool own)
{
    char user[HISTORY_ID_BYTES];
    char name[HISTORY_ID_BYTES];
    struct chatlog_messages page;
    struct chatlog_error error;
    const struct chatlog_message_query query = {.limit = NEWEST};
    const struct chatlog_call_options options = {.timeout_ms = CALL_TIMEOUT_MS};
    history_user(conversation, user);
    history_conversation(conversation, name);
    if (chatlog_list_messages(load->client, user, name, &query, &options, &page, &error)) {
        if (!own && error.code == CHATLOG_NOT_FOUND && conversation >= load->made) {
            return; /* nobody has begun it yet */
        }
        bad(load, "conversation %" PRIu64 " cannot be read: %s", conversation, error.message);
        return;
    }
    uint64_t base = base_length(load, conversation);
    uint64_t last = page.last_seq;
    if (last < base || (own && last != base + load->appended[conversation])) {
        bad(load, "conversation %" PRIu64 " ends at %" PRIu64 "; %" PRIu64 " were there, %" PRIu64 " answered",
            conversation, last, base, own ? load->appended[conversation] : 0);
    }
    if (page.count != (last < NEWEST ? last : NEWEST)) {
        bad(load, "conversation %" PRIu64 " shows %zu of %" PRIu64 " messages", conversation, page.count, last);
    }
    run_check(load, conversation, &page, last + 1 - page.count);
    chatlog_messages_free(&page);
}

/* Reads one conversation from its beginning. Returns how many messages it has. */
static uint64_t whole_read(struct load *load, uint64_t conversation)
{
    char user[HISTORY_ID_BYTES];
    char name[HISTORY_ID_BYTES];
    uint64_t seen = 0;
    bool more = true;
    history_user(conversation, user);
    history_conversation(conversation, name);
    while (more) {
        struct chatlog_messages page;
        struct chatlog_error error;
        const struct chatlog_message_query query = {.anchor = CHATLOG_AFTER, .seq = seen, .limit = PAGE};
        const struct chatlog_call_options options = {.timeout_ms = CALL_TIMEOUT_MS};
        if (chatlog_list_messages(load->client, user, name, &query, &options, &page, &error)) {
            bad(load, "conversation %" PRIu64 " cannot be read: %s", conversation, error.message);
            return seen;
        }
        run_check(load, conversation, &page, seen + 1);
        seen += page.count;
        more = page.has_more_after;
        chatlog_messages_free(&page);
    }
    return seen;
}

static void all_check(struct load *load)
{
    uint64_t conversations = 0;
    uint64_t messages = 0;
    for (uint64_t i = 0; i < load->count; i++) {
        uint64_t wanted = base_length(load, i) + load->appended[i];
        uint64_t seen = wanted > 0 ? whole_read(load, i) : 0;
        if (seen != wanted) {
            bad(load, "conversation %" PRIu64 " has %" PRIu64 " messages instead of %" PRIu64, i, seen, wanted);
        }
        conversations += wanted > 0;
        messages += wanted;
    }
    struct chatlog_stats stats;
    if (chatlog_get_stats(load->client, NULL, &stats, NULL)) {
        bad(load, "no statistics");
        return;
    }
    if (stats.conversations != conversations || stats.messages != messages) {
        bad(load, "%" PRIu64 " conversations and %" PRIu64 " messages are counted instead of %" PRIu64 " and %" PRIu64,
            stats.conversations, stats.messages, conversations, messages);
    }
    chatlog_stats_free(&stats);
    printf("checked %" PRIu64 " conversations %" PRIu64 " messages %" PRIu64 " bad\n", conversations, messages,
           (uint64_t)atomic_load(&load->bad));
    fflush(stdout);
}

/* ---- Appending ---- */

static void some_append(struct load *load, uint64_t conversation, size_t count)
{
    char user[HISTORY_ID_BYTES];
    char name[HISTORY_ID_BYTES];
    char texts[BATCH_MAX][TEXT_BYTES];
    struct chatlog_message messages[BATCH_MAX] = {0};
    struct chatlog_append_result result;
    struct chatlog_error error;
    uint64_t first = base_length(load, conversation) + load->appended[conversation] + 1;
    history_user(conversation, user);
    history_conversation(conversation, name);
    for (size_t i = 0; i < count; i++) {
        messages[i].role = history_role(first + i);
        messages[i].content = texts[i];
        messages[i].content_length = live_text(conversation, first + i, texts[i]);
    }
    const struct chatlog_append_options append = {.create_if_missing = true};
    const struct chatlog_call_options options = {.timeout_ms = CALL_TIMEOUT_MS};
    if (chatlog_append(load->client, user, name, messages, count, &append, &options, &result, &error)) {
        bad(load, "conversation %" PRIu64 " cannot be appended to: %s", conversation, error.message);
        return;
    }
    if (result.first_seq != first || result.last_seq != first + count - 1) {
        bad(load, "conversation %" PRIu64 ": appended as %" PRIu64 " instead of %" PRIu64, conversation,
            result.first_seq, first);
    }
    load->appended[conversation] += count;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct load *load = worker->load;
    while (!atomic_load(&load->stopped)) {
        uint64_t random = worker->random = history_random(worker->random);
        uint64_t own = random % (load->count / THREADS) * THREADS + worker->number;
        pthread_rwlock_rdlock(&load->gate);
        switch ((random >> 40) % 4) {
        case 0:
            newest_read(load, (random >> 20) % load->made, false);
            break;
        case 1:
            if (base_length(load, own) + load->appended[own] > 0) {
                newest_read(load, own, true);
            }
            break;
        default:
            some_append(load, own, 1 + (random >> 50) % BATCH_MAX);
        }
        pthread_rwlock_unlock(&load->gate);
    }
    return NULL;
}

static void commands_take(struct load *load)
{
    char line[64];
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
        if (strcmp(line, "check\n") == 0) {
            pthread_rwlock_wrlock(&load->gate);
            all_check(load);
            pthread_rwlock_unlock(&load->gate);
        }
    }
}

static int load_open(struct load *load, char **arguments)
{
    struct chatlog_error error;
    pthread_rwlockattr_t writer_first;
    load->made = strtoull(arguments[2], NULL, 10);
    load->seed = strtoull(arguments[3], NULL, 10);
    load->count = (load->made + load->made / 8) / THREADS * THREADS;
    load->appended = calloc(load->count, sizeof(*load->appended));
    pthread_rwlockattr_init(&writer_first);
    pthread_rwlockattr_setkind_np(&writer_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&load->gate, &writer_first);
    pthread_rwlockattr_destroy(&writer_first);
    if (!load->appended || load->made < THREADS || chatlog_open(arguments[1], &load->client, &error)) {
        fprintf(stderr, "chatlog_load: cannot begin\n");
        return -1;
    }
    if (chatlog_wait_ready(load->client, READY_TIMEOUT_MS, &error)) {
        fprintf(stderr, "chatlog_load: %s\n", error.message);
        return -1;
    }
    return 0;
}

int main(int count, char **arguments)
{
    struct load load = {0};
    struct worker workers[THREADS];
    if (count != 4) {
        fprintf(stderr, "usage: chatlog_load URL CONVERSATIONS SEED\n");
        return 64;
    }
    if (load_open(&load, arguments)) {
        return 1;
    }
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.load = &load, .number = i, .random = history_random(load.seed + i)};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
            fprintf(stderr, "chatlog_load: no thread\n");
            return 1;
        }
    }
    commands_take(&load);
    atomic_store(&load.stopped, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    chatlog_close(load.client);
    pthread_rwlock_destroy(&load.gate);
    free(load.appended);
    return atomic_load(&load.bad) > 0;
}
