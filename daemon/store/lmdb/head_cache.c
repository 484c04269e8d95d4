#include "store/lmdb/head_cache.h"

#include "base/reserve.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <assert.h>
#include <stdlib.h>

enum { SETS = 16384, WAYS = 8, FILTER_BITS_A_TAG = 3, LINE_BYTES = 64 };

/* Conversations whose names' hash leads here: one of them may be in any of its ways. */
struct set {
    uint32_t tags[WAYS]; /* of the hash; 0: the way is free */
    uint8_t met;         /* a bit for each way: was found again since the hand passed */
    uint8_t hand;        /* the way that is looked at first when one must go */
};

enum { SETS_BYTES = SETS * sizeof(struct set), HEADS_BYTES = SETS * WAYS * sizeof(struct cached_head) };

struct head_cache {
    struct set *sets;
    struct cached_head *heads; /* WAYS of each set */
    bool is_used;
};

/* Where a conversation is or would be. */
struct position {
    struct set *set;
    struct cached_head *heads; /* the set's */
    uint32_t tag;
};

struct head_cache *head_cache_new(void)
{
    struct head_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return NULL;
    }
    cache->sets = reserve_new(SETS_BYTES);
    cache->heads = reserve_new(HEADS_BYTES);
    return cache->sets && cache->heads ? cache : head_cache_free(cache);
}

struct head_cache *head_cache_free(struct head_cache *cache)
{
    if (cache) {
        reserve_free(cache->sets, SETS_BYTES);
        reserve_free(cache->heads, HEADS_BYTES);
        free(cache);
    }
    return NULL;
}

static struct position position_of(const struct head_cache *cache, struct span user, struct span conversation)
{
    uint64_t hash = XXH3_64bits_withSeed(conversation.data, conversation.size, XXH3_64bits(user.data, user.size));
    size_t set = hash % SETS;
    uint32_t tag = (uint32_t)(hash >> 32);
    return (struct position){.set = &cache->sets[set], .heads = &cache->heads[set * WAYS], .tag = tag > 0 ? tag : 1};
}

static bool head_is_of(const struct cached_head *head, struct span user, struct span conversation)
{
    return span_equal(span_of(head->names, head->user_size), user) &&
           span_equal(span_of(head->names + head->user_size, head->conversation_size), conversation);
}

/* The way it is in; WAYS: in none. */
static unsigned way_find(const struct position *position, struct span user, struct span conversation)
{
    unsigned way = 0;
    while (way < WAYS &&
           (position->set->tags[way] != position->tag || !head_is_of(&position->heads[way], user, conversation))) {
        way++;
    }
    return way;
}

struct cached_head *head_cache_find(struct head_cache *cache, struct span user, struct span conversation)
{
    if (!cache) {
        return NULL;
    }
    struct position position = position_of(cache, user, conversation);
    unsigned way = way_find(&position, user, conversation);
    if (way == WAYS) {
        return NULL;
    }
    position.set->met |= (uint8_t)(1U << way);
    return &position.heads[way];
}

void head_cache_prefetch_place(const struct head_cache *cache, struct span user, struct span conversation)
{
    if (cache) {
        __builtin_prefetch(position_of(cache, user, conversation).set);
    }
}

const struct cached_head *head_cache_prefetch(const struct head_cache *cache, struct span user,
                                              struct span conversation)
{
    if (!cache) {
        return NULL;
    }
    struct position position = position_of(cache, user, conversation);
    unsigned way = 0;
    while (way < WAYS && position.set->tags[way] != position.tag) {
        way++;
    }
    const struct cached_head *head = way < WAYS ? &position.heads[way] : NULL;
    for (size_t at = 0; head && at < sizeof(*head); at += LINE_BYTES) {
        __builtin_prefetch((const uint8_t *)head + at);
    }
    return head;
}

/* A free way, or that of one that was not found again for longest. */
static unsigned way_take(struct set *set)
{
    for (unsigned way = 0; way < WAYS; way++) {
        if (set->tags[way] == 0) {
            return way;
        }
    }
    while (set->met & 1U << set->hand) {
        set->met &= (uint8_t) ~(1U << set->hand);
        set->hand = (uint8_t)((set->hand + 1) % WAYS);
    }
    unsigned way = set->hand;
    set->hand = (uint8_t)((set->hand + 1) % WAYS);
    return way;
}

struct cached_head *head_cache_put(struct head_cache *cache, struct span user, struct span conversation)
{
    if (!cache || user.size + conversation.size > HEAD_CACHE_NAMES_BYTES) {
        return NULL;
    }
    assert(user.size > 0 && conversation.size > 0);
    struct position position = position_of(cache, user, conversation);
    unsigned way = way_find(&position, user, conversation);
    way = way < WAYS ? way : way_take(position.set);
    struct cached_head *head = &position.heads[way];
    *head = (struct cached_head){.user_size = (uint8_t)user.size, .conversation_size = (uint8_t)conversation.size};
    memcpy(head->names, user.data, user.size);
    memcpy(head->names + user.size, conversation.data, conversation.size);
    position.set->tags[way] = position.tag;
    cache->is_used = true;
    return head;
}

void head_cache_drop(struct head_cache *cache, struct span user, struct span conversation)
{
    if (!cache) {
        return;
    }
    struct position position = position_of(cache, user, conversation);
    unsigned way = way_find(&position, user, conversation);
    if (way < WAYS) {
        position.set->tags[way] = 0;
    }
}

void head_cache_clear(struct head_cache *cache)
{
    if (cache && cache->is_used) {
        memset(cache->sets, 0, SETS_BYTES);
        cache->is_used = false;
    }
}

/* The tag's bits in the filter, one after the other. */
static unsigned filter_bit(uint32_t tag, unsigned index)
{
    uint64_t spread = tag * UINT64_C(0x9e3779b97f4a7c15) >> 16;
    return (unsigned)((spread >> 16 * index & 0xffff) * HEAD_CACHE_FILTER_BITS >> 16);
}

void head_cache_add_request(struct cached_head *head, uint32_t tag)
{
    for (unsigned i = 0; i < FILTER_BITS_A_TAG; i++) {
        unsigned bit = filter_bit(tag, i);
        head->requests[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

bool head_cache_may_have_request(const struct cached_head *head, uint32_t tag)
{
    bool may = true;
    for (unsigned i = 0; i < FILTER_BITS_A_TAG; i++) {
        unsigned bit = filter_bit(tag, i);
        may = may && head->requests[bit / 64] >> bit % 64 & 1;
    }
    return may;
}

void head_cache_fill_requests(struct cached_head *head)
{
    memset(head->requests, 0xff, sizeof(head->requests));
}
