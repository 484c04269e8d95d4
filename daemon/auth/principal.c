#include "auth/principal.h"

#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

bool principal_id_valid(const char *id)
{
    size_t size = strlen(id);
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t character;
        utf8proc_ssize_t length =
            utf8proc_iterate((const utf8proc_uint8_t *)id + i, (utf8proc_ssize_t)(size - i), &character);
        if (length <= 0) {
            return false;
        }
        i += (size_t)length;
    }
    return size > 0 && size <= CHATLOG_LIMIT_id_bytes && !text_has_control_character(id);
}

struct principal *principal_new(unsigned scopes, const char *user, const char *kind, const char *id)
{
    struct principal *principal = calloc(1, sizeof(*principal));
    if (!principal) {
        return NULL;
    }
    atomic_init(&principal->references, 1);
    principal->scopes = scopes;
    principal->known = true;
    snprintf(principal->user, sizeof(principal->user), "%s", user);
    snprintf(principal->name, sizeof(principal->name), "%s%s%s", kind, id[0] ? ":" : "", id);
    return principal;
}

struct principal *principal_share(struct principal *principal)
{
    unsigned before = atomic_fetch_add_explicit(&principal->references, 1, memory_order_relaxed);
    assert(before > 0);
    return principal;
}

struct principal *principal_release(struct principal *principal)
{
    if (principal && atomic_fetch_sub_explicit(&principal->references, 1, memory_order_acq_rel) == 1) {
        free(principal);
    }
    return NULL;
}

bool principal_acts_for(const struct principal *principal, struct span user)
{
    if (principal->scopes & SCOPE_SERVICE) {
        return true;
    }
    return principal->user[0] && span_equal(span_of_string(principal->user), user);
}
