/* Tokens: no bytes lead the daemon out of its input, and none hold that a key here did not sign. An input is a selector
 * and bytes: 0, the bytes are the field Request.authorization; 1 and 2, they are header and claims with a line end
 * between, and the target signs them with the right key, so that the claims are reached too (2 also with what is left
 * over as the signature); 3, they are a `peer` line and a `token-key` line. */
#include "auth/peer_map.h"
#include "auth/session.h"
#include "auth/token.h"
#include "fuzz/fuzz.h"
#include "support/made_token.h"

#include <stdio.h>

enum { NOW = 1700000000, PARTS = 3, PART_BYTES = 3000 };

/* What lives on from input to input; libFuzzer has no other place for it. */
static struct {
    struct token_keys *keys;
    struct made_keys made;
} kept;

static void kept_end(void)
{
    kept.keys = token_keys_free(kept.keys);
}

/* The key of the KID h, and one of the KID e that no token is made for. */
static void kept_begin(void)
{
    char directory[] = "/tmp/fuzz-token-XXXXXX";
    char specs[2][TOKEN_KEY_SPEC_BYTES];
    struct error error;
    fuzz_require(mkdtemp(directory) != NULL && atexit(kept_end) == 0);
    kept.made = made_keys_new("P-256");
    char *secret = made_file(directory, "h", kept.made.secret);
    char *public_key = made_file(directory, "e", kept.made.public_key);
    snprintf(specs[0], sizeof(specs[0]), "h:HS256:%s", secret);
    snprintf(specs[1], sizeof(specs[1]), "e:ES256:%s", public_key);
    fuzz_require(token_keys_load((const char *const[]){specs[0], specs[1]}, 2, &kept.keys, &error) == 0);
    remove(secret);
    remove(public_key);
    remove(directory);
    free(secret);
    free(public_key);
}

static bool verify(struct span token)
{
    struct token_claims claims = {.scopes = UINT32_MAX};
    struct error error;
    int rc = token_verify(kept.keys, "chatlogd", token, NOW, &claims, &error);
    fuzz_require((rc == 0) == (claims.scopes != UINT32_MAX) && rc <= 0);
    if (rc == 0) {
        unsigned all = SCOPE_READ | SCOPE_WRITE | SCOPE_ADMIN | SCOPE_SERVICE;
        fuzz_require(claims.scopes != 0 && (claims.scopes & ~all) == 0 && claims.expires_s > NOW);
        fuzz_require(!claims.subject[0] || principal_id_valid(claims.subject));
        fuzz_require(claims.subject[0] || (claims.scopes & (SCOPE_ADMIN | SCOPE_SERVICE)));
    } else {
        fuzz_require(error.message[0] && -rc == (int)error.reason);
    }
    return rc == 0;
}

static void check_unsigned(struct span authorization)
{
    fuzz_require(!verify(authorization)); /* nobody guesses a signature */
}

/* Splits at line ends, into texts. */
static void parts_take(const uint8_t *data, size_t size, char parts[PARTS][PART_BYTES])
{
    size_t part = 0;
    size_t length = 0;
    for (size_t i = 0; i < size && part < PARTS; i++) {
        if (data[i] == '\n' || length + 1 == PART_BYTES) {
            parts[part++][length] = '\0';
            length = 0;
        } else {
            parts[part][length++] = (char)data[i];
        }
    }
    if (part < PARTS) {
        parts[part][length] = '\0';
    }
}

static void check_signed(const uint8_t *data, size_t size, bool cut)
{
    char parts[PARTS][PART_BYTES] = {"", "", ""};
    parts_take(data, size, parts);
    char *token = made_token(parts[0], parts[1], MADE_HS256, kept.made.secret);
    struct span span = span_of_string(token);
    if (cut && span.size > 4) {
        span.size -= 4;
        fuzz_require(!verify(span));
    } else {
        verify(span);
    }
    free(token);
}

static void check_lines(const uint8_t *data, size_t size)
{
    char parts[PARTS][PART_BYTES] = {"", "", ""};
    struct peer_rule rule;
    struct token_key_spec spec;
    parts_take(data, size, parts);
    if (peer_rule_parse(parts[0], &rule)) {
        fuzz_require(rule.unix_user[0] && rule.scopes && strlen(parts[0]) >= strlen(rule.user));
        fuzz_require(!rule.user[0] || principal_id_valid(rule.user));
    }
    if (token_key_spec_parse(parts[1], &spec)) {
        fuzz_require(spec.kid[0] && spec.path[0] == '/' && spec.algorithm < TOKEN_ALGORITHM_COUNT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!kept.keys) {
        kept_begin();
    }
    if (size == 0) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        check_unsigned(span_of(data + 1, size - 1));
        break;
    case 1:
    case 2:
        check_signed(data + 1, size - 1, data[0] % 4 == 2);
        break;
    default:
        check_lines(data + 1, size - 1);
        break;
    }
    return 0;
}
