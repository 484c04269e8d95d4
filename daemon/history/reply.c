#include "history/reply.h"

#include "history/check.h"

int call_store(struct call *call, enum store_verb verb, const char *conversation_id)
{
    call->op.verb = verb;
    call->op.conversation = span_of_string(conversation_id);
    call->op.record_field = 1; /* of every response that has records */
    return CALL_STORE;
}

int call_memory_short(struct call *call)
{
    error_set(&call->error, ERROR_MEMORY_SHORT, "the request needs more memory than the daemon gives to one");
    return error_add_detail(&call->error, "retry_delay_ms", 1000);
}

const struct store_pair *call_pairs(struct call *call, size_t count, ProtobufCMessage *const *entries)
{
    struct store_pair *pairs = arena_alloc(&call->arena, count * sizeof(*pairs));
    for (size_t i = 0; pairs && i < count; i++) {
        pairs[i].key = span_of_string(map_entry_key(entries[i]));
        pairs[i].value = span_of_string(map_entry_value(entries[i]));
    }
    return pairs;
}

void reply_records(struct call *call, struct store_result *result)
{
    call->payload = result->records;
    result->records = (struct buffer){0};
}
