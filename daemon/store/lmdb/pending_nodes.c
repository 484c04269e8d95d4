#include "store/lmdb/pending_nodes.h"

#include "base/reserve.h"

#include <assert.h>

enum { LOOK_BUCKETS = 256 };

static size_t nodes_size(const struct pending_nodes *nodes)
{
    return ((size_t)nodes->most + 1) * sizeof(struct pending_node);
}

static size_t buckets_size(const struct pending_nodes *nodes)
{
    return ((size_t)1 << nodes->bucket_bits) * sizeof(uint32_t);
}

int nodes_init(struct pending_nodes *nodes, uint32_t most)
{
    assert(most > 0 && most < UINT32_MAX);
    *nodes = (struct pending_nodes){.bucket_bits = 1, .most = most};
    while ((size_t)2 << nodes->bucket_bits < most) {
        nodes->bucket_bits++;
    }
    nodes->nodes = reserve_new(nodes_size(nodes));
    nodes->conversations = reserve_new(buckets_size(nodes));
    nodes->users = reserve_new(buckets_size(nodes));
    return nodes->nodes && nodes->conversations && nodes->users ? 0 : -1;
}

void nodes_release(struct pending_nodes *nodes)
{
    reserve_free(nodes->nodes, nodes_size(nodes));
    reserve_free(nodes->conversations, buckets_size(nodes));
    reserve_free(nodes->users, buckets_size(nodes));
    *nodes = (struct pending_nodes){0};
}

/* Numbers are given in a row: the golden ratio spreads them evenly. */
static uint32_t *conversation_bucket(const struct pending_nodes *nodes, uint64_t number)
{
    return &nodes->conversations[number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - nodes->bucket_bits)];
}

/* Those of users fill one after the other, so that the sweep meets users in their order. */
static uint32_t user_bucket(const struct pending_nodes *nodes, uint64_t number)
{
    return (uint32_t)(number & ((UINT64_C(1) << nodes->bucket_bits) - 1));
}

uint32_t nodes_find(const struct pending_nodes *nodes, uint64_t conversation_number)
{
    uint32_t found = *conversation_bucket(nodes, conversation_number);
    while (found && nodes->nodes[found].conversation_number != conversation_number) {
        found = nodes->nodes[found].next;
    }
    return found;
}

uint32_t nodes_find_user(const struct pending_nodes *nodes, uint64_t user_number)
{
    uint32_t found = nodes->users[user_bucket(nodes, user_number)];
    while (found && nodes->nodes[found].user_number != user_number) {
        found = nodes->nodes[found].user_next;
    }
    return found;
}

void nodes_prefetch_buckets(const struct pending_nodes *nodes, uint64_t user_number, uint64_t conversation_number)
{
    __builtin_prefetch(conversation_bucket(nodes, conversation_number));
    __builtin_prefetch(&nodes->users[user_bucket(nodes, user_number)]);
}

void nodes_prefetch(const struct pending_nodes *nodes, uint64_t user_number, uint64_t conversation_number)
{
    __builtin_prefetch(&nodes->nodes[*conversation_bucket(nodes, conversation_number)]);
    __builtin_prefetch(&nodes->nodes[nodes->users[user_bucket(nodes, user_number)]]);
}

uint32_t nodes_next_of_user(const struct pending_nodes *nodes, uint32_t node)
{
    uint32_t next = nodes->nodes[node].user_next;
    return next && nodes->nodes[next].user_number == nodes->nodes[node].user_number ? next : NODE_NONE;
}

/* Links it behind the first of its user, which keeps the count, or as the first. */
static void user_link(struct pending_nodes *nodes, uint32_t added)
{
    struct pending_node *node = &nodes->nodes[added];
    uint32_t first = nodes_find_user(nodes, node->user_number);
    uint32_t *link = first ? &nodes->nodes[first].user_next : &nodes->users[user_bucket(nodes, node->user_number)];
    node->user_prev = first;
    node->user_next = *link;
    *link = added;
    if (node->user_next) {
        nodes->nodes[node->user_next].user_prev = added;
    }
}

static void user_unlink(struct pending_nodes *nodes, uint32_t dropped)
{
    const struct pending_node *node = &nodes->nodes[dropped];
    uint32_t heir = nodes_next_of_user(nodes, dropped);
    if (heir && nodes_find_user(nodes, node->user_number) == dropped) {
        nodes->nodes[heir].user_count = node->user_count;
    }
    if (node->user_next) {
        nodes->nodes[node->user_next].user_prev = node->user_prev;
    }
    uint32_t *link = node->user_prev ? &nodes->nodes[node->user_prev].user_next
                                     : &nodes->users[user_bucket(nodes, node->user_number)];
    *link = node->user_next;
}

uint32_t nodes_add(struct pending_nodes *nodes, uint64_t user_number, uint64_t conversation_number)
{
    uint32_t added = nodes->free;
    if (added) {
        nodes->free = nodes->nodes[added].next;
    } else {
        assert(nodes->used < nodes->most);
        added = ++nodes->used;
    }
    uint32_t *bucket = conversation_bucket(nodes, conversation_number);
    nodes->nodes[added] = (struct pending_node){
        .conversation_number = conversation_number,
        .user_number = user_number,
        .next = *bucket,
    };
    *bucket = added;
    user_link(nodes, added);
    return added;
}

void nodes_drop(struct pending_nodes *nodes, uint32_t dropped)
{
    struct pending_node *node = &nodes->nodes[dropped];
    assert(node->chain.count == 0);
    uint32_t *link = conversation_bucket(nodes, node->conversation_number);
    while (*link != dropped) {
        link = &nodes->nodes[*link].next;
    }
    *link = node->next;
    user_unlink(nodes, dropped);
    node->next = nodes->free;
    nodes->free = dropped;
}

struct node_position nodes_position(const struct pending_nodes *nodes, uint64_t user_number,
                                    uint64_t conversation_number)
{
    return (struct node_position){
        .bucket = user_bucket(nodes, user_number),
        .user_number = user_number,
        .conversation_number = conversation_number,
    };
}

static struct node_position position_of(const struct pending_nodes *nodes, uint32_t node)
{
    return nodes_position(nodes, nodes->nodes[node].user_number, nodes->nodes[node].conversation_number);
}

static bool is_before(struct node_position a, struct node_position b)
{
    return a.bucket != b.bucket             ? a.bucket < b.bucket
           : a.user_number != b.user_number ? a.user_number < b.user_number
                                            : a.conversation_number < b.conversation_number;
}

bool nodes_is_ahead(const struct pending_nodes *nodes, struct node_position position)
{
    return !nodes->swept || is_before(nodes->sweep, position);
}

void nodes_set_chain(struct pending_nodes *nodes, uint32_t changed, struct pending_links chain)
{
    struct pending_node *node = &nodes->nodes[changed];
    if ((node->chain.count > 0) != (chain.count > 0)) {
        struct pending_node *first = &nodes->nodes[nodes_find_user(nodes, node->user_number)];
        first->user_count = (uint16_t)(chain.count > 0 ? first->user_count + 1 : first->user_count - 1);
        nodes->waiting += chain.count > 0 ? 1 : UINT32_MAX;
        if (nodes_is_ahead(nodes, position_of(nodes, changed))) {
            nodes->ahead += chain.count > 0 ? 1 : UINT32_MAX;
        }
    }
    node->chain = chain;
}

unsigned nodes_user_count(const struct pending_nodes *nodes, uint64_t user_number)
{
    uint32_t first = nodes_find_user(nodes, user_number);
    return first ? nodes->nodes[first].user_count : 0;
}

void nodes_begin_sweep(struct pending_nodes *nodes)
{
    nodes->sweep = (struct node_position){0};
    nodes->swept = false;
    nodes->ahead = nodes->waiting;
}

/* The first of the bucket whose chains are not empty, in their order; behind the position, if there is one. */
static size_t bucket_list(const struct pending_nodes *nodes, uint32_t bucket, const struct node_position *behind,
                          size_t most, uint32_t *ret)
{
    size_t count = 0;
    for (uint32_t node = nodes->users[bucket]; node; node = nodes->nodes[node].user_next) {
        struct node_position position = position_of(nodes, node);
        if (nodes->nodes[node].chain.count == 0 || (behind && !is_before(*behind, position))) {
            continue;
        }
        size_t at = count < most ? count++ : most;
        for (; at > 0 && is_before(position, position_of(nodes, ret[at - 1])); at--) {
            if (at < most) {
                ret[at] = ret[at - 1];
            }
        }
        if (at < most) {
            ret[at] = node;
        }
    }
    return count;
}

size_t nodes_sweep(struct pending_nodes *nodes, size_t most, uint32_t *ret)
{
    size_t count = 0;
    while (nodes->ahead > 0 && count < most) {
        assert(nodes->sweep.bucket >> nodes->bucket_bits == 0);
        const struct node_position *behind = nodes->swept ? &nodes->sweep : NULL;
        size_t found = bucket_list(nodes, nodes->sweep.bucket, behind, most - count, ret + count);
        count += found;
        nodes->ahead -= (uint32_t)found;
        nodes->sweep =
            found ? position_of(nodes, ret[count - 1]) : (struct node_position){.bucket = nodes->sweep.bucket + 1};
        nodes->swept = true;
    }
    return count;
}

size_t nodes_look_ahead(const struct pending_nodes *nodes, const struct node_position *behind, size_t most,
                        uint32_t *ret)
{
    size_t count = 0;
    if (nodes->swept && (!behind || !nodes_is_ahead(nodes, *behind))) {
        behind = &nodes->sweep;
    }
    struct node_position position = behind ? *behind : (struct node_position){0};
    for (unsigned left = LOOK_BUCKETS; left > 0 && count < most && position.bucket >> nodes->bucket_bits == 0; left--) {
        count += bucket_list(nodes, position.bucket, behind, most - count, ret + count);
        position = (struct node_position){.bucket = position.bucket + 1};
        behind = NULL;
    }
    return count;
}
