/* Writing and reading frames on a connection that is up. Knows neither requests nor their deadlines. */
#include "connection.h"

#include "chatlog_limits.h"
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

enum { READ_BUDGET_BYTES = 1024 * 1024 }; /* of one call, so that deadlines are looked at in between */

/* The largest reply: the messages of one, and what is around them. */
#define REPLY_BYTES_MAX ((size_t)CHATLOG_CAP_request_bytes + CHATLOG_MIB)

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

void chatlog_connection_put_header(const struct chatlog_connection *connection, uint32_t id,
                                   struct chatlog_outgoing *frame)
{
    assert(frame->tail_length <= sizeof frame->tail);
    chatlog_frame_put_header(connection->address.ipc, id, frame->body_length + frame->tail_length, frame->header);
}

/* Adds what is left of a piece after *skip bytes of the frame. */
static void add_piece(struct iovec *pieces, size_t *count, const uint8_t *bytes, size_t length, size_t *skip)
{
    size_t skipped = *skip < length ? *skip : length;
    *skip -= skipped;
    if (skipped == length)
        return;
    memcpy(&pieces[*count].iov_base, &bytes, sizeof bytes); /* sending does not write to it */
    pieces[*count].iov_base = (uint8_t *)pieces[*count].iov_base + skipped;
    pieces[(*count)++].iov_len = length - skipped;
}

static size_t frame_length(const struct chatlog_connection *connection, const struct chatlog_outgoing *frame)
{
    return chatlog_frame_header_size(connection->address.ipc) + frame->body_length + frame->tail_length;
}

/* Writes once, from *skip bytes behind the first frame's beginning. Like send(), but 0 means that the socket is full.
 */
static ssize_t write_frames(const struct chatlog_connection *connection, const struct chatlog_outgoing *frames,
                            size_t frame_count, size_t skip)
{
    size_t header_length = chatlog_frame_header_size(connection->address.ipc);
    struct iovec pieces[3 * CHATLOG_OUTGOING_MAX];
    size_t count = 0;
    for (size_t i = 0; i < frame_count; i++) {
        add_piece(pieces, &count, frames[i].header, header_length, &skip);
        add_piece(pieces, &count, frames[i].body, frames[i].body_length, &skip);
        add_piece(pieces, &count, frames[i].tail, frames[i].tail_length, &skip);
    }
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent;
    do
        sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

int chatlog_connection_write(struct chatlog_connection *connection, const struct chatlog_outgoing *frames, size_t count,
                             size_t *ret_count)
{
    assert(connection->state == CONNECTION_UP && !connection->writing && connection->orphan == NULL);
    assert(count > 0 && count <= CHATLOG_OUTGOING_MAX);
    *ret_count = 0;
    ssize_t sent = write_frames(connection, frames, count, 0);
    if (sent < 0)
        return -1;
    size_t left = (size_t)sent;
    size_t whole = 0;
    while (whole < count && left >= frame_length(connection, &frames[whole]))
        left -= frame_length(connection, &frames[whole++]);
    *ret_count = whole;
    if (whole == count)
        return 1;
    connection->frame = frames[whole];
    connection->written = left;
    connection->writing = true;
    return 0;
}

int chatlog_connection_flush(struct chatlog_connection *connection)
{
    while (connection->writing) {
        ssize_t sent = write_frames(connection, &connection->frame, 1, connection->written);
        if (sent <= 0)
            return (int)sent;
        connection->written += (size_t)sent;
        if (connection->written == frame_length(connection, &connection->frame))
            connection->writing = false;
    }
    chatlog_memory_free(connection->orphan);
    connection->orphan = NULL;
    return 1;
}

bool chatlog_connection_forget(struct chatlog_connection *connection, uint8_t *body)
{
    assert(connection->writing && connection->frame.body == body);
    if (connection->written == 0) {
        connection->writing = false;
        return false;
    }
    connection->orphan = body;
    return true;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* Like recv(), but 0 means that nothing is there, and the end of the connection is -1. */
static ssize_t receive(const struct chatlog_connection *connection, void *bytes, size_t size)
{
    ssize_t got;
    do
        got = recv(connection->fd, bytes, size, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    return got < 0 && errno == EAGAIN ? 0 : -1;
}

static int fill_buffer(struct chatlog_connection *connection)
{
    size_t left = connection->buffer_end - connection->buffer_start;
    memmove(connection->buffer, connection->buffer + connection->buffer_start, left);
    connection->buffer_start = 0;
    connection->buffer_end = left;
    ssize_t got = receive(connection, connection->buffer + left, sizeof connection->buffer - left);
    if (got <= 0)
        return (int)got;
    connection->buffer_end += (size_t)got;
    return 1;
}

/* Until the buffer holds so many bytes, at most half of what it can. */
static int fill_up_to(struct chatlog_connection *connection, size_t size)
{
    while (connection->buffer_end - connection->buffer_start < size) {
        int filled = fill_buffer(connection);
        if (filled <= 0)
            return filled;
    }
    return 1;
}

/* A reply that fits well stays in the buffer and is *ret_incoming then; for a larger one memory is taken. */
static int read_header(struct chatlog_connection *connection, struct chatlog_incoming *ret_incoming)
{
    size_t size = chatlog_frame_header_size(connection->address.ipc);
    int filled = fill_up_to(connection, size);
    if (filled <= 0)
        return filled;
    if (chatlog_frame_get_header(connection->address.ipc, connection->buffer + connection->buffer_start,
                                 REPLY_BYTES_MAX, &connection->reply_id, &connection->reply_length) != 0)
        return -1;
    if (size + connection->reply_length <= sizeof connection->buffer / 2) {
        filled = fill_up_to(connection, size + connection->reply_length);
        if (filled <= 0)
            return filled;
        *ret_incoming = (struct chatlog_incoming){
            connection->reply_id, connection->buffer + connection->buffer_start + size, connection->reply_length};
        connection->buffer_start += size + connection->reply_length;
        return 1;
    }
    connection->buffer_start += size;
    connection->reply = chatlog_memory_get(connection->reply_length);
    connection->reply_got = 0;
    connection->reading = true;
    return 1;
}

/* Takes what the buffer holds of the body. */
static void take_buffered(struct chatlog_connection *connection)
{
    size_t wanted = connection->reply_length - connection->reply_got;
    size_t there = connection->buffer_end - connection->buffer_start;
    size_t taken = wanted < there ? wanted : there;
    if (connection->reply != NULL)
        memcpy(connection->reply + connection->reply_got, connection->buffer + connection->buffer_start, taken);
    connection->buffer_start += taken;
    connection->reply_got += taken;
}

static int read_body(struct chatlog_connection *connection)
{
    size_t budget = READ_BUDGET_BYTES;
    take_buffered(connection);
    while (connection->reply_got < connection->reply_length) {
        if (budget == 0)
            return 0;
        size_t wanted = connection->reply_length - connection->reply_got;
        ssize_t got;
        if (connection->reply != NULL) {
            got = receive(connection, connection->reply + connection->reply_got, wanted < budget ? wanted : budget);
            if (got > 0)
                connection->reply_got += (size_t)got;
        } else {
            got = fill_buffer(connection);
            if (got > 0)
                got = (ssize_t)connection->buffer_end;
            take_buffered(connection);
        }
        if (got <= 0)
            return (int)got;
        budget -= (size_t)got < budget ? (size_t)got : budget;
    }
    return 1;
}

int chatlog_connection_read(struct chatlog_connection *connection, struct chatlog_incoming *ret_incoming)
{
    assert(connection->state == CONNECTION_UP);
    chatlog_memory_free(connection->delivered);
    connection->delivered = NULL;
    int result = connection->reading ? 1 : read_header(connection, ret_incoming);
    if (result == 1 && connection->reading) {
        result = read_body(connection);
        if (result == 1) {
            connection->delivered = connection->reply;
            connection->reply = NULL;
            connection->reading = false;
            *ret_incoming =
                (struct chatlog_incoming){connection->reply_id, connection->delivered, connection->reply_length};
        }
    }
    if (result == 1)
        connection->failures = 0;
    return result;
}
