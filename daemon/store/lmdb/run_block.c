#include "store/lmdb/run_block.h"

#include <stdbool.h>
#include <string.h>

/* The block format of LZ4 (its doc/lz4_Block_format.md): sequences of a token, literals and a match, each of the two
 * lengths with more bytes when it fills its half of the token. The last sequence has no match. */
enum {
    LENGTH_BITS = 4,
    LENGTH_FULL = 15,
    LENGTH_BYTE_FULL = 255,
    OFFSET_BYTES = 2,
    MATCH_LEAST = 4,
    LITERALS_LAST = 5,   /* the block's last bytes, at least, are literals */
    MATCH_FROM_END = 12, /* from the last match's begin to the block's end, at least */
};

struct sequence {
    size_t literals_at;
    size_t literals;
    size_t offset_at;
    size_t match; /* its length */
    size_t end;   /* where the next one begins */
};

static bool length_take(const uint8_t *block, size_t size, size_t *at, size_t *length)
{
    if (*length < LENGTH_FULL) {
        return true;
    }
    for (uint8_t byte = LENGTH_BYTE_FULL; byte == LENGTH_BYTE_FULL;) {
        if (*at == size) {
            return false;
        }
        byte = block[(*at)++];
        *length += byte;
    }
    return true;
}

/* False: there is none with a match. */
static bool sequence_take(const uint8_t *block, size_t size, size_t at, struct sequence *ret)
{
    if (at == size) {
        return false;
    }
    struct sequence sequence = {.literals = block[at] >> LENGTH_BITS, .match = block[at] & LENGTH_FULL};
    at++;
    if (!length_take(block, size, &at, &sequence.literals) || sequence.literals > size - at ||
        size - at - sequence.literals < OFFSET_BYTES) {
        return false;
    }
    sequence.literals_at = at;
    sequence.offset_at = at + sequence.literals;
    at = sequence.offset_at + OFFSET_BYTES;
    if (!length_take(block, size, &at, &sequence.match)) {
        return false;
    }
    sequence.match += MATCH_LEAST;
    sequence.end = at;
    *ret = sequence;
    return true;
}

/* Writes the bytes behind a token that a length needs. */
static size_t length_put(uint8_t *block, size_t at, size_t length)
{
    if (length < LENGTH_FULL) {
        return at;
    }
    for (length -= LENGTH_FULL; length >= LENGTH_BYTE_FULL; length -= LENGTH_BYTE_FULL) {
        block[at++] = LENGTH_BYTE_FULL;
    }
    block[at++] = (uint8_t)length;
    return at;
}

static size_t length_size(size_t length)
{
    return length < LENGTH_FULL ? 0 : 1 + (length - LENGTH_FULL) / LENGTH_BYTE_FULL;
}

/* Ends the block with these literals. */
static size_t literals_put(uint8_t *block, size_t size, size_t at, struct span literals)
{
    if (1 + length_size(literals.size) + literals.size > size - at) {
        return 0;
    }
    size_t high = literals.size < LENGTH_FULL ? literals.size : LENGTH_FULL;
    block[at] = (uint8_t)(high << LENGTH_BITS);
    at = length_put(block, at + 1, literals.size);
    memcpy(block + at, literals.data, literals.size);
    return at + literals.size;
}

/* Makes the match of the sequence that begins at `at` shorter. Returns where the sequence ends now. */
static size_t match_cut(uint8_t *block, size_t at, const struct sequence *sequence, size_t match)
{
    size_t length = match - MATCH_LEAST;
    size_t low = length < LENGTH_FULL ? length : LENGTH_FULL;
    block[at] = (uint8_t)((size_t)(block[at] >> LENGTH_BITS << LENGTH_BITS) | low);
    return length_put(block, sequence->offset_at + OFFSET_BYTES, length);
}

size_t run_block_cut(uint8_t *block, size_t size, struct span raw)
{
    size_t at = 0;
    size_t done = 0; /* raw bytes of the sequences before it */
    struct sequence sequence;
    while (sequence_take(block, size, at, &sequence)) {
        size_t match_from = done + sequence.literals;
        if (match_from + MATCH_FROM_END > raw.size) {
            break; /* what is left are literals */
        }
        size_t match_end = match_from + sequence.match;
        if (match_end + LITERALS_LAST > raw.size) {
            at = match_cut(block, at, &sequence, raw.size - LITERALS_LAST - match_from);
            done = raw.size - LITERALS_LAST;
            break;
        }
        at = sequence.end;
        done = match_end;
    }
    return literals_put(block, size, at, span_of(raw.data + done, raw.size - done));
}
