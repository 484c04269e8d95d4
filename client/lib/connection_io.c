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

void chatlog_connection_begin(struct chatlog_connection *connection, uint32_t id, const uint8_t *body,
                              size_t body_length, const uint8_t *tail, size_t tail_length)
{
    assert(connection->state == CONNECTION_UP && !connection->writing && connection->orphan == NULL);
    assert(tail_length <= sizeof connection->tail);
    chatlog_frame_put_header(connection->address.ipc, id, body_length + tail_length, connection->header);
    memcpy(connection->tail, tail, tail_length);
    connection->tail_length = tail_length;
    connection->body = body;
    connection->body_length = body_length;
    connection->written = 0;
    connection->writing = true;
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

int chatlog_connection_flush(struct chatlog_connection *connection)
{
    while (connection->writing) {
        size_t header_length = chatlog_frame_header_size(connection->address.ipc);
        struct iovec pieces[3];
        size_t count = 0;
        size_t skip = connection->written;
        add_piece(pieces, &count, connection->header, header_length, &skip);
        add_piece(pieces, &count, connection->body, connection->body_length, &skip);
        add_piece(pieces, &count, connection->tail, connection->tail_length, &skip);
        ssize_t sent = sendmsg(connection->fd, &(struct msghdr){.msg_iov = pieces, .msg_iovlen = count}, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        connection->written += (size_t)sent;
        if (connection->written == header_length + connection->body_length + connection->tail_length)
            connection->writing = false;
    }
    chatlog_memory_free(connection->orphan);
    connection->orphan = NULL;
    return 1;
}

bool chatlog_connection_forget(struct chatlog_connection *connection, uint8_t *body)
{
    assert(connection->writing && connection->body == body);
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

static int read_header(struct chatlog_connection *connection)
{
    size_t size = chatlog_frame_header_size(connection->address.ipc);
    while (connection->buffer_end - connection->buffer_start < size) {
        int filled = fill_buffer(connection);
        if (filled <= 0)
            return filled;
    }
    if (chatlog_frame_get_header(connection->address.ipc, connection->buffer + connection->buffer_start,
                                 REPLY_BYTES_MAX, &connection->reply_id, &connection->reply_length) != 0)
        return -1;
    connection->buffer_start += size;
    connection->reply = chatlog_memory_get(connection->reply_length + 1);
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
    int result = connection->reading ? 1 : read_header(connection);
    if (result == 1)
        result = read_body(connection);
    if (result != 1)
        return result;
    *ret_incoming = (struct chatlog_incoming){connection->reply_id, connection->reply, connection->reply_length};
    connection->reply = NULL;
    connection->reading = false;
    connection->failures = 0;
    return 1;
}
