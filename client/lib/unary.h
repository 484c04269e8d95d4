/* Calls with typed messages: what the functions of chatlog.h are made of. */
#ifndef CHATLOG_LIB_UNARY_H
#define CHATLOG_LIB_UNARY_H

#include "arena.h"
#include "chatlog.h"
#include "envelope.h"
#include "exchange.h"
#include "methods.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* An unpacked response. */
struct chatlog_result {
    struct chatlog_arena *memory; /* of the message; the receiver frees it or gives it to the user */
    const ProtobufCMessage *message;
    bool replayed;
};

/* Makes the call and waits for it. A change gets a random request_id when options name none. */
int chatlog_unary_call(struct chatlog *client, enum chatlog_method_id method, const ProtobufCMessage *request,
                       const struct chatlog_call_options *options, struct chatlog_result *ret_result,
                       struct chatlog_error *error);

/* The same without waiting: done gets the encoded response, for chatlog_unary_unpack. */
int chatlog_unary_start(struct chatlog *client, enum chatlog_method_id method, const ProtobufCMessage *request,
                        const struct chatlog_call_options *options, chatlog_exchange_done *done, void *arg,
                        struct chatlog_error *error);

/* Unpacks the response; the answer stays the caller's. */
int chatlog_unary_unpack(enum chatlog_method_id method, const struct chatlog_answer *answer,
                         struct chatlog_result *ret_result, struct chatlog_error *error);

/* Waits for a call of any method. */
int chatlog_unary_wait(struct chatlog *client, const struct chatlog_request *request,
                       const struct chatlog_call_options *options, struct chatlog_answer *ret_answer,
                       struct chatlog_error *error);

#endif
