/* The envelope around every call: Request in, Response out (proto/chatlog/v1/envelope.proto). */
#ifndef RPC_ENVELOPE_H
#define RPC_ENVELOPE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/limits.h"

/* A decoded Request; the spans borrow from its bytes. */
struct envelope {
    struct span method;
    struct span payload;
    uint32_t timeout_ms; /* never 0, never over the limit */
    struct span request_id;
    struct span authorization;
    struct span traceparent; /* empty, or of the form of W3C Trace Context */
};

int envelope_decode(struct span request, const struct limits *limits, struct envelope *ret_envelope,
                    struct error *error);

/* Appends the Response of a call that succeeded. */
void envelope_put_payload(struct buffer *out, struct span payload, bool replayed);

/* Appends the Response of a call that failed. */
void envelope_put_error(struct buffer *out, const struct error *error);

#endif
