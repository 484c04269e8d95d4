/* Keys: what one is, and those that are the same in every layout. The keys of a conversation's records are in
 * layouts/. Text, parts separated by NUL: IDs hold no NUL and no control characters, so no key of one user or
 * conversation is a prefix of another's. Shown here for user "ann", conversation "c1":
 *
 *   deadlines   1700000000000000 NUL ann NUL c1  31 37 30 30 ... 30 30 00 61 6e 6e 00 63 31
 *   purges      ann                              61 6e 6e            (a user being forgotten)
 *               ann NUL c1                       61 6e 6e 00 63 31   (the rest of a purged conversation)
 *   _meta       layout                           6c 61 79 6f 75 74
 *               migration                        6d 69 67 72 61 74 69 6f 6e
 *               numbers                          6e 75 6d 62 65 72 73
 *               stats                            73 74 61 74 73
 *
 * The text names of records, which are layout 1's keys too, also name them where no layout may matter: in digests and
 * in error messages. */
#ifndef STORE_LMDB_KEYS_H
#define STORE_LMDB_KEYS_H

#include "base/limits.h"
#include "base/span.h"

#include <assert.h>
#include <endian.h>

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

/* An empty key, its bytes not set. */
static inline struct key key_empty(void)
{
    struct key key;
    key.size = 0;
    return key;
}

/* Building a key part by part. An ID is checked by assert, a number is put in fixed width: as decimal digits, or
 * big-endian, so that keys sort as the numbers do. */
static inline void key_add(struct key *key, struct span part)
{
    assert(part.size <= sizeof(key->bytes) - key->size);
    if (part.size > 0) {
        memcpy(key->bytes + key->size, part.data, part.size);
        key->size += part.size;
    }
}

static inline void key_add_byte(struct key *key, uint8_t byte)
{
    key_add(key, span_of(&byte, 1));
}

static inline void key_add_number(struct key *key, uint64_t value)
{
    value = htobe64(value);
    key_add(key, span_of(&value, sizeof(value)));
}

void key_add_id(struct key *key, struct span id);
void key_add_digits(struct key *key, uint64_t value, size_t digits);
uint64_t key_get_number(const uint8_t bytes[8]);

/* The first key above all that begin with this one; its last byte must not be 0xff. */
struct key key_end_of(struct key prefix);

/* Inverted, so that the latest stands first; times outside 0..KEY_TIME_MAX count as the nearest inside. */
uint64_t key_invert_time(int64_t time_us);

/* The text names of records: "ann NUL c1", "ann NUL c1 NUL 0000000007", "ann NUL c1 NUL m-9" (a message_id or a
 * request_id); and what those of a user begin with: "ann NUL". */
struct key key_conversation(struct span user, struct span conversation);
struct key key_message(struct span user, struct span conversation, uint64_t seq);
struct key key_id(struct span user, struct span conversation, struct span id);
struct key key_user_prefix(struct span user);

struct key key_deadline(int64_t time_us, struct span user, struct span conversation);
struct key key_forgotten_user(struct span user);

/* Parse a key found in the store. Return 0, or -1 when it is not such a key. Spans are borrowed from it. */
int key_parse_conversation(struct span key, struct span *ret_user, struct span *ret_conversation);
int key_parse_deadline(struct span key, int64_t *ret_time_us, struct span *ret_user, struct span *ret_conversation);

/* Of a purge entry: *ret_conversation is empty for a user being forgotten. */
int key_parse_purge(struct span key, struct span *ret_user, struct span *ret_conversation);

/* A position in a user's list of conversations: "8299999999999999 NUL c1", the time inverted. Any bytes are safe; -1
 * when they are none. */
struct key key_position(int64_t activity_time_us, struct span conversation);
int key_parse_position(struct span position, int64_t *ret_activity_us, struct span *ret_conversation);

/* An event of the audit trail: its time and a counter, both 8 bytes big-endian. */
enum { KEY_EVENT_BYTES = 16 };
struct key key_event(int64_t time_us, uint64_t counter);
int key_parse_event(struct span key, int64_t *ret_time_us, uint64_t *ret_counter);

/* The same among a user's: "ann NUL 00 time counter". Those that stay when he is forgotten have 01 for 00. An empty
 * event: what all of the kind begin with. */
struct key key_event_of_user(struct span user, bool stays, struct span event);

/* A position in the list of users. */
bool key_is_id(struct span bytes);

/* "ann/c1/0000000007" for an error message; cut to fit, ends in NUL. */
void key_describe(struct span key, char *text, size_t size);

/* A seq as value of a message_ids entry: its 10 digits. */
struct key key_seq_value(uint64_t seq);
int key_parse_seq(struct span digits, uint64_t *ret_seq);

#endif
