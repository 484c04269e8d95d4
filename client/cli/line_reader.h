/* Lines of a file, of any content, with a bound on their length. */
#ifndef CLI_LINE_READER_H
#define CLI_LINE_READER_H

#include <stddef.h>

/* 256 MiB: the longest line that is read. */
enum { LINE_READER_BYTES = 256 * 1024 * 1024, LINE_READER_BUFFER = 256 * 1024 };

struct line_reader {
    int file;
    size_t start; /* of what is in the buffer and was not taken */
    size_t end;
    char *buffer;
};

/* A line without its end. Zeroed, it is empty; release data with free(). */
struct line {
    char *data;
    size_t length;
    size_t capacity;
};

enum line_result {
    LINE_READ = 0,
    LINE_END = 1,      /* of the file */
    LINE_TOO_LONG = 2, /* it was skipped; length is what would have been */
    LINE_FAILED = -1,  /* errno says why */
};

/* Reads from file, which stays the caller's. */
struct line_reader line_reader_new(int file);

enum line_result line_reader_next(struct line_reader *reader, struct line *line);

void line_reader_free(struct line_reader *reader);

#endif
