/* What the matrix test is made of: a well-formed request for every method of the daemon's tables, and every kind of
 * caller there is. */
#ifndef IDENTITY_MATRIX_H
#define IDENTITY_MATRIX_H

#include "history/call.h"
#include "support/made_token.h"
#include "support/rpc_client.h"

/* Each user's texts, IDs of messages and metadata hold the user's marker; nobody else may ever be shown it. */
#define MATRIX_MARKER "-private-7c1f"

/* How a request of a method is written. */
struct shape {
    const char *method; /* as in the tables */
    bool no_user;
    bool nested;              /* the conversation is field 1 of sub-message 2 */
    const char *conversation; /* for which it succeeds; NULL: it is about none */
    const char *refusal;      /* the reason that even one who may ask gets of this daemon; NULL: it succeeds */
    struct field more[3];
};

/* Ends in a row without a method. */
extern const struct shape matrix_shapes[];

/* Its row in the daemon's tables. */
const struct method *matrix_method(const struct shape *shape);

/* Fails the test when a method of the daemon's tables has no shape: whoever adds a method adds a shape, and it is
 * tested like the others. */
void matrix_check_complete(void);

/* The request's payload. The caller frees it. */
struct buffer matrix_payload(const struct shape *shape, struct span user, const char *conversation,
                             const struct field *more);

/* Who calls. */
enum caller {
    CALLER_OWNER,
    CALLER_OWNER_ES256,
    CALLER_READER, /* the owner with history:read only */
    CALLER_WRITER, /* with history:write only */
    CALLER_OTHER,
    CALLER_PREFIX, /* a user whose ID begins the owner's */
    CALLER_LONGER, /* a user whose ID begins with the owner's */
    CALLER_SERVICE,
    CALLER_ADMIN,
    CALLER_NONE, /* no token */
    CALLER_EXPIRED,
    CALLER_WRONG_KEY,
    CALLER_UNKNOWN_KEY,
    CALLER_WRONG_AUDIENCE,
    CALLER_ALG_NONE,
    CALLER_CONFUSED,  /* HS256, signed with the text of the ES256 public key, under the kid of that key */
    CALLER_CONFUSED2, /* ES256 under the kid of the HS256 secret */
    CALLER_GARBAGE,
    CALLER_COUNT
};

extern const char *const matrix_caller_names[CALLER_COUNT];

/* NULL for CALLER_NONE. The caller frees it. */
char *matrix_token(enum caller caller, const struct made_keys *keys);

/* The reason that a caller gets who asks for the owner's data; "" for success. Said independently of the daemon's code,
 * from the method's scope alone. */
const char *matrix_expected(enum caller caller, const struct method *method);

#endif
