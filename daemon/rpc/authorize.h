/* The one place that decides what a principal may do. Its answers depend on the principal and the request only, never
 * on what is stored. */
#ifndef RPC_AUTHORIZE_H
#define RPC_AUTHORIZE_H

#include "auth/principal.h"
#include "history/call.h"

/* May it call the method at all? UNAUTHENTICATED / TOKEN_REQUIRED, PERMISSION_DENIED / PEER_UNKNOWN, SCOPE_MISSING. */
int authorize_method(const struct principal *principal, const struct method *method, struct error *error);

/* May it act for the user that the request names? *ret_user is whose data the store is asked for: empty for methods
 * that belong to no user. PERMISSION_DENIED / USER_FOREIGN. */
int authorize_user(const struct principal *principal, const struct method *method, const ProtobufCMessage *request,
                   struct span *ret_user, struct error *error);

/* True when the row can be decided on: it has a scope, and a user_id in field 1 when its scope is about a user. */
bool authorize_row_valid(const struct method *method);

#endif
