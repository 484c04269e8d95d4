#include "identity/matrix.h"

#include "base/wire.h"
#include "history/methods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define HISTORY "chatlog.v1.HistoryService/"
#define ADMIN   "chatlog.v1.AdminService/"

static const struct field hello[] = {{13, .text = "hello"}, {0}};
static const struct field edited[] = {{1, .value = 1}, {13, .text = "edited"}, {0}};

const struct shape matrix_shapes[] = {
    {HISTORY "CreateConversation", .nested = true, .conversation = "fresh"},
    {HISTORY "GetConversation", .conversation = "trip"},
    {HISTORY "UpdateConversation", .nested = true, .conversation = "trip", .more = {{3, .text = "title"}}},
    {HISTORY "DeleteConversation", .conversation = "trip"},
    {HISTORY "UndeleteConversation", .conversation = "gone"},
    {HISTORY "ListConversations", .conversation = NULL},
    {HISTORY "AppendMessages", .conversation = "trip", .more = {{3, .sub = hello}}},
    {HISTORY "ListMessages", .conversation = "trip"},
    {HISTORY "GetMessage", .conversation = "trip", .more = {{3, .value = 1}}},
    {HISTORY "UpdateMessage", .conversation = "trip", .more = {{3, .sub = edited}, {4, .text = "content"}}},
    {HISTORY "DeleteMessage", .conversation = "trip", .more = {{3, .value = 1}}},
    {HISTORY "PopMessages", .conversation = "trip", .more = {{3, .value = 1}}},
    {HISTORY "ForgetUser", .conversation = NULL},
    {ADMIN "GetServerInfo", .no_user = true},
    {ADMIN "GetStats", .no_user = true},
    {ADMIN "GetMigration", .no_user = true},
    {ADMIN "ListUsers", .no_user = true},
    {ADMIN "GetDescriptorSet", .no_user = true},
    {ADMIN "ListAuditEvents", .no_user = true},
    {ADMIN "Backup", .no_user = true, .refusal = "BACKUP_OFF", .more = {{1, .text = "matrix"}}},
    {ADMIN "Verify", .no_user = true},
    {"grpc.health.v1.Health/Check", .no_user = true},
    {.method = NULL},
};

const struct method *matrix_method(const struct shape *shape)
{
    for (const struct method *const *group = method_groups; *group; group++) {
        for (const struct method *method = *group; method->name; method++) {
            if (strcmp(method->name, shape->method) == 0) {
                return method;
            }
        }
    }
    fail_msg("%s is no method of the daemon", shape->method);
    return NULL;
}

void matrix_check_complete(void)
{
    for (const struct method *const *group = method_groups; *group; group++) {
        for (const struct method *method = *group; method->name; method++) {
            const struct shape *shape = matrix_shapes;
            while (shape->method && strcmp(shape->method, method->name) != 0) {
                shape++;
            }
            if (!shape->method) {
                fail_msg("%s has no shape in the matrix: add one", method->name);
            }
        }
    }
}

static void append_all(struct buffer *out, struct buffer part)
{
    buffer_append(out, part.data, part.size);
    buffer_free(&part);
}

struct buffer matrix_payload(const struct shape *shape, struct span user, const char *conversation,
                             const struct field *more)
{
    struct buffer out = {0};
    if (!shape->no_user) {
        wire_put_bytes(&out, 1, user);
    }
    if (conversation && shape->nested) {
        const struct field inner[] = {{1, .text = conversation}, {0}};
        append_all(&out, fields_encode((const struct field[]){{2, .sub = inner}, {0}}));
    } else if (conversation) {
        wire_put_bytes(&out, 2, span_of_string(conversation));
    }
    append_all(&out, fields_encode(shape->more));
    if (more) {
        append_all(&out, fields_encode(more));
    }
    assert_false(out.failed);
    return out;
}

const char *const matrix_caller_names[CALLER_COUNT] = {
    [CALLER_OWNER] = "owner",
    [CALLER_OWNER_ES256] = "owner by ES256",
    [CALLER_READER] = "read scope",
    [CALLER_WRITER] = "write scope",
    [CALLER_OTHER] = "other user",
    [CALLER_PREFIX] = "user whose ID begins the owner's",
    [CALLER_LONGER] = "user whose ID begins with the owner's",
    [CALLER_SERVICE] = "service",
    [CALLER_ADMIN] = "admin",
    [CALLER_NONE] = "no token",
    [CALLER_EXPIRED] = "expired",
    [CALLER_WRONG_KEY] = "wrong key",
    [CALLER_UNKNOWN_KEY] = "unknown kid",
    [CALLER_WRONG_AUDIENCE] = "wrong aud",
    [CALLER_ALG_NONE] = "alg none",
    [CALLER_CONFUSED] = "public key as HS256 secret",
    [CALLER_CONFUSED2] = "ES256 under the secret's kid",
    [CALLER_GARBAGE] = "no token at all",
};

#define BOTH "history:read history:write"

char *matrix_token(enum caller caller, const struct made_keys *keys)
{
    static const char wrong[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const struct {
        const char *algorithm;
        const char *kid;
        const char *user;
        const char *scope;
        const char *audience;
        int64_t expires_in_s;
        enum made_signature signature;
        const char *key;
    } rows[CALLER_COUNT] = {
        [CALLER_OWNER] = {"HS256", "h", "owner", BOTH, "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_OWNER_ES256] = {"ES256", "e", "owner", BOTH, "chatlogd", 3600, MADE_ES256, keys->private_key},
        [CALLER_READER] = {"HS256", "h", "owner", "history:read", "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_WRITER] = {"HS256", "h", "owner", "history:write", "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_OTHER] = {"HS256", "h", "other", BOTH, "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_PREFIX] = {"HS256", "h", "owne", BOTH, "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_LONGER] = {"HS256", "h", "owner2", BOTH, "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_SERVICE] = {"HS256", "h", "", "service", "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_ADMIN] = {"HS256", "h", "owner", "admin", "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_EXPIRED] = {"HS256", "h", "owner", BOTH, "chatlogd", -3600, MADE_HS256, keys->secret},
        [CALLER_WRONG_KEY] = {"HS256", "h", "owner", BOTH, "chatlogd", 3600, MADE_HS256, wrong},
        [CALLER_UNKNOWN_KEY] = {"HS256", "x", "owner", BOTH, "chatlogd", 3600, MADE_HS256, keys->secret},
        [CALLER_WRONG_AUDIENCE] = {"HS256", "h", "owner", BOTH, "other", 3600, MADE_HS256, keys->secret},
        [CALLER_ALG_NONE] = {"none", "h", "owner", BOTH, "chatlogd", 3600, MADE_NONE, ""},
        [CALLER_CONFUSED] = {"HS256", "e", "owner", BOTH, "chatlogd", 3600, MADE_HS256, keys->public_key},
        [CALLER_CONFUSED2] = {"ES256", "h", "owner", BOTH, "chatlogd", 3600, MADE_ES256, keys->private_key},
    };
    if (caller == CALLER_GARBAGE) {
        return strdup("owner");
    }
    return rows[caller].kid ? made_token_for(rows[caller].algorithm, rows[caller].kid, rows[caller].user,
                                             rows[caller].scope, rows[caller].audience, rows[caller].expires_in_s,
                                             rows[caller].signature, rows[caller].key)
                            : NULL;
}

const char *matrix_expected(enum caller caller, const struct method *method)
{
    if (method->scope == SCOPE_OPEN) {
        return "";
    }
    bool admin = method->scope == SCOPE_ADMIN;
    bool reads = (method->scope & SCOPE_READ) != 0;
    bool writes = (method->scope & SCOPE_WRITE) != 0;
    switch (caller) {
    case CALLER_OWNER:
    case CALLER_OWNER_ES256:
    case CALLER_SERVICE:
        return admin ? "SCOPE_MISSING" : "";
    case CALLER_READER:
        return admin || writes ? "SCOPE_MISSING" : "";
    case CALLER_WRITER:
        return admin || reads ? "SCOPE_MISSING" : "";
    case CALLER_OTHER:
    case CALLER_PREFIX:
    case CALLER_LONGER:
        return admin ? "SCOPE_MISSING" : "USER_FOREIGN";
    case CALLER_ADMIN:
        return admin ? "" : "SCOPE_MISSING";
    case CALLER_NONE:
        return "TOKEN_REQUIRED";
    case CALLER_EXPIRED:
        return "TOKEN_EXPIRED";
    default:
        return "TOKEN_INVALID";
    }
}
