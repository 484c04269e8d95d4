/* Where in memory the heads of conversations stood when a list read them last. Each stands on a page of its own among
 * the messages, so that a page of a list is as many searches that wait for memory, one after the other. Told before
 * where it will look, the processor fetches for all of them at once.
 *
 * A hint is never read through and need not be true: its page may have become another's, its place may hold the hint of
 * another conversation. Any thread, at any time. Memory: 1 MiB; what is not touched costs nothing. */
#ifndef STORE_LMDB_HEAD_HINTS_H
#define STORE_LMDB_HEAD_HINTS_H

#include <stdatomic.h>
#include <stdint.h>

enum { HEAD_HINTS = 131072, HEAD_HINTS_PAGE_BYTES = 4096, HEAD_HINTS_LINE_BYTES = 64 };

/* All zero: no hints. */
struct head_hints {
    atomic_uintptr_t entries[HEAD_HINTS];
};

static inline void head_hints_note(struct head_hints *hints, uint64_t conversation_number, const uint8_t *entry)
{
    atomic_uintptr_t *place = &hints->entries[conversation_number % HEAD_HINTS];
    if (atomic_load_explicit(place, memory_order_relaxed) != (uintptr_t)entry) {
        atomic_store_explicit(place, (uintptr_t)entry, memory_order_relaxed);
    }
}

/* The page's beginning, where a search in it begins, and the entry. */
static inline void head_hints_fetch(struct head_hints *hints, uint64_t conversation_number)
{
    uintptr_t entry = atomic_load_explicit(&hints->entries[conversation_number % HEAD_HINTS], memory_order_relaxed);
    __builtin_prefetch((const void *)(entry - entry % HEAD_HINTS_PAGE_BYTES));
    __builtin_prefetch((const void *)entry);
    __builtin_prefetch((const void *)(entry + HEAD_HINTS_LINE_BYTES));
}

#endif
