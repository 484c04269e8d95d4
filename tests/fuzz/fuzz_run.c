/* store/lmdb/run: a damaged value is refused or gives well-formed messages, which can be packed and come back. The
 * first byte chooses whether the rest is a value or what a value holds. */
#include "base/wire.h"
#include "fuzz/fuzz.h"
#include "store/lmdb/run.h"

enum { LITERALS_IN_TOKEN = 15 };

/* Packs the messages; what was packed must come back. */
static void check_packing(const struct run_message *messages, size_t count)
{
    static struct run_message got[RUN_MESSAGES_MAX];
    struct buffer work = {0};
    struct buffer value = {0};
    struct buffer raw = {0};
    struct run_info info;
    size_t taken = run_pack(messages, count, &work, &value);
    fuzz_require(taken > 0 && taken <= count && (taken == 1 || value.size <= RUN_VALUE_BYTES));
    fuzz_require(run_is(buffer_span(&value)) && run_info_get(buffer_span(&value), &info) == 0);
    fuzz_require(info.count == taken && run_unpack(&info, 0, &raw, got) == 0);
    for (size_t i = 0; i < taken; i++) {
        fuzz_require(got[i].seq == messages[i].seq && span_equal(got[i].record, messages[i].record));
    }
    buffer_free(&work);
    buffer_free(&value);
    buffer_free(&raw);
}

static void check_value(struct span value)
{
    static struct run_message messages[RUN_MESSAGES_MAX];
    struct buffer raw = {0};
    struct run_info info;
    if (run_info_get(value, &info) == 0) {
        fuzz_require(run_is(value) && fuzz_lies_in(info.block, value));
        if (run_unpack(&info, 0, &raw, messages) == 0) {
            fuzz_require(raw.size == info.raw_size && messages[0].seq == info.first_seq);
            for (size_t i = 0; i < info.count; i++) {
                fuzz_require(fuzz_lies_in(messages[i].record, buffer_span(&raw)));
                fuzz_require(i == 0 || messages[i].seq > messages[i - 1].seq);
            }
            check_packing(messages, info.count);
        } else {
            fuzz_require(raw.size == 0);
        }
    }
    buffer_free(&raw);
}

/* The count, the first seq and raw bytes, which become an LZ4 block without matches: so that the fuzzer finds what
 * stands behind the compression. */
static void check_raw(struct span bytes)
{
    struct buffer value = {0};
    uint64_t count, first_seq;
    if (wire_take_varint(&bytes, &count) == 0 && wire_take_varint(&bytes, &first_seq) == 0 &&
        bytes.size >= LITERALS_IN_TOKEN) {
        size_t more = bytes.size - LITERALS_IN_TOKEN;
        buffer_append(&value, "\0\1", 2);
        wire_put_varint(&value, count);
        wire_put_varint(&value, first_seq);
        wire_put_varint(&value, bytes.size);
        buffer_append(&value, "\xf0", 1);
        for (; more >= UINT8_MAX; more -= UINT8_MAX) {
            buffer_append(&value, "\xff", 1);
        }
        uint8_t last = (uint8_t)more;
        buffer_append(&value, &last, 1);
        buffer_append(&value, bytes.data, bytes.size);
        check_value(buffer_span(&value));
    }
    buffer_free(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        (data[0] & 1 ? check_raw : check_value)(span_of(data + 1, size - 1));
    }
    return 0;
}
