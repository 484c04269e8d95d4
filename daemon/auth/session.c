#include "auth/session.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <strings.h>

static const char scheme[] = "Bearer ";

enum { SCHEME_BYTES = sizeof(scheme) - 1 };

void session_begin(struct session *session, struct authority *authority, const struct session_peer *peer)
{
    *session = (struct session){
        .authority = authority,
        .peer = authority_peer(authority, peer ? &peer->uid : NULL),
        .pid = peer ? peer->pid : 0,
    };
    pthread_mutex_init(&session->mutex, NULL);
}

static void token_drop(struct session *session)
{
    if (session->token) {
        OPENSSL_cleanse(session->token, session->token_size);
        free(session->token);
        session->token = NULL;
    }
    session->last.principal = principal_release(session->last.principal);
}

void session_end(struct session *session)
{
    token_drop(session);
    session->peer = principal_release(session->peer);
    pthread_mutex_destroy(&session->mutex);
}

/* The mutex must be held. */
static bool token_is_last(const struct session *session, struct span token)
{
    return session->token && session->token_size == token.size &&
           CRYPTO_memcmp(session->token, token.data, token.size) == 0 &&
           authority_still_holds(session->authority, &session->last);
}

/* The mutex must be held. Without memory the next request verifies again. */
static void token_keep(struct session *session, struct span token, const struct verified *verified)
{
    token_drop(session);
    session->token = malloc(token.size);
    if (session->token) {
        memcpy(session->token, token.data, token.size);
        session->token_size = token.size;
        session->last = *verified;
        principal_share(verified->principal);
    }
}

static int token_identify(struct session *session, struct span token, struct principal **ret_principal,
                          struct error *error)
{
    pthread_mutex_lock(&session->mutex);
    struct principal *principal = token_is_last(session, token) ? principal_share(session->last.principal) : NULL;
    pthread_mutex_unlock(&session->mutex);
    if (principal) {
        *ret_principal = principal;
        return 0;
    }
    struct verified verified;
    int rc = authority_verify(session->authority, token, &verified, error);
    if (rc) {
        return rc;
    }
    pthread_mutex_lock(&session->mutex);
    token_keep(session, token, &verified);
    pthread_mutex_unlock(&session->mutex);
    *ret_principal = verified.principal;
    return 0;
}

int session_identify(struct session *session, struct span authorization, struct principal **ret_principal,
                     struct error *error)
{
    if (authorization.size == 0) {
        *ret_principal = principal_share(session->peer);
        return 0;
    }
    if (authorization.size <= SCHEME_BYTES ||
        strncasecmp((const char *)authorization.data, scheme, SCHEME_BYTES) != 0) {
        return error_set(error, ERROR_TOKEN_INVALID, "authorization must be \"Bearer TOKEN\"");
    }
    return token_identify(session, span_of(authorization.data + SCHEME_BYTES, authorization.size - SCHEME_BYTES),
                          ret_principal, error);
}
