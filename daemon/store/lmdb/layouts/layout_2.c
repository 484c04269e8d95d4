/* Layout 2: users and conversations have numbers, given out once and never again; keys are binary and begin with the
 * owner, so that all of a user is one range, and a conversation's head stands right behind its newest message. Every
 * value ends in a CRC32C over key and value (little-endian). Numbers in keys are big-endian, so that they sort.
 *
 *   2.users  user -> its number (8 bytes)
 *            ann                      61 6e 6e
 *
 *   2.data   user number, part, and then by part:
 *     1 a conversation's name -> its number (8 bytes); for user 7 and c1:
 *                                     00 00 00 00 00 00 00 07  01  63 31
 *     2 recency: 9999999999999999 - activity time in microseconds (the latest stands first), conversation
 *                                     00 00 00 00 00 00 00 07  02  00 1d 7c ce 57 a2 bf ff  63 31
 *     3 content: conversation number, kind, and then by kind; for conversation 9:
 *       1 message_id -> seq (m-9)     00 00 00 00 00 00 00 07  03  00 00 00 00 00 00 00 09  01  6d 2d 39
 *       2 remembered request (r-1)    00 00 00 00 00 00 00 07  03  00 00 00 00 00 00 00 09  02  72 2d 31
 *       3 message (seq 258)           00 00 00 00 00 00 00 07  03  00 00 00 00 00 00 00 09  03  00 00 00 00 00 00 01 02
 *       4 the head                    00 00 00 00 00 00 00 07  03  00 00 00 00 00 00 00 09  04
 *
 * A user has a name as long as he has a conversation with a name, a conversation as long as it has a head. */
#include "store/lmdb/layouts/layout_2.h"

#include "store/lmdb/heads.h"

#include "base/crc32c.h"

enum { PART_NAME = 1, PART_RECENCY = 2, PART_CONTENT = 3, NUMBER_BYTES = 8 };

static const uint8_t content_kinds[KIND_COUNT] = {
    [KIND_MESSAGE_ID] = 1, [KIND_REQUEST] = 2, [KIND_MESSAGE] = 3, [KIND_HEAD] = 4};

struct key layout_2_user_prefix(const struct place *place)
{
    struct key key = key_empty();
    key_add_number(&key, place->user_number);
    return key;
}

static struct key part_prefix(uint64_t user_number, uint8_t part)
{
    struct key key = key_empty();
    key_add_number(&key, user_number);
    key_add_byte(&key, part);
    return key;
}

struct key layout_2_conversation_prefix(const struct place *place, enum kind kind)
{
    struct key key = part_prefix(place->user_number, PART_CONTENT);
    assert(content_kinds[kind] > 0);
    key_add_number(&key, place->conversation_number);
    key_add_byte(&key, content_kinds[kind]);
    return key;
}

struct key layout_2_head_key(const struct place *place)
{
    return layout_2_conversation_prefix(place, KIND_HEAD);
}

struct key layout_2_message_key(const struct place *place, uint64_t seq)
{
    struct key key = layout_2_conversation_prefix(place, KIND_MESSAGE);
    key_add_number(&key, seq);
    return key;
}

struct key layout_2_message_id_key(const struct place *place, struct span message_id)
{
    struct key key = layout_2_conversation_prefix(place, KIND_MESSAGE_ID);
    key_add_id(&key, message_id);
    return key;
}

struct key layout_2_request_key(const struct place *place, struct span request_id)
{
    struct key key = layout_2_conversation_prefix(place, KIND_REQUEST);
    key_add_id(&key, request_id);
    return key;
}

struct key layout_2_recency_prefix(const struct place *place)
{
    return part_prefix(place->user_number, PART_RECENCY);
}

struct key layout_2_recency_key(const struct place *place, int64_t activity_time_us)
{
    struct key key = layout_2_recency_prefix(place);
    key_add_number(&key, key_invert_time(activity_time_us));
    key_add_id(&key, place->conversation);
    return key;
}

static struct key name_key(uint64_t user_number, struct span conversation)
{
    struct key key = part_prefix(user_number, PART_NAME);
    key_add(&key, conversation);
    return key;
}

int layout_2_parse_message(struct span key, struct span prefix, uint64_t *ret_seq)
{
    if (!span_starts_with(key, prefix) || key.size != prefix.size + NUMBER_BYTES) {
        return -1;
    }
    uint64_t seq = key_get_number(key.data + prefix.size);
    if (seq == 0 || seq > KEY_SEQ_MAX) {
        return -1;
    }
    *ret_seq = seq;
    return 0;
}

int layout_2_parse_recency(struct span key, struct span prefix, int64_t *ret_activity_us, struct span *ret_conversation)
{
    if (!span_starts_with(key, prefix) || key.size < prefix.size + NUMBER_BYTES) {
        return -1;
    }
    uint64_t time = key_get_number(key.data + prefix.size);
    struct span name = span_of(key.data + prefix.size + NUMBER_BYTES, key.size - prefix.size - NUMBER_BYTES);
    if (time > (uint64_t)KEY_TIME_MAX || !key_is_id(name)) {
        return -1;
    }
    *ret_activity_us = KEY_TIME_MAX - (int64_t)time;
    *ret_conversation = name;
    return 0;
}

/* A number as the value of a name: 0 is none. */
static int number_open(struct span key, struct span value, uint64_t *ret_number)
{
    if (layout_open(&layout_2, key, &value) || value.size != NUMBER_BYTES || key_get_number(value.data) == 0) {
        return -1;
    }
    *ret_number = key_get_number(value.data);
    return 0;
}

static enum get_result number_get(struct txn *txn, enum table table, struct span key, uint64_t *ret_number)
{
    struct span value;
    if (!txn_get(txn, table, key, &value)) {
        return GET_MISSING;
    }
    return number_open(key, value, ret_number) ? GET_DAMAGED : GET_FOUND;
}

static void number_put(struct txn *txn, enum table table, struct span key, uint64_t number)
{
    struct key value = key_empty();
    key_add_number(&value, number);
    uint32_t sum = crc32c_add(crc32c_add(0, key), key_span(&value));
    for (unsigned i = 0; i < LAYOUT_SEAL_BYTES; i++) {
        key_add_byte(&value, (uint8_t)(sum >> 8 * i));
    }
    txn_put(txn, table, key, key_span(&value));
}

enum get_result layout_2_find(struct txn *txn, struct place *place)
{
    enum get_result found = GET_FOUND;
    if (place->user_number == 0) {
        found = number_get(txn, TABLE_2_USERS, place->user, &place->user_number);
    }
    if (found != GET_FOUND || place->conversation.size == 0) {
        return found;
    }
    struct key name = name_key(place->user_number, place->conversation);
    return number_get(txn, TABLE_2_DATA, key_span(&name), &place->conversation_number);
}

enum get_result layout_2_find_near(struct cursor *cursor, struct place *place)
{
    struct key name = name_key(place->user_number, place->conversation);
    if (!cursor_find(cursor, key_span(&name))) {
        return GET_MISSING;
    }
    return number_open(cursor->key, cursor->value, &place->conversation_number) ? GET_DAMAGED : GET_FOUND;
}

void layout_2_create(struct work *work, struct place *place)
{
    enum get_result user = number_get(&work->txn, TABLE_2_USERS, place->user, &place->user_number);
    if (user == GET_DAMAGED) {
        txn_fail_damaged(&work->txn);
        return;
    }
    if (user == GET_MISSING) {
        place->user_number = ++work->numbers.user;
        number_put(&work->txn, TABLE_2_USERS, place->user, place->user_number);
    }
    place->conversation_number = ++work->numbers.conversation;
    struct key name = name_key(place->user_number, place->conversation);
    number_put(&work->txn, TABLE_2_DATA, key_span(&name), place->conversation_number);
}

void layout_2_remove_user(struct work *work, const struct place *place)
{
    txn_delete(&work->txn, TABLE_2_USERS, place->user);
}

void layout_2_remove_names(struct work *work, const struct place *place)
{
    struct key name = name_key(place->user_number, place->conversation);
    struct key names = part_prefix(place->user_number, PART_NAME);
    txn_delete(&work->txn, TABLE_2_DATA, key_span(&name));
    struct cursor cursor = cursor_open(&work->txn, TABLE_2_DATA);
    bool more = cursor_seek(&cursor, key_span(&names)) && span_starts_with(cursor.key, key_span(&names));
    cursor_close(&cursor);
    if (!more && !head_user_is_forgotten(&work->txn, place->user)) {
        layout_2_remove_user(work, place);
    }
}

static void damage_tell(enum table table, struct span key, struct place *ret, struct buffer *memory)
{
    buffer_clear(memory);
    buffer_append(memory, key.data, key.size);
    *ret = (struct place){.layout = ret->layout, .damaged = buffer_span(memory), .damaged_table = table};
}

/* The first conversation of the user, of `ret`, above this name. */
static bool next_of_user(struct txn *txn, struct span after, struct place *ret, struct buffer *memory)
{
    size_t user_size = ret->user.size;
    struct key prefix = part_prefix(ret->user_number, PART_NAME);
    struct key start = name_key(ret->user_number, after);
    struct cursor cursor = cursor_open(txn, TABLE_2_DATA);
    bool found = cursor_seek(&cursor, key_span(&start));
    if (found && after.size > 0 && span_equal(cursor.key, key_span(&start))) {
        found = cursor_next(&cursor);
    }
    found = found && span_starts_with(cursor.key, key_span(&prefix));
    struct span name = found ? span_of(cursor.key.data + prefix.size, cursor.key.size - prefix.size) : after;
    if (found && (number_open(cursor.key, cursor.value, &ret->conversation_number) || !key_is_id(name))) {
        damage_tell(TABLE_2_DATA, cursor.key, ret, memory);
    } else if (found) {
        buffer_append(memory, name.data, name.size);
        ret->user = span_of(memory->data, user_size);
        ret->conversation = span_of(memory->data + user_size, name.size);
    }
    cursor_close(&cursor);
    return found;
}

bool layout_2_next_conversation(struct txn *txn, const struct place *after, struct place *ret, struct buffer *memory)
{
    struct cursor users = cursor_open(txn, TABLE_2_USERS);
    bool more = after->user.size > 0 ? cursor_seek(&users, after->user) : cursor_first(&users);
    bool found = false;
    while (more && !found) {
        bool same_user = span_equal(users.key, after->user);
        buffer_clear(memory);
        buffer_append(memory, users.key.data, users.key.size);
        *ret = (struct place){.layout = after->layout, .user = buffer_span(memory)};
        if (number_open(users.key, users.value, &ret->user_number) || !key_is_id(users.key)) {
            damage_tell(TABLE_2_USERS, users.key, ret, memory);
            found = true;
        } else {
            found = next_of_user(txn, same_user ? after->conversation : span_of(NULL, 0), ret, memory);
        }
        if (memory->failed) {
            txn_fail_memory(txn);
        }
        more = !txn->rc && cursor_next(&users);
    }
    cursor_close(&users);
    return found && !txn->rc;
}

bool layout_2_next_user(struct txn *txn, struct span after, struct key *ret_user)
{
    uint64_t number;
    struct cursor cursor = cursor_open(txn, TABLE_2_USERS);
    bool found = after.size > 0 ? cursor_seek(&cursor, after) : cursor_first(&cursor);
    if (found && after.size > 0 && span_equal(cursor.key, after)) {
        found = cursor_next(&cursor);
    }
    while (found && (number_open(cursor.key, cursor.value, &number) || !key_is_id(cursor.key))) {
        found = cursor_next(&cursor);
    }
    if (found) {
        *ret_user = cursor_copy_key(&cursor);
    }
    cursor_close(&cursor);
    return found;
}

/* The numbers in a key of content. False: it is none. */
static bool content_parse(struct span key, struct place *ret)
{
    if (key.size <= 2 * NUMBER_BYTES + 1 || key.data[NUMBER_BYTES] != PART_CONTENT) {
        return false;
    }
    ret->user_number = key_get_number(key.data);
    ret->conversation_number = key_get_number(key.data + NUMBER_BYTES + 1);
    return true;
}

bool layout_2_next_content(struct txn *txn, struct place *place)
{
    struct key start = key_end_of(layout_2_head_key(place));
    struct cursor cursor = cursor_open(txn, TABLE_2_DATA);
    bool found = cursor_seek(&cursor, key_span(&start));
    while (found && !content_parse(cursor.key, place)) {
        if (cursor.key.size > NUMBER_BYTES && cursor.key.data[NUMBER_BYTES] < PART_CONTENT) {
            start = part_prefix(key_get_number(cursor.key.data), PART_CONTENT);
            found = cursor_seek(&cursor, key_span(&start));
        } else {
            found = cursor_next(&cursor);
        }
    }
    cursor_close(&cursor);
    return found;
}

static const enum table own_tables[] = {TABLE_2_USERS, TABLE_2_DATA};

const struct layout layout_2 = {
    LAYOUT_2_KEYS,
    .number = 2,
    .own_tables = own_tables,
    .own_table_count = sizeof(own_tables) / sizeof(own_tables[0]),
};
