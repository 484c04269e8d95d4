/* A run: neighbouring messages of one conversation, compressed with LZ4, as one value of the store. It stands under the
 * key of its last message, so that a search at or above a seq finds the run that holds it. Pure: knows no table.
 *
 *   00            never the first byte of a message's record: what tells the two apart
 *   01            the form: LZ4
 *   count         varint: messages, 1..RUN_MESSAGES_MAX
 *   first_seq     varint
 *   raw size      varint: of the messages, 1..RUN_RAW_MAX
 *   LZ4 block     each message's record behind RUN_FIELD, as a ListMessagesResponse has them
 *
 * Every record holds its seq; they ascend, with gaps where messages were removed. */
#ifndef STORE_LMDB_RUN_H
#define STORE_LMDB_RUN_H

#include "base/buffer.h"

enum {
    RUN_FIELD = 1,
    RUN_MESSAGES_MAX = 1024,
    RUN_RAW_MAX = 64 * 1024, /* a message that is larger, with its field's head, stays a record of its own */
    /* A run's value with its seal fills one overflow page of LMDB: 4096 less the page's header. */
    RUN_VALUE_BYTES = 4096 - 16 - 4,
    RUN_FULL_BYTES = RUN_VALUE_BYTES * 7 / 8, /* from here on a run is left as it is when messages are added */
};

/* One message on its way into a run, or as a run holds it. */
struct run_message {
    uint64_t seq;
    struct span record; /* borrowed */
};

/* What the head of a run says. */
struct run_info {
    uint64_t first_seq;
    size_t count;
    size_t raw_size;
    struct span block;
};

/* True when the value (its seal taken off) is a run and not a message's record. */
bool run_is(struct span value);

/* Reads the head; -1 when it is none. */
int run_info_get(struct span value, struct run_info *ret);

/* Unpacks it: appends the raw bytes to *raw (one growth) and fills messages[], which borrow from raw->data, with
 * info's count. last_seq is what the key says; 0: the key is not known. -1 when the bytes are no sound run: wrong
 * sizes, another count, seqs that do not ascend from first_seq to last_seq, bytes left over; or when memory is short
 * (raw->failed). Then *raw is as long as before. */
int run_unpack(const struct run_info *info, uint64_t last_seq, struct buffer *raw, struct run_message *messages);

/* Packs as many of the messages, whose seqs ascend, as fit a value of RUN_VALUE_BYTES, from the first on; a first that
 * does not fit it alone makes a run of its own, as large as it takes. Writes the value to *out (cleared first) and
 * returns how many were taken. 0 when the first cannot be packed: it is larger than RUN_RAW_MAX, or its record does not
 * hold its seq; or when memory is short (out->failed). Such a message later on just ends the run.
 * `memory` is to work in; it keeps about half a MiB for the next call. */
size_t run_pack(const struct run_message *messages, size_t count, struct buffer *memory, struct buffer *out);

#endif
