/* Tokens verified before, so that a client pays for a signature once: at most TOKEN_CACHE_ENTRIES, each until it
 * expires. A token is found by its SHA-256; the token itself is not kept. Thread-safe.
 *
 * Memory: TOKEN_CACHE_ENTRIES times an entry (64 bytes) and its principal (under 300 bytes), below 1.5 MiB. */
#ifndef AUTH_TOKEN_CACHE_H
#define AUTH_TOKEN_CACHE_H

#include "auth/principal.h"

enum { TOKEN_CACHE_ENTRIES = 4096, TOKEN_DIGEST_BYTES = 32 };

struct token_cache;

/* NULL when memory is short. */
struct token_cache *token_cache_new(void);
struct token_cache *token_cache_free(struct token_cache *cache);

/* Forgets all. */
void token_cache_clear(struct token_cache *cache);

/* The principal of a token that holds at now_s, with a reference for the caller, and when it expires; else NULL. */
struct principal *token_cache_find(struct token_cache *cache, const uint8_t digest[static TOKEN_DIGEST_BYTES],
                                   int64_t now_s, int64_t *ret_expires_s);

/* Keeps one, in the place of an expired one or of the one not used for longest among its neighbours. */
void token_cache_put(struct token_cache *cache, const uint8_t digest[static TOKEN_DIGEST_BYTES],
                     struct principal *principal, int64_t expires_s, int64_t now_s);

#endif
