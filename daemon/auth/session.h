/* Who is at the other end of one connection: what the kernel says of it, and the last token it showed. */
#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include "auth/authority.h"

#include <pthread.h>

struct session {
    struct authority *authority;
    struct principal *peer; /* of a request without a token */

    /* The token of the last request that had one: the same bytes again are not verified again. At most
     * limits token_bytes. */
    pthread_mutex_t mutex;
    uint8_t *token; /* NULL: none */
    size_t token_size;
    struct verified last;
};

/* uid: of the process at the other end of a local socket; NULL for TCP. */
void session_begin(struct session *session, struct authority *authority, const uid_t *uid);

/* No request of it may be under way. */
void session_end(struct session *session);

/* Finds who makes a request. authorization: the Request's field, "Bearer TOKEN", or empty: then it is the peer. A
 * token that does not hold is an error, whoever the peer is. The reference is the caller's. Thread-safe. */
int session_identify(struct session *session, struct span authorization, struct principal **ret_principal,
                     struct error *error);

#endif
