/* The runs of the conversations that the sweep of folding comes to next, packed before they are wanted: packing is
 * almost half of what a fold costs, and needs nothing but the messages. One thread packs (fold_ahead.h), the writer
 * looks here before it packs itself.
 *
 * Nothing rests on it: what was packed is given only for just that last run and just those messages, byte for byte, so
 * it is what the writer would make of them itself, whatever happened to the conversation meanwhile.
 *
 * Memory: a conversation takes at most PACKED_RAW_MAX for its messages and about as much for their runs, all together
 * less than 5 MiB; where the text is as people write, a quarter of that. */
#ifndef STORE_LMDB_PACKED_RUNS_H
#define STORE_LMDB_PACKED_RUNS_H

#include "store/lmdb/pending.h"
#include "store/lmdb/run.h"

enum {
    PACKED_CONVERSATIONS = PENDING_SWEEP_MAX,
    PACKED_RAW_MAX = 32 * 1024, /* of one of them; with more it is left to the writer */
    PACKED_RUNS_MAX = 16,
};

/* The end of a conversation: its last run, as it is stored without its seal (empty: a new one begins), and the messages
 * to be appended. */
struct packed_input {
    struct span tail;
    const struct run_message *messages;
    size_t count;
};

struct packed_run {
    uint64_t last_seq;
    struct span value;
};

/* Such an end, and the runs that stand in its place then. */
struct packed {
    struct buffer input;
    size_t tail_size;
    struct buffer values;
    size_t count; /* of runs; 0: nothing was packed */
    struct packed_run runs[PACKED_RUNS_MAX];
};

/* Packs the messages, all with those of the last run in front. Else ret->count is 0: there is too much of them, one
 * cannot be packed, or memory is short. `memory` is run_pack's. */
void packed_make(struct packed *ret, const struct packed_input *input, const struct run_message *all, size_t all_count,
                 struct buffer *memory);
void packed_free(struct packed *packed);

struct packed_runs;

/* NULL when memory is short. The writer's functions take NULL for one that has nothing. */
struct packed_runs *packed_runs_new(void);
struct packed_runs *packed_runs_free(struct packed_runs *runs);

/* The writer's. Looks which conversations come next, and has them packed; forgets the others. */
void packed_runs_look(struct packed_runs *runs, const struct pending *pending);

/* The writer's. Tells what the input makes; NULL: it is not there. Valid until the next look. */
const struct packed *packed_runs_find(struct packed_runs *runs, uint64_t conversation_number,
                                      const struct packed_input *input);

/* The packing thread's. Waits for a conversation to be packed; false: packed_runs_end was called. */
bool packed_runs_await(struct packed_runs *runs, struct pending_place *ret);

/* The same thread's: what was made of it, in exchange for memory to make the next one in. */
void packed_runs_put(struct packed_runs *runs, struct pending_place place, struct packed *packed);

void packed_runs_end(struct packed_runs *runs);

/* Waits until all that was looked for is packed: for tests. */
void packed_runs_settle(struct packed_runs *runs);

#endif
