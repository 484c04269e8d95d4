/* Page tokens: a position of the store with a code that only this daemon's key makes, over the method, the user, the
 * filters and the position. A token of another list, another user or another daemon is refused. */
#ifndef HISTORY_PAGE_TOKEN_H
#define HISTORY_PAGE_TOKEN_H

#include "history/call.h"

/* Appends the token of a position to the payload as protobuf field `field`; nothing when the position is empty. */
void page_token_put(struct call *call, uint32_t field, unsigned filters, struct span position);

/* Finds the position in a token; empty for an empty token. PAGE_TOKEN_INVALID when it is not one of this list. */
int page_token_open(struct call *call, const char *token, unsigned filters, struct span *ret_position);

#endif
