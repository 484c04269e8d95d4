/* The model of a user, and how an answer is compared with it. Must not know how requests are made. */
#include "identity/isolation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What every marker begins with. */
static const char marker_prefix[] = "mk~";

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void isolation_user_begin(struct isolation_user *user, uint64_t seed, unsigned index, enum isolation_caller caller)
{
    memset(user, 0, sizeof(*user));
    user->random = seed * 1000 + index;
    user->caller = caller;
    snprintf(user->marker.text, sizeof(user->marker.text), "%s%02u-%012llx~", marker_prefix, index % 100,
             (unsigned long long)(random_next(&user->random) & UINT64_C(0xffffffffffff)));
}

void isolation_user_end(struct isolation_user *user)
{
    for (size_t i = 0; i < ISOLATION_CONVERSATIONS; i++) {
        buffer_free(&user->conversations[i].payload);
        buffer_free(&user->conversations[i].answer);
    }
    buffer_free(&user->turn.payload);
    free(user->authorization);
}

void isolation_complain(struct isolation_user *user, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!user->complaint[0]) {
        int size =
            snprintf(user->complaint, sizeof(user->complaint), "%s by %s: ", user->turn.method, user->marker.text);
        vsnprintf(user->complaint + size, sizeof(user->complaint) - (size_t)size, format, arguments);
    }
    va_end(arguments);
}

uint64_t isolation_draw(struct isolation_user *user, uint64_t below)
{
    return random_next(&user->random) % below;
}

size_t isolation_text(const struct isolation_user *user, uint32_t number, char ret[ISOLATION_TEXT_BYTES])
{
    size_t size = 0;
    ret[0] = '\0';
    for (uint32_t i = 0; number > 0 && i <= number % 4; i++) {
        size += (size_t)snprintf(ret + size, ISOLATION_TEXT_BYTES - size, "%s%u", user->marker.text, number);
    }
    return size;
}

void isolation_name(const struct isolation_user *user, size_t index, char ret[ISOLATION_TEXT_BYTES])
{
    snprintf(ret, ISOLATION_TEXT_BYTES, "%s%zu", index % 2 == 0 ? "shared " : user->marker.text, index);
}

bool isolation_is_foreign(const struct isolation_marker *own, struct span bytes)
{
    size_t own_size = strlen(own->text);
    const uint8_t *found;
    while (bytes.size > 0 && (found = memmem(bytes.data, bytes.size, marker_prefix, strlen(marker_prefix))) != NULL) {
        size_t left = bytes.size - (size_t)(found - bytes.data);
        if (memcmp(found, own->text, left < own_size ? left : own_size) != 0) {
            return true;
        }
        bytes = span_of(found + 1, left - 1);
    }
    return false;
}

static bool text_is(const struct isolation_user *user, uint32_t number, struct span text)
{
    char expected[ISOLATION_TEXT_BYTES];
    size_t size = isolation_text(user, number, expected);
    return span_equal(span_of(expected, size), text);
}

void isolation_compare_message(struct isolation_user *user, const struct isolation_message *expected, bool basic,
                               const Chatlog__V1__Message *message)
{
    char content[ISOLATION_TEXT_BYTES];
    size_t size = isolation_text(user, expected->content, content);
    bool labelled = !basic && expected->label > 0;
    struct span given = span_of(message->content.data, message->content.len);
    if (message->seq != expected->seq || message->revision != expected->revision ||
        message->token_count != expected->token_count || message->content_size != size) {
        isolation_complain(user, "message %llu of revision %u instead of %llu of %u, or its numbers",
                           (unsigned long long)message->seq, message->revision, (unsigned long long)expected->seq,
                           expected->revision);
    } else if (!text_is(user, expected->id, span_of_string(message->message_id)) ||
               strcmp(message->author, user->marker.text) != 0 || strcmp(message->role, "user") != 0) {
        isolation_complain(user, "message %llu has another ID, author or role", (unsigned long long)message->seq);
    } else if (!span_equal(given, span_of(content, basic ? 0 : size)) || message->n_metadata != (labelled ? 1u : 0u) ||
               (labelled && (strcmp(message->metadata[0]->key, user->marker.text) != 0 ||
                             !text_is(user, expected->label, span_of_string(message->metadata[0]->value))))) {
        isolation_complain(user, "message %llu has another content or label", (unsigned long long)message->seq);
    }
}

static uint64_t content_bytes(const struct isolation_user *user, const struct isolation_conversation *conversation)
{
    char text[ISOLATION_TEXT_BYTES];
    uint64_t bytes = 0;
    for (size_t i = 0; i < conversation->count; i++) {
        bytes += isolation_text(user, conversation->messages[i].content, text);
    }
    return bytes;
}

void isolation_compare_conversation(struct isolation_user *user, size_t index,
                                    const Chatlog__V1__Conversation *conversation)
{
    const struct isolation_conversation *expected = &user->conversations[index];
    bool labelled = expected->label > 0;
    char name[ISOLATION_TEXT_BYTES];
    isolation_name(user, index, name);
    if (!expected->exists || strcmp(conversation->conversation_id, name) != 0) {
        isolation_complain(user, "conversation \"%s\", which he does not have or did not ask for",
                           conversation->conversation_id);
    } else if (!text_is(user, expected->title, span_of_string(conversation->title)) ||
               conversation->archived != expected->archived || conversation->n_metadata != (labelled ? 1u : 0u) ||
               (labelled && (strcmp(conversation->metadata[0]->key, user->marker.text) != 0 ||
                             !text_is(user, expected->label, span_of_string(conversation->metadata[0]->value))))) {
        isolation_complain(user, "another title, mark or label of \"%s\"", name);
    } else if (conversation->message_count != expected->count || conversation->last_seq != expected->last_seq ||
               conversation->content_bytes != content_bytes(user, expected) ||
               (conversation->delete_time_us != 0) != expected->deleted) {
        isolation_complain(user, "%llu messages to %llu in \"%s\" instead of %zu to %llu, or its size or deletion",
                           (unsigned long long)conversation->message_count, (unsigned long long)conversation->last_seq,
                           name, expected->count, (unsigned long long)expected->last_seq);
    } else if (!user->turn.changes && strcmp(conversation->etag, expected->etag) != 0) {
        isolation_complain(user, "etag %s of \"%s\" instead of %s", conversation->etag, name, expected->etag);
    }
}
