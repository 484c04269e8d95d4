#include "fault/moment.h"

#include <assert.h>
#include <stdlib.h>

void moment_ask(struct moment_log *log, uint64_t number, int64_t now_us)
{
    assert(number <= log->count);
    if (number < log->count) {
        return;
    }
    if (log->count == log->capacity) {
        log->capacity = log->capacity * 2 + 64;
        log->changes = realloc(log->changes, log->capacity * sizeof(log->changes[0]));
        if (!log->changes) {
            abort();
        }
    }
    log->changes[log->count++] = (struct moment_change){now_us, INT64_MAX};
}

void moment_answer(struct moment_log *log, uint64_t number, int64_t now_us)
{
    assert(number < log->count);
    log->changes[number].answered_us = now_us;
}

void moment_free(struct moment_log *log)
{
    free(log->changes);
    *log = (struct moment_log){0};
}

bool moment_narrow(struct moment_span *span, const struct moment_log *log, uint64_t done)
{
    if (done > log->count) {
        return false;
    }
    if (done > 0 && log->changes[done - 1].asked_us > span->earliest_us) {
        span->earliest_us = log->changes[done - 1].asked_us;
    }
    if (done < log->count && log->changes[done].answered_us < span->latest_us) {
        span->latest_us = log->changes[done].answered_us;
    }
    return span->earliest_us <= span->latest_us;
}
