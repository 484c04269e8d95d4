#include "store/lmdb/run.h"

#include "base/wire.h"
#include "store/lmdb/run_block.h"

#include <assert.h>
#include <lz4.h>
#include <lz4hc.h>

enum {
    RUN_MARK = 0,
    RUN_FORM_LZ4 = 1,
    RUN_HEAD_BYTES = 2 + 3 * 10, /* at most: mark, form and three varints */
    RUN_TAG = RUN_FIELD << 3 | WIRE_BYTES,
    RECORD_SEQ_TAG = 1 << 3 | WIRE_VARINT,
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
    uint64_t tag, seq;
    bool found = wire_take_varint(&record, &tag) == 0 && tag == RECORD_SEQ_TAG && wire_take_varint(&record, &seq) == 0;
    return found ? seq : 0;
}

/* Takes the next one off the front of the raw bytes. */
static int record_take(struct span *raw, struct span *ret)
{
    uint64_t tag, size;
    if (wire_take_varint(raw, &tag) || tag != RUN_TAG || wire_take_varint(raw, &size) || size > raw->size) {
        return -1;
    }
    *ret = span_of(raw->data, (size_t)size);
    *raw = span_of(raw->data + size, raw->size - (size_t)size);
    return 0;
}

/* Finds the messages in the raw bytes of a run. */
static int messages_get(struct span raw, const struct run_info *info, struct run_message *messages)
{
    uint64_t previous = 0;
    for (size_t i = 0; i < info->count; i++) {
        struct span record;
        if (record_take(&raw, &record)) {
            return -1;
        }
        uint64_t seq = record_seq(record);
        if (i == 0 ? seq != info->first_seq : seq <= previous) {
            return -1;
        }
        messages[i] = (struct run_message){.seq = seq, .record = record};
        previous = seq;
    }
    return raw.size == 0 ? 0 : -1;
}

int run_unpack(const struct run_info *info, uint64_t last_seq, struct buffer *raw, struct run_message *messages)
{
    assert(info->count <= RUN_MESSAGES_MAX && info->raw_size <= RUN_RAW_MAX);
    uint8_t *bytes = buffer_extend(raw, info->raw_size);
    if (!bytes) {
        return -1;
    }
    int size =
        LZ4_decompress_safe((const char *)info->block.data, (char *)bytes, (int)info->block.size, (int)info->raw_size);
    if (size != (int)info->raw_size || messages_get(span_of(bytes, info->raw_size), info, messages) ||
        (last_seq != 0 && messages[info->count - 1].seq != last_seq)) {
        raw->size -= info->raw_size;
        return -1;
    }
    return 0;
}

/* The memory to work in: LZ4's state, and behind it the raw bytes. Returns where those begin; NULL: memory is short. */
static uint8_t *memory_take(struct buffer *memory)
{
    size_t state = (size_t)LZ4_sizeofStateHC();
    buffer_clear(memory);
    uint8_t *begin = buffer_extend(memory, state + RUN_RAW_MAX);
    return begin ? begin + state : NULL;
}

/* Lays the messages one behind the other, as many as a run may hold. Returns how many. */
static size_t messages_put(const struct run_message *messages, size_t count, uint8_t *raw, size_t *ret_size)
{
    size_t taken = 0;
    size_t size = 0;
    while (taken < count && taken < RUN_MESSAGES_MAX) {
        const struct run_message *message = &messages[taken];
        assert(message->seq > (taken > 0 ? messages[taken - 1].seq : 0));
        if (record_seq(message->record) != message->seq || message->record.size > RUN_RAW_MAX ||
            size + wire_element_size(RUN_FIELD, message->record.size) > RUN_RAW_MAX) {
            break;
        }
        size += wire_header(RUN_FIELD, message->record.size, raw + size);
        memcpy(raw + size, message->record.data, message->record.size);
        size += message->record.size;
        taken++;
    }
    *ret_size = size;
    return taken;
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

/* A run under way. */
struct packing {
    const struct run_message *messages;
    size_t count;
    struct span raw; /* of these messages */
    void *state;
    struct buffer *out;
    size_t block_size; /* at the end of *out */
};

static void head_put(const struct packing *packing)
{
    static const uint8_t mark[] = {RUN_MARK, RUN_FORM_LZ4};
    struct buffer *out = packing->out;
    buffer_clear(out);
    buffer_append(out, mark, sizeof(mark));
    wire_put_varint(out, packing->count);
    wire_put_varint(out, packing->messages[0].seq);
    wire_put_varint(out, packing->raw.size);
}

/* Writes the head, and makes room for a block so that the value takes at most `room` bytes. NULL: memory is short. */
static char *block_begin(const struct packing *packing, size_t room, int *ret_room)
{
    struct buffer *out = packing->out;
    head_put(packing);
    *ret_room = (int)(room - out->size);
    return (char *)buffer_extend(out, room - out->size);
}

static bool block_end(struct packing *packing, int room, int size)
{
    packing->out->size -= (size_t)(room - size);
    packing->block_size = (size_t)size;
    return size > 0;
}

/* Packs them all fast. False: they do not fit, or memory is short. */
static bool pack_fast(struct packing *packing, size_t room)
{
    int left;
    char *block = block_begin(packing, room, &left);
    return block && block_end(packing, left,
                              LZ4_compress_fast_extState(packing->state, (const char *)packing->raw.data, block,
                                                         (int)packing->raw.size, left, 1));
}

/* Packs them as tightly as pays; returns how many raw bytes there was room for. The value is whole when that is all. */
static size_t pack_tightly(struct packing *packing, size_t room)
{
    int left;
    int consumed = (int)packing->raw.size;
    char *block = block_begin(packing, room, &left);
    if (!block) {
        return 0;
    }
    int size = LZ4_compress_HC_destSize(packing->state, (const char *)packing->raw.data, block, &consumed, left,
                                        LZ4HC_CLEVEL_MIN);
    return block_end(packing, left, size) ? (size_t)consumed : 0;
}

/* Cuts what was packed tightly behind the last message of which all is in it. False: there is none, or the value would
 * be longer. */
static bool tight_cut(struct packing *packing, size_t fits)
{
    struct buffer *out = packing->out;
    size_t before = out->size - packing->block_size;
    packing->count = messages_within(packing->messages, packing->count, &fits);
    packing->raw.size = fits;
    size_t size = packing->count > 0 ? run_block_cut(out->data + before, packing->block_size, packing->raw) : 0;
    if (size > 0) { /* its head says less, and so is no longer */
        uint8_t *block = out->data + before;
        head_put(packing);
        memmove(out->data + out->size, block, size);
        out->size += size;
    }
    return size > 0;
}

/* What does not fit is packed tightly: it is the full run that stays, so that this is paid once for each message. */
static size_t pack_full(struct packing *packing)
{
    for (;;) {
        size_t fits = pack_tightly(packing, RUN_VALUE_BYTES);
        if (packing->out->failed || fits == packing->raw.size || tight_cut(packing, fits)) {
            return packing->out->failed ? 0 : packing->count;
        }
        if (packing->count == 0) { /* not even the first: it takes more */
            packing->count = 1;
            packing->raw.size = wire_element_size(RUN_FIELD, packing->messages[0].record.size);
            size_t bound = (size_t)LZ4_compressBound((int)packing->raw.size);
            return pack_fast(packing, RUN_HEAD_BYTES + bound) ? 1 : 0;
        }
    }
}

size_t run_pack(const struct run_message *messages, size_t count, struct buffer *memory, struct buffer *out)
{
    size_t size;
    buffer_clear(out);
    uint8_t *raw = memory_take(memory);
    if (!raw) {
        out->failed = true;
        return 0;
    }
    size_t taken = messages_put(messages, count, raw, &size);
    struct packing packing = {messages, taken, span_of(raw, size), memory->data, out, 0};
    if (taken == 0) {
        return 0;
    }
    return pack_fast(&packing, RUN_VALUE_BYTES) ? taken : pack_full(&packing);
}
