/* When changes were asked for and answered, so that a copy of everything can be told to be of one moment: what was
 * answered before it is there, what was asked for after it is not. */
#ifndef FAULT_MOMENT_H
#define FAULT_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The changes of one conversation, in their order. Zeroed at first. */
struct moment_log {
    struct moment_change {
        int64_t asked_us;    /* first asked for */
        int64_t answered_us; /* INT64_MAX: not yet */
    } * changes;
    size_t count;
    size_t capacity;
};

/* Notes that change `number` (0: the first) is asked for, perhaps again; that it was answered. */
void moment_ask(struct moment_log *log, uint64_t number, int64_t now_us);
void moment_answer(struct moment_log *log, uint64_t number, int64_t now_us);
void moment_free(struct moment_log *log);

/* Between which times a copy that has what it has can have been made. */
struct moment_span {
    int64_t earliest_us;
    int64_t latest_us;
};

/* Takes in that a copy has the first `done` changes and not the others. False when it cannot be. */
bool moment_narrow(struct moment_span *span, const struct moment_log *log, uint64_t done);

#endif
