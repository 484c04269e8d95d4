/* The metrics over HTTP: /metrics for Prometheus, /healthz and /readyz for whoever looks after the daemon. A thread of
 * its own with few connections, each of a few seconds; whatever its clients do, requests do not notice. The only part
 * that knows libmicrohttpd. */
#ifndef METRICS_METRICS_HTTP_H
#define METRICS_METRICS_HTTP_H

#include "base/counters.h"
#include "base/error.h"
#include "base/log.h"
#include "rpc/rpc.h"
#include "server.h"
#include "store/store.h"

struct metrics;

struct metrics_config {
    const char *url; /* passed server_url_check and server_url_is_local */
    struct store *store;
    struct rpc *rpc;
    struct server *server;
    const struct counters *counters;
    const struct log *log;
    const char *version;
};

/* Listens and serves from here on. On failure (-ERROR_STARTUP) nothing is left. All of the config outlives it. */
int metrics_start(const struct metrics_config *config, struct metrics **ret_metrics, struct error *error);

/* Ends the connections and the thread, which takes up to a quarter of a second. Returns NULL. */
struct metrics *metrics_stop(struct metrics *metrics);

#endif
