#include "auth/authority.h"

#include "auth/peer_map.h"
#include "auth/token.h"
#include "auth/token_cache.h"
#include "base/clock.h"

#include <assert.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static_assert(TOKEN_DIGEST_BYTES == SHA256_DIGEST_LENGTH, "the cache finds tokens by SHA-256");

struct authority {
    struct authority_config config;
    struct peer_map *peers;
    struct principal *nobody;
    struct token_cache *cache;
    pthread_rwlock_t lock; /* guards keys; who verifies or fills the cache reads */
    struct token_keys *keys;
    _Atomic uint64_t generation;
};

static int64_t now_s(const struct authority *authority)
{
    return authority->config.wall_clock_us() / CLOCK_SECOND_US;
}

int authority_new(const struct authority_config *config, struct authority **ret_authority, struct error *error)
{
    struct authority *authority = calloc(1, sizeof(*authority));
    if (!authority) {
        return error_set(error, ERROR_STARTUP, "memory is too short to start");
    }
    pthread_rwlock_init(&authority->lock, NULL);
    authority->config = *config;
    authority->config.wall_clock_us = config->wall_clock_us ? config->wall_clock_us : clock_wall_us;
    authority->cache = token_cache_new();
    authority->nobody = principal_new(0, "", "nobody", "");
    int rc =
        authority->cache && authority->nobody ? 0 : error_set(error, ERROR_STARTUP, "memory is too short to start");
    if (!rc) {
        authority->nobody->known = false;
        rc = peer_map_new(config->peers, config->peer_count, geteuid(), &authority->peers, error);
    }
    if (!rc) {
        rc = token_keys_load(config->token_keys, config->token_key_count, &authority->keys, error);
    }
    if (rc) {
        authority_free(authority);
        return rc;
    }
    *ret_authority = authority;
    return 0;
}

struct authority *authority_free(struct authority *authority)
{
    if (authority) {
        token_keys_free(authority->keys);
        token_cache_free(authority->cache);
        principal_release(authority->nobody);
        peer_map_free(authority->peers);
        pthread_rwlock_destroy(&authority->lock);
        free(authority);
    }
    return NULL;
}

int authority_reload(struct authority *authority, struct error *error)
{
    struct token_keys *keys;
    int rc = token_keys_load(authority->config.token_keys, authority->config.token_key_count, &keys, error);
    if (rc) {
        return rc;
    }
    pthread_rwlock_wrlock(&authority->lock);
    struct token_keys *old = authority->keys;
    authority->keys = keys;
    atomic_fetch_add(&authority->generation, 1);
    token_cache_clear(authority->cache);
    pthread_rwlock_unlock(&authority->lock);
    token_keys_free(old);
    return 0;
}

struct principal *authority_peer(struct authority *authority, const uid_t *uid)
{
    struct principal *principal = uid ? peer_map_find(authority->peers, *uid) : NULL;
    return principal ? principal : principal_share(authority->nobody);
}

static struct principal *principal_of(const struct token_claims *claims)
{
    if (claims->scopes & SCOPE_SERVICE) {
        return principal_new(claims->scopes, "", "service", claims->subject);
    }
    if (claims->scopes & (SCOPE_READ | SCOPE_WRITE)) {
        return principal_new(claims->scopes, claims->subject, "user", claims->subject);
    }
    return principal_new(claims->scopes, "", "admin", claims->subject);
}

/* The lock must be held for reading: what is put into the cache is then of the keys in force. */
static int verify_locked(struct authority *authority, struct span token, struct verified *verified, struct error *error)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];
    struct token_claims claims;
    int64_t now = now_s(authority);
    SHA256(token.data, token.size, digest);
    verified->principal = token_cache_find(authority->cache, digest, now, &verified->expires_s);
    if (verified->principal) {
        return 0;
    }
    int rc = token_verify(authority->keys, authority->config.audience, token, now, &claims, error);
    if (rc) {
        return rc;
    }
    verified->principal = principal_of(&claims);
    if (!verified->principal) {
        return error_set(error, ERROR_MEMORY_SHORT, "no memory to read the token");
    }
    verified->expires_s = claims.expires_s;
    token_cache_put(authority->cache, digest, verified->principal, claims.expires_s, now);
    return 0;
}

static void verified_count(struct counters *counters, bool holds)
{
    if (counters) {
        atomic_fetch_add_explicit(holds ? &counters->tokens_verified : &counters->tokens_refused, 1,
                                  memory_order_relaxed);
    }
}

int authority_verify(struct authority *authority, struct span token, struct verified *ret_verified, struct error *error)
{
    struct verified verified;
    if (authority->config.token_key_count == 0) {
        return error_set(error, ERROR_TOKEN_INVALID, "this daemon takes no tokens: no token-key is configured");
    }
    pthread_rwlock_rdlock(&authority->lock);
    verified.generation = atomic_load(&authority->generation);
    int rc = verify_locked(authority, token, &verified, error);
    pthread_rwlock_unlock(&authority->lock);
    verified_count(authority->config.counters, rc == 0);
    if (!rc) {
        *ret_verified = verified;
    }
    return rc;
}

bool authority_still_holds(struct authority *authority, const struct verified *verified)
{
    return verified->generation == atomic_load(&authority->generation) && now_s(authority) < verified->expires_s;
}
