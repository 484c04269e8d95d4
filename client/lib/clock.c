/* Time and randomness from the system. Knows nothing of calls. */
#include "clock.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/random.h>
#include <time.h>

int64_t chatlog_clock_us(void)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(failed == 0);
    (void)failed;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* At most 256 bytes, which the kernel gives whole or not at all. */
static int random_bytes(void *bytes, size_t size)
{
    assert(size <= 256);
    ssize_t got;
    do
        got = getrandom(bytes, size, 0);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size ? 0 : -1;
}

uint32_t chatlog_random_below(uint32_t below)
{
    assert(below > 0);
    uint32_t number = 0; /* without randomness retries are not spread, but they are made */
    if (random_bytes(&number, sizeof number) != 0)
        return 0;
    return number % below;
}

int chatlog_random_id(char ret_id[static CHATLOG_RANDOM_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[(CHATLOG_RANDOM_ID_SIZE - 1) / 2];
    if (random_bytes(bytes, sizeof bytes) != 0)
        return -1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        ret_id[2 * i] = digits[bytes[i] >> 4];
        ret_id[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_id[CHATLOG_RANDOM_ID_SIZE - 1] = '\0';
    return 0;
}
