#include "store/lmdb/run_opened.h"

#include <stdlib.h>

struct run_tail run_tail_find(struct txn *txn, const struct place *side)
{
    struct run_tail tail = {.last_seq = 0};
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct key end = key_end_of(prefix);
    struct cursor cursor = cursor_open(txn, side->layout->tables[KIND_MESSAGE]);
    if (cursor_seek_below(&cursor, key_span(&end)) && span_starts_with(cursor.key, key_span(&prefix)) &&
        cursor.value.size < RUN_FULL_BYTES &&
        side->layout->parse_message(cursor.key, key_span(&prefix), &tail.last_seq) == 0) {
        struct span value = cursor.value;
        if (layout_open(side->layout, cursor.key, &value) == 0 && run_is(value)) {
            tail.key = cursor_copy_key(&cursor);
            tail.value = value;
        }
    }
    cursor_close(&cursor);
    return tail;
}

static bool run_open(struct txn *txn, struct span value, uint64_t last_seq, struct run_opened *ret)
{
    struct run_info info;
    if (run_info_get(value, &info) || run_unpack(&info, last_seq, &ret->raw, ret->messages)) {
        if (ret->raw.failed) {
            txn_fail_memory(txn);
        }
        return false;
    }
    ret->count = info.count;
    return true;
}

void run_opened_release(struct run_opened *run)
{
    buffer_free(&run->raw);
    run->count = 0;
}

bool run_opened_find(struct txn *txn, const struct place *side, uint64_t seq, struct run_opened *ret)
{
    struct key prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    struct key key = side->layout->message_key(side, seq);
    struct cursor cursor = cursor_open(txn, side->layout->tables[KIND_MESSAGE]);
    bool found = false;
    uint64_t last_seq;
    if (cursor_seek(&cursor, key_span(&key)) && span_starts_with(cursor.key, key_span(&prefix)) &&
        side->layout->parse_message(cursor.key, key_span(&prefix), &last_seq) == 0) {
        struct span value = cursor.value;
        ret->key = cursor_copy_key(&cursor);
        found =
            layout_open(side->layout, cursor.key, &value) == 0 && run_is(value) && run_open(txn, value, last_seq, ret);
    }
    cursor_close(&cursor);
    return found;
}

struct run_message *run_tail_extend(struct txn *txn, const struct run_tail *tail, const struct run_message *messages,
                                    size_t count, struct run_opened *opened, size_t *ret_count)
{
    if (tail->value.size > 0 && run_open(txn, tail->value, tail->last_seq, opened)) {
        opened->key = tail->key;
    }
    struct run_message *all = calloc(opened->count + count + 1, sizeof(*all));
    if (!all) {
        txn_fail_memory(txn);
        return NULL;
    }
    memcpy(all, opened->messages, opened->count * sizeof(*all));
    if (count > 0) {
        memcpy(all + opened->count, messages, count * sizeof(*all));
    }
    *ret_count = opened->count + count;
    return all;
}
