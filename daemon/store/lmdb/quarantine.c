/* Keys: user NUL conversation NUL kind (one byte) rest; of strays: user (or nothing) NUL 0x01 table (one byte) key.
 * IDs hold no control characters, so the two never meet. */
#include "store/lmdb/quarantine.h"

#include "base/wire.h"

#include <xxhash.h>

enum { FIELD_LAYOUT = 1, FIELD_TABLE, FIELD_TIME, FIELD_KEY, FIELD_VALUE, FIELD_REASON };
enum { STRAY_MARK = 1 };

/* What is longer than a key can be is there by its hash. */
static void key_add_bounded(struct key *key, struct span rest)
{
    if (rest.size <= sizeof(key->bytes) - key->size) {
        key_add(key, rest);
        return;
    }
    uint64_t hash = XXH3_64bits(rest.data, rest.size);
    key->size = key->size < sizeof(key->bytes) - sizeof(hash) ? key->size : sizeof(key->bytes) - sizeof(hash);
    key_add(key, span_of(&hash, sizeof(hash)));
}

static void entry_put(struct work *work, const struct key *key, const struct quarantined *found)
{
    struct buffer out = {0}; /* not scratch: what was found may stand there */
    wire_put_uint(&out, FIELD_LAYOUT, found->layout);
    wire_put_uint(&out, FIELD_TABLE, found->table);
    wire_put_uint(&out, FIELD_TIME, (uint64_t)work->now_us);
    wire_put_element(&out, FIELD_KEY, found->key);
    wire_put_element(&out, FIELD_VALUE, found->value);
    wire_put_element(&out, FIELD_REASON, span_of_string(found->reason));
    if (out.failed) {
        txn_fail_memory(&work->txn);
    } else {
        txn_put(&work->txn, TABLE_QUARANTINE, key_span(key), buffer_span(&out));
    }
    buffer_free(&out);
}

struct key quarantine_prefix(struct span user, struct span conversation)
{
    struct key key = key_conversation(user, conversation);
    key_add_byte(&key, 0);
    return key;
}

void quarantine_put(struct work *work, struct span user, struct span conversation, enum kind kind, struct span rest,
                    const struct quarantined *found)
{
    struct key key = quarantine_prefix(user, conversation);
    key_add_byte(&key, (uint8_t)('0' + (int)kind));
    key_add_bounded(&key, rest);
    entry_put(work, &key, found);
}

void quarantine_put_stray(struct work *work, const struct quarantined *found)
{
    const uint8_t *end = memchr(found->key.data, 0, found->key.size);
    quarantine_put_of_user(work, span_of(found->key.data, end ? (size_t)(end - found->key.data) : 0), found);
}

void quarantine_put_of_user(struct work *work, struct span user, const struct quarantined *found)
{
    struct key key = {0};
    if (key_is_id(user)) {
        key_add(&key, user);
    }
    const uint8_t mark[] = {0, STRAY_MARK, (uint8_t)found->table};
    key_add(&key, span_of(mark, sizeof(mark)));
    key_add_bounded(&key, found->key);
    entry_put(work, &key, found);
}
