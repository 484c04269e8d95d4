/* Who is at the other end of one connection: what the kernel says of it, and the last token it showed. */
#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include "auth/authority.h"

#include <pthread.h>

/* Of the process at the other end of a local socket, as it was when it connected. */
struct session_peer {
    uid_t uid;
    pid_t pid;
};

struct session {
    struct authority *authority;
    struct principal *peer; /* of a request without a token; never NULL */
    pid_t pid;              /* 0: not known */

    /* The token of the last request that had one: the same bytes again are not verified again. At most
     * limits token_bytes. */
    pthread_mutex_t mutex;
    uint8_t *token; /* NULL: none */
    size_t token_size;
    struct verified last;
};

/* peer NULL: TCP, or the kernel did not tell. */
void session_begin(struct session *session, struct authority *authority, const struct session_peer *peer);

/* No request of it may be under way. */
void session_end(struct session *session);

/* Finds who makes a request. authorization: the Request's field, "Bearer TOKEN", or empty: then it is the peer. A
 * token that does not hold is an error, whoever the peer is. The reference is the caller's. Thread-safe. */
int session_identify(struct session *session, struct span authorization, struct principal **ret_principal,
                     struct error *error);

#endif
