/* The bytes of the Scalability Protocols. Knows no socket. */
#include "frame.h"

#include <endian.h>
#include <string.h>

enum { PROTOCOL_REQ = 0x30, PROTOCOL_REP = 0x31, IPC_MESSAGE = 1, LENGTH_BYTES = 8, ID_BYTES = 4 };

const uint8_t chatlog_frame_greeting[CHATLOG_GREETING_BYTES] = {0, 'S', 'P', 0, 0, PROTOCOL_REQ, 0, 0};

bool chatlog_frame_greets(const uint8_t bytes[static CHATLOG_GREETING_BYTES])
{
    static const uint8_t rep[CHATLOG_GREETING_BYTES] = {0, 'S', 'P', 0, 0, PROTOCOL_REP, 0, 0};
    return memcmp(bytes, rep, sizeof rep) == 0;
}

size_t chatlog_frame_header_size(bool ipc)
{
    return (ipc ? 1 : 0) + LENGTH_BYTES + ID_BYTES;
}

void chatlog_frame_put_header(bool ipc, uint32_t id, size_t body_length, uint8_t *ret_bytes)
{
    uint64_t length = htobe64(ID_BYTES + (uint64_t)body_length);
    uint32_t wire_id = htobe32(id);
    if (ipc)
        *ret_bytes++ = IPC_MESSAGE;
    memcpy(ret_bytes, &length, sizeof length);
    memcpy(ret_bytes + sizeof length, &wire_id, sizeof wire_id);
}

int chatlog_frame_get_header(bool ipc, const uint8_t *bytes, size_t body_max, uint32_t *ret_id, size_t *ret_body_length)
{
    if (ipc && *bytes++ != IPC_MESSAGE)
        return -1;
    uint64_t length;
    uint32_t id;
    memcpy(&length, bytes, sizeof length);
    memcpy(&id, bytes + sizeof length, sizeof id);
    length = be64toh(length);
    if (length < ID_BYTES || length - ID_BYTES > body_max)
        return -1;
    *ret_id = be32toh(id);
    *ret_body_length = (size_t)(length - ID_BYTES);
    return 0;
}
