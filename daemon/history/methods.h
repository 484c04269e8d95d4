/* The method tables, one a group of methods; each ends in a row without a name. */
#ifndef HISTORY_METHODS_H
#define HISTORY_METHODS_H

#include "history/call.h"

extern const struct method conversation_methods[];
extern const struct method message_methods[];
extern const struct method user_methods[];
extern const struct method admin_methods[];
extern const struct method audit_methods[];
extern const struct method job_methods[];
extern const struct method health_methods[];

/* All of these tables, and NULL: what the daemon serves, and what the tests of all methods go through. */
extern const struct method *const method_groups[];

#endif
