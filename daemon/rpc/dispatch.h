/* Finds the method of a name in the tables of history/, with the place of its meter. */
#ifndef RPC_DISPATCH_H
#define RPC_DISPATCH_H

#include "base/method_meters.h"
#include "base/span.h"
#include "history/call.h"

struct dispatch;

/* NULL when memory is short. */
struct dispatch *dispatch_new(void);
struct dispatch *dispatch_free(struct dispatch *dispatch);

/* Returns the method and the index of its meter; NULL when there is none of this name, and then the index is
 * dispatch_unknown. */
const struct method *dispatch_find(const struct dispatch *dispatch, struct span name, size_t *ret_index);

/* The index of what names no method there is. */
size_t dispatch_unknown(const struct dispatch *dispatch);

/* Of all methods and of what names none, "(unknown)". */
struct method_meters *dispatch_meters(const struct dispatch *dispatch);

#endif
