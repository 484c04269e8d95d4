/* One token: a JSON Web Token (RFC 7519, 8725) of exactly this form:
 *   header   alg: HS256 or ES256, the one its key is pinned to; kid: names the key; no crit
 *   claims   aud: this daemon's audience, or a list that has it; exp: needed; nbf: kept if given (both with
 *            TOKEN_LEEWAY_S for clocks that differ); scope: words with spaces between, of
 *            history:read history:write admin service; sub: the user, needed for history:* unless scope has service
 * Knows neither connections nor the clock. */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "auth/principal.h"
#include "auth/token_keys.h"

#include "base/error.h"

#include <stdint.h>

enum { TOKEN_LEEWAY_S = 30 };

/* A token that holds. */
struct token_claims {
    unsigned scopes; /* of enum scope; never 0 */
    char subject[PRINCIPAL_USER_BYTES];
    int64_t expires_s; /* seconds since 1970 from which it no longer holds, the leeway included */
};

/* Returns 0, -ERROR_TOKEN_EXPIRED, -ERROR_TOKEN_INVALID with a sentence that says what is wrong, or
 * -ERROR_MEMORY_SHORT. The sentence does not quote the token. */
int token_verify(const struct token_keys *keys, const char *audience, struct span token, int64_t now_s,
                 struct token_claims *ret_claims, struct error *error);

#endif
