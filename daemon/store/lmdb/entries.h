/* The values of layout 1 that are not conversations or messages: index entries, remembered answers, counters.
 * Protobuf wire format, so that a field can be added. Each entry_get_* returns 0, or -1 when the bytes are damaged. */
#ifndef STORE_LMDB_ENTRIES_H
#define STORE_LMDB_ENTRIES_H

#include "store/record.h"

/* Of a recency entry: what a list filters by, without reading the conversation. */
struct recency_entry {
    bool archived;
    bool deleted;
    int64_t gone_time_us; /* record_gone_time */
};

void entry_put_recency(struct buffer *out, const struct recency_entry *entry);
int entry_get_recency(struct span bytes, struct recency_entry *ret);

/* Of a purge: what was removed so far. */
struct purge_entry {
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    uint64_t digest_high;
    uint64_t digest_low;
    uint64_t begun; /* 1: so that the value is never empty */
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

#endif
