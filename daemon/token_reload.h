/* What SIGHUP is for: the token keys are read again, and the audit trail tells of it. */
#ifndef TOKEN_RELOAD_H
#define TOKEN_RELOAD_H

#include "auth/authority.h"
#include "base/log.h"
#include "store/store.h"

#include <signal.h>

struct token_reload {
    struct authority *authority;
    struct store *store;
    const struct log *log; /* lives longer than the store */
    size_t key_count;
};

/* Reads the key files; waits for nothing else. The event is committed after it has returned, and never stands in the
 * way of new keys: when the store refuses it (no room even in the disk's reserve, a full queue), they are in force all
 * the same, and a warning of the log says that the trail lacks it. `signal` tells who asked. */
void token_reload(const struct token_reload *reload, const siginfo_t *signal);

#endif
