/* Storing one conversation of an import, so that doing it again stores nothing twice. */
#ifndef CLI_IMPORT_CONVERSATION_H
#define CLI_IMPORT_CONVERSATION_H

#include "cli/exchange.h"
#include "cli/session.h"

/* What the server takes in one append. */
struct import_limits {
    uint64_t message_bytes;
    uint64_t chunk_bytes; /* of the messages of one append, about */
    size_t chunk_messages;
};

enum import_result {
    IMPORT_DONE,     /* everything of the line is stored */
    IMPORT_REJECTED, /* this line cannot be; outcome.text says why */
    IMPORT_STOPPED,  /* the server cannot go on now; outcome.error says why */
};

struct import_outcome {
    bool created;
    bool relabelled;   /* it existed, with another title, metadata, archived mark or expiry */
    uint64_t messages; /* appended, also when the result is not IMPORT_DONE */
    uint64_t present;  /* stored before; set with IMPORT_DONE */
    char text[1024];
    struct chatlog_error error;
};

/* Blocks. May run on several threads at once, for different conversations. */
enum import_result import_conversation(const struct session *session, const struct import_limits *limits,
                                       const struct exchange_conversation *line, struct import_outcome *ret_outcome);

#endif
