#include "auth/token_cache.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

enum { NEIGHBOURS = 8, GROUPS = TOKEN_CACHE_ENTRIES / NEIGHBOURS };

struct entry {
    uint8_t digest[TOKEN_DIGEST_BYTES];
    struct principal *principal; /* NULL: free */
    int64_t expires_s;
    uint64_t used; /* the clock below, when it was last found */
};

struct token_cache {
    pthread_mutex_t mutex;
    uint64_t clock; /* counts uses */
    struct entry entries[TOKEN_CACHE_ENTRIES];
};

struct token_cache *token_cache_new(void)
{
    struct token_cache *cache = calloc(1, sizeof(*cache));
    if (cache) {
        pthread_mutex_init(&cache->mutex, NULL);
    }
    return cache;
}

static void entry_clear(struct entry *entry)
{
    principal_release(entry->principal);
    *entry = (struct entry){.principal = NULL};
}

void token_cache_clear(struct token_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    for (size_t i = 0; i < TOKEN_CACHE_ENTRIES; i++) {
        entry_clear(&cache->entries[i]);
    }
    pthread_mutex_unlock(&cache->mutex);
}

struct token_cache *token_cache_free(struct token_cache *cache)
{
    if (cache) {
        token_cache_clear(cache);
        pthread_mutex_destroy(&cache->mutex);
        free(cache);
    }
    return NULL;
}

/* The places where a token of this digest may be. */
static struct entry *group_of(struct token_cache *cache, const uint8_t *digest)
{
    size_t group = ((size_t)digest[0] | (size_t)digest[1] << 8) % GROUPS;
    return &cache->entries[group * NEIGHBOURS];
}

struct principal *token_cache_find(struct token_cache *cache, const uint8_t digest[static TOKEN_DIGEST_BYTES],
                                   int64_t now_s, int64_t *ret_expires_s)
{
    struct principal *principal = NULL;
    pthread_mutex_lock(&cache->mutex);
    struct entry *group = group_of(cache, digest);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        struct entry *entry = &group[i];
        if (entry->principal && now_s < entry->expires_s &&
            CRYPTO_memcmp(entry->digest, digest, TOKEN_DIGEST_BYTES) == 0) {
            entry->used = ++cache->clock;
            *ret_expires_s = entry->expires_s;
            principal = principal_share(entry->principal);
        }
    }
    pthread_mutex_unlock(&cache->mutex);
    return principal;
}

void token_cache_put(struct token_cache *cache, const uint8_t digest[static TOKEN_DIGEST_BYTES],
                     struct principal *principal, int64_t expires_s, int64_t now_s)
{
    pthread_mutex_lock(&cache->mutex);
    struct entry *group = group_of(cache, digest);
    struct entry *place = group;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        struct entry *entry = &group[i];
        if (entry->principal && now_s >= entry->expires_s) {
            entry_clear(entry);
        }
        bool same = entry->principal && CRYPTO_memcmp(entry->digest, digest, TOKEN_DIGEST_BYTES) == 0;
        place = same || entry->used < place->used ? entry : place;
        if (same) {
            break; /* another thread verified it meanwhile */
        }
    }
    entry_clear(place);
    *place = (struct entry){.principal = principal_share(principal), .expires_s = expires_s, .used = ++cache->clock};
    memcpy(place->digest, digest, TOKEN_DIGEST_BYTES);
    pthread_mutex_unlock(&cache->mutex);
}
