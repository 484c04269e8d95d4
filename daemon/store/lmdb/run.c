#include "store/lmdb/run.h"

#include "base/wire.h"

#include <assert.h>
#include <lz4.h>

enum {
    RUN_MARK = 0,
    RUN_FORM_LZ4 = 1,
    RUN_HEAD_BYTES = 2 + 3 * 10, /* at most: mark, form and three varints */
    RECORD_SEQ_NUMBER = 1,
};

bool run_is(struct span value)
{
    return value.size > 0 && value.data[0] == RUN_MARK;
}

int run_info_get(struct span value, struct run_info *ret)
{
    uint64_t count, first_seq, raw_size;
    if (value.size < 2 || value.data[0] != RUN_MARK || value.data[1] != RUN_FORM_LZ4) {
        return -1;
    }
    struct span rest = span_of(value.data + 2, value.size - 2);
    if (wire_take_varint(&rest, &count) || wire_take_varint(&rest, &first_seq) || wire_take_varint(&rest, &raw_size)) {
        return -1;
    }
    if (count < 1 || count > RUN_MESSAGES_MAX || first_seq < 1 || raw_size < 1 || raw_size > RUN_RAW_MAX ||
        rest.size > (size_t)LZ4_COMPRESSBOUND(RUN_RAW_MAX)) {
        return -1;
    }
    *ret = (struct run_info){.first_seq = first_seq, .count = count, .raw_size = raw_size, .block = rest};
    return 0;
}

/* A message's record begins with its seq. 0: this one does not. */
static uint64_t record_seq(struct span record)
{
    struct wire_field field;
    bool found = wire_next(&record, &field) == 1 && field.number == RECORD_SEQ_NUMBER && field.type == WIRE_VARINT;
    return found ? field.value : 0;
}

/* Finds the messages in the raw bytes of a run. */
static int messages_get(struct span raw, const struct run_info *info, struct run_message *messages)
{
    uint64_t previous = 0;
    for (size_t i = 0; i < info->count; i++) {
        struct wire_field field;
        if (wire_next(&raw, &field) != 1 || field.number != RUN_FIELD || field.type != WIRE_BYTES) {
            return -1;
        }
        uint64_t seq = record_seq(field.bytes);
        if (i == 0 ? seq != info->first_seq : seq <= previous) {
            return -1;
        }
        messages[i] = (struct run_message){.seq = seq, .record = field.bytes};
        previous = seq;
    }
    return raw.size == 0 ? 0 : -1;
}

int run_unpack(const struct run_info *info, struct buffer *raw, struct run_message *messages)
{
    assert(info->count <= RUN_MESSAGES_MAX && info->raw_size <= RUN_RAW_MAX);
    uint8_t *bytes = buffer_extend(raw, info->raw_size);
    if (!bytes) {
        return -1;
    }
    int size =
        LZ4_decompress_safe((const char *)info->block.data, (char *)bytes, (int)info->block.size, (int)info->raw_size);
    if (size != (int)info->raw_size || messages_get(span_of(bytes, info->raw_size), info, messages)) {
        raw->size -= info->raw_size;
        return -1;
    }
    return 0;
}

/* Lays the messages one behind the other, as many as a run may hold. Returns how many. */
static size_t messages_put(const struct run_message *messages, size_t count, struct buffer *raw)
{
    size_t taken = 0;
    buffer_clear(raw);
    while (taken < count && taken < RUN_MESSAGES_MAX) {
        const struct run_message *message = &messages[taken];
        assert(message->seq > (taken > 0 ? messages[taken - 1].seq : 0));
        if (record_seq(message->record) != message->seq ||
            raw->size + wire_element_size(RUN_FIELD, message->record.size) > RUN_RAW_MAX) {
            break;
        }
        wire_put_element(raw, RUN_FIELD, message->record);
        taken++;
    }
    return raw->failed ? 0 : taken;
}

/* How many of the messages lie within the first *size raw bytes; *size becomes where the last of them ends. */
static size_t messages_within(const struct run_message *messages, size_t count, size_t *size)
{
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        size_t next = end + wire_element_size(RUN_FIELD, messages[i].record.size);
        if (next > *size) {
            *size = end;
            return i;
        }
        end = next;
    }
    return count;
}

/* Writes a run of `count` messages, `raw_size` bytes of raw, when it takes at most `room` bytes; else it returns how
 * many raw bytes there is room for, and *out is not to be used. */
static size_t run_put(uint64_t first_seq, size_t count, const struct buffer *raw, size_t raw_size, size_t room,
                      struct buffer *out)
{
    static const uint8_t mark[] = {RUN_MARK, RUN_FORM_LZ4};
    buffer_clear(out);
    buffer_append(out, mark, sizeof(mark));
    wire_put_varint(out, count);
    wire_put_varint(out, first_seq);
    wire_put_varint(out, raw_size);
    size_t head = out->size;
    uint8_t *block = buffer_extend(out, room - head);
    if (!block) {
        return 0;
    }
    int consumed = (int)raw_size;
    int size = LZ4_compress_destSize((const char *)raw->data, (char *)block, &consumed, (int)(room - head));
    out->size = head + (size_t)size;
    return size > 0 ? (size_t)consumed : 0;
}

size_t run_pack(const struct run_message *messages, size_t count, struct buffer *raw, struct buffer *out)
{
    buffer_clear(out);
    size_t taken = messages_put(messages, count, raw);
    out->failed = raw->failed;
    size_t raw_size = raw->size;
    while (taken > 0) {
        size_t fits = run_put(messages[0].seq, taken, raw, raw_size, RUN_VALUE_BYTES, out);
        if (out->failed || fits == raw_size) {
            break;
        }
        raw_size = fits;
        taken = messages_within(messages, taken, &raw_size);
        if (taken == 0) { /* not even the first: it takes more */
            taken = 1;
            raw_size = wire_element_size(RUN_FIELD, messages[0].record.size);
            run_put(messages[0].seq, 1, raw, raw_size, RUN_HEAD_BYTES + (size_t)LZ4_compressBound((int)raw_size), out);
            break;
        }
    }
    return out->failed ? 0 : taken;
}
