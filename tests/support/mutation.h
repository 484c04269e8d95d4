/* A valid request of every method, and what is made of them: the same bytes with some changed, cut, doubled or mixed.
 */
#ifndef SUPPORT_MUTATION_H
#define SUPPORT_MUTATION_H

#include <stddef.h>
#include <stdint.h>

/* What is changed, and what around it stays right, so that the daemon gets as far as that. */
enum mutation_level {
    MUTATION_FRAME,    /* type, length, request id, and what follows: bytes for the socket */
    MUTATION_ENVELOPE, /* the Request: method, payload's length ...: a body for rawsp_send_request */
    MUTATION_PAYLOAD,  /* the method's own message, in a good Request: the same */
    MUTATION_LEVELS
};

enum { MUTATION_BYTES = 16384 };

/* The next pseudo-random number below `below`; *random begins with the seed. */
uint64_t mutation_draw(uint64_t *random, uint64_t below);

/* Fills ret with a mutated message and returns its size. The same *random gives the same. */
size_t mutation_next(uint64_t *random, enum mutation_level level, uint8_t ret[MUTATION_BYTES]);

#endif
