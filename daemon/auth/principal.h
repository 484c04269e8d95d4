/* Who asks: one struct for a Unix user at a local socket and for the holder of a token. Immutable, and shared by
 * counting references. */
#ifndef AUTH_PRINCIPAL_H
#define AUTH_PRINCIPAL_H

#include "auth/scope.h"

#include "base/limits.h"
#include "base/span.h"

#include <stdatomic.h>

enum {
    PRINCIPAL_USER_BYTES = CHATLOG_LIMIT_id_bytes + 1,
    PRINCIPAL_NAME_BYTES = sizeof("service:") + CHATLOG_LIMIT_id_bytes,
};

struct principal {
    atomic_uint references;
    unsigned scopes;                 /* of enum scope */
    bool known;                      /* somebody said who this is: the kernel or a token */
    char user[PRINCIPAL_USER_BYTES]; /* the only user it may act for, unless SCOPE_SERVICE is set; "": none */
    /* What logs and the audit trail call it:
     *   uid:1000             a Unix user that is mapped to service or admin, or to nothing
     *   user:ann             the user ann, by token or by a `peer` line
     *   service, service:bot a token of scope service without and with a `sub`
     *   admin, admin:ops     a token of scope admin and not service
     *   nobody               TCP without a token */
    char name[PRINCIPAL_NAME_BYTES];
};

/* What a user that a token or the configuration names may be: 1 to id_bytes bytes of UTF-8 without control characters,
 * as in requests. */
bool principal_id_valid(const char *id);

/* One reference is the caller's. kind is the word before the colon, id ("" for none) what is behind it; both are cut
 * to fit. NULL when memory is short. */
struct principal *principal_new(unsigned scopes, const char *user, const char *kind, const char *id);

/* One more reference. */
struct principal *principal_share(struct principal *principal);

/* Gives a reference back. NULL is allowed. Returns NULL. */
struct principal *principal_release(struct principal *principal);

/* True when the principal may act for the user. */
bool principal_acts_for(const struct principal *principal, struct span user);

#endif
