/* A server that says what a test tells it to: a REP socket whose answers come from a script. Knows the envelope's wire
 * format by itself, not from the generated code. Only for tests that link libchatlog (and so nng). */
#ifndef SUPPORT_FAKE_SERVER_H
#define SUPPORT_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow; all zero is empty. */
struct fake_bytes {
    uint8_t *data;
    size_t length;
};

void fake_bytes_free(struct fake_bytes *bytes);

/* Append one protobuf field, whatever its value. */
void fake_put_varint(struct fake_bytes *bytes, unsigned field, uint64_t value);
void fake_put_bytes(struct fake_bytes *bytes, unsigned field, const void *data, size_t length);
void fake_put_text(struct fake_bytes *bytes, unsigned field, const char *text);
void fake_put_raw(struct fake_bytes *bytes, const void *data, size_t length);

/* What arrived. */
struct fake_request {
    unsigned number; /* 1 for the first request of the server, then one more each */
    char method[128];
    char request_id[256];
    uint32_t timeout_ms;
    const uint8_t *payload;
    size_t payload_length;
};

/* What the script decides; all zero answers with an empty message, which is an OK response without payload. */
struct fake_reply {
    struct fake_bytes response; /* freed by the server */
    unsigned delay_ms;
    bool cut;    /* closes the connection instead */
    bool silent; /* never answers */
};

/* Fill reply->response. */
void fake_reply_ok(struct fake_reply *reply, const struct fake_bytes *payload); /* NULL: an empty payload */
void fake_reply_error(struct fake_reply *reply, int code, const char *reason, const char *message);
void fake_reply_detail(struct fake_reply *reply, const char *key, const char *value);

/* Called for one request at a time, on a thread of the server. */
typedef void fake_script(void *arg, const struct fake_request *request, struct fake_reply *reply);

struct fake_server;

/* Listens; works on up to 16 requests at once. Ends the test program on failure. */
struct fake_server *fake_server_start(const char *url, fake_script *script, void *arg);

/* How many requests have come. */
unsigned fake_server_requests(struct fake_server *server);

/* Closes the socket and waits for its threads. NULL is allowed. Returns NULL. */
struct fake_server *fake_server_stop(struct fake_server *server);

#endif
