/* Every key of layout 1, built and parsed. Text, parts separated by NUL: IDs hold no NUL and no control characters,
 * so no key of one user or conversation is a prefix of another's. Shown here for user "ann", conversation "c1":
 *
 *   conversations  ann NUL c1                       61 6e 6e 00 63 31
 *   messages       ann NUL c1 NUL 0000000007        61 6e 6e 00 63 31 00 30 30 30 30 30 30 30 30 30 37
 *   message_ids    ann NUL c1 NUL m-9               61 6e 6e 00 63 31 00 6d 2d 39
 *   requests       ann NUL c1 NUL r-1               61 6e 6e 00 63 31 00 72 2d 31
 *   recency        ann NUL 8299999999999999 NUL c1  61 6e 6e 00 38 32 39 39 ... 39 39 00 63 31
 *                  (9999999999999999 - activity time in microseconds: the latest stands first)
 *   deadlines      1700000000000000 NUL ann NUL c1  31 37 30 30 ... 30 30 00 61 6e 6e 00 63 31
 *   purges         ann                              61 6e 6e            (a user being forgotten)
 *                  ann NUL c1                       61 6e 6e 00 63 31   (the rest of a purged conversation)
 *   _meta          layout, stats                    6c 61 79 6f 75 74 */
#ifndef STORE_LMDB_KEYS_H
#define STORE_LMDB_KEYS_H

#include "base/limits.h"
#include "base/span.h"

#include <assert.h>

enum {
    KEY_ID_MAX = CHATLOG_CAP_id_bytes,
    KEY_SEQ_DIGITS = 10,
    KEY_TIME_DIGITS = 16,
    KEY_BYTES_MAX = 3 * KEY_ID_MAX + 2,
    KEY_LMDB_MAX = 511, /* mdb_env_get_maxkeysize */
};
static_assert(KEY_BYTES_MAX <= KEY_LMDB_MAX, "the longest key must fit LMDB's limit");
static_assert((int)KEY_TIME_DIGITS < (int)KEY_ID_MAX, "a time takes less room than an ID");

#define KEY_SEQ_MAX  UINT64_C(9999999999)
#define KEY_TIME_MAX INT64_C(9999999999999999) /* in the year 2286; later times count as this one */

struct key {
    size_t size;
    uint8_t bytes[KEY_LMDB_MAX]; /* room for any key that is found */
};

static inline struct span key_span(const struct key *key)
{
    return span_of(key->bytes, key->size);
}

struct key key_conversation(struct span user, struct span conversation);
struct key key_message(struct span user, struct span conversation, uint64_t seq);
struct key key_message_id(struct span user, struct span conversation, struct span message_id);
struct key key_request(struct span user, struct span conversation, struct span request_id);
struct key key_recency(struct span user, int64_t activity_time_us, struct span conversation);
struct key key_deadline(int64_t time_us, struct span user, struct span conversation);
struct key key_forgotten_user(struct span user);

/* What every key of the user (with NUL), or of the conversation's messages, message_ids and requests, begins with. */
struct key key_user_prefix(struct span user);
struct key key_conversation_prefix(struct span user, struct span conversation);

/* Above every key of that user or conversation, below every other that is above them. */
struct key key_user_end(struct span user);
struct key key_conversation_end(struct span user, struct span conversation);

/* Parse a key found in the store. Return 0, or -1 when it is not such a key. Spans are borrowed from it. */
int key_parse_conversation(struct span key, struct span *ret_user, struct span *ret_conversation);
int key_parse_message(struct span key, struct span prefix, uint64_t *ret_seq);
int key_parse_recency(struct span key, struct span user, int64_t *ret_activity_us, struct span *ret_conversation);
int key_parse_deadline(struct span key, int64_t *ret_time_us, struct span *ret_user, struct span *ret_conversation);

/* Of a purge entry: *ret_conversation is empty for a user being forgotten. */
int key_parse_purge(struct span key, struct span *ret_user, struct span *ret_conversation);

/* A position in a user's recency list: its key without the user. Any bytes are safe; -1 when they are none. */
int key_parse_position(struct span position, struct span user, struct key *ret_key);
struct span key_position(struct span recency_key, struct span user);

/* A position in the list of users. */
bool key_is_id(struct span bytes);

/* "ann/c1/0000000007" for an error message; cut to fit, ends in NUL. */
void key_describe(struct span key, char *text, size_t size);

/* A seq as value of a message_ids entry: its 10 digits. */
struct key key_seq_value(uint64_t seq);
int key_parse_seq(struct span digits, uint64_t *ret_seq);

#endif
