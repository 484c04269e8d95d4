/* Pieces of handlers that several groups share. */
#ifndef HISTORY_REPLY_H
#define HISTORY_REPLY_H

#include "history/call.h"

/* Fills call->op's verb and conversation ("": none). Whose data it is about is in the op already: who may ask was
 * decided by it. Returns CALL_STORE, for handlers that need nothing more. */
int call_store(struct call *call, enum store_verb verb, const char *conversation_id);

/* Copies the entries of a map<string, string> into store pairs. NULL only when memory is short and count is not 0. */
const struct store_pair *call_pairs(struct call *call, size_t count, ProtobufCMessage *const *entries);

int call_memory_short(struct call *call);

/* The response is the store's records and nothing else. */
void reply_records(struct call *call, struct store_result *result);

#endif
