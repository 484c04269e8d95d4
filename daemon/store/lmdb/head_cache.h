/* What the writer knows of the conversations it appended to lately, so that appending to them again costs no search in
 * the data file. The writer's thread alone. Knows no transaction: whoever changes a conversation otherwise, or takes a
 * change back, drops what is known here.
 *
 * Memory: 24.6 MiB, for 131,072 conversations; what is not touched costs nothing. */
#ifndef STORE_LMDB_HEAD_CACHE_H
#define STORE_LMDB_HEAD_CACHE_H

#include "base/span.h"

enum {
    HEAD_CACHE_BYTES = 192,      /* a conversation */
    HEAD_CACHE_NAMES_BYTES = 77, /* of user and conversation together; longer ones are not kept */
    HEAD_CACHE_FILTER_BITS = 384,
    HEAD_CACHE_REQUESTS_MAX = 128, /* beyond which the filter says too little to be worth reading them */
};

struct head_cache;

/* A live conversation that is not deleted and never expires. */
struct cached_head {
    uint64_t user_number;
    uint64_t conversation_number;
    /* Of its record, with what waits in the journal. */
    uint64_t revision;
    uint64_t message_count;
    uint64_t last_seq;
    uint64_t content_bytes;
    int64_t update_time_us;
    int64_t activity_time_us;
    uint64_t requests[HEAD_CACHE_FILTER_BITS / 64]; /* tags of its request_ids: a Bloom filter */
    bool requests_known;                            /* all of them are in it */
    uint8_t user_size;                              /* the rest is head_cache.c's */
    uint8_t conversation_size;
    uint8_t names[HEAD_CACHE_NAMES_BYTES];
};

_Static_assert(sizeof(struct cached_head) == HEAD_CACHE_BYTES, "as many bytes as the memory bound says");

/* NULL when memory is short. All other functions take NULL for a cache that keeps nothing. */
struct head_cache *head_cache_new(void);
struct head_cache *head_cache_free(struct head_cache *cache);

/* What is known of it, to be read and changed until the next call; NULL: nothing. */
struct cached_head *head_cache_find(struct head_cache *cache, struct span user, struct span conversation);

/* Have the processor fetch what head_cache_find will look at: where it would be, and, called for it a little later,
 * what is kept there; that is returned, and may be another's. Change nothing. */
void head_cache_prefetch_place(const struct head_cache *cache, struct span user, struct span conversation);
const struct cached_head *head_cache_prefetch(const struct head_cache *cache, struct span user,
                                              struct span conversation);

/* Makes a place for it, perhaps another's, all zero but the names; NULL: the names are too long. */
struct cached_head *head_cache_put(struct head_cache *cache, struct span user, struct span conversation);

void head_cache_drop(struct head_cache *cache, struct span user, struct span conversation);
void head_cache_clear(struct head_cache *cache);

/* By the tag of a request_id (pending_tag). False: no request with it was added. */
void head_cache_add_request(struct cached_head *head, uint32_t tag);
bool head_cache_may_have_request(const struct cached_head *head, uint32_t tag);

/* From here on it may have every request. */
void head_cache_fill_requests(struct cached_head *head);

#endif
