#include "rpc/authorize.h"

static bool is_about_user(const struct method *method)
{
    return (method->scope & (SCOPE_READ | SCOPE_WRITE)) != 0;
}

bool authorize_row_valid(const struct method *method)
{
    const ProtobufCFieldDescriptor *first = method->request->fields; /* in the order of their numbers */
    if (!is_about_user(method)) {
        return method->scope == SCOPE_ADMIN || method->scope == SCOPE_OPEN;
    }
    return method->request->n_fields > 0 && first->id == 1 && first->type == PROTOBUF_C_TYPE_STRING &&
           first->label != PROTOBUF_C_LABEL_REPEATED && strcmp(first->name, "user_id") == 0;
}

static const char *scope_words(unsigned scope)
{
    static const char *const words[] = {[SCOPE_READ] = "history:read",
                                        [SCOPE_WRITE] = "history:write",
                                        [SCOPE_READ | SCOPE_WRITE] = "history:read and history:write",
                                        [SCOPE_ADMIN] = "admin"};
    return words[scope];
}

int authorize_method(const struct principal *principal, const struct method *method, struct error *error)
{
    unsigned scope = method->scope;
    if (scope == SCOPE_OPEN || (principal->scopes & scope) == scope) {
        return 0;
    }
    if (!principal->known) {
        return error_set(error, ERROR_TOKEN_REQUIRED,
                         "this connection does not tell who asks: send a token in Request.authorization");
    }
    if (principal->scopes == 0) {
        return error_set(error, ERROR_PEER_UNKNOWN,
                         "the Unix user %s has no role in this daemon: its operator gives it one with \"peer = "
                         "UNIX-USER: service\" (or admin, or user USER) in the configuration; or send a token",
                         principal->name);
    }
    return error_set(error, ERROR_SCOPE_MISSING, "the method needs %s, which the caller has not", scope_words(scope));
}

int authorize_user(const struct principal *principal, const struct method *method, const ProtobufCMessage *request,
                   struct span *ret_user, struct error *error)
{
    if (!is_about_user(method)) {
        *ret_user = span_of(NULL, 0);
        return 0;
    }
    const char *const *user_id = (const void *)((const char *)request + request->descriptor->fields[0].offset);
    struct span user = span_of_string(*user_id);
    if (!principal_acts_for(principal, user)) {
        return error_set(error, ERROR_USER_FOREIGN, "the caller may act for its own user_id only");
    }
    *ret_user = user;
    return 0;
}
