/* The data every system holds: who has which conversation, and what a message says. All of it is a function of numbers
 * and one text, so that every system gets the same. */
#ifndef BENCH_DATASET_H
#define BENCH_DATASET_H

#include <stddef.h>
#include <stdint.h>

enum { DATASET_USER_CONVERSATIONS = 100, DATASET_MESSAGE_BYTES = 300, DATASET_ID_BYTES = 32 };

/* What messages are cut from. */
struct corpus {
    char *text;
    size_t size;
};

/* Reads conversations of JSON lines (as `chatlog import` takes them), or makes words up when path is NULL. Ends the
 * program when the file cannot be read. */
struct corpus corpus_read(const char *path);
void corpus_free(struct corpus *corpus);

/* Conversations first_conversation and on; user number N has those from N * DATASET_USER_CONVERSATIONS on. */
struct dataset {
    const struct corpus *corpus;
    uint64_t first_conversation;
    uint64_t conversations;
    uint64_t messages; /* loaded into each */
};

struct dataset_names {
    char user[DATASET_ID_BYTES];
    char conversation[DATASET_ID_BYTES];
};
struct dataset_names dataset_names(uint64_t conversation);

/* DATASET_MESSAGE_BYTES of the corpus: numbers one apart are neighbours in it. */
const char *dataset_text(const struct dataset *dataset, uint64_t number);

/* What the message at this place of a conversation, or of an append, is: "user", "assistant", "tool", "tool", ... */
const char *dataset_role(uint64_t index);

/* A number that looks like any other, the same for the same number. */
uint64_t dataset_random(uint64_t number);

#endif
