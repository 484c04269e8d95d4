/* One call's way: an attempt, its answer, perhaps a later attempt, and the one completion.
 *
 * An exchange belongs to the scheduler while it is in its list, and else to the thread that took it out. Functions
 * marked "owner" are for that thread and are called without the scheduler's lock. */
#ifndef CHATLOG_LIB_EXCHANGE_H
#define CHATLOG_LIB_EXCHANGE_H

#include "chatlog.h"
#include "envelope.h"

#include <nng/nng.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct chatlog_slot;

/* Called once. answer is NULL when the call failed, and then error is set; else the answer's memory now belongs to the
 * callee. */
typedef void chatlog_exchange_done(void *arg, const struct chatlog_answer *answer, const struct chatlog_error *error);

enum chatlog_exchange_state {
    EXCHANGE_WAITING, /* for a slot */
    EXCHANGE_ON_WIRE, /* has a slot */
    EXCHANGE_DELAYED, /* until retry_us */
};

struct chatlog_exchange {
    TAILQ_ENTRY(chatlog_exchange) all;   /* the scheduler's list */
    TAILQ_ENTRY(chatlog_exchange) queue; /* those that wait for a slot, or were taken out together */
    enum chatlog_exchange_state state;
    struct chatlog_slot *slot;
    int64_t deadline_us;
    int64_t retry_us;

    struct chatlog *client;
    chatlog_exchange_done *done;
    void *arg;
    uint8_t *envelope; /* the Request without its timeout_ms */
    size_t envelope_length;
    nng_msg *message; /* a copy of it for the next attempt; NULL while nng has it */
    uint32_t timeout_ms;
    char request_id[129]; /* "": none */
    bool change;
    bool repeatable; /* may be sent again */
    bool unanswered; /* an attempt was sent, and what became of it is not known */
    unsigned losses; /* connections lost with an attempt on them */
    unsigned attempts;
    struct chatlog_error last; /* the last answer that asked for a retry; code OK: none */
};

TAILQ_HEAD(chatlog_exchange_list, chatlog_exchange);

/* Makes and submits one. `request` is not used after the return; its request_id is the caller's choice and may be NULL.
 * On failure done is not called. Errors: INVALID_ARGUMENT (timeout, request_id, size), RESOURCE_EXHAUSTED /
 * TOO_MANY_CALLS and CLIENT_MEMORY, CANCELLED. */
int chatlog_exchange_start(struct chatlog *client, const struct chatlog_request *request,
                           const struct chatlog_call_options *options, chatlog_exchange_done *done, void *arg,
                           struct chatlog_error *error);

/* The message of the next attempt, which then is the caller's. Takes no memory. */
nng_msg *chatlog_exchange_take_message(struct chatlog_exchange *exchange, int64_t now_us);

/* Owner: an attempt has ended. reply is what came (freed here), NULL when nothing did; sent: the request had left. */
void chatlog_exchange_proceed(struct chatlog_exchange *exchange, bool sent, nng_msg *reply);

/* Owner: the deadline has passed. */
void chatlog_exchange_expire(struct chatlog_exchange *exchange);

/* Owner: the client is being closed. */
void chatlog_exchange_cancel(struct chatlog_exchange *exchange);

#endif
