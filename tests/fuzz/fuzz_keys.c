/* store/lmdb/keys and layouts: any bytes may stand as a key in a damaged file or come as a page token; what parses is
 * what the parts would build. The first byte says how many bytes of the rest are the user. */
#include "fuzz/fuzz.h"
#include "store/lmdb/layout.h"

static bool key_is(struct key key, struct span bytes)
{
    return span_equal(key_span(&key), bytes);
}

static void check_parsers(struct span key)
{
    struct span user;
    struct span conversation;
    int64_t time_us;
    uint64_t seq;
    if (key_parse_conversation(key, &user, &conversation) == 0) {
        fuzz_require(key_is(key_conversation(user, conversation), key));
    }
    if (key_parse_deadline(key, &time_us, &user, &conversation) == 0) {
        fuzz_require(key_is(key_deadline(time_us, user, conversation), key));
    }
    if (key_parse_purge(key, &user, &conversation) == 0) {
        fuzz_require(fuzz_lies_in(user, key) && fuzz_lies_in(conversation, key));
    }
    if (key_parse_seq(key, &seq) == 0) {
        fuzz_require(key_is(key_seq_value(seq), key));
    }
    if (key_parse_event(key, &time_us, &seq) == 0) {
        fuzz_require(key_is(key_event(time_us, seq), key));
    }
    char text[16];
    key_describe(key, text, sizeof(text));
    fuzz_require(memchr(text, 0, sizeof(text)));
}

static void check_position(struct span position)
{
    int64_t time_us;
    struct span conversation;
    if (key_parse_position(position, &time_us, &conversation) == 0) {
        fuzz_require(key_is(key_position(time_us, conversation), position));
    }
}

/* Keys of a layout: what parses behind a prefix is what the layout builds. */
static void check_layout(const struct layout *layout, struct span user, struct span rest)
{
    struct place place = {.layout = layout, .user = user, .conversation = user, .user_number = 7};
    uint64_t seq;
    int64_t time_us;
    struct key key = layout->conversation_prefix(&place, KIND_MESSAGE);
    struct span prefix = span_of(key.bytes, key.size);
    struct key found = key;
    if (rest.size > sizeof(found.bytes) - found.size) {
        return;
    }
    key_add(&found, rest);
    if (layout->parse_message(key_span(&found), prefix, &seq) == 0) {
        fuzz_require(key_is(layout->message_key(&place, seq), key_span(&found)));
    }
    key = layout->recency_prefix(&place);
    found = key;
    key_add(&found, rest);
    prefix = span_of(key.bytes, key.size);
    if (layout->parse_recency(key_span(&found), prefix, &time_us, &place.conversation) == 0) {
        fuzz_require(key_is(layout->recency_key(&place, time_us), key_span(&found)));
    }
}

static void check_parsers_of_user(struct span user, struct span rest)
{
    check_position(rest);
    if (key_is_id(user)) {
        check_layout(&layout_1, user, rest);
        check_layout(&layout_2, user, rest);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span rest = span_of(data + 1, size - 1);
    size_t user_size = data[0] < rest.size ? data[0] : rest.size;
    check_parsers(rest);
    check_parsers_of_user(span_of(rest.data, user_size), span_of(rest.data + user_size, rest.size - user_size));
    return 0;
}
