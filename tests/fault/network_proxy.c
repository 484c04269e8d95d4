#include "fault/network_proxy.h"

#include "support/history.h"
#include "support/rawsp.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* One of so many frames meets this. */
enum {
    CUT_EVERY = 300,
    TWICE_EVERY = 20,
    DELAY_EVERY = 200,
    DELAY_MAX_US = 50000,
    FRAME_MAX = 1 << 20,
    BACKLOG = 64,
};

struct link {
    struct proxy_tally *tally;
    const char *server;
    uint64_t random;
    int client;
    int daemon;
};

/* One direction of a link. */
struct way {
    struct link *link;
    int from;
    int to;
    bool requests;
    uint64_t random;
};

static uint64_t chance(struct way *way)
{
    return way->random = history_random(way->random);
}

static uint64_t length_of(const uint8_t *header)
{
    uint64_t length = 0;
    for (size_t i = 1; i < RAWSP_FRAME_BYTES; i++) {
        length = length << 8 | header[i];
    }
    return length;
}

static void link_cut(struct link *link)
{
    shutdown(link->client, SHUT_RDWR);
    shutdown(link->daemon, SHUT_RDWR);
}

/* Passes one frame on, or as much of it as the network lets through. Returns false when the link is no more. */
static bool frame_pass(struct way *way, uint8_t *frame)
{
    if (!rawsp_read(way->from, frame, RAWSP_FRAME_BYTES)) {
        return false;
    }
    uint64_t length = length_of(frame);
    if (length > FRAME_MAX - RAWSP_FRAME_BYTES || !rawsp_read(way->from, frame + RAWSP_FRAME_BYTES, (size_t)length)) {
        return false;
    }
    size_t size = RAWSP_FRAME_BYTES + (size_t)length;
    if (!way->requests && chance(way) % DELAY_EVERY == 0) {
        atomic_fetch_add(&way->link->tally->delays, 1);
        usleep((useconds_t)(chance(way) % DELAY_MAX_US));
    }
    if (chance(way) % CUT_EVERY == 0) {
        atomic_fetch_add(&way->link->tally->cuts, 1);
        rawsp_write(way->to, frame, chance(way) % (size + 1));
        return false;
    }
    if (way->requests && chance(way) % TWICE_EVERY == 0) {
        atomic_fetch_add(&way->link->tally->duplicates, 1);
        if (!rawsp_write(way->to, frame, size)) {
            return false;
        }
    }
    return rawsp_write(way->to, frame, size);
}

static void *way_main(void *arg)
{
    struct way *way = arg;
    uint8_t handshake[RAWSP_HANDSHAKE_BYTES];
    uint8_t *frame = malloc(FRAME_MAX);
    bool open = frame && rawsp_read(way->from, handshake, sizeof(handshake)) &&
                rawsp_write(way->to, handshake, sizeof(handshake));
    while (open) {
        open = frame_pass(way, frame);
    }
    free(frame);
    link_cut(way->link);
    return NULL;
}

static void *link_main(void *arg)
{
    struct link *link = arg;
    struct way there = {link, link->client, -1, true, link->random};
    struct way back = {link, -1, link->client, false, ~link->random};
    pthread_t thread;
    link->daemon = rawsp_try_connect(link->server);
    there.to = back.from = link->daemon;
    if (link->daemon >= 0 && pthread_create(&thread, NULL, way_main, &back) == 0) {
        way_main(&there);
        pthread_join(thread, NULL);
        close(link->daemon);
    }
    close(link->client);
    free(link);
    return NULL;
}

static _Noreturn void proxy_main(int listener, const char *server, uint64_t seed, struct proxy_tally *tally)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        pthread_t thread;
        int client = accept(listener, NULL, NULL);
        struct link *link = calloc(1, sizeof(*link));
        if (client < 0 || !link) {
            perror("accept");
            _exit(1);
        }
        uint64_t number = atomic_fetch_add(&tally->connections, 1);
        *link = (struct link){tally, server, history_random(seed ^ number), client, -1};
        if (pthread_create(&thread, NULL, link_main, link)) {
            perror("pthread_create");
            _exit(1);
        }
        pthread_detach(thread);
    }
}

struct proxy_tally *proxy_start(const char *path, const char *server, uint64_t seed)
{
    struct proxy_tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (tally == MAP_FAILED || listener < 0 || strlen(path) >= sizeof(address.sun_path)) {
        perror("proxy");
        exit(1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) || listen(listener, BACKLOG)) {
        perror(path);
        exit(1);
    }
    pid_t process = fork();
    if (process == 0) {
        proxy_main(listener, server, seed, tally);
    }
    tally->process = process;
    close(listener);
    return tally;
}

void proxy_stop(struct proxy_tally *proxy)
{
    kill(proxy->process, SIGKILL);
    waitpid(proxy->process, NULL, 0);
}
