/* store/lmdb/keys: any bytes may stand as a key in a damaged file or come as a page token; what parses is what the
 * parts would build. The first byte says how many bytes of the rest are the user. */
#include "fuzz/fuzz.h"
#include "store/lmdb/keys.h"

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
    char text[16];
    key_describe(key, text, sizeof(text));
    fuzz_require(memchr(text, 0, sizeof(text)));
}

static void check_parsers_of_user(struct span user, struct span rest)
{
    struct key key;
    if (!key_is_id(user)) {
        return;
    }
    if (key_parse_position(rest, user, &key) == 0) {
        int64_t time_us;
        struct span conversation;
        fuzz_require(span_equal(key_position(key_span(&key), user), rest));
        fuzz_require(key_parse_recency(key_span(&key), user, &time_us, &conversation) == 0);
        fuzz_require(key_is(key_recency(user, time_us, conversation), key_span(&key)));
    }
    uint64_t seq;
    struct key prefix = key_user_prefix(user);
    if (key_parse_message(rest, key_span(&prefix), &seq) == 0) {
        fuzz_require(span_starts_with(rest, key_span(&prefix)));
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
