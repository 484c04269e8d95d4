/* What a principal may do, as bits: what a token's `scope` and a `peer` line grant, and what a method needs. */
#ifndef AUTH_SCOPE_H
#define AUTH_SCOPE_H

enum scope {
    SCOPE_READ = 1 << 0,    /* history:read */
    SCOPE_WRITE = 1 << 1,   /* history:write */
    SCOPE_ADMIN = 1 << 2,   /* admin: AdminService, and no history */
    SCOPE_SERVICE = 1 << 3, /* service: any user's history; always with READ and WRITE */
    SCOPE_OPEN = 1 << 4,    /* of methods only: whoever can connect may call it */
};

#endif
