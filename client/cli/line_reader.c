/* Reading lines with read(), so that an error in the middle of a file is seen and a line cannot fill the memory. */
#include "cli/line_reader.h"

#include "cli/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line_reader line_reader_new(int file)
{
    return (struct line_reader){.file = file, .buffer = memory_alloc(LINE_READER_BUFFER)};
}

void line_reader_free(struct line_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

/* Makes sure that the buffer holds something. Returns 1, 0 at the end, -1. */
static int reader_fill(struct line_reader *reader)
{
    if (reader->start < reader->end) {
        return 1;
    }
    ssize_t count;
    do {
        count = read(reader->file, reader->buffer, LINE_READER_BUFFER);
    } while (count < 0 && errno == EINTR);
    reader->start = 0;
    reader->end = count > 0 ? (size_t)count : 0;
    return count > 0 ? 1 : (int)count;
}

/* Takes count bytes of the buffer into the line; past the bound only their number. */
static void reader_take(struct line_reader *reader, size_t count, struct line *line)
{
    size_t length = line->length + count;
    if (count > 0 && length <= LINE_READER_BYTES) {
        if (length > line->capacity) {
            line->capacity = length * 2 < LINE_READER_BYTES ? length * 2 : LINE_READER_BYTES;
            line->data = memory_resize(line->data, line->capacity);
        }
        memcpy(line->data + line->length, reader->buffer + reader->start, count);
    }
    line->length = length;
    reader->start += count;
}

enum line_result line_reader_next(struct line_reader *reader, struct line *line)
{
    assert(reader->buffer && reader->start <= reader->end);
    line->length = 0;
    for (bool begun = false;; begun = true) {
        int filled = reader_fill(reader);
        if (filled < 0) {
            return LINE_FAILED;
        }
        if (filled == 0 && !begun) {
            return LINE_END;
        }
        size_t left = reader->end - reader->start;
        char *end = left > 0 ? memchr(reader->buffer + reader->start, '\n', left) : NULL;
        reader_take(reader, end ? (size_t)(end - reader->buffer) - reader->start : left, line);
        if (end || filled == 0) {
            reader->start += end ? 1 : 0;
            return line->length > LINE_READER_BYTES ? LINE_TOO_LONG : LINE_READ;
        }
    }
}
