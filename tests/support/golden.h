/* The golden databases of tests/golden: copies of them, served by the daemon's methods in this process, and compared
 * with the truth that lies beside them. Needs GOLDEN_DIR in the environment. */
#ifndef SUPPORT_GOLDEN_H
#define SUPPORT_GOLDEN_H

#include "store/store.h"
#include "support/rpc_client.h"

/* A copy of one, in a directory of its own. */
struct golden {
    uint32_t layout;
    const char *name;
    char *directory;
    struct span truth;    /* the dump it must give */
    struct span requests; /* whose replays are in that dump */
};

/* As this layout was left: "empty", "typical", "adversarial". Ends the test on failure. */
struct golden golden_new(uint32_t layout, const char *name);
void golden_free(struct golden *golden);

/* Puts the data back as it was. No store may have it open. */
void golden_reset(struct golden *golden);

/* How a store on it is configured; a fatal error of the store fails the test. */
struct store_config golden_config(const struct golden *golden, const struct limits *limits);

/* The store and the methods on it, without sockets. */
void golden_open(struct golden *golden, enum store_migrate migrate, size_t slice_records, struct rpc_fixture *ret);
void golden_close(struct rpc_fixture *daemon);

/* Fails the test when the dump of what is served is not the truth. */
void golden_compare(const struct golden *golden, struct rpc_fixture *daemon, const char *when);

/* The same of a daemon that holds its migration where it is; it must say that the data has this layout. */
void golden_compare_held(struct golden *golden, uint32_t layout, const char *when);

#endif
