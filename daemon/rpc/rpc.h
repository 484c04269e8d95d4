/* From the bytes of a Request to the bytes of its Response: envelope, dispatch, validation, authorization.
 * Knows neither sockets nor LMDB. */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "auth/session.h"

#include "base/buffer.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
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
};

/* The config's pointers must outlive the rpc. NULL when memory is short. */
struct rpc *rpc_new(const struct rpc_config *config);

/* Answers one request of the session: calls done exactly once with the encoded Response, perhaps before it returns,
 * perhaps from another thread. `session` and `request` must stay valid until then. `response` belongs to the caller of
 * done and is valid only during the call. Its data is NULL when memory is too short to say even that (a success may
 * well have 0 bytes). received_us is clock_monotonic_us. */
void rpc_handle(struct rpc *rpc, struct session *session, struct span request, int64_t received_us,
                void (*done)(void *arg, struct span response), void *arg);

/* From now on every new request is answered UNAVAILABLE / SHUTTING_DOWN; those under way go on. */
void rpc_stop(struct rpc *rpc);

/* No request may be under way. Returns NULL. */
struct rpc *rpc_free(struct rpc *rpc);

#endif
