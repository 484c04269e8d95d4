/* Finds the method of a name in the tables of history/, and counts its calls. */
#ifndef RPC_DISPATCH_H
#define RPC_DISPATCH_H

#include "base/counters.h"
#include "base/span.h"
#include "history/call.h"

struct dispatch;

/* NULL when memory is short. */
struct dispatch *dispatch_new(void);
struct dispatch *dispatch_free(struct dispatch *dispatch);

/* Returns the method and its counter; NULL, and the counter of unknown methods, when there is none of this name. */
const struct method *dispatch_find(struct dispatch *dispatch, struct span name, struct method_count **ret_count);

/* The counters of all methods; ends in one without a name. */
const struct method_count *dispatch_counts(const struct dispatch *dispatch);

#endif
