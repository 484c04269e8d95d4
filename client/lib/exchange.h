/* One call's way: an attempt, its answer, perhaps a later attempt, and the one completion.
 *
 * Made on the caller's thread; from its submission on everything happens on the scheduler's thread. */
#ifndef CHATLOG_LIB_EXCHANGE_H
#define CHATLOG_LIB_EXCHANGE_H

#include "chatlog.h"
#include "envelope.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Called once, on the scheduler's thread. answer is NULL when the call failed, and then error is set; else the answer
 * is valid only during the call. */
typedef void chatlog_exchange_done(void *arg, const struct chatlog_answer *answer, const struct chatlog_error *error);

enum chatlog_exchange_state {
    EXCHANGE_WAITING, /* in the queue of those to be sent */
    EXCHANGE_ON_WIRE, /* has a slot: is being written, or waits for its answer */
    EXCHANGE_DELAYED, /* until retry_us */
};

struct chatlog_exchange {
    TAILQ_ENTRY(chatlog_exchange) all;   /* the scheduler's list */
    TAILQ_ENTRY(chatlog_exchange) queue; /* those just submitted, or waiting */
    enum chatlog_exchange_state state;
    unsigned slot; /* while ON_WIRE */
    int64_t deadline_us;
    int64_t retry_us;

    struct chatlog *client;
    chatlog_exchange_done *done;
    void *arg;
    uint8_t *envelope; /* the Request without its timeout_ms */
    size_t envelope_length;
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

/* The rest are for the scheduler, which has taken the exchange out of its lists. Each ends it and frees it, or hands it
 * back to chatlog_scheduler_delay. */

/* The answer came; body NULL: there was no memory for it. The body stays the caller's. */
void chatlog_exchange_answer(struct chatlog_exchange *exchange, const uint8_t *body, size_t length);

/* The connection was lost with the attempt on it; sent: the daemon may have got the whole request. */
void chatlog_exchange_lost(struct chatlog_exchange *exchange, bool sent);

/* The deadline has passed. */
void chatlog_exchange_expire(struct chatlog_exchange *exchange);

/* The client is being closed. */
void chatlog_exchange_cancel(struct chatlog_exchange *exchange);

#endif
