/* The values that are not conversations or messages: index entries, remembered answers, counters, a migration's state.
 * Protobuf wire format, so that a field can be added. Each entry_get_* returns 0, or -1 when the bytes are damaged. */
#ifndef STORE_LMDB_ENTRIES_H
#define STORE_LMDB_ENTRIES_H

#include "store/lmdb/keys.h"
#include "store/record.h"

/* Of a recency entry: what a list filters by, without reading the conversation. */
struct recency_entry {
    bool archived;
    bool deleted;
    int64_t gone_time_us; /* record_gone_time */
};

void entry_put_recency(struct buffer *out, const struct recency_entry *entry);
int entry_get_recency(struct span bytes, struct recency_entry *ret);

/* Of a purge: what was removed so far, and where the rest is: the names in the layout are gone by then. Layout 0: none;
 * an entry without any is one that was written when there was only layout 1. */
struct purge_place {
    uint32_t layout;
    uint64_t user_number;
    uint64_t conversation_number;
};

struct purge_entry {
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    uint64_t digest_high;
    uint64_t digest_low;
    uint64_t begun; /* 1: so that the value is never empty */
    struct purge_place places[2];
    uint64_t journal_position; /* how far the journal was searched for the user's entries */
};

void entry_put_purge(struct buffer *out, const struct purge_entry *entry);
int entry_get_purge(struct span bytes, struct purge_entry *ret);

/* Of _meta/stats: what the store holds. */
struct stats_entry {
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
};

void entry_put_stats(struct buffer *out, const struct stats_entry *entry);
int entry_get_stats(struct span bytes, struct stats_entry *ret);

/* Of a request: the fingerprint of the request (16 bytes) and then its answer. */
void entry_put_request(struct buffer *out, const struct store_op *op, const struct store_result *result);

/* The fingerprint alone. */
int entry_get_request_hash(struct span bytes, uint64_t ret_hash[2]);

/* Fills *result with the answer, its records behind record_field. The caller checks result->records.failed. */
int entry_get_request(struct span bytes, uint32_t record_field, struct store_result *result);

/* Of _meta/migration while one is under way; what each means is in migrate.h. */
#define ENTRY_MIGRATION_KEY "migration"

struct migration_entry {
    uint32_t from;
    uint32_t to;
    uint32_t state; /* enum migration_state */
    uint32_t attempts;
    bool split; /* one conversation is partly moved: see struct layouts in place.h */
    struct key split_user;
    struct key split_conversation;
    uint64_t split_seq;
    uint64_t split_user_number;
    uint64_t split_conversation_number;
    uint64_t messages_total;
    uint64_t messages_moved;
    uint64_t conversations_total;
    uint64_t conversations_moved;
    uint64_t quarantined;
    uint64_t source_digest[2]; /* high, low */
    uint64_t target_digest[2];
    uint64_t source_records; /* of every kind: read, and read back in the target */
    uint64_t target_records;
    int64_t started_us;  /* wall clock */
    int64_t finished_us; /* 0 while it is under way */
    char last_error[128];
};

/* The value ends in an XXH3-64 of what stands before it. */
void entry_put_migration(struct buffer *out, const struct migration_entry *entry);
int entry_get_migration(struct span bytes, struct migration_entry *ret);

/* Of _meta/numbers: the numbers given out last to users and conversations. Sealed like a migration's: a number must
 * never be given out twice. */
#define ENTRY_NUMBERS_KEY "numbers"

struct numbers_entry {
    uint64_t user;
    uint64_t conversation;
};

void entry_put_numbers(struct buffer *out, const struct numbers_entry *entry);
int entry_get_numbers(struct span bytes, struct numbers_entry *ret);

#endif
