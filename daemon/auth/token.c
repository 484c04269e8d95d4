#include "auth/token.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <stdlib.h>

static_assert(TOKEN_KEY_FILE_BYTES < INT32_MAX, "libjwt takes key lengths as int");

static int invalid(struct error *error, const char *why)
{
    return error_set(error, ERROR_TOKEN_INVALID, "the token is not accepted: %s", why);
}

/* libjwt ends a part at the first byte that is not base64url, so that one token could be written in many ways. */
static bool form_valid(struct span token)
{
    unsigned dots = 0;
    size_t part = 0;
    for (size_t i = 0; i < token.size; i++) {
        uint8_t c = token.data[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!letter && (c != '.' || part == 0)) {
            return false;
        }
        dots += !letter;
        part = letter ? part + 1 : 0;
    }
    return dots == 2 && part > 0;
}

/* The key that the header names, if it is pinned to the header's algorithm. Nothing is verified yet. */
static int key_choose(const struct token_keys *keys, const char *text, const struct token_key **ret_key,
                      struct error *error)
{
    jwt_t *unverified = NULL;
    int rc = jwt_decode(&unverified, text, NULL, 0);
    if (rc) {
        return rc == ENOMEM ? error_set(error, ERROR_MEMORY_SHORT, "no memory to read the token")
                            : invalid(error, "it is no JSON Web Token, or has another alg than HS256 and ES256");
    }
    const char *kid = jwt_get_header(unverified, "kid");
    const char *algorithm = jwt_get_header(unverified, "alg");
    char *critical = jwt_get_headers_json(unverified, "crit");
    const struct token_key *key = kid ? token_keys_find(keys, kid) : NULL;
    if (critical) {
        rc = invalid(error, "its header has crit, of which nothing is understood");
    } else if (!kid) {
        rc = invalid(error, "its header has no kid");
    } else if (!key) {
        rc = invalid(error, "its kid is that of no key here");
    } else if (!algorithm || strcmp(algorithm, token_algorithm_name(key->algorithm)) != 0) {
        rc = invalid(error, "its alg is not the one of the key that its kid names");
    }
    free(critical);
    jwt_free(unverified);
    *ret_key = key;
    return rc;
}

static bool audience_has(const json_t *claim, const char *audience)
{
    if (json_is_string(claim)) {
        return strcmp(json_string_value(claim), audience) == 0;
    }
    for (size_t i = 0; i < json_array_size(claim); i++) {
        const json_t *one = json_array_get(claim, i);
        if (json_is_string(one) && strcmp(json_string_value(one), audience) == 0) {
            return true;
        }
    }
    return false;
}

/* A NumericDate, fractions cut. False when it is none that a clock can show. */
static bool date_get(const json_t *claim, int64_t *ret_seconds)
{
    const double latest = 253402300799.0; /* the year 9999 */
    double seconds = json_number_value(claim);
    if (!json_is_number(claim) || !(seconds >= 0 && seconds <= latest)) {
        return false;
    }
    *ret_seconds = (int64_t)seconds;
    return true;
}

static int times_check(const json_t *claims, int64_t now_s, struct token_claims *token, struct error *error)
{
    int64_t not_before = 0;
    int64_t expires;
    const json_t *nbf = json_object_get(claims, "nbf");
    if (!date_get(json_object_get(claims, "exp"), &expires) || (nbf && !date_get(nbf, &not_before))) {
        return invalid(error, "exp (needed) and nbf must be seconds since 1970");
    }
    if (now_s >= expires + TOKEN_LEEWAY_S) {
        return error_set(error, ERROR_TOKEN_EXPIRED, "the token has expired; get a new one");
    }
    if (now_s + TOKEN_LEEWAY_S < not_before) {
        return invalid(error, "it does not hold yet (nbf)");
    }
    token->expires_s = expires + TOKEN_LEEWAY_S;
    return 0;
}

/* Words that are not ours are another program's, as RFC 8693 allows. */
static unsigned scopes_get(const char *text)
{
    static const struct {
        const char *word;
        unsigned scopes;
    } words[] = {
        {"history:read", SCOPE_READ},
        {"history:write", SCOPE_WRITE},
        {"admin", SCOPE_ADMIN},
        {"service", SCOPE_SERVICE | SCOPE_READ | SCOPE_WRITE},
    };
    unsigned scopes = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (strlen(words[i].word) == length && strncmp(words[i].word, text, length) == 0) {
                scopes |= words[i].scopes;
            }
        }
        text += length;
        text += strspn(text, " ");
    }
    return scopes;
}

static int rights_check(const json_t *claims, struct token_claims *token, struct error *error)
{
    const json_t *subject = json_object_get(claims, "sub");
    const char *scope = json_string_value(json_object_get(claims, "scope"));
    const char *user = subject ? json_string_value(subject) : "";
    if (!user || (user[0] && !principal_id_valid(user))) {
        return invalid(error, "sub must be a user ID of 1 to 128 bytes");
    }
    token->scopes = scope ? scopes_get(scope) : 0;
    if (token->scopes == 0) {
        return invalid(error, "scope must have words of history:read, history:write, admin and service");
    }
    if (!user[0] && !(token->scopes & (SCOPE_SERVICE | SCOPE_ADMIN))) {
        return invalid(error, "sub must name the user, unless scope has service or admin");
    }
    memcpy(token->subject, user, strlen(user) + 1);
    return 0;
}

static int claims_check(jwt_t *verified, const char *audience, int64_t now_s, struct token_claims *ret_claims,
                        struct error *error)
{
    struct token_claims token = {.scopes = 0};
    char *text = jwt_get_grants_json(verified, NULL);
    json_t *claims = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    if (!claims) {
        return error_set(error, ERROR_MEMORY_SHORT, "no memory to read the token");
    }
    int rc = audience_has(json_object_get(claims, "aud"), audience) ? 0 : invalid(error, "its aud is another service");
    if (!rc) {
        rc = times_check(claims, now_s, &token, error);
    }
    if (!rc) {
        rc = rights_check(claims, &token, error);
    }
    json_decref(claims);
    if (!rc) {
        *ret_claims = token;
    }
    return rc;
}

int token_verify(const struct token_keys *keys, const char *audience, struct span token, int64_t now_s,
                 struct token_claims *ret_claims, struct error *error)
{
    char text[CHATLOG_LIMIT_token_bytes + 1];
    if (token.size > CHATLOG_LIMIT_token_bytes || !form_valid(token)) {
        return invalid(error, "it is not three parts of base64url with dots between, of at most 4096 bytes");
    }
    memcpy(text, token.data, token.size);
    text[token.size] = '\0';
    const struct token_key *key = NULL;
    int rc = key_choose(keys, text, &key, error);
    if (rc) {
        return rc;
    }
    jwt_t *verified = NULL;
    rc = jwt_decode(&verified, text, key->bytes, (int)key->size);
    if (rc) {
        return rc == ENOMEM ? error_set(error, ERROR_MEMORY_SHORT, "no memory to read the token")
                            : invalid(error, "its signature is not that of its key");
    }
    rc = claims_check(verified, audience, now_s, ret_claims, error);
    jwt_free(verified);
    return rc;
}
