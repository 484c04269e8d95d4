/* The journal: appends in the order they were committed, as records under consecutive numbers, so that a commit writes
 * neighbouring pages only. What is in it and not home yet is known to pending.h. Of layout 3.
 *
 *   3.journal  number, user number, conversation number, last seq: all big-endian. For entry 5, user 7, conversation 9,
 *              whose last message is 258:
 *              00 00 00 00 00 00 00 05  00 00 00 00 00 00 00 07  00 00 00 00 00 00 00 09  00 00 00 00 00 00 01 02
 *
 * A last seq of 0 is a fold mark: every entry of the conversation before it is home.
 *
 * The value is protobuf wire format, sealed like every value: what the conversation's head says from then on, the
 * request that is remembered, the messages' records. */
#ifndef STORE_LMDB_JOURNAL_H
#define STORE_LMDB_JOURNAL_H

#include "store/lmdb/work.h"
#include "store/record.h"

enum {
    JOURNAL_ENTRIES_MAX = 1024 * 1024, /* between the oldest that is not home and the newest */
    JOURNAL_PAGES_MAX = 128 * 1024,    /* 512 MiB; beyond either appends wait for folding */
    JOURNAL_VALUE_MAX = 16 * 1024,     /* a larger append goes home at once */
    JOURNAL_MESSAGE_FIELD = 15,
    JOURNAL_KEY_BYTES = 4 * 8,
};

struct journal_entry {
    uint64_t id;
    uint64_t user_number;
    uint64_t conversation_number;
    uint64_t last_seq;
    /* Of the head after it. */
    uint64_t revision;
    uint64_t message_count;
    uint64_t content_bytes;
    int64_t update_time_us;
    int64_t activity_time_us;
    bool has_ids;           /* one of the messages has a message_id */
    struct span request_id; /* empty: none */
    struct span request;    /* entry_put_request */
    size_t value_size;      /* as stored; filled by journal_scan */
    struct span messages;   /* records behind JOURNAL_MESSAGE_FIELD, one after the other */
};

/* Begins a value in *out with all but the messages; each is added with wire_put_element(JOURNAL_MESSAGE_FIELD). */
void journal_put_head(struct buffer *out, const struct journal_entry *entry);

/* Pure: reads such a value. The fields before the messages go to *entry, the rest is entry->messages, and spans are
 * borrowed; or -1, with anything in *entry. */
int journal_parse_value(struct span value, struct journal_entry *entry);

/* Puts work->scratch as the entry's value, behind all others. */
void journal_put(struct work *work, const struct journal_entry *entry);

/* Puts the fold mark of a conversation under this number, behind all others. */
void journal_put_fold(struct work *work, uint64_t id, uint64_t user_number, uint64_t conversation_number);

/* Finds an entry's key and value by its number, as they are. */
bool journal_find(struct txn *txn, uint64_t id, struct span *ret_key, struct span *ret_value);

/* Finds an entry by its number. Spans are borrowed until the next write. *ret has the key's part also when it is
 * damaged. */
enum get_result journal_get(struct txn *txn, uint64_t id, struct journal_entry *ret);

/* Takes the next message off entry->messages. Returns 1 with it, 0 at the end, -1 when what is there is none. */
int journal_next_message(struct journal_entry *entry, struct message_record *ret, struct span *ret_bytes);

/* Removes entries numbered below `id`, at most `records` of them. True: none is left. */
bool journal_truncate(struct work *work, uint64_t id, size_t records);

/* Calls for every entry and fold mark numbered `from` or above, in order; `visit` returns false to stop. Spans are
 * borrowed. Returns false when it was stopped or the txn failed. */
typedef bool journal_visit(void *arg, const struct journal_entry *entry, bool damaged);
bool journal_scan(struct txn *txn, uint64_t from, journal_visit *visit, void *arg);

/* How many numbers there are from the first entry to the last; 0: there is none. */
uint64_t journal_span(struct txn *txn);

/* The number of the last entry; 0: there is none. */
uint64_t journal_last(struct txn *txn);

/* Removes one entry. */
void journal_delete(struct work *work, const struct journal_entry *entry);

/* Looks at some of the entries from *position on, and removes those of the user; moves *position and adds to *removed.
 * True: it has come to the end. */
bool journal_remove_user(struct work *work, uint64_t user_number, uint64_t *position, size_t *removed);

#endif
