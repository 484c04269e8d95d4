/* A connection of its own for calls one after the other, without any retry: what came back is what happened. */
#ifndef FAULT_CALLER_H
#define FAULT_CALLER_H

#include "fault/story.h"

#include "chatlog/v1/envelope.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"

#include <stdbool.h>

struct caller {
    const char *socket; /* path */
    int fd;             /* -1: not connected */
};

/* Connects if need be; false when nobody answers there. */
bool caller_open(struct caller *caller);
void caller_close(struct caller *caller);

/* Returns the answer, or NULL when the connection broke: then what was asked may have been done. Free it with
 * chatlog__v1__response__free_unpacked. request_id may be NULL. */
Chatlog__V1__Response *caller_call(struct caller *caller, const char *method, const void *payload, size_t size,
                                   const char *request_id, uint32_t number);

/* Makes the story's next change, or tries it again. */
Chatlog__V1__Response *caller_tell(struct caller *caller, const struct story *story);

/* Reads a whole conversation. Returns its digest, 0 when it does not exist; *ret_messages: how many it has. False when
 * the connection broke or the daemon refused. */
bool caller_read(struct caller *caller, const struct story *story, uint64_t *ret_digest, uint64_t *ret_messages);

#endif
