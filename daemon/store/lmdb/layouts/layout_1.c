/* Layout 1, frozen: text keys in five tables, values unsealed. Parts are separated by NUL, which no ID holds. For
 * user "ann", conversation "c1":
 *
 *   conversations  ann NUL c1                       61 6e 6e 00 63 31                                   the head
 *   messages       ann NUL c1 NUL 0000000007        61 6e 6e 00 63 31 00 30 30 30 30 30 30 30 30 30 37
 *   message_ids    ann NUL c1 NUL m-9               61 6e 6e 00 63 31 00 6d 2d 39
 *   requests       ann NUL c1 NUL r-1               61 6e 6e 00 63 31 00 72 2d 31
 *   recency        ann NUL 8299999999999999 NUL c1  61 6e 6e 00 38 32 39 39 39 39 39 39 39 39 39 39 39 39 39 39
 *                                                   00 63 31
 *                  (9999999999999999 - activity time in microseconds: the latest stands first)
 *
 * A conversation is there when its head is; there are no other names, and no numbers. */
#include "store/lmdb/layout.h"

static struct key head_key(const struct place *place)
{
    return key_conversation(place->user, place->conversation);
}

static struct key message_key(const struct place *place, uint64_t seq)
{
    return key_message(place->user, place->conversation, seq);
}

static void add_seq(struct key *key, uint64_t seq)
{
    key_add_digits(key, seq, KEY_SEQ_DIGITS);
}

static struct key id_key(const struct place *place, struct span id)
{
    return key_id(place->user, place->conversation, id);
}

static struct key recency_prefix(const struct place *place)
{
    return key_user_prefix(place->user);
}

static struct key recency_key(const struct place *place, int64_t activity_time_us)
{
    struct key key = recency_prefix(place);
    struct key position = key_position(activity_time_us, place->conversation);
    key_add(&key, key_span(&position));
    return key;
}

static struct key conversation_prefix(const struct place *place, enum kind kind)
{
    struct key key = head_key(place);
    assert(kind == KIND_MESSAGE || kind == KIND_MESSAGE_ID || kind == KIND_REQUEST);
    key_add_byte(&key, 0);
    return key;
}

static struct span rest_of(struct span key, struct span prefix)
{
    return span_of(key.data + prefix.size, key.size - prefix.size);
}

static int parse_message(struct span key, struct span prefix, uint64_t *ret_seq)
{
    return span_starts_with(key, prefix) ? key_parse_seq(rest_of(key, prefix), ret_seq) : -1;
}

static int parse_recency(struct span key, struct span prefix, int64_t *ret_activity_us, struct span *ret_conversation)
{
    return span_starts_with(key, prefix) ? key_parse_position(rest_of(key, prefix), ret_activity_us, ret_conversation)
                                         : -1;
}

static enum get_result find(struct txn *txn, struct place *place)
{
    struct key key = place->conversation.size > 0 ? head_key(place) : key_user_prefix(place->user);
    struct span value;
    if (place->conversation.size > 0) {
        return txn_get(txn, TABLE_CONVERSATIONS, key_span(&key), &value) ? GET_FOUND : GET_MISSING;
    }
    struct cursor cursor = cursor_open(txn, TABLE_CONVERSATIONS);
    bool found = cursor_seek(&cursor, key_span(&key)) && span_starts_with(cursor.key, key_span(&key));
    cursor_close(&cursor);
    return found ? GET_FOUND : GET_MISSING;
}

static enum get_result find_near(struct cursor *cursor, struct place *place)
{
    struct key key = head_key(place);
    return cursor_find(cursor, key_span(&key)) ? GET_FOUND : GET_MISSING;
}

static void create(struct work *work, struct place *place)
{
    (void)work;
    (void)place;
}

static void remove_names(struct work *work, const struct place *place)
{
    (void)work;
    (void)place;
}

/* Behind the names: IDs hold no control characters, so 0x01 after one stands between its keys (NUL) and the next's. */
static struct key key_behind(struct span user, struct span conversation)
{
    struct key key = key_empty();
    if (user.size > 0) {
        key = conversation.size > 0 ? key_conversation(user, conversation) : key_user_prefix(user);
        key_add_byte(&key, conversation.size > 0 ? 1 : 0);
    }
    return key;
}

static bool next_conversation(struct txn *txn, const struct place *after, struct place *ret, struct buffer *memory)
{
    struct key start = key_behind(after->user, after->conversation);
    struct cursor cursor = cursor_open(txn, TABLE_CONVERSATIONS);
    bool found = start.size > 0 ? cursor_seek(&cursor, key_span(&start)) : cursor_first(&cursor);
    buffer_clear(memory);
    if (found) {
        buffer_append(memory, cursor.key.data, cursor.key.size);
    }
    cursor_close(&cursor);
    if (!found) {
        return false;
    }
    if (memory->failed) {
        txn_fail_memory(txn);
        return false;
    }
    *ret = (struct place){.layout = &layout_1};
    if (key_parse_conversation(buffer_span(memory), &ret->user, &ret->conversation)) {
        *ret =
            (struct place){.layout = &layout_1, .damaged = buffer_span(memory), .damaged_table = TABLE_CONVERSATIONS};
    }
    return true;
}

static bool next_user(struct txn *txn, struct span after, struct key *ret_user)
{
    struct key start = key_empty();
    if (after.size > 0) {
        start = key_forgotten_user(after);
        key_add_byte(&start, 1);
    }
    struct cursor cursor = cursor_open(txn, TABLE_CONVERSATIONS);
    bool found = start.size > 0 ? cursor_seek(&cursor, key_span(&start)) : cursor_first(&cursor);
    struct span user, conversation;
    while (found && key_parse_conversation(cursor.key, &user, &conversation)) {
        found = cursor_next(&cursor);
    }
    if (found) {
        *ret_user = key_forgotten_user(user);
    }
    cursor_close(&cursor);
    return found;
}

static const enum table own_tables[] = {TABLE_CONVERSATIONS, TABLE_MESSAGES, TABLE_MESSAGE_IDS, TABLE_RECENCY,
                                        TABLE_REQUESTS};

const struct layout layout_1 = {
    .number = 1,
    .tables = {[KIND_HEAD] = TABLE_CONVERSATIONS,
               [KIND_MESSAGE] = TABLE_MESSAGES,
               [KIND_MESSAGE_ID] = TABLE_MESSAGE_IDS,
               [KIND_REQUEST] = TABLE_REQUESTS,
               [KIND_RECENCY] = TABLE_RECENCY},
    .own_tables = own_tables,
    .own_table_count = sizeof(own_tables) / sizeof(own_tables[0]),
    .head_key = head_key,
    .message_key = message_key,
    .message_id_key = id_key,
    .request_key = id_key,
    .recency_key = recency_key,
    .conversation_prefix = conversation_prefix,
    .add_seq = add_seq,
    .recency_prefix = recency_prefix,
    .user_prefix = recency_prefix,
    .parse_message = parse_message,
    .parse_recency = parse_recency,
    .find = find,
    .find_near = find_near,
    .create = create,
    .remove = remove_names,
    .remove_user = remove_names,
    .next_conversation = next_conversation,
    .next_user = next_user,
};
