/* From the bytes of a Request to the bytes of its Response: envelope, dispatch, validation, authorization.
 * Knows neither sockets nor LMDB. */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "auth/session.h"

#include "base/buffer.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/method_meters.h"
#include "store/store.h"

struct rpc;

struct rpc_config {
    struct store *store;
    const struct limits *limits;
    struct counters *counters;
    const struct log *log;
    const char *version;
    const char *nng_version;
    const uint8_t *page_key; /* PAGE_KEY_BYTES; copied */
    int64_t slow_us;         /* a request that takes as long is told of; 0: none */
};

/* The config's pointers must outlive the rpc. NULL when memory is short. */
struct rpc *rpc_new(const struct rpc_config *config);

/* One request on its way: for one at a time, any number of times. Keeps about 5 KiB between them. */
struct rpc_call;

/* NULL when memory is short. */
struct rpc_call *rpc_call_new(struct rpc *rpc);
struct rpc_call *rpc_call_free(struct rpc_call *call);

/* The encoded Response in two parts, so that what the store has put together is not copied. Valid only during done. */
struct rpc_response {
    bool failed; /* memory is too short to say even that: there are no bytes (a success may well have 0, too) */
    bool more;   /* another answer follows at once on this thread: this one need not be sent before it */
    struct span head;
    struct buffer *body; /* may be taken away, leaving an empty one */
};

/* Answers one request of the session: calls done exactly once, perhaps before it returns, perhaps from another thread.
 * `session` and `request` must stay valid until then, and `call` is free for the next request from then on. received_us
 * is clock_monotonic_us. */
void rpc_handle(struct rpc_call *call, struct session *session, struct span request, int64_t received_us,
                void (*done)(void *arg, const struct rpc_response *response), void *arg);

/* From now on every new request is answered UNAVAILABLE / SHUTTING_DOWN; those under way go on. */
void rpc_stop(struct rpc *rpc);

/* What was counted of each method. Lives as long as the rpc. */
const struct method_meters *rpc_meters(const struct rpc *rpc);

/* No request may be under way. Returns NULL. */
struct rpc *rpc_free(struct rpc *rpc);

#endif
