/* Is a history of appends and reads of one conversation one that could have happened one after the other? The sequence
 * numbers say in which order it must have been, so the check is a sort and one pass. */
#ifndef FAULT_LINEAR_H
#define FAULT_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINEAR_SEEN_MAX = 4, LINEAR_APPEND_MAX = 3 };

#define LINEAR_NEVER INT64_MAX

/* One call. Times are of one clock; end_us is LINEAR_NEVER when no answer came. */
struct linear_call {
    bool append;
    int64_t start_us;
    int64_t end_us;
    uint64_t id;   /* of an append: its messages say it */
    size_t count;  /* of its messages, or of the messages a read saw */
    uint64_t last; /* the conversation's last_seq after the append, or as the read saw it; 0: not known */
    uint64_t seen[LINEAR_SEEN_MAX]; /* the appends that the newest messages came from, ascending */
};

/* `owners`: the append that each message of the conversation came from in the end, by sequence number minus 1. Sorts
 * the calls. Returns how many violations there are, and says the first in `ret_text`. */
size_t linear_check(struct linear_call *calls, size_t count, const uint64_t *owners, size_t owner_count, char *ret_text,
                    size_t text_size);

#endif
