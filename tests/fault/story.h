/* What happens in one conversation, change by change: each is a function of (seed, conversation, number), so whoever
 * knows how many were made knows every byte that must be there. Appends, edits, replaced tails, pops and removed
 * messages, small and large, so that pages of the data file are freed and used again. */
#ifndef FAULT_STORY_H
#define FAULT_STORY_H

#include <stddef.h>
#include <stdint.h>

enum { STORY_ID_BYTES = 48, STORY_MESSAGES_MAX = 48, STORY_NUMBER_BITS = 20, STORY_CONVERSATIONS_MAX = 2000 };

/* A conversation after `done` changes. */
struct story {
    uint64_t seed;
    uint32_t conversation;
    uint64_t done;
    uint64_t last_seq;
    size_t count;
    struct {
        uint64_t seq;
        uint64_t text;
    } messages[STORY_MESSAGES_MAX];
};

/* The next change as a request. */
struct story_request {
    const char *method;
    char request_id[STORY_ID_BYTES];
    uint8_t *payload; /* malloc'd */
    size_t size;
    uint32_t number; /* names the conversation and the change; fits beside the high bit of an SP request id */
};

struct story story_new(uint64_t seed, uint32_t conversation);

void story_user(uint32_t conversation, char id[STORY_ID_BYTES]);
void story_conversation(uint32_t conversation, char id[STORY_ID_BYTES]);

/* Writes down the next change, and makes it. */
void story_ask(const struct story *story, struct story_request *ret);
void story_advance(struct story *story);

/* The conversation and the number of changes (modulo 2^STORY_NUMBER_BITS) once this one is made. */
void story_number_parse(uint32_t number, uint32_t *ret_conversation, uint32_t *ret_done);

/* One number for everything a conversation holds. It begins as 0; seen messages are added in order. */
uint64_t story_digest(const struct story *story);
uint64_t story_digest_add(uint64_t digest, uint64_t seq, const void *content, size_t size);
uint64_t story_digest_end(uint64_t digest, uint64_t last_seq);

#endif
