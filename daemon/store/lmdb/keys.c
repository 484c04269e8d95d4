#include "store/lmdb/keys.h"

void key_add_id(struct key *key, struct span id)
{
    assert(id.size > 0 && id.size <= KEY_ID_MAX);
    key_add(key, id);
}

void key_add_digits(struct key *key, uint64_t value, size_t digits)
{
    uint8_t text[KEY_TIME_DIGITS];
    assert(digits <= sizeof(text));
    for (size_t i = digits; i > 0; i--) {
        text[i - 1] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
    assert(value == 0);
    key_add(key, span_of(text, digits));
}

uint64_t key_get_number(const uint8_t bytes[8])
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

struct key key_end_of(struct key prefix)
{
    assert(prefix.size > 0 && prefix.bytes[prefix.size - 1] < UINT8_MAX);
    prefix.bytes[prefix.size - 1]++;
    return prefix;
}

static uint64_t time_clamp(int64_t time_us)
{
    return time_us < 0 ? 0 : time_us > KEY_TIME_MAX ? (uint64_t)KEY_TIME_MAX : (uint64_t)time_us;
}

uint64_t key_invert_time(int64_t time_us)
{
    return (uint64_t)KEY_TIME_MAX - time_clamp(time_us);
}

struct key key_user_prefix(struct span user)
{
    struct key key = key_empty();
    key_add_id(&key, user);
    key_add_byte(&key, 0);
    return key;
}

struct key key_conversation(struct span user, struct span conversation)
{
    struct key key = key_user_prefix(user);
    key_add_id(&key, conversation);
    return key;
}

struct key key_message(struct span user, struct span conversation, uint64_t seq)
{
    struct key key = key_conversation(user, conversation);
    key_add_byte(&key, 0);
    key_add_digits(&key, seq, KEY_SEQ_DIGITS);
    return key;
}

struct key key_id(struct span user, struct span conversation, struct span id)
{
    struct key key = key_conversation(user, conversation);
    key_add_byte(&key, 0);
    key_add_id(&key, id);
    return key;
}

struct key key_deadline(int64_t time_us, struct span user, struct span conversation)
{
    struct key key = key_empty();
    key_add_digits(&key, time_clamp(time_us), KEY_TIME_DIGITS);
    key_add_byte(&key, 0);
    key_add_id(&key, user);
    key_add_byte(&key, 0);
    key_add_id(&key, conversation);
    return key;
}

struct key key_forgotten_user(struct span user)
{
    struct key key = key_empty();
    key_add_id(&key, user);
    return key;
}

struct key key_seq_value(uint64_t seq)
{
    struct key key = key_empty();
    key_add_digits(&key, seq, KEY_SEQ_DIGITS);
    return key;
}

bool key_is_id(struct span bytes)
{
    return bytes.size > 0 && bytes.size <= KEY_ID_MAX && !memchr(bytes.data, 0, bytes.size);
}

static int digits_parse(struct span digits, size_t count, uint64_t *ret)
{
    uint64_t value = 0;
    if (digits.size != count) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)digits.data[i] - '0';
        if (digit > 9) {
            return -1;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return 0;
}

/* Takes what stands before the next NUL, or everything, off the front of *rest. */
static struct span part_take(struct span *rest)
{
    const uint8_t *end = rest->size ? memchr(rest->data, 0, rest->size) : NULL;
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    struct span part = span_of(rest->data, size);
    size_t skip = end ? size + 1 : size;
    *rest = span_of(rest->data + skip, rest->size - skip);
    return part;
}

int key_parse_conversation(struct span key, struct span *ret_user, struct span *ret_conversation)
{
    struct span user = part_take(&key);
    if (!key_is_id(user) || !key_is_id(key)) {
        return -1;
    }
    *ret_user = user;
    *ret_conversation = key;
    return 0;
}

int key_parse_seq(struct span digits, uint64_t *ret_seq)
{
    return digits_parse(digits, KEY_SEQ_DIGITS, ret_seq);
}

int key_parse_deadline(struct span key, int64_t *ret_time_us, struct span *ret_user, struct span *ret_conversation)
{
    uint64_t time;
    if (digits_parse(part_take(&key), KEY_TIME_DIGITS, &time) ||
        key_parse_conversation(key, ret_user, ret_conversation)) {
        return -1;
    }
    *ret_time_us = (int64_t)time;
    return 0;
}

int key_parse_purge(struct span key, struct span *ret_user, struct span *ret_conversation)
{
    if (key_is_id(key)) {
        *ret_user = key;
        *ret_conversation = span_of(key.data + key.size, 0);
        return 0;
    }
    return key_parse_conversation(key, ret_user, ret_conversation);
}

struct key key_position(int64_t activity_time_us, struct span conversation)
{
    struct key key = key_empty();
    key_add_digits(&key, key_invert_time(activity_time_us), KEY_TIME_DIGITS);
    key_add_byte(&key, 0);
    key_add_id(&key, conversation);
    return key;
}

int key_parse_position(struct span position, int64_t *ret_activity_us, struct span *ret_conversation)
{
    uint64_t time;
    if (digits_parse(part_take(&position), KEY_TIME_DIGITS, &time) || !key_is_id(position)) {
        return -1;
    }
    *ret_activity_us = KEY_TIME_MAX - (int64_t)time;
    *ret_conversation = position;
    return 0;
}

struct key key_event(int64_t time_us, uint64_t counter)
{
    struct key key = {0};
    key_add_number(&key, time_clamp(time_us));
    key_add_number(&key, counter);
    return key;
}

int key_parse_event(struct span key, int64_t *ret_time_us, uint64_t *ret_counter)
{
    if (key.size != KEY_EVENT_BYTES || key_get_number(key.data) > (uint64_t)KEY_TIME_MAX) {
        return -1;
    }
    *ret_time_us = (int64_t)key_get_number(key.data);
    *ret_counter = key_get_number(key.data + sizeof(uint64_t));
    return 0;
}

struct key key_event_of_user(struct span user, bool stays, struct span event)
{
    struct key key = key_user_prefix(user);
    key_add_byte(&key, stays);
    key_add(&key, event);
    return key;
}

void key_describe(struct span key, char *text, size_t size)
{
    assert(size > 0);
    size_t length = key.size < size - 1 ? key.size : size - 1;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = key.data[i];
        text[i] = (char)(byte == 0 ? '/' : byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
    text[length] = '\0';
}
