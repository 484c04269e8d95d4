/* What a handler gets, and the form of a method: a row of the tables in history/methods.h. */
#ifndef HISTORY_CALL_H
#define HISTORY_CALL_H

#include "auth/scope.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/counters.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/method_meters.h"
#include "store/store.h"

#include <protobuf-c/protobuf-c.h>

enum { PAGE_KEY_BYTES = 32 };

/* What the handlers of every call may use. */
struct service {
    struct store *store;
    const struct limits *limits;
    const struct counters *counters;
    const struct method_meters *meters;
    const char *version;
    const char *nng_version;
    uint8_t page_key[PAGE_KEY_BYTES]; /* authenticates page tokens */
    int64_t start_wall_us;
    int64_t start_monotonic_us;
};

/* One request on its way. Its memory lives until the reply is sent. */
struct call {
    const struct service *service;
    const ProtobufCMessage *request; /* unpacked and checked */
    struct arena arena;              /* for the request and what the op points to */
    struct store_op op;              /* user, actor, request_id, request_hash and deadline are filled before handle */
    struct buffer payload;           /* the encoded response message */
    struct error error;              /* filled when a function returns negative */
};

/* What handle() returns besides a negative error. */
enum call_next {
    CALL_ANSWERED, /* the payload is complete */
    CALL_STORE,    /* op is filled: run it, then call reply() */
};

struct method {
    const char *name;
    unsigned scope; /* of enum scope: all that the caller needs. With READ or WRITE also a right to the request's
                     * user_id, its field 1. Never 0: what is open to everybody says SCOPE_OPEN. */
    const ProtobufCMessageDescriptor *request;

    /* Pure: shape and sizes of the unpacked request, without the store. NULL: nothing to check. */
    int (*check)(const struct limits *limits, const ProtobufCMessage *request, struct error *error);

    /* Fills call->op or answers at once. */
    int (*handle)(struct call *call);

    /* Builds call->payload from what the store brought. May take result->records away. NULL when handle never returns
     * CALL_STORE. */
    void (*reply)(struct call *call, struct store_result *result);
};

#endif
