/* The Scalability Protocols on the wire, as far as a replier needs them: the handshake, the frame around a message and
 * the route that leads an answer back to its request. Pure; knows no sockets.
 *
 * ipc://  01 00 00 00 00 00 00 00 09 | 80 00 00 01 | 5 bytes    type 1, length 9 | request id | the Request
 * tcp://     00 00 00 00 00 00 00 09 | 80 00 00 01 | 5 bytes    the same without the type */
#ifndef SERVER_FRAME_H
#define SERVER_FRAME_H

#include "base/span.h"

enum {
    FRAME_HANDSHAKE_BYTES = 8,
    FRAME_HEADER_MAX = 9,
    FRAME_WORD_BYTES = 4,
    FRAME_HOPS_MAX = 8, /* words of a route: the devices between client and daemon, and the request id */
    FRAME_ROUTE_MAX = FRAME_HOPS_MAX * FRAME_WORD_BYTES,
};

/* What a replier says first: 00 'S' 'P' 00, protocol 0x0031, 00 00. */
extern const uint8_t frame_handshake[FRAME_HANDSHAKE_BYTES];

/* True when the peer is a requester that speaks this version. */
bool frame_handshake_valid(const uint8_t handshake[FRAME_HANDSHAKE_BYTES]);

/* Bytes before the message: 9 with a type (IPC), 8 without (TCP). */
size_t frame_header_size(bool typed);

/* input: at least that many bytes. False when the type is not that of a message. */
bool frame_header_get(bool typed, const uint8_t *input, uint64_t *ret_length);
void frame_header_put(bool typed, uint64_t length, uint8_t *output);

/* The bytes of the route at the front of a message; 0 when it is longer than FRAME_HOPS_MAX words (such a message is
 * dropped, as nng does); -1 when the message ends before it (the peer speaks something else). */
int frame_route_size(struct span message);

#endif
