/* The LMDB environment: opened with its marker checked or created, the tables of every layout (those not in use are
 * empty), its room. */
#ifndef STORE_LMDB_ENV_H
#define STORE_LMDB_ENV_H

#include "store/lmdb/marker.h"
#include "store/lmdb/txn.h"

#include <stdint.h>

enum { ENV_READERS_MAX = 128 }; /* slots; the store takes half of them, the rest is for tools such as mdb_stat */

struct env_config {
    const char *data_dir;
    uint64_t map_bytes;
    uint64_t disk_reserve_bytes;
    int64_t now_us;         /* for a marker that must be created */
    uint32_t create_layout; /* the layout of such data; 0: the newest */
    bool alone;             /* read only: nobody else has the file open, no lock file is made */
    bool refuse_older;      /* fail when the data has an older layout and no migration is under way */
};

struct env;

/* Opens the directory and takes its lock. On failure (ERROR_STARTUP) nothing is left open, *ret_env is untouched and
 * an existing data file is as it was. */
int env_open(const struct env_config *config, struct env **ret_env, struct error *error);

/* Opens the directory to look at it: takes no lock, creates nothing, writes nothing, and may run beside a daemon. Only
 * read transactions may be begun. */
int env_open_read_only(const struct env_config *config, struct env **ret_env, struct error *error);

/* No transaction may be open. Returns NULL. */
struct env *env_close(struct env *env);

/* Begins a write transaction; only the writer's thread does. A failure is in txn->rc. */
struct txn env_begin(struct env *env);

/* Ends it. Commit returns 0, or LMDB's error; then nothing was stored if txn_error_is_passing, else unknown. */
int env_commit(struct env *env, struct txn *txn);
void env_abort(struct txn *txn);

/* Read transactions, for readers.c: begin a new one, begin again one that was ended, end it but keep its slot. */
struct txn env_begin_read(struct env *env);
void env_renew_read(struct txn *txn);
void env_reset_read(struct txn *txn);

/* Reader slots ever used at once. */
uint64_t env_reader_slots(const struct env *env);

/* Frees the reader slots of processes that died. */
void env_check_readers(struct env *env);

/* True while there is room for changes that need some: the disk has its reserve free, and the data file can grow. */
bool env_has_room(struct env *env, struct txn *txn);

struct env_size {
    uint64_t used_bytes; /* pages that hold data, in the txn's snapshot */
    uint64_t file_bytes;
    uint64_t page_bytes;
    uint64_t map_bytes;
};
struct env_size env_size(struct env *env, struct txn *txn);

/* Free on the disk beyond what must stay free. */
uint64_t env_free_bytes(const struct env *env);

#endif
