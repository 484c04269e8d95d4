#include "fault/linear.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct verdict {
    size_t violations;
    char *text;
    size_t text_size;
};

static void __attribute__((format(printf, 2, 3))) violation(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;
    if (verdict->violations++ == 0) {
        va_start(arguments, format);
        vsnprintf(verdict->text, verdict->text_size, format, arguments);
        va_end(arguments);
    }
}

/* By the place in the conversation; the append that made a state comes before those who saw it. Calls without a place,
 * appends that never happened, come last. */
static int call_order(const void *left, const void *right)
{
    const struct linear_call *a = left;
    const struct linear_call *b = right;
    uint64_t place_a = a->append && a->last == 0 ? UINT64_MAX : a->last;
    uint64_t place_b = b->append && b->last == 0 ? UINT64_MAX : b->last;
    if (place_a != place_b) {
        return place_a < place_b ? -1 : 1;
    }
    return (int)b->append - (int)a->append;
}

/* An append without an answer happened if its messages are there. */
static void place_find(struct linear_call *call, const uint64_t *owners, size_t owner_count)
{
    for (size_t seq = owner_count; seq > 0 && call->last == 0; seq--) {
        call->last = owners[seq - 1] == call->id ? seq : 0;
    }
}

static void append_check(const struct linear_call *call, const uint64_t *owners, size_t owner_count,
                         struct verdict *verdict)
{
    if (call->last == 0) {
        return;
    }
    if (call->last > owner_count || call->last < call->count) {
        violation(verdict, "append %" PRIu64 " is gone: it was answered as %" PRIu64 ", and there are %zu messages",
                  call->id, call->last, owner_count);
        return;
    }
    for (size_t i = 0; i < call->count; i++) {
        if (owners[call->last - 1 - i] != call->id) {
            violation(verdict, "message %" PRIu64 " is of append %" PRIu64 " instead of %" PRIu64, call->last - i,
                      owners[call->last - 1 - i], call->id);
        }
    }
}

static void read_check(const struct linear_call *call, const uint64_t *owners, size_t owner_count,
                       struct verdict *verdict)
{
    if (call->last > owner_count || call->count > call->last) {
        violation(verdict, "a read saw %" PRIu64 " messages, and there are %zu", call->last, owner_count);
        return;
    }
    for (size_t i = 0; i < call->count; i++) {
        if (call->seen[i] != owners[call->last - call->count + i]) {
            violation(verdict, "a read of %" PRIu64 " messages saw append %" PRIu64 " where %" PRIu64 " is", call->last,
                      call->seen[i], owners[call->last - call->count + i]);
        }
    }
}

/* No call may be over before one began that must have come before it. */
static void times_check(const struct linear_call *calls, size_t count, struct verdict *verdict)
{
    int64_t earlier = INT64_MIN; /* the latest beginning of a call of an earlier state */
    int64_t here = INT64_MIN;    /* and of those of this state, which have no order among themselves */
    uint64_t place = 0;
    for (size_t i = 0; i < count; i++) {
        const struct linear_call *call = &calls[i];
        if (call->append && call->last == 0) {
            break;
        }
        if (call->last != place || call->append) {
            earlier = here > earlier ? here : earlier;
            place = call->last;
        }
        if (call->end_us < earlier) {
            violation(verdict, "%s at %" PRIu64 " was over %" PRId64 " us before something of its past began",
                      call->append ? "an append" : "a read", call->last, earlier - call->end_us);
        }
        here = call->start_us > here ? call->start_us : here;
        if (call->append) {
            earlier = here;
        }
    }
}

static void owners_check(const struct linear_call *calls, size_t count, size_t owner_count, struct verdict *verdict)
{
    size_t appended = 0;
    for (size_t i = 0; i < count; i++) {
        appended += calls[i].append && calls[i].last > 0 ? calls[i].count : 0;
    }
    if (appended != owner_count) {
        violation(verdict, "%zu messages were appended, and there are %zu", appended, owner_count);
    }
}

size_t linear_check(struct linear_call *calls, size_t count, const uint64_t *owners, size_t owner_count, char *ret_text,
                    size_t text_size)
{
    struct verdict verdict = {.text = ret_text, .text_size = text_size};
    ret_text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (calls[i].append && calls[i].end_us == LINEAR_NEVER) {
            place_find(&calls[i], owners, owner_count);
        }
        if (calls[i].append) {
            append_check(&calls[i], owners, owner_count, &verdict);
        } else {
            read_check(&calls[i], owners, owner_count, &verdict);
        }
    }
    owners_check(calls, count, owner_count, &verdict);
    qsort(calls, count, sizeof(*calls), call_order);
    times_check(calls, count, &verdict);
    return verdict.violations;
}
