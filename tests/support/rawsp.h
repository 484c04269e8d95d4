/* Scalability Protocols by hand over AF_UNIX, for what a well-behaved client never sends: the handshake and the frames
 * of nng's IPC transport, the REQ header, and a minimal chatlog.v1 envelope. Sockets are plain file descriptors;
 * nothing blocks longer than RAWSP_TIMEOUT_MS. */
#ifndef SUPPORT_RAWSP_H
#define SUPPORT_RAWSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    RAWSP_TIMEOUT_MS = 30000,
    RAWSP_PROTOCOL_REQ = 0x30,
    RAWSP_PROTOCOL_REP = 0x31,
    RAWSP_HANDSHAKE_BYTES = 8,
    RAWSP_FRAME_BYTES = 9, /* type and length, before the body */
    RAWSP_ID_BYTES = 4,
};

#define RAWSP_REQUEST_ID UINT32_C(0x80000000) /* the high bit ends the REQ header */

/* Connects to the socket, without a handshake. Ends the test program when nobody listens there. */
int rawsp_connect(const char *path);

/* The same, or -1 when nobody listens there. */
int rawsp_try_connect(const char *path);

/* Writes all of it, or returns false when the peer has closed or does not read. */
bool rawsp_write(int fd, const void *data, size_t size);

/* Reads exactly size bytes; false at the end of the connection or after the timeout. */
bool rawsp_read(int fd, void *data, size_t size);

/* 00 'S' 'P' 00, the protocol, 00 00: sends ours and reads the peer's. False when the peer closed instead. */
bool rawsp_handshake(int fd, uint16_t protocol);

/* Connects and shakes hands as a REQ; -1 when the daemon closed the connection. */
int rawsp_open(const char *path);

/* The frame's 9 bytes alone, with any type and length. */
bool rawsp_send_header(int fd, uint8_t type, uint64_t length);

/* A whole REQ message: frame, request id (the high bit is set for you), body. */
bool rawsp_send_request(int fd, uint32_t id, const void *body, size_t size);

/* Reads one REP message. Returns its malloc'd body (without the request id) or NULL at the end of the connection. */
uint8_t *rawsp_receive(int fd, uint32_t *ret_id, size_t *ret_size);

/* True when the daemon closed the connection within the timeout; reads and drops what came before. */
bool rawsp_closed(int fd, unsigned timeout_ms);

/* An encoded chatlog.v1.Request {method, payload, request_id}; request_id may be NULL. The caller frees it. */
uint8_t *rawsp_envelope(const char *method, const void *payload, size_t payload_size, const char *request_id,
                        size_t *ret_size);

/* Response.code of an encoded chatlog.v1.Response, or -1 when it is not one. */
int rawsp_response_code(const uint8_t *response, size_t size);

/* Asks grpc.health.v1.Health/Check on a new connection: true when it was answered with code 0. */
bool rawsp_healthy(const char *path);

#endif
