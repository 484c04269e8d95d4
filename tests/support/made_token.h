/* Tokens for tests, made from the words of header and claims, so that a test can make any there is; and keys. Signed by
 * libcrypto alone: what the daemon verifies with has no part in it. */
#ifndef SUPPORT_MADE_TOKEN_H
#define SUPPORT_MADE_TOKEN_H

#include <stddef.h>
#include <stdint.h>

enum made_signature { MADE_NONE, MADE_HS256, MADE_ES256 };

enum { MADE_SECRET_BYTES = 64, MADE_PEM_BYTES = 512 };

/* A secret in hexadecimal, and a pair of the curve named; all end in NUL. */
struct made_keys {
    char secret[MADE_SECRET_BYTES + 1];
    char private_key[MADE_PEM_BYTES];
    char public_key[MADE_PEM_BYTES];
};

struct made_keys made_keys_new(const char *curve);

/* header and claims: JSON. key: the text of the secret or of the private key; ignored with MADE_NONE, which leaves the
 * third part empty. Returns the token, which the caller frees. */
char *made_token(const char *header, const char *claims, enum made_signature signature, const char *key);

/* The usual form: HEADER of alg and kid, claims of sub, scope, aud and exp (in so many seconds from now). */
char *made_token_for(const char *algorithm, const char *kid, const char *user, const char *scope, const char *audience,
                     int64_t expires_in_s, enum made_signature signature, const char *key);

/* directory/name with this text and mode 0600. The path is the caller's to free. */
char *made_file(const char *directory, const char *name, const char *text);

#endif
