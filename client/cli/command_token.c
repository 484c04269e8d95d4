/* `chatlog token`: makes a token for trying out. Needs no daemon, only the key that the daemon checks tokens with (or
 * the private half of it). */
#include "cli/commands.h"
#include "cli/report.h"
#include "cli/token_file.h"

#include "chatlog_limits.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_BYTES_MAX = 16384, KID_BYTES = 65, SCOPE_BYTES = 64, TTL_DEFAULT_S = 3600 };

/* "KID:ALGORITHM:FILE" */
struct key_spec {
    char kid[KID_BYTES];
    jwt_alg_t algorithm;
    const char *path;
};

static bool key_spec_parse(const char *text, struct key_spec *ret)
{
    size_t length = strcspn(text, ":");
    if (length == 0 || length >= sizeof(ret->kid) || !text[length]) {
        return false;
    }
    memcpy(ret->kid, text, length);
    ret->kid[length] = '\0';
    text += length + 1;
    bool secret = strncmp(text, "HS256:", 6) == 0;
    ret->algorithm = secret ? JWT_ALG_HS256 : JWT_ALG_ES256;
    ret->path = text + 6;
    return (secret || strncmp(text, "ES256:", 6) == 0) && *ret->path;
}

/* The words of --scope with one blank between; commas separate too. False when there is none or one is unknown. */
static bool scope_normalize(const char *text, char ret[SCOPE_BYTES])
{
    static const char *const words[] = {"history:read", "history:write", "admin", "service"};
    bool given[sizeof(words) / sizeof(words[0])] = {false};
    ret[0] = '\0';
    for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
        size_t length = strcspn(text, " ,");
        size_t i = 0;
        while (i < sizeof(words) / sizeof(words[0]) &&
               (strlen(words[i]) != length || strncmp(words[i], text, length) != 0)) {
            i++;
        }
        if (i == sizeof(words) / sizeof(words[0])) {
            return false;
        }
        if (!given[i]) {
            snprintf(ret + strlen(ret), SCOPE_BYTES - strlen(ret), "%s%s", *ret ? " " : "", words[i]);
        }
        given[i] = true;
        text += length;
    }
    return *ret != '\0';
}

static const char *scope_given(const struct options *options)
{
    return options->scope ? options->scope : "history:read,history:write";
}

const char *token_check(const struct options *options)
{
    struct key_spec key;
    char scope[SCOPE_BYTES];
    if (!options->key || !key_spec_parse(options->key, &key)) {
        return "--key KID:HS256:FILE or --key KID:ES256:FILE is needed";
    }
    if (!scope_normalize(scope_given(options), scope)) {
        return "--scope takes words of history:read, history:write, admin and service, with commas between";
    }
    if (options->user ? !*options->user : !strstr(scope, "service") && !strstr(scope, "admin")) {
        return "--user USER is needed, unless the scope has service or admin";
    }
    return NULL;
}

/* 0, or an errno. */
static int claims_add(jwt_t *jwt, const struct options *options, const char *kid)
{
    char scope[SCOPE_BYTES];
    long now = (long)time(NULL);
    long ttl = (long)(options->ttl.given ? options->ttl.value : TTL_DEFAULT_S);
    scope_normalize(scope_given(options), scope);
    int rc = jwt_add_header(jwt, "kid", kid);
    rc = rc ? rc : jwt_add_grant(jwt, "aud", options->audience ? options->audience : "chatlogd");
    rc = rc || !options->user ? rc : jwt_add_grant(jwt, "sub", options->user);
    rc = rc ? rc : jwt_add_grant(jwt, "scope", scope);
    rc = rc ? rc : jwt_add_grant_int(jwt, "iat", now);
    return rc ? rc : jwt_add_grant_int(jwt, "exp", now + ttl);
}

int command_token(struct session *session)
{
    const struct options *options = session->options;
    struct key_spec key;
    size_t size;
    key_spec_parse(options->key, &key);
    char *bytes = token_file_read(key.path, KEY_BYTES_MAX, &size);
    if (!bytes) {
        report_failure("INVALID_ARGUMENT", "KEY_UNREADABLE", "%s: %s", key.path, strerror(errno));
        return EXIT_FAILURE;
    }
    jwt_t *jwt = NULL;
    char *token = NULL;
    errno = 0;
    int rc = jwt_new(&jwt);
    rc = rc ? rc : claims_add(jwt, options, key.kid);
    rc = rc ? rc : jwt_set_alg(jwt, key.algorithm, (const unsigned char *)bytes, (int)size);
    token = rc ? NULL : jwt_encode_str(jwt);
    jwt_free(jwt);
    explicit_bzero(bytes, size);
    free(bytes);
    if (!token) {
        report_failure("INVALID_ARGUMENT", "KEY_INVALID",
                       "No token can be signed with %s: ES256 needs a private key of the curve P-256 in PEM, HS256 a\n"
                       "  secret; --user and --audience must be UTF-8.",
                       key.path);
        return EXIT_FAILURE;
    }
    fprintf(session->out, "%s\n", token);
    free(token);
    return EXIT_SUCCESS;
}
