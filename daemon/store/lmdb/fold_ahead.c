#include "store/lmdb/fold_ahead.h"

#include "store/lmdb/heads.h"
#include "store/lmdb/journal_part.h"
#include "store/lmdb/readers.h"
#include "store/lmdb/run_opened.h"

#include <pthread.h>
#include <stdlib.h>

struct fold_ahead {
    struct readers readers; /* one is taken at a time */
    struct packed_runs *runs;
    pthread_t thread;
    struct buffer memory;
    struct packed packed;
};

/* Packs what waits behind what of the last run is to be packed anew. */
static void messages_pack(struct fold_ahead *ahead, struct txn *txn, const struct place *side,
                          const struct message_batch *waiting)
{
    struct run_opened opened;
    size_t count = 0;
    run_opened_init(&opened);
    struct run_tail tail = run_tail_find(txn, side);
    struct run_message *all = run_tail_extend(txn, &tail, waiting->messages, waiting->count, &opened, &count);
    const struct packed_input input = {.tail = tail.value, .messages = waiting->messages, .count = waiting->count};
    bool whole = tail.value.size == 0 || opened.count > 0; /* else the writer is to find out */
    if (all && whole && !txn->rc) {
        packed_make(&ahead->packed, &input, all, count, &ahead->memory);
    }
    free(all);
    run_opened_release(&opened);
}

static void conversation_pack(struct fold_ahead *ahead, const struct pending_place *place)
{
    struct head head = {.state = HEAD_MISSING};
    struct message_batch *waiting = NULL;
    ahead->packed.count = 0;
    struct txn txn = readers_take(&ahead->readers);
    if (head_find(&txn, &layout_3, place->user_number, place->conversation_number, &head) == GET_FOUND &&
        journal_part_load(&txn, &head) == 0 && head.place.journal) {
        waiting = journal_part_messages(&txn, &head.place);
    }
    if (waiting) {
        messages_pack(ahead, &txn, &head.place.head, waiting);
    }
    readers_give(&ahead->readers, &txn);
    free(waiting);
    head_free(&head);
}

static void *ahead_main(void *arg)
{
    struct fold_ahead *ahead = arg;
    struct pending_place place;
    while (packed_runs_await(ahead->runs, &place)) {
        conversation_pack(ahead, &place);
        packed_runs_put(ahead->runs, place, &ahead->packed);
    }
    return NULL;
}

struct fold_ahead *fold_ahead_new(struct env *env, struct packed_runs *runs)
{
    struct fold_ahead *ahead = calloc(1, sizeof(*ahead));
    if (!ahead) {
        return NULL;
    }
    ahead->runs = runs;
    readers_init(&ahead->readers, env);
    if (pthread_create(&ahead->thread, NULL, ahead_main, ahead)) {
        readers_destroy(&ahead->readers);
        free(ahead);
        return NULL;
    }
    return ahead;
}

struct fold_ahead *fold_ahead_free(struct fold_ahead *ahead)
{
    if (ahead) {
        packed_runs_end(ahead->runs);
        pthread_join(ahead->thread, NULL);
        readers_destroy(&ahead->readers);
        buffer_free(&ahead->memory);
        packed_free(&ahead->packed);
        free(ahead);
    }
    return NULL;
}
