#include "store/lmdb/migrate_sweep.h"

#include "store/lmdb/quarantine.h"

bool sweep_is_done(struct mover *mover)
{
    bool found = false;
    for (size_t i = 0; i < mover->source->own_table_count && !found; i++) {
        struct cursor cursor = cursor_open(&mover->work->txn, mover->source->own_tables[i]);
        found = cursor_first(&cursor);
        cursor_close(&cursor);
    }
    return !found && !mover_failed(mover);
}

void sweep_remove(struct mover *mover, enum table table, struct span key)
{
    struct buffer *scratch = mover->work->scratch;
    struct span value = {0};
    txn_get(&mover->work->txn, table, key, &value);
    buffer_clear(scratch);
    buffer_append(scratch, value.data, value.size);
    if (scratch->failed) {
        txn_fail_memory(&mover->work->txn);
        return;
    }
    const struct quarantined found = {
        .layout = mover->source->number,
        .table = table,
        .key = key,
        .value = buffer_span(scratch),
        .reason = "it belongs to no conversation",
    };
    txn_delete(&mover->work->txn, table, key);
    quarantine_put_stray(mover->work, &found);
    mover->entry.quarantined++;
    mover->moved++;
    mover->bytes += key.size + value.size;
}

static bool table_sweep(struct mover *mover, enum table table)
{
    struct key key;
    bool more = true;
    while (more && !mover_failed(mover) && mover_has_budget(mover)) {
        struct cursor cursor = cursor_open(&mover->work->txn, table);
        more = cursor_first(&cursor);
        key = more ? cursor_copy_key(&cursor) : (struct key){0};
        cursor_close(&cursor);
        if (more) {
            sweep_remove(mover, table, key_span(&key));
        }
    }
    return !more;
}

bool sweep_run(struct mover *mover)
{
    bool done = true;
    for (size_t i = 0; i < mover->source->own_table_count && done; i++) {
        done = table_sweep(mover, mover->source->own_tables[i]);
    }
    return done && !mover_failed(mover);
}
