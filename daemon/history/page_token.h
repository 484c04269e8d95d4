/* Page tokens: a position of the store, bound to the user and the filters of the list it belongs to. */
#ifndef HISTORY_PAGE_TOKEN_H
#define HISTORY_PAGE_TOKEN_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* What a token is bound to. */
struct page_query {
    struct span user; /* empty for lists that belong to no user */
    unsigned filters;
};

/* Appends the token of a position as protobuf field `field`; nothing when the position is empty. */
void page_token_put(struct buffer *out, uint32_t field, const struct page_query *query, struct span position);

/* Finds the position in a token; empty for an empty token. PAGE_TOKEN_INVALID when it is not one of this query. */
int page_token_open(const struct page_query *query, const char *token, struct arena *arena, struct span *ret_position,
                    struct error *error);

#endif
