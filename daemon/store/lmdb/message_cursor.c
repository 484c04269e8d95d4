/* The run of a conversation's messages, across the split: first those in `moved`, then those beside the head. */
#include "store/lmdb/place.h"

void message_cursor_open(struct txn *txn, const struct conversation_place *place, struct message_cursor *ret)
{
    *ret = (struct message_cursor){.txn = txn, .place = place};
}

void message_cursor_close(struct message_cursor *cursor)
{
    if (cursor->is_open) {
        cursor_close(&cursor->cursor);
        cursor->is_open = false;
    }
}

static void side_open(struct message_cursor *cursor, const struct place *side)
{
    if (cursor->is_open && cursor->side == side) {
        return;
    }
    message_cursor_close(cursor);
    cursor->side = side;
    cursor->prefix = side->layout->conversation_prefix(side, KIND_MESSAGE);
    cursor->cursor = cursor_open(cursor->txn, side->layout->tables[KIND_MESSAGE]);
    cursor->is_open = true;
}

/* Takes over what the inner cursor found, if it is one of the side's messages. */
static bool side_take(struct message_cursor *cursor, bool found)
{
    const struct place *side = cursor->side;
    struct span key = cursor->cursor.key;
    if (!found || !span_starts_with(key, key_span(&cursor->prefix))) {
        return false;
    }
    cursor->seq = 0;
    cursor->record = cursor->cursor.value;
    cursor->damaged = side->layout->parse_message(key, key_span(&cursor->prefix), &cursor->seq) ||
                      layout_open(side->layout, key, &cursor->record);
    return true;
}

static bool side_first(struct message_cursor *cursor, const struct place *side)
{
    side_open(cursor, side);
    return side_take(cursor, cursor_seek(&cursor->cursor, key_span(&cursor->prefix)));
}

static bool side_last(struct message_cursor *cursor, const struct place *side)
{
    side_open(cursor, side);
    struct key end = key_end_of(cursor->prefix);
    return side_take(cursor, cursor_seek_below(&cursor->cursor, key_span(&end)));
}

bool message_cursor_seek(struct message_cursor *cursor, uint64_t seq)
{
    const struct conversation_place *place = cursor->place;
    bool moved = place->split && seq <= place->split_seq;
    if (seq > KEY_SEQ_MAX) {
        return false;
    }
    side_open(cursor, moved ? &place->moved : &place->head);
    struct key key = cursor->side->layout->message_key(cursor->side, seq);
    return side_take(cursor, cursor_seek(&cursor->cursor, key_span(&key))) ||
           (moved && side_first(cursor, &place->head));
}

bool message_cursor_seek_below(struct message_cursor *cursor, uint64_t seq)
{
    const struct conversation_place *place = cursor->place;
    bool moved = place->split && seq <= place->split_seq;
    bool found;
    if (seq > KEY_SEQ_MAX) {
        found = side_last(cursor, &place->head);
    } else {
        side_open(cursor, moved ? &place->moved : &place->head);
        struct key key = cursor->side->layout->message_key(cursor->side, seq);
        found = side_take(cursor, cursor_seek_below(&cursor->cursor, key_span(&key)));
    }
    return found || (place->split && !moved && side_last(cursor, &place->moved));
}

bool message_cursor_next(struct message_cursor *cursor)
{
    bool moved = cursor->side == &cursor->place->moved;
    return side_take(cursor, cursor_next(&cursor->cursor)) || (moved && side_first(cursor, &cursor->place->head));
}

bool message_cursor_previous(struct message_cursor *cursor)
{
    bool moved = cursor->side == &cursor->place->moved;
    return side_take(cursor, cursor_previous(&cursor->cursor)) ||
           (cursor->place->split && !moved && side_last(cursor, &cursor->place->moved));
}
