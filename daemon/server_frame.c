/* The bytes of SP, see the header. */
#include "server_frame.h"

enum { TYPE_MESSAGE = 1, LENGTH_BYTES = 8, LAST_WORD = 0x80, PROTOCOL_REQ = 0x30, PROTOCOL_REP = 0x31 };

const uint8_t frame_handshake[FRAME_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, PROTOCOL_REP, 0, 0};

bool frame_handshake_valid(const uint8_t handshake[FRAME_HANDSHAKE_BYTES])
{
    static const uint8_t expected[FRAME_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, PROTOCOL_REQ, 0, 0};
    return memcmp(handshake, expected, sizeof(expected)) == 0;
}

size_t frame_header_size(bool typed)
{
    return typed ? 1 + LENGTH_BYTES : LENGTH_BYTES;
}

bool frame_header_get(bool typed, const uint8_t *input, uint64_t *ret_length)
{
    if (typed && *input++ != TYPE_MESSAGE) {
        return false;
    }
    uint64_t length = 0;
    for (int i = 0; i < LENGTH_BYTES; i++) {
        length = length << 8 | input[i];
    }
    *ret_length = length;
    return true;
}

void frame_header_put(bool typed, uint64_t length, uint8_t *output)
{
    if (typed) {
        *output++ = TYPE_MESSAGE;
    }
    for (int i = LENGTH_BYTES; i-- > 0; length >>= 8) {
        output[i] = (uint8_t)length;
    }
}

int frame_route_size(struct span message)
{
    for (int hops = 0; hops < FRAME_HOPS_MAX; hops++) {
        size_t start = (size_t)hops * FRAME_WORD_BYTES;
        if (message.size < start + FRAME_WORD_BYTES) {
            return -1;
        }
        if (message.data[start] & LAST_WORD) {
            return (int)start + FRAME_WORD_BYTES;
        }
    }
    return 0;
}
