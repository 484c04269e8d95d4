#include "store/lmdb/pending.h"

#include "base/reserve.h"
#include "store/lmdb/pending_nodes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { SKIPS_SHARE = 8 }; /* of the ring, for skipped numbers alone */

/* An entry; its place in the ring is its id modulo the capacity. */
struct entry {
    uint32_t distance; /* back to the one before it in its conversation; of a chain's last without meaning */
    uint32_t node;     /* NODE_NONE: it was removed. Only the writer looks at it */
    uint32_t tag;
};

/* What a transaction did to a conversation. */
struct change {
    struct pending_links committed;
    uint32_t node;
    bool removed; /* the committed chain has ended */
};

/* All memory is taken at once, as pending_nodes.h has it. The writer alone changes anything, under the mutex where
 * readers look; what it reads itself needs no mutex. */
struct pending {
    pthread_mutex_t mutex;
    pthread_cond_t let_go;
    unsigned holders;
    size_t entries_max; /* beyond which nothing may be pushed */
    size_t capacity;    /* what may be skipped as well */
    struct entry *entries;
    struct pending_nodes nodes; /* chains as the writer sees them */
    struct change *changes;     /* from 1 on; the first is that of what has none */
    uint32_t change_count;
    bool removing;        /* this transaction removes */
    bool published;       /* it was committed: readers no longer look at its changes */
    uint64_t front;       /* the oldest entry left, as committed */
    uint64_t begun;       /* where this transaction's entries begin */
    uint64_t end;         /* the number of the next one */
    uint64_t sweep_begun; /* the end when the sweep began */
    uint64_t removal_commit;
};

static size_t entries_size(const struct pending *pending)
{
    return pending->capacity * sizeof(struct entry);
}

static size_t changes_size(const struct pending *pending)
{
    return (pending->entries_max + 1) * sizeof(struct change);
}

struct pending *pending_new(size_t entries_max)
{
    assert(entries_max > 0 && entries_max < UINT32_MAX / 2);
    struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending) {
        return NULL;
    }
    pthread_mutex_init(&pending->mutex, NULL);
    pthread_cond_init(&pending->let_go, NULL);
    pending->entries_max = entries_max;
    pending->capacity = entries_max + entries_max / SKIPS_SHARE + 1;
    pending->entries = reserve_new(entries_size(pending));
    pending->changes = reserve_new(changes_size(pending));
    int rc = nodes_init(&pending->nodes, (uint32_t)entries_max);
    return rc == 0 && pending->entries && pending->changes ? pending : pending_free(pending);
}

struct pending *pending_free(struct pending *pending)
{
    if (pending) {
        pthread_cond_destroy(&pending->let_go);
        pthread_mutex_destroy(&pending->mutex);
        reserve_free(pending->entries, entries_size(pending));
        reserve_free(pending->changes, changes_size(pending));
        nodes_release(&pending->nodes);
        free(pending);
    }
    return NULL;
}

uint32_t pending_tag(const uint8_t *request_id, size_t size)
{
    uint32_t tag = (uint32_t)XXH3_64bits(request_id, size);
    return tag ? tag : 1;
}

static struct entry *entry_at(const struct pending *pending, uint64_t id)
{
    return &pending->entries[id % pending->capacity];
}

/* A chain's entries from `oldest` on are removed for good. */
static void chain_forget(struct pending *pending, const struct pending_links *chain, uint64_t oldest)
{
    uint64_t id = chain->newest;
    for (unsigned left = chain->count; left > 0 && id >= oldest; left--) {
        struct entry *entry = entry_at(pending, id);
        entry->node = NODE_NONE;
        id -= entry->distance;
    }
}

static struct change *change_of(struct pending *pending, uint32_t changed)
{
    struct pending_node *node = &pending->nodes.nodes[changed];
    if (!node->change) {
        assert(pending->change_count < pending->entries_max);
        node->change = ++pending->change_count;
        pending->changes[node->change] = (struct change){.committed = node->chain, .node = changed};
    }
    return &pending->changes[node->change];
}

bool pending_has_room(struct pending *pending, const struct pending_entry *entry)
{
    if (pending->end - pending->front >= pending->entries_max || entry->bytes > PENDING_CHAIN_BYTES) {
        return false;
    }
    uint32_t found = nodes_find(&pending->nodes, entry->conversation_number);
    const struct pending_links *chain = &pending->nodes.nodes[found].chain;
    if (found && chain->count > 0) {
        return chain->count < PENDING_CHAIN_MAX && chain->bytes <= PENDING_CHAIN_BYTES - entry->bytes;
    }
    return nodes_user_count(&pending->nodes, entry->user_number) < PENDING_USER_MAX;
}

void pending_prefetch_place(const struct pending *pending, uint64_t user_number, uint64_t conversation_number)
{
    nodes_prefetch_buckets(&pending->nodes, user_number, conversation_number);
}

void pending_prefetch(const struct pending *pending, uint64_t user_number, uint64_t conversation_number)
{
    nodes_prefetch(&pending->nodes, user_number, conversation_number);
}

void pending_push(struct pending *pending, const struct pending_entry *entry)
{
    assert(pending_has_room(pending, entry));
    pthread_mutex_lock(&pending->mutex);
    if (pending->front == pending->end) {
        assert(entry->id >= pending->end);
        pending->front = pending->begun = pending->end = entry->id;
    }
    assert(entry->id == pending->end);
    uint32_t found = nodes_find(&pending->nodes, entry->conversation_number);
    if (!found) {
        found = nodes_add(&pending->nodes, entry->user_number, entry->conversation_number);
    }
    const struct pending_node *node = &pending->nodes.nodes[found];
    assert(node->user_number == entry->user_number);
    struct pending_links chain = node->chain.count > 0 ? node->chain : (struct pending_links){.newest = entry->id};
    change_of(pending, found);
    *entry_at(pending, entry->id) = (struct entry){
        .distance = (uint32_t)(entry->id - chain.newest),
        .node = found,
        .tag = entry->request_tag,
    };
    chain.activity_us = entry->activity_us;
    chain.newest = entry->id;
    chain.bytes += entry->bytes;
    chain.count++;
    chain.has_ids = chain.has_ids || entry->has_ids;
    nodes_set_chain(&pending->nodes, found, chain);
    pending->end++;
    pthread_mutex_unlock(&pending->mutex);
}

int pending_skip(struct pending *pending, uint64_t id)
{
    assert(id >= pending->end);
    bool empty = pending->front == pending->end;
    if (!empty && id - pending->front >= pending->capacity) {
        return -1;
    }
    for (uint64_t used = pending->end; !empty && used <= id; used++) {
        entry_at(pending, used)->node = NODE_NONE;
    }
    pthread_mutex_lock(&pending->mutex);
    pending->end = id + 1;
    if (empty) {
        pending->front = pending->begun = pending->end;
    }
    pthread_mutex_unlock(&pending->mutex);
    return 0;
}

uint64_t pending_next_id(const struct pending *pending)
{
    return pending->end > 0 ? pending->end : 1;
}

void pending_remove(struct pending *pending, uint64_t conversation_number)
{
    uint32_t found = nodes_find(&pending->nodes, conversation_number);
    struct pending_node *node = &pending->nodes.nodes[found];
    if (!found || node->chain.count == 0) {
        return;
    }
    chain_forget(pending, &node->chain, pending->begun);
    pthread_mutex_lock(&pending->mutex);
    change_of(pending, found)->removed = true;
    nodes_set_chain(&pending->nodes, found, (struct pending_links){0});
    pthread_mutex_unlock(&pending->mutex);
    pending->removing = true;
}

/* The transaction is over for this node. */
static void change_end(struct pending *pending, const struct change *change, const struct pending_links *chain)
{
    struct pending_node *node = &pending->nodes.nodes[change->node];
    pthread_mutex_lock(&pending->mutex);
    nodes_set_chain(&pending->nodes, change->node, *chain);
    node->change = NODE_NONE;
    if (chain->count == 0) {
        nodes_drop(&pending->nodes, change->node);
    }
    pthread_mutex_unlock(&pending->mutex);
}

static void transaction_end(struct pending *pending, uint64_t front, uint64_t end)
{
    pthread_mutex_lock(&pending->mutex);
    pending->front = front;
    pending->begun = pending->end = end;
    pending->sweep_begun = pending->sweep_begun < end ? pending->sweep_begun : end;
    pending->change_count = 0;
    pending->removing = pending->published = false;
    pthread_mutex_unlock(&pending->mutex);
}

/* Readers see the changes at once; the rest is to tidy up, in steps that keep nobody waiting. */
void pending_commit(struct pending *pending, uint64_t commit_id)
{
    pthread_mutex_lock(&pending->mutex);
    while (pending->removing && pending->holders > 0) {
        pthread_cond_wait(&pending->let_go, &pending->mutex);
    }
    pending->published = true;
    if (pending->removing) {
        pending->removal_commit = commit_id;
    }
    pthread_mutex_unlock(&pending->mutex);
    for (uint32_t i = 1; i <= pending->change_count; i++) {
        const struct change *change = &pending->changes[i];
        if (change->removed) {
            chain_forget(pending, &change->committed, pending->front);
        }
        change_end(pending, change, &pending->nodes.nodes[change->node].chain);
    }
    uint64_t front = pending->front;
    while (front < pending->end && entry_at(pending, front)->node == NODE_NONE) {
        front++;
    }
    transaction_end(pending, front, pending->end);
}

void pending_rollback(struct pending *pending)
{
    for (uint32_t i = 1; i <= pending->change_count; i++) {
        change_end(pending, &pending->changes[i], &pending->changes[i].committed);
    }
    transaction_end(pending, pending->front, pending->begun);
}

void pending_hold(struct pending *pending)
{
    pthread_mutex_lock(&pending->mutex);
    pending->holders++;
    pthread_mutex_unlock(&pending->mutex);
}

void pending_let_go(struct pending *pending)
{
    pthread_mutex_lock(&pending->mutex);
    pending->holders--;
    pthread_cond_signal(&pending->let_go);
    pthread_mutex_unlock(&pending->mutex);
}

void pending_begin_sweep(struct pending *pending)
{
    nodes_begin_sweep(&pending->nodes);
    pending->sweep_begun = pending->end;
}

static size_t places_of(const struct pending *pending, const uint32_t *nodes, size_t count, struct pending_place *ret)
{
    for (size_t i = 0; i < count; i++) {
        const struct pending_node *node = &pending->nodes.nodes[nodes[i]];
        ret[i] = (struct pending_place){node->user_number, node->conversation_number};
    }
    return count;
}

size_t pending_sweep(struct pending *pending, size_t most, struct pending_place *ret)
{
    uint32_t found[PENDING_SWEEP_MAX];
    assert(most >= 1 && most <= PENDING_SWEEP_MAX);
    return places_of(pending, found, nodes_sweep(&pending->nodes, most, found), ret);
}

static struct node_position position_of(const struct pending *pending, struct pending_place place)
{
    return nodes_position(&pending->nodes, place.user_number, place.conversation_number);
}

size_t pending_look_ahead(const struct pending *pending, const struct pending_place *behind, size_t most,
                          struct pending_place *ret)
{
    uint32_t found[PENDING_SWEEP_MAX];
    assert(most >= 1 && most <= PENDING_SWEEP_MAX);
    struct node_position position = behind ? position_of(pending, *behind) : (struct node_position){0};
    return places_of(pending, found, nodes_look_ahead(&pending->nodes, behind ? &position : NULL, most, found), ret);
}

bool pending_is_ahead(const struct pending *pending, struct pending_place place)
{
    return nodes_is_ahead(&pending->nodes, position_of(pending, place));
}

size_t pending_sweep_ahead(const struct pending *pending, uint64_t *ret_begun_id)
{
    *ret_begun_id = pending->sweep_begun;
    return pending->nodes.ahead;
}

size_t pending_span(struct pending *pending, uint64_t *ret_oldest_id)
{
    pthread_mutex_lock(&pending->mutex);
    size_t span = (size_t)((pending->published ? pending->end : pending->begun) - pending->front);
    *ret_oldest_id = pending->front;
    pthread_mutex_unlock(&pending->mutex);
    return span;
}

/* As the writer or as others see it. */
static struct pending_links chain_seen(const struct pending *pending, uint32_t found, bool writer)
{
    const struct pending_node *node = &pending->nodes.nodes[found];
    bool uncommitted = found && node->change && !pending->published;
    return !found                   ? (struct pending_links){0}
           : uncommitted && !writer ? pending->changes[node->change].committed
                                    : node->chain;
}

void pending_chain(struct pending *pending, uint64_t conversation_number, bool writer, struct pending_chain *ret)
{
    pthread_mutex_lock(&pending->mutex);
    struct pending_links chain = chain_seen(pending, nodes_find(&pending->nodes, conversation_number), writer);
    uint64_t id = chain.newest;
    for (unsigned i = 0; i < chain.count; i++) {
        const struct entry *entry = entry_at(pending, id);
        ret->ids[i] = id;
        ret->tags[i] = entry->tag;
        id -= entry->distance;
    }
    ret->removal_commit = pending->removal_commit;
    pthread_mutex_unlock(&pending->mutex);
    ret->count = chain.count;
    ret->has_ids = chain.has_ids;
}

bool pending_has_tag(const struct pending *pending, uint64_t conversation_number, uint32_t tag)
{
    uint32_t found = nodes_find(&pending->nodes, conversation_number);
    const struct pending_links *chain = &pending->nodes.nodes[found].chain;
    uint64_t id = chain->newest;
    bool has = false;
    for (unsigned left = found ? chain->count : 0; left > 0 && !has; left--) {
        const struct entry *entry = entry_at(pending, id);
        has = entry->tag == tag;
        id -= entry->distance;
    }
    return has;
}

struct pending_walk pending_walk_begin(const struct pending *pending, uint64_t conversation_number)
{
    uint32_t found = nodes_find(&pending->nodes, conversation_number);
    const struct pending_links *chain = &pending->nodes.nodes[found].chain;
    if (!found || chain->count == 0) {
        return (struct pending_walk){.left = 0};
    }
    __builtin_prefetch(entry_at(pending, chain->newest));
    return (struct pending_walk){.id = chain->newest, .left = chain->count, .bytes = chain->bytes / chain->count};
}

void pending_walk_next(const struct pending *pending, struct pending_walk *walk)
{
    assert(walk->left > 0);
    if (--walk->left > 0) {
        walk->id -= entry_at(pending, walk->id)->distance;
        __builtin_prefetch(entry_at(pending, walk->id));
    }
}

static int conversation_order(const void *left, const void *right)
{
    const struct pending_conversation *a = left;
    const struct pending_conversation *b = right;
    int by_activity = (a->activity_us < b->activity_us) - (a->activity_us > b->activity_us);
    int by_number =
        (a->conversation_number > b->conversation_number) - (a->conversation_number < b->conversation_number);
    return by_activity ? by_activity : by_number;
}

void pending_user(struct pending *pending, uint64_t user_number, bool writer, struct pending_user *ret)
{
    ret->count = 0;
    pthread_mutex_lock(&pending->mutex);
    uint32_t found = nodes_find_user(&pending->nodes, user_number);
    for (; found; found = nodes_next_of_user(&pending->nodes, found)) {
        struct pending_links chain = chain_seen(pending, found, writer);
        if (chain.count > 0) {
            assert(ret->count < PENDING_USER_MAX);
            ret->conversations[ret->count++] = (struct pending_conversation){
                .conversation_number = pending->nodes.nodes[found].conversation_number,
                .newest_id = chain.newest,
                .activity_us = chain.activity_us,
            };
        }
    }
    ret->removal_commit = pending->removal_commit;
    pthread_mutex_unlock(&pending->mutex);
    qsort(ret->conversations, ret->count, sizeof(ret->conversations[0]), conversation_order);
}
