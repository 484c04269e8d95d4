/* The conversations that pending.c knows, found by their number and, all of a user's, by the user's. Knows no
 * transaction and no entry, and takes no lock.
 *
 * Memory: 64 bytes a conversation and at most 8 for its share of the buckets, for at most `most` at a time. All is
 * taken at once; what is not touched costs nothing. So nothing fails later, and nothing ever stops to grow. */
#ifndef STORE_LMDB_PENDING_NODES_H
#define STORE_LMDB_PENDING_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NODE_NONE = 0, NODE_BYTES = 64 };

/* The chain of a conversation's entries. */
struct pending_links {
    int64_t activity_us;
    uint64_t newest;
    uint32_t bytes;
    uint16_t count; /* 0: it has none, and the rest no meaning */
    bool has_ids;
};

struct pending_node {
    uint64_t conversation_number;
    uint64_t user_number;
    struct pending_links chain;
    uint32_t next;                 /* of its bucket, or of those that are free */
    uint32_t user_next, user_prev; /* of its user's bucket, where those of a user stand together */
    uint32_t change;               /* for pending.c */
    uint16_t user_count;           /* in the first of a user: for nodes_user_count */
};

_Static_assert(sizeof(struct pending_node) == NODE_BYTES, "a node is a line of the cache");

/* Where a sweep is. */
struct node_position {
    uint32_t bucket;
    uint64_t user_number;
    uint64_t conversation_number;
};

struct pending_nodes {
    struct pending_node *nodes; /* from 1 on */
    uint32_t *conversations;    /* buckets: the first node of each */
    uint32_t *users;
    unsigned bucket_bits;
    uint32_t most;
    uint32_t used;    /* were ever in use */
    uint32_t free;    /* the first that no longer is */
    uint32_t waiting; /* whose chain is not empty */
    uint32_t ahead;   /* those of them that the sweep has not come to yet */
    bool swept;       /* the sweep has come to something: to this, and what stands behind it is ahead */
    struct node_position sweep;
};

/* -1 when memory is short: free it all the same. */
int nodes_init(struct pending_nodes *nodes, uint32_t most);
void nodes_release(struct pending_nodes *nodes);

/* NODE_NONE: there is none. */
uint32_t nodes_find(const struct pending_nodes *nodes, uint64_t conversation_number);

/* Have the processor fetch what nodes_find and nodes_find_user will look at: the buckets, and, called for them a little
 * later, the first nodes there. */
void nodes_prefetch_buckets(const struct pending_nodes *nodes, uint64_t user_number, uint64_t conversation_number);
void nodes_prefetch(const struct pending_nodes *nodes, uint64_t user_number, uint64_t conversation_number);

/* The first node of the user, and the one after a node; NODE_NONE: there is no other. */
uint32_t nodes_find_user(const struct pending_nodes *nodes, uint64_t user_number);
uint32_t nodes_next_of_user(const struct pending_nodes *nodes, uint32_t node);

/* Adds one with an empty chain, which must not be there and has room; drops one whose chain is empty. */
uint32_t nodes_add(struct pending_nodes *nodes, uint64_t user_number, uint64_t conversation_number);
void nodes_drop(struct pending_nodes *nodes, uint32_t node);

/* Gives the node another chain. */
void nodes_set_chain(struct pending_nodes *nodes, uint32_t node, struct pending_links chain);

/* How many nodes of the user have a chain that is not empty. */
unsigned nodes_user_count(const struct pending_nodes *nodes, uint64_t user_number);

/* The sweep goes over all whose chain is not empty, by the user's number and then by their own, which is where they
 * stand at home; beyond as many users as there are buckets, over several such rows at once. Whose chain begins behind
 * it waits for the next sweep. The first begins again; the second moves on past the nodes it returns, `most` of them as
 * long as there are so many; 0: the sweep has ended. */
void nodes_begin_sweep(struct pending_nodes *nodes);
size_t nodes_sweep(struct pending_nodes *nodes, size_t most, uint32_t *ret);

/* Where a conversation stands in that order; whether the sweep has yet to come there. */
struct node_position nodes_position(const struct pending_nodes *nodes, uint64_t user_number,
                                    uint64_t conversation_number);
bool nodes_is_ahead(const struct pending_nodes *nodes, struct node_position position);

/* The nodes behind the position (NULL: behind where it is) that the sweep is to come to next, without moving it; of the
 * next 256 buckets alone. */
size_t nodes_look_ahead(const struct pending_nodes *nodes, const struct node_position *behind, size_t most,
                        uint32_t *ret);

#endif
