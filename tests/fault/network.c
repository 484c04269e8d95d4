/* chatlog_fault_network SOCKET DIRECTORY SEED REQUESTS [forgetful]: exactly once under bad networks. Clients of
 * libchatlog append through a proxy that cuts connections anywhere in a frame, holds answers back, and sends requests
 * twice. Each client is a process, killed between a request and its answer now and then; the next one begins again at
 * the last checkpoint, with the same request_ids. Then every message must be there once.
 *
 * "forgetful" is the control: a client that takes new request_ids when it begins again. Prints
 * "requests N missing M double D changed C cuts X duplicates Y replays R kills K". */
#include "fault/network_proxy.h"

#include "chatlog.h"
#include "support/history.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS = 4,
    IN_FLIGHT = 16,
    CONVERSATIONS = 50,
    USER_CONVERSATIONS = 10,
    CHECKPOINT = 200, /* requests of a client */
    KILL_EVERY = 12,  /* checkpoints: about so often */
    ID_BYTES = 64,
    TEXT_BYTES = 96,
    PAGE = 1000,
    CALL_TIMEOUT_MS = 120000,
    READY_TIMEOUT_MS = 60000,
    PATH_BYTES = 200,
};

/* Shared by the processes. */
struct tally {
    atomic_ullong replays;
    atomic_ullong answered[CLIENTS]; /* of the checkpoint a client is in */
    atomic_ullong failed;
};

struct job {
    char url[2 * PATH_BYTES];
    const char *socket;
    uint64_t seed;
    uint64_t requests;
    bool forgetful;
    struct tally *tally;
};

static void names_write(uint64_t number, char user[ID_BYTES], char conversation[ID_BYTES])
{
    snprintf(user, ID_BYTES, "user-%" PRIu64, number % CONVERSATIONS / USER_CONVERSATIONS);
    snprintf(conversation, ID_BYTES, "thread-%" PRIu64, number % CONVERSATIONS);
}

static size_t text_write(uint64_t number, char text[TEXT_BYTES])
{
    return (size_t)snprintf(text, TEXT_BYTES, "%" PRIu64 " %016" PRIx64, number, history_random(number));
}

/* ---- One client, in a process of its own ---- */

struct window {
    const struct job *job;
    unsigned client;
    atomic_uint under_way;
    atomic_uint failed;
};

static void append_done(void *arg, int code, const struct chatlog_append_result *result,
                        const struct chatlog_error *error)
{
    struct window *window = arg;
    if (code) {
        fprintf(stderr, "chatlog_fault_network: %s: %s\n", error->reason, error->message);
        atomic_fetch_add(&window->failed, 1);
    } else {
        atomic_fetch_add(&window->job->tally->replays, result->replayed);
        atomic_fetch_add(&window->job->tally->answered[window->client], 1);
    }
    atomic_fetch_sub(&window->under_way, 1);
}

static void append_start(struct chatlog *client, struct window *window, uint64_t number, unsigned attempt)
{
    char user[ID_BYTES];
    char conversation[ID_BYTES];
    char request_id[ID_BYTES];
    char text[TEXT_BYTES];
    struct chatlog_error error;
    struct chatlog_message message = {.role = "user", .content = text, .content_length = text_write(number, text)};
    const struct chatlog_append_options append = {.create_if_missing = true};
    const struct chatlog_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .request_id = request_id};
    names_write(number, user, conversation);
    snprintf(request_id, sizeof(request_id), "r-%" PRIu64 "-%u", number, window->job->forgetful ? attempt : 0);
    while (atomic_load(&window->under_way) >= IN_FLIGHT) {
        usleep(50);
    }
    atomic_fetch_add(&window->under_way, 1);
    if (chatlog_append_async(client, user, conversation, &message, 1, &append, &options, append_done, window, &error)) {
        fprintf(stderr, "chatlog_fault_network: %s: %s\n", error.reason, error.message);
        _exit(1);
    }
}

/* Makes the requests of one checkpoint. */
static _Noreturn void client_main(const struct job *job, unsigned client, uint64_t first, uint64_t end,
                                  unsigned attempt)
{
    struct chatlog *chatlog;
    struct chatlog_error error;
    struct window window = {.job = job, .client = client};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chatlog_open(job->url, &chatlog, &error)) {
        fprintf(stderr, "chatlog_fault_network: %s\n", error.message);
        _exit(1);
    }
    for (uint64_t number = first; number < end; number++) {
        append_start(chatlog, &window, number, attempt);
    }
    while (atomic_load(&window.under_way) > 0) {
        usleep(50);
    }
    chatlog_close(chatlog);
    _exit(atomic_load(&window.failed) > 0);
}

/* ---- All of them ---- */

static pid_t client_start(const struct job *job, unsigned client, uint64_t first, uint64_t end, unsigned attempt)
{
    atomic_store(&job->tally->answered[client], 0);
    pid_t id = fork();
    if (id < 0) {
        perror("fork");
        exit(1);
    }
    if (id == 0) {
        client_main(job, client, first, end, attempt);
    }
    return id;
}

/* Waits until the client has that many answers, then kills it. Returns false when it came to its end before. */
static bool client_kill(const struct job *job, unsigned client, pid_t id, unsigned long long after)
{
    int status;
    while (atomic_load(&job->tally->answered[client]) < after) {
        if (waitpid(id, &status, WNOHANG) == id) {
            atomic_fetch_add(&job->tally->failed, status != 0);
            return false;
        }
        usleep(100);
    }
    kill(id, SIGKILL);
    waitpid(id, &status, 0);
    return true;
}

/* A row of checkpoints, each by a process; some are killed in the middle and made again. Returns how many kills. */
static unsigned client_run(const struct job *job, unsigned client)
{
    uint64_t share = job->requests / CLIENTS;
    uint64_t begin = share * client;
    uint64_t end = client == CLIENTS - 1 ? job->requests : begin + share;
    unsigned kills = 0;
    for (uint64_t first = begin; first < end; first += CHECKPOINT) {
        uint64_t last = first + CHECKPOINT < end ? first + CHECKPOINT : end;
        uint64_t random = history_random(job->seed ^ history_random(first));
        unsigned attempt = 0;
        pid_t id = client_start(job, client, first, last, attempt);
        if ((random % KILL_EVERY == 0 || first == begin) &&
            client_kill(job, client, id, (random >> 16) % (last - first))) {
            kills++;
            id = client_start(job, client, first, last, ++attempt);
        }
        int status = 0;
        if (waitpid(id, &status, 0) == id) {
            atomic_fetch_add(&job->tally->failed, status != 0);
        }
    }
    return kills;
}

/* What is there in the end, read without the proxy. */
struct finding {
    unsigned char *seen; /* by request */
    uint64_t requests;
    uint64_t missing;
    uint64_t twice;
    uint64_t changed;
};

static void message_find(struct finding *finding, const struct chatlog_message *message)
{
    char text[TEXT_BYTES];
    uint64_t number = strtoull(message->content, NULL, 10);
    if (number >= finding->requests || text_write(number, text) != message->content_length ||
        memcmp(text, message->content, message->content_length) != 0) {
        finding->changed++;
        return;
    }
    finding->twice += finding->seen[number];
    finding->seen[number] = 1;
}

static void conversation_find(struct chatlog *client, uint64_t number, struct finding *finding)
{
    char user[ID_BYTES];
    char conversation[ID_BYTES];
    uint64_t seen = 0;
    bool more = true;
    names_write(number, user, conversation);
    while (more) {
        struct chatlog_messages page;
        struct chatlog_error error;
        const struct chatlog_message_query query = {.anchor = CHATLOG_AFTER, .seq = seen, .limit = PAGE};
        if (chatlog_list_messages(client, user, conversation, &query, NULL, &page, &error)) {
            fprintf(stderr, "chatlog_fault_network: %s: %s\n", error.reason, error.message);
            finding->changed++;
            return;
        }
        for (size_t i = 0; i < page.count; i++) {
            finding->changed += page.items[i].seq != ++seen;
            message_find(finding, &page.items[i]);
        }
        more = page.has_more_after;
        chatlog_messages_free(&page);
    }
}

static bool all_find(const struct job *job, struct finding *finding)
{
    char url[2 * PATH_BYTES];
    struct chatlog *client;
    struct chatlog_error error;
    snprintf(url, sizeof(url), "ipc://%s", job->socket);
    *finding = (struct finding){.seen = calloc(job->requests, 1), .requests = job->requests};
    if (!finding->seen || chatlog_open(url, &client, &error) || chatlog_wait_ready(client, READY_TIMEOUT_MS, &error)) {
        return false;
    }
    for (uint64_t i = 0; i < CONVERSATIONS; i++) {
        conversation_find(client, i, finding);
    }
    for (uint64_t i = 0; i < job->requests; i++) {
        finding->missing += !finding->seen[i];
    }
    free(finding->seen);
    chatlog_close(client);
    return true;
}

/* The clients are driven by a process each, so that none has threads when it forks. */
static unsigned clients_run(const struct job *job)
{
    pid_t drivers[CLIENTS];
    unsigned kills = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        drivers[i] = fork();
        if (drivers[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            unsigned count = client_run(job, i);
            _exit(count < 255 ? (int)count : 255);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        int status = 0;
        waitpid(drivers[i], &status, 0);
        kills += WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 0;
        atomic_fetch_add(&job->tally->failed, !WIFEXITED(status));
    }
    return kills;
}

int main(int count, char **arguments)
{
    char proxy_path[PATH_BYTES];
    struct finding finding;
    if (count != 5 && count != 6) {
        fprintf(stderr, "usage: chatlog_fault_network SOCKET DIRECTORY SEED REQUESTS [forgetful]\n");
        return 64;
    }
    struct job job = {
        .socket = arguments[1],
        .seed = strtoull(arguments[3], NULL, 10),
        .requests = strtoull(arguments[4], NULL, 10),
        .forgetful = count == 6,
        .tally = mmap(NULL, sizeof(*job.tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
    };
    if (job.tally == MAP_FAILED || job.requests < CLIENTS) {
        return 1;
    }
    snprintf(proxy_path, sizeof(proxy_path), "%s/proxy.sock", arguments[2]);
    snprintf(job.url, sizeof(job.url), "ipc://%s", proxy_path);
    struct proxy_tally *proxy = proxy_start(proxy_path, job.socket, job.seed);
    unsigned kills = clients_run(&job);
    proxy_stop(proxy);
    if (!all_find(&job, &finding) || atomic_load(&job.tally->failed) > 0) {
        fprintf(stderr, "chatlog_fault_network: %llu clients failed\n", atomic_load(&job.tally->failed));
        return 1;
    }
    printf("requests %" PRIu64 " missing %" PRIu64 " double %" PRIu64 " changed %" PRIu64
           " cuts %llu duplicates %llu replays %llu kills %u\n",
           job.requests, finding.missing, finding.twice, finding.changed, atomic_load(&proxy->cuts),
           atomic_load(&proxy->duplicates), atomic_load(&job.tally->replays), kills);
    return 0;
}
