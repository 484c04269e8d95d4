/* A server that says what a test tells it to: the REP side of the Scalability Protocols over plain sockets, whose
 * answers come from a script. Knows the wire formats by itself, so that it can be wrong on purpose and does not share a
 * mistake with the code under test. */
#ifndef SUPPORT_FAKE_SERVER_H
#define SUPPORT_FAKE_SERVER_H

#include "support/fake_bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What arrived. */
struct fake_request {
    unsigned number; /* 1 for the first request of the server, then one more each */
    uint32_t id;     /* of the REQ protocol */
    char method[128];
    char request_id[256];
    uint32_t timeout_ms;
    const uint8_t *payload;
    size_t payload_length;
};

/* What the script decides; all zero answers with an empty message, which is an OK response without payload. */
struct fake_reply {
    struct fake_bytes response; /* the REP message's body; freed by the server */
    struct fake_bytes before;   /* written to the connection as it is, before the answer; freed by the server */
    unsigned delay_ms;          /* the answer comes later; other requests go on */
    bool cut;                   /* closes the connection instead of answering */
    bool silent;                /* does not answer */
};

/* Fill reply->response. */
void fake_reply_ok(struct fake_reply *reply, const struct fake_bytes *payload);
void fake_reply_error(struct fake_reply *reply, int code, const char *reason, const char *message);
void fake_reply_detail(struct fake_reply *reply, const char *key, const char *value);

/* Called for one request at a time, on a thread of the server. */
typedef void fake_script(void *arg, const struct fake_request *request, struct fake_reply *reply);

struct fake_server;

/* Listens on ipc://PATH or tcp://127.0.0.1:0 (any free port). Ends the test program on failure. */
struct fake_server *fake_server_start(const char *url, fake_script *script, void *arg);

/* With the port that was chosen. */
const char *fake_server_url(const struct fake_server *server);

/* How many requests have come. */
unsigned fake_server_requests(struct fake_server *server);

/* Closes all connections and waits for the server's threads. NULL is allowed. Returns NULL. */
struct fake_server *fake_server_stop(struct fake_server *server);

#endif
