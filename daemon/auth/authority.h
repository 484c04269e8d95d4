/* Who decides who is who: the map of Unix users, the token keys and the tokens verified so far. Thread-safe. */
#ifndef AUTH_AUTHORITY_H
#define AUTH_AUTHORITY_H

#include "auth/principal.h"

#include "base/counters.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct authority;

struct authority_config {
    const char *const *peers; /* of the option `peer` */
    size_t peer_count;
    const char *const *token_keys; /* of the option `token-key` */
    size_t token_key_count;
    const char *audience;
    struct counters *counters;      /* of tokens; NULL: nobody counts */
    int64_t (*wall_clock_us)(void); /* NULL: clock_wall_us */
};

/* The config's texts must outlive it. On failure -ERROR_STARTUP. */
int authority_new(const struct authority_config *config, struct authority **ret_authority, struct error *error);
struct authority *authority_free(struct authority *authority);

/* Reads the key files again. From its return on, tokens of keys that are gone are refused, also those seen before. On
 * failure -ERROR_STARTUP, and all stays as it was. */
int authority_reload(struct authority *authority, struct error *error);

/* The principal of a Unix user, or of one of whom nothing is known (uid NULL). The reference is the caller's. Never
 * NULL: with memory short nothing is known of a Unix user whom no line names. */
struct principal *authority_peer(struct authority *authority, const uid_t *uid);

/* A token that was verified, and how long that counts. */
struct verified {
    struct principal *principal;
    int64_t expires_s;
    uint64_t generation; /* of the keys */
};

/* Returns 0 with a reference to the principal, or as token_verify. */
int authority_verify(struct authority *authority, struct span token, struct verified *ret_verified,
                     struct error *error);

/* False when it has expired or the keys were read again since. */
bool authority_still_holds(struct authority *authority, const struct verified *verified);

#endif
