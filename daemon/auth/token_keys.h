/* The keys that tokens are signed with: read from files, several at a time. Each is pinned to one algorithm. */
#ifndef AUTH_TOKEN_KEYS_H
#define AUTH_TOKEN_KEYS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TOKEN_KID_BYTES = 65,         /* with the NUL */
    TOKEN_KEY_SPEC_BYTES = 1100,  /* of "KID:ALGORITHM:FILE" */
    TOKEN_KEY_FILE_BYTES = 16384, /* the most a key file may have */
    TOKEN_SECRET_BYTES = 32,      /* the least an HS256 secret may have (RFC 7518, 3.2) */
};

/* HS256: the file is the secret, without the line end that may close it. ES256: a public key of the curve P-256, PEM.
 */
enum token_algorithm { TOKEN_HS256, TOKEN_ES256, TOKEN_ALGORITHM_COUNT };

/* "HS256" */
const char *token_algorithm_name(enum token_algorithm algorithm);

struct token_key_spec {
    char kid[TOKEN_KID_BYTES];
    enum token_algorithm algorithm;
    const char *path; /* absolute; in the text that was parsed */
};

/* Pure: reads "KID:HS256:/PATH" or "KID:ES256:/PATH". False when it has another form. */
bool token_key_spec_parse(const char *text, struct token_key_spec *ret_spec);

struct token_key {
    char kid[TOKEN_KID_BYTES];
    enum token_algorithm algorithm;
    unsigned char *bytes;
    size_t size;
};

struct token_keys {
    size_t count;
    struct token_key keys[];
};

/* Reads the files. Fails as a whole, with -ERROR_STARTUP and an error that names file and fault, when one of them is no
 * usable key, when an HS256 secret is open to every user of the machine, or when a KID is there twice. */
int token_keys_load(const char *const *specs, size_t count, struct token_keys **ret_keys, struct error *error);

/* Wipes them. Returns NULL. */
struct token_keys *token_keys_free(struct token_keys *keys);

/* NULL when there is none of this KID. */
const struct token_key *token_keys_find(const struct token_keys *keys, const char *kid);

#endif
