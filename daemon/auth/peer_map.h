/* Unix users at a local socket: which principal each is, as the `peer` lines of the configuration say. */
#ifndef AUTH_PEER_MAP_H
#define AUTH_PEER_MAP_H

#include "auth/principal.h"

#include "base/error.h"

#include <sys/types.h>

enum {
    PEER_NAME_BYTES = 33, /* of a Unix user, with the NUL */
    PEER_RULE_BYTES = PEER_NAME_BYTES + sizeof(": user ") + CHATLOG_LIMIT_id_bytes,
};

/* One line: "1000: service", "bot: admin", "ann: user ann@example.org". */
struct peer_rule {
    char unix_user[PEER_NAME_BYTES]; /* a name or a number */
    unsigned scopes;
    char user[PRINCIPAL_USER_BYTES];
};

/* Pure: reads a line. False when it has another form. */
bool peer_rule_parse(const char *text, struct peer_rule *ret_rule);

struct peer_map;

/* Looks the names up in the system's user database. root and `own` (the daemon's own user) are service and admin unless
 * a line names them; several lines for one Unix user add up. On failure -ERROR_STARTUP, and the error says which line
 * is wrong. */
int peer_map_new(const char *const *rules, size_t count, uid_t own, struct peer_map **ret_map, struct error *error);
struct peer_map *peer_map_free(struct peer_map *map);

/* The principal of a Unix user: one without any scope for those that no line names. The reference is the caller's. NULL
 * when memory is short and no line names it. */
struct principal *peer_map_find(const struct peer_map *map, uid_t uid);

#endif
