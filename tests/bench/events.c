#include "bench/events.h"

#include "bench/fail.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_A_ROUND = 256 };

void events_run(const int *sockets, unsigned lanes, bool (*readable)(void *arg, unsigned lane), void *arg)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned lane = 0; lane < lanes; lane++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = lane};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[lane], &event)) {
            bench_fail("cannot watch a socket");
        }
    }
    for (unsigned running = lanes; running > 0;) {
        struct epoll_event events[EVENTS_A_ROUND];
        int count = epoll_wait(epoll, events, EVENTS_A_ROUND, -1);
        if (count < 0 && errno != EINTR) {
            bench_fail("cannot wait for sockets");
        }
        for (int i = 0; i < count; i++) {
            unsigned lane = events[i].data.u32;
            if (!readable(arg, lane)) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, sockets[lane], NULL);
                running--;
            }
        }
    }
    close(epoll);
}
