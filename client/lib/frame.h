/* The bytes of the Scalability Protocols between a REQ and a REP socket, as nng's IPC and TCP transports carry them.
 *
 * Both sides begin with a greeting of 8 bytes: 00 'S' 'P' 00, the protocol (16 bits, big endian), 00 00. Then each
 * message is a frame: over IPC the byte 01, over both the length of the rest (64 bits, big endian), the request id (32
 * bits, the highest one set), the body. */
#ifndef CHATLOG_LIB_FRAME_H
#define CHATLOG_LIB_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHATLOG_GREETING_BYTES = 8, CHATLOG_FRAME_HEADER_MAX = 1 + 8 + 4 };

/* Ours, as a REQ. */
extern const uint8_t chatlog_frame_greeting[CHATLOG_GREETING_BYTES];

/* The peer is a REP. */
bool chatlog_frame_greets(const uint8_t bytes[static CHATLOG_GREETING_BYTES]);

/* The size of a frame's header, request id included. */
size_t chatlog_frame_header_size(bool ipc);

/* Writes the header of a frame with so long a body. */
void chatlog_frame_put_header(bool ipc, uint32_t id, size_t body_length, uint8_t *ret_bytes);

/* Reads one. Returns -1 when the bytes are no header of a frame that carries an id and at most body_max bytes. */
int chatlog_frame_get_header(bool ipc, const uint8_t *bytes, size_t body_max, uint32_t *ret_id,
                             size_t *ret_body_length);

#endif
