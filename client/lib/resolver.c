/* From a host and a port to socket addresses. getaddrinfo() may block for long and cannot be cancelled, so a name is
 * looked up on a thread of its own, which outlives the client if it must. At most one lookup of a client at a time. */
#include "resolver.h"

#include "memory.h"

#include <assert.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct chatlog_resolver {
    pthread_mutex_t lock;
    unsigned owners; /* the connection and the thread */
    bool done;
    struct chatlog_targets targets; /* none: no such name */
    int wake_fd;                    /* the thread's own copy */
    char host[256];
    char port[6];
};

static int look_up(const char *host, const char *port, int flags, struct chatlog_targets *ret_targets)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    ret_targets->count = 0;
    for (const struct addrinfo *info = found; info != NULL && ret_targets->count < CHATLOG_TARGETS_MAX;
         info = info->ai_next) {
        struct chatlog_target *target = &ret_targets->list[ret_targets->count++];
        target->length = info->ai_addrlen;
        memcpy(&target->address, info->ai_addr, info->ai_addrlen);
    }
    freeaddrinfo(found);
    return 0;
}

static void release(struct chatlog_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    bool last = --resolver->owners == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&resolver->lock);
    close(resolver->wake_fd);
    chatlog_memory_free(resolver);
}

static void *run(void *arg)
{
    struct chatlog_resolver *resolver = arg;
    struct chatlog_targets targets = {0};
    look_up(resolver->host, resolver->port, 0, &targets);
    pthread_mutex_lock(&resolver->lock);
    resolver->targets = targets;
    resolver->done = true;
    pthread_mutex_unlock(&resolver->lock);
    eventfd_write(resolver->wake_fd, 1);
    release(resolver);
    return NULL;
}

static int start_thread(struct chatlog_resolver *resolver)
{
    sigset_t everything;
    sigset_t before;
    pthread_t thread;
    sigfillset(&everything);
    pthread_sigmask(SIG_SETMASK, &everything, &before); /* signals are for the threads of the program */
    int failed = pthread_create(&thread, NULL, run, resolver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        pthread_detach(thread);
    return failed;
}

int chatlog_resolver_start(const char *host, const char *port, int wake_fd, struct chatlog_resolver **ret_resolver,
                           struct chatlog_targets *ret_targets)
{
    *ret_resolver = NULL;
    if (look_up(host, port, AI_NUMERICHOST, ret_targets) == 0)
        return 1;
    struct chatlog_resolver *resolver = chatlog_memory_get(sizeof *resolver);
    if (resolver == NULL)
        return -1;
    *resolver = (struct chatlog_resolver){.owners = 2, .wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0)};
    assert(strlen(host) < sizeof resolver->host && strlen(port) < sizeof resolver->port);
    strcpy(resolver->host, host);
    strcpy(resolver->port, port);
    pthread_mutex_init(&resolver->lock, NULL);
    if (resolver->wake_fd >= 0 && start_thread(resolver) == 0) {
        *ret_resolver = resolver;
        return 0;
    }
    if (resolver->wake_fd >= 0)
        close(resolver->wake_fd);
    pthread_mutex_destroy(&resolver->lock);
    chatlog_memory_free(resolver);
    return -1;
}

int chatlog_resolver_poll(struct chatlog_resolver *resolver, struct chatlog_targets *ret_targets)
{
    pthread_mutex_lock(&resolver->lock);
    int result = !resolver->done ? 0 : resolver->targets.count == 0 ? -1 : 1;
    if (result == 1)
        *ret_targets = resolver->targets;
    pthread_mutex_unlock(&resolver->lock);
    return result;
}

struct chatlog_resolver *chatlog_resolver_free(struct chatlog_resolver *resolver)
{
    if (resolver != NULL)
        release(resolver);
    return NULL;
}
