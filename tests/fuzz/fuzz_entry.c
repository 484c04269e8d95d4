/* store/lmdb/entries, journal and marker: what else stands in the data file. Damaged bytes are refused or read; what is
 * read can be written, and is the same when it is read again. The first byte chooses the kind. Values that end in a sum
 * get the right one, so that the fuzzer finds what stands behind it. */
#include "base/wire.h"
#include "fuzz/fuzz.h"
#include "store/lmdb/entries.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/marker.h"

#include <xxhash.h>

enum { RECORD_FIELD = 3, SUM_BYTES = 8 };

/* A check of one kind: reads the bytes and, when they are one, writes it to *out. */
typedef bool check_read_write(struct span bytes, struct buffer *out);

static bool recency(struct span bytes, struct buffer *out)
{
    struct recency_entry entry;
    bool read = entry_get_recency(bytes, &entry) == 0;
    if (read) {
        entry_put_recency(out, &entry);
    }
    return read;
}

static bool purge(struct span bytes, struct buffer *out)
{
    struct purge_entry entry;
    bool read = entry_get_purge(bytes, &entry) == 0;
    if (read) {
        entry_put_purge(out, &entry);
    }
    return read;
}

static bool stats(struct span bytes, struct buffer *out)
{
    struct stats_entry entry;
    bool read = entry_get_stats(bytes, &entry) == 0;
    if (read) {
        entry_put_stats(out, &entry);
    }
    return read;
}

static bool request(struct span bytes, struct buffer *out)
{
    struct store_result result = {.replayed = false};
    struct store_op op = {.verb = STORE_APPEND_MESSAGES};
    bool read = entry_get_request(bytes, RECORD_FIELD, &result) == 0;
    if (read) {
        fuzz_require(entry_get_request_hash(bytes, op.request_hash) == 0 && result.replayed);
        fuzz_require(memchr(result.etag, 0, sizeof(result.etag)));
        entry_put_request(out, &op, &result);
    }
    buffer_free(&result.records);
    return read;
}

static void sum_add(struct buffer *bytes)
{
    uint8_t sum[SUM_BYTES];
    uint64_t value = XXH3_64bits(bytes->data, bytes->size);
    for (size_t i = 0; i < SUM_BYTES; i++) {
        sum[i] = (uint8_t)(value >> (8 * i));
    }
    buffer_append(bytes, sum, sizeof(sum));
}

static bool migration(struct span bytes, struct buffer *out)
{
    struct migration_entry entry;
    struct buffer summed = {0};
    buffer_append(&summed, bytes.data, bytes.size);
    sum_add(&summed);
    bool read = entry_get_migration(buffer_span(&summed), &entry) == 0;
    if (read) {
        fuzz_require(memchr(entry.last_error, 0, sizeof(entry.last_error)));
        entry_put_migration(out, &entry);
        out->size -= SUM_BYTES;
    }
    buffer_free(&summed);
    return read;
}

static bool numbers(struct span bytes, struct buffer *out)
{
    struct numbers_entry entry;
    struct buffer summed = {0};
    buffer_append(&summed, bytes.data, bytes.size);
    sum_add(&summed);
    bool read = entry_get_numbers(buffer_span(&summed), &entry) == 0;
    if (read) {
        entry_put_numbers(out, &entry);
        out->size -= SUM_BYTES;
    }
    buffer_free(&summed);
    return read;
}

static bool marker(struct span bytes, struct buffer *out)
{
    struct marker found;
    struct buffer summed = {0};
    uint8_t written[MARKER_BYTES];
    buffer_append(&summed, bytes.data, bytes.size);
    sum_add(&summed);
    bool read = marker_decode(buffer_span(&summed), &found) == 0;
    if (read) {
        marker_encode(&found, written);
        buffer_append(out, written, sizeof(written) - SUM_BYTES);
    }
    buffer_free(&summed);
    return read;
}

static bool journal(struct span bytes, struct buffer *out)
{
    struct journal_entry entry = {.id = 1};
    struct message_record record;
    struct span message;
    if (journal_parse_value(bytes, &entry)) {
        return false;
    }
    fuzz_require(fuzz_lies_in(entry.messages, bytes) && fuzz_lies_in(entry.request, bytes));
    fuzz_require(fuzz_lies_in(entry.request_id, bytes));
    journal_put_head(out, &entry);
    int found;
    while ((found = journal_next_message(&entry, &record, &message)) == 1) {
        fuzz_require(fuzz_lies_in(message, bytes) && fuzz_lies_in(record.content, message));
        wire_put_element(out, JOURNAL_MESSAGE_FIELD, message);
    }
    return found == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static check_read_write *const kinds[] = {recency, purge, stats, request, migration, numbers, marker, journal};
    struct buffer first = {0};
    struct buffer second = {0};
    if (size > 0) {
        check_read_write *check = kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))];
        if (check(span_of(data + 1, size - 1), &first)) {
            fuzz_require(!first.failed && check(buffer_span(&first), &second));
            fuzz_require(span_equal(buffer_span(&first), buffer_span(&second)));
        }
    }
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
