/* The listener: byte streams of nng, connections and their limits. The only part of the daemon that knows nng. */
#ifndef SERVER_H
#define SERVER_H

#include "auth/authority.h"
#include "base/counters.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "rpc/rpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

struct server_config {
    const char *const *urls; /* ipc:// or tcp:// */
    size_t url_count;
    const struct limits *limits;
    struct counters *counters;
    struct rpc *rpc;
    struct authority *authority;
    const struct log *log;
};

/* "1.5.2" */
const char *server_nng_version(void);

/* Listens on every URL; requests are answered from here on. On failure nothing is left listening. */
int server_start(const struct server_config *config, struct server **ret_server, struct error *error);

/* Why connections were closed or not taken, and how many since the start: the index-th reason; false behind the last.
 */
bool server_refusal_at(struct server *server, size_t index, const char **ret_reason, uint64_t *ret_count);

/* Drains: new requests are answered UNAVAILABLE by rpc (call rpc_stop first); waits until every request under way is
 * answered and sent, at most timeout_ms, then closes. Blocks. Returns NULL. */
struct server *server_stop(struct server *server, unsigned timeout_ms);

#endif
