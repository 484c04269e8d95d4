#include "store/lmdb/journal_places.h"

#include "base/reserve.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/pending.h"

#include <stdlib.h>

enum {
    PLACES = JOURNAL_ENTRIES_MAX, /* an entry that is farther from another shares its place */
    LINE_BYTES = 64,
    PAGE_BYTES = 4096,
    HEAD_BYTES = 8 + JOURNAL_KEY_BYTES, /* of an entry in a page: LMDB's and the key */
    /* The last page of a commit is copied by the next one, with so many entries at most that are worth it. */
    LEARN_AGAIN = 16,
    LEARN_MOST = 4096, /* after a start, or a time without */
};

struct journal_places {
    int32_t *lines;    /* from `first`, by number modulo PLACES; 0: not known */
    const void *first; /* the first that was learned */
    uint64_t next_id;  /* to be learned */
};

struct journal_places *journal_places_new(void)
{
    struct journal_places *places = calloc(1, sizeof(*places));
    if (!places) {
        return NULL;
    }
    places->lines = reserve_new(PLACES * sizeof(*places->lines));
    return places->lines ? places : journal_places_free(places);
}

struct journal_places *journal_places_free(struct journal_places *places)
{
    if (places) {
        reserve_free(places->lines, PLACES * sizeof(*places->lines));
        free(places);
    }
    return NULL;
}

static void place_learn(struct journal_places *places, uint64_t id, const void *at)
{
    places->first = places->first ? places->first : at;
    int64_t lines = (int64_t)((uintptr_t)at / LINE_BYTES) - (int64_t)((uintptr_t)places->first / LINE_BYTES);
    places->lines[id % PLACES] = lines >= INT32_MIN && lines <= INT32_MAX ? (int32_t)lines : 0;
}

void journal_places_learn(struct journal_places *places, struct txn *txn)
{
    uint64_t end = pending_next_id(txn->pending);
    if (!places || end == places->next_id) {
        return;
    }
    uint64_t from = places->next_id > LEARN_AGAIN ? places->next_id - LEARN_AGAIN : 0;
    from = end - from > LEARN_MOST ? end - LEARN_MOST : from;
    struct key key = {0};
    key_add_number(&key, from);
    struct cursor cursor = cursor_open(txn, TABLE_3_JOURNAL);
    for (bool more = cursor_seek(&cursor, key_span(&key)); more; more = cursor_next(&cursor)) {
        if (cursor.key.size == JOURNAL_KEY_BYTES) {
            place_learn(places, key_get_number(cursor.key.data), cursor.key.data);
        }
    }
    cursor_close(&cursor);
    places->next_id = end;
}

void journal_places_prefetch_place(const struct journal_places *places, uint64_t id)
{
    if (places) {
        __builtin_prefetch(&places->lines[id % PLACES]);
    }
}

/* The entries of a page stand one behind the other. A search among them reads the page's head and the keys of some;
 * they are taken to be about as large as this one. */
void journal_places_prefetch(const struct journal_places *places, uint64_t id, size_t bytes)
{
    int64_t line = places ? places->lines[id % PLACES] : 0;
    if (line == 0) {
        return;
    }
    uintptr_t at = ((uintptr_t)places->first / LINE_BYTES + (uintptr_t)line) * LINE_BYTES;
    uintptr_t page = at / PAGE_BYTES * PAGE_BYTES;
    uintptr_t end = page + PAGE_BYTES;
    size_t size = HEAD_BYTES + bytes;
    __builtin_prefetch((const void *)page);
    for (uintptr_t near = at; near < at + size && near < end; near += LINE_BYTES) {
        __builtin_prefetch((const void *)near);
    }
    for (uintptr_t near = page + (at - page) % size; near < end; near += size) {
        __builtin_prefetch((const void *)near);
    }
}
