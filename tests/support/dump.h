/* Everything a daemon holds, asked for through its public methods and written as JSON lines: the same data gives the
 * same bytes, whatever layout it is in and however far a migration has got. Must not know how a method is called. */
#ifndef SUPPORT_DUMP_H
#define SUPPORT_DUMP_H

#include "base/span.h"

#include <stdio.h>

/* What a method answered. */
struct dump_answer {
    unsigned code;
    char reason[48];
    uint8_t *payload; /* malloc'd; dump_write frees it */
    size_t size;
    bool replayed;
};

/* Calls a method and waits for its answer. request_id: empty for none. */
typedef void dump_call(void *arg, const char *method, struct span payload, struct span request_id,
                       struct dump_answer *ret);

/* Writes a line for every user, conversation and message with every field, for what each list and index says of them,
 * for the replay of every request in `requests` (encoded chatlog.v1.Request, one a line, in hex; may be empty), and
 * at last the store's counts, once they agree with what was read or after half a minute. A call that fails becomes a
 * line too. In the strings of the dump a character is a byte. */
void dump_write(FILE *out, struct span requests, dump_call *call, void *arg);

/* The first line in which the dumps differ, into text; false when they are the same. */
bool dump_differ(struct span wanted, struct span got, char *text, size_t size);

/* A line of requests: writes the Request it holds as hex, and reads it back (malloc'd bytes; NULL: it is not hex). */
void dump_put_hex(FILE *out, struct span bytes);
uint8_t *dump_get_hex(struct span line, size_t *ret_size);

#endif
