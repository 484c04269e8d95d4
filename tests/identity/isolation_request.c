#include "identity/isolation_request.h"

bool isolation_one_in(struct isolation_user *user, uint64_t count)
{
    return isolation_draw(user, count) == 0;
}

void isolation_put_text(struct buffer *out, uint32_t field, const char *text)
{
    wire_put_bytes(out, field, span_of_string(text));
}

/* A member of a oneof, which is there also when it is 0. */
void isolation_put_choice(struct buffer *out, uint32_t field, uint64_t value)
{
    wire_put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    wire_put_varint(out, value);
}

void isolation_put_number(const struct isolation_user *user, struct buffer *out, uint32_t field, uint32_t number)
{
    char text[ISOLATION_TEXT_BYTES];
    wire_put_bytes(out, field, span_of(text, isolation_text(user, number, text)));
}

void isolation_put_label(const struct isolation_user *user, struct buffer *out, uint32_t field, uint32_t number)
{
    struct buffer pair = {0};
    if (number > 0) {
        isolation_put_text(&pair, 1, user->marker.text);
        isolation_put_number(user, &pair, 2, number);
        wire_put_element(out, field, buffer_span(&pair));
    }
    buffer_free(&pair);
}

/* Chooses a conversation and begins a request about it, of the user himself. */
struct isolation_conversation *isolation_begin(struct isolation_user *user, const char *method)
{
    char name[ISOLATION_TEXT_BYTES];
    size_t index = isolation_draw(user, ISOLATION_CONVERSATIONS);
    user->turn.method = method;
    user->turn.conversation = &user->conversations[index];
    isolation_name(user, index, name);
    isolation_put_text(&user->turn.payload, FIELD_USER, user->marker.text);
    isolation_put_text(&user->turn.payload, FIELD_CONVERSATION, name);
    return user->turn.conversation;
}

/* True when the conversation is there to be read or changed; else the answer says why not. */
bool isolation_is_live(struct isolation_user *user)
{
    const struct isolation_conversation *conversation = user->turn.conversation;
    if (!conversation->exists) {
        user->turn.reason = "CONVERSATION_NOT_FOUND";
    } else if (conversation->deleted) {
        user->turn.reason = "CONVERSATION_DELETED";
    }
    return conversation->exists && !conversation->deleted;
}

uint32_t isolation_number(struct isolation_user *user)
{
    return ++user->numbers;
}

size_t isolation_index(const struct isolation_user *user)
{
    return (size_t)(user->turn.conversation - user->conversations);
}

/* How many of the messages lie at or below this seq. */
size_t isolation_count_to(const struct isolation_conversation *conversation, uint64_t seq)
{
    size_t count = 0;
    while (count < conversation->count && conversation->messages[count].seq <= seq) {
        count++;
    }
    return count;
}

/* What the answer must hold: `count` messages from the first-th on. */
void isolation_expect(struct isolation_user *user, size_t first, size_t count)
{
    const struct isolation_conversation *conversation = user->turn.conversation;
    memcpy(user->turn.messages, &conversation->messages[first], count * sizeof(user->turn.messages[0]));
    user->turn.count = count;
    user->turn.has_more_before = first > 0;
    user->turn.has_more_after = first + count < conversation->count;
}

/* A message of the conversation, or a seq that it does not have. */
struct isolation_message *isolation_pick_message(struct isolation_user *user, uint64_t *ret_seq)
{
    struct isolation_conversation *conversation = user->turn.conversation;
    *ret_seq = conversation->last_seq + 1;
    if (!isolation_is_live(user)) {
        return NULL;
    }
    if (conversation->count == 0 || isolation_one_in(user, 8)) {
        user->turn.reason = "MESSAGE_NOT_FOUND";
        return NULL;
    }
    struct isolation_message *message = &conversation->messages[isolation_draw(user, conversation->count)];
    *ret_seq = message->seq;
    return message;
}
