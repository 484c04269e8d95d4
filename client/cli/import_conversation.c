/* Create, or compare with what is there; then append the rest. Every append names the last_seq it expects and carries
 * a request id made of what it appends, so that neither a repeat nor another import at the same time doubles a thing.
 * Knows neither files nor threads. */
#include "cli/import_conversation.h"

#include "chatlog_limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <xxhash.h>

/* Rounds in which somebody else wrote the conversation between our look and our append. */
enum { IMPORT_ROUNDS = 16, MESSAGE_OVERHEAD = 256 };

struct request_id {
    char text[48];
};

/* One conversation on its way. */
struct import {
    const struct session *session;
    const struct import_limits *limits;
    const struct exchange_conversation *line;
    struct import_outcome *outcome;
    size_t next;       /* the first message that is not stored */
    uint64_t last_seq; /* of the stored conversation */
};

static enum import_result import_reject(struct import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum import_result import_reject(struct import *import, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(import->outcome->text, sizeof(import->outcome->text), format, arguments);
    va_end(arguments);
    return IMPORT_REJECTED;
}

/* A call failed: is it this conversation, or can the server not go on at all? */
static enum import_result import_fail(struct import *import, const struct chatlog_error *error)
{
    switch (error->code) {
    case CHATLOG_CANCELLED:
    case CHATLOG_DEADLINE_EXCEEDED:
    case CHATLOG_PERMISSION_DENIED:
    case CHATLOG_RESOURCE_EXHAUSTED:
    case CHATLOG_UNIMPLEMENTED:
    case CHATLOG_UNAVAILABLE:
    case CHATLOG_UNAUTHENTICATED:
        import->outcome->error = *error;
        return IMPORT_STOPPED;
    default:
        return import_reject(import, "conversation %s: %s: %s: %s", import->line->conversation.conversation_id,
                             chatlog_code_name((int)error->code), error->reason, error->message);
    }
}

static void hash_bytes(XXH3_state_t *hash, const void *data, size_t length)
{
    uint64_t size = length;
    XXH3_128bits_update(hash, &size, sizeof(size)); /* so that ("ab", "c") and ("a", "bc") differ */
    XXH3_128bits_update(hash, data, length);
}

static void hash_text(XXH3_state_t *hash, const char *text)
{
    hash_bytes(hash, text ? text : "", text ? strlen(text) : 0);
}

static void hash_pairs(XXH3_state_t *hash, const struct chatlog_pair *pairs, size_t count)
{
    XXH3_128bits_update(hash, &count, sizeof(count));
    for (size_t i = 0; i < count; i++) {
        hash_text(hash, pairs[i].key);
        hash_text(hash, pairs[i].value);
    }
}

static void hash_message(XXH3_state_t *hash, const struct chatlog_message *message)
{
    hash_text(hash, message->message_id);
    hash_text(hash, message->role);
    hash_text(hash, message->content_type);
    hash_text(hash, message->author);
    XXH3_128bits_update(hash, &message->token_count, sizeof(message->token_count));
    XXH3_128bits_update(hash, &message->sent_time_us, sizeof(message->sent_time_us));
    hash_pairs(hash, message->metadata, message->metadata_count);
    hash_bytes(hash, message->content, message->content_length);
}

/* The id of appending the next count messages to the conversation as it is. last_seq is part of it: after somebody
 * popped messages, appending the same ones again is another change and not a repeat. */
static struct request_id append_request_id(const struct import *import, size_t count)
{
    XXH3_state_t *hash = memory_need(XXH3_createState());
    XXH3_128bits_reset(hash);
    hash_text(hash, import->line->user_id);
    hash_text(hash, import->line->conversation.conversation_id);
    XXH3_128bits_update(hash, &import->last_seq, sizeof(import->last_seq));
    for (size_t i = 0; i < count; i++) {
        hash_message(hash, &import->line->messages[import->next + i]);
    }
    XXH128_hash_t digest = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    struct request_id id;
    snprintf(id.text, sizeof(id.text), "import-%016" PRIx64 "%016" PRIx64, digest.high64, digest.low64);
    return id;
}

/* What a message takes of a request, at most. */
static uint64_t message_size(const struct chatlog_message *message)
{
    uint64_t size = message->content_length + MESSAGE_OVERHEAD + CHATLOG_LIMIT_id_bytes + CHATLOG_LIMIT_author_bytes +
                    CHATLOG_LIMIT_role_bytes + CHATLOG_LIMIT_content_type_bytes;
    for (size_t i = 0; i < message->metadata_count; i++) {
        size += strlen(message->metadata[i].key) + strlen(message->metadata[i].value) + 16;
    }
    return size;
}

/* How many of the next messages go into one append: at least one, however large. */
static size_t chunk_count(const struct import *import)
{
    size_t count = 0;
    uint64_t size = 0;
    while (import->next + count < import->line->message_count && count < import->limits->chunk_messages) {
        size += message_size(&import->line->messages[import->next + count]);
        if (count > 0 && size > import->limits->chunk_bytes) {
            break;
        }
        count++;
    }
    return count;
}

/* Appends what is not stored. Returns CHATLOG_OK, CHATLOG_ABORTED when somebody else wrote first, another code. */
static int import_append(struct import *import, struct chatlog_error *error)
{
    const struct exchange_conversation *line = import->line;
    while (import->next < line->message_count) {
        size_t count = chunk_count(import);
        assert(count > 0);
        struct request_id id = append_request_id(import, count);
        struct chatlog_call_options call = import->session->call;
        call.request_id = id.text;
        struct chatlog_append_options append = {.check_last_seq = true, .expected_last_seq = import->last_seq};
        struct chatlog_append_result result;
        int code = chatlog_append(import->session->client, line->user_id, line->conversation.conversation_id,
                                  line->messages + import->next, count, &append, &call, &result, error);
        if (code != CHATLOG_OK) {
            return code;
        }
        import->outcome->messages += result.replayed ? 0 : count;
        import->next += count;
        import->last_seq = result.last_seq;
    }
    return CHATLOG_OK;
}

/* Compares one page of stored messages with those of the file from import->next on. Returns how many are equal. */
static size_t page_compare(const struct import *import, const struct chatlog_messages *page)
{
    const struct exchange_conversation *line = import->line;
    size_t equal = 0;
    while (equal < page->count && import->next + equal < line->message_count) {
        const struct chatlog_message *file = &line->messages[import->next + equal];
        const struct chatlog_message *stored = &page->items[equal];
        bool plain = !file->message_id && !file->author && !file->token_count && !file->sent_time_us &&
                     file->metadata_count == 0; /* a file without labels does not deny them */
        if (!exchange_content_equal(file, stored) || !(plain || exchange_labels_equal(file, stored))) {
            break;
        }
        equal++;
    }
    return equal;
}

/* Finds how much of the file is stored. Positions import at the rest. */
static enum import_result import_compare(struct import *import)
{
    const struct exchange_conversation *line = import->line;
    struct chatlog_message_query query = {.anchor = CHATLOG_AFTER, .limit = CHATLOG_LIMIT_append_messages};
    bool more = true;
    import->next = 0;
    while (more) {
        struct chatlog_messages page;
        struct chatlog_error error;
        if (chatlog_list_messages(import->session->client, line->user_id, line->conversation.conversation_id, &query,
                                  &import->session->call, &page, &error) != 0) {
            return import_fail(import, &error);
        }
        size_t equal = page_compare(import, &page);
        import->next += equal;
        import->last_seq = page.last_seq;
        bool ended = import->next == line->message_count;
        bool differs = equal < page.count && !ended;
        more = page.has_more_after && page.count > 0 && !ended;
        query.seq = page.count > 0 ? page.items[page.count - 1].seq : 0;
        chatlog_messages_free(&page);
        if (differs) {
            return import_reject(import, "conversation %s differs from the file at message %zu; nothing was appended",
                                 line->conversation.conversation_id, import->next + 1);
        }
    }
    return IMPORT_DONE;
}

/* The conversation is there already: may it be appended to, and is it labelled as the file says? */
static enum import_result import_inspect(struct import *import)
{
    const struct chatlog_conversation *file = &import->line->conversation;
    struct chatlog_conversation stored;
    struct chatlog_error error;
    if (chatlog_get_conversation(import->session->client, import->line->user_id, file->conversation_id,
                                 &import->session->call, &stored, &error) != 0) {
        return import_fail(import, &error);
    }
    bool deleted = stored.delete_time_us != 0;
    import->outcome->relabelled =
        strcmp(file->title ? file->title : "", stored.title ? stored.title : "") != 0 ||
        !exchange_pairs_equal(file->metadata, file->metadata_count, stored.metadata, stored.metadata_count) ||
        file->archived != stored.archived || file->expire_time_us != stored.expire_time_us;
    chatlog_conversation_free(&stored);
    if (deleted) {
        return import_reject(import, "conversation %s is deleted; undelete or purge it, then import again",
                             file->conversation_id);
    }
    return IMPORT_DONE;
}

/* Looks at what is stored and appends the rest, again when somebody else was faster. */
static enum import_result import_complete(struct import *import, bool created)
{
    bool known = created;
    for (int round = 0; round < IMPORT_ROUNDS; round++) {
        struct chatlog_error error;
        enum import_result result = known ? IMPORT_DONE : import_compare(import);
        if (result != IMPORT_DONE) {
            return result;
        }
        int code = import_append(import, &error);
        if (code == CHATLOG_OK) {
            import->outcome->present = import->line->message_count - import->outcome->messages;
            return IMPORT_DONE;
        }
        if (code != CHATLOG_ABORTED) {
            return import_fail(import, &error);
        }
        known = false;
    }
    return import_reject(import, "conversation %s is being changed by others; import it again later",
                         import->line->conversation.conversation_id);
}

enum import_result import_conversation(const struct session *session, const struct import_limits *limits,
                                       const struct exchange_conversation *line, struct import_outcome *ret_outcome)
{
    *ret_outcome = (struct import_outcome){.created = false};
    struct import import = {.session = session, .limits = limits, .line = line, .outcome = ret_outcome};
    struct chatlog_error error;
    int code =
        chatlog_create_conversation(session->client, line->user_id, &line->conversation, &session->call, NULL, &error);
    ret_outcome->created = code == CHATLOG_OK;
    if (code != CHATLOG_OK && code != CHATLOG_ALREADY_EXISTS) {
        return import_fail(&import, &error);
    }
    enum import_result result = ret_outcome->created ? IMPORT_DONE : import_inspect(&import);
    return result == IMPORT_DONE ? import_complete(&import, ret_outcome->created) : result;
}
