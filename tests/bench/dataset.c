#include "bench/dataset.h"

#include "bench/fail.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATED_BYTES = 3 * 1024 * 1024, CORPUS_BYTES_MAX = 256 * 1024 * 1024 };

/* ---- Corpus ------------------------------------------------------------------------------------------------------ */

static void corpus_add(FILE *out, const char *text, size_t size)
{
    if (fwrite(text, 1, size, out) != size || fputc('\n', out) == EOF || ftell(out) > CORPUS_BYTES_MAX) {
        bench_fail("the text does not fit in %d MiB", CORPUS_BYTES_MAX >> 20);
    }
}

/* A message's text; of one that has none, such as a tool call, the JSON. */
static void corpus_add_message(FILE *out, const json_t *message)
{
    const json_t *content = json_object_get(message, "content");
    if (json_is_string(content)) {
        corpus_add(out, json_string_value(content), json_string_length(content));
        return;
    }
    char *dumped = json_dumps(message, JSON_COMPACT);
    if (dumped) {
        corpus_add(out, dumped, strlen(dumped));
    }
    free(dumped);
}

static void corpus_add_file(FILE *out, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        bench_fail("cannot open %s", path);
    }
    char *line = NULL;
    size_t room = 0;
    for (unsigned number = 1; getline(&line, &room, file) > 0; number++) {
        json_error_t error;
        json_t *conversation = json_loads(line, 0, &error);
        const json_t *messages = json_object_get(conversation, "messages");
        if (!json_is_array(messages)) {
            bench_fail("%s:%u: not a conversation: %s", path, number, conversation ? "no messages" : error.text);
        }
        for (size_t i = 0; i < json_array_size(messages); i++) {
            corpus_add_message(out, json_array_get(messages, i));
        }
        json_decref(conversation);
    }
    free(line);
    fclose(file);
}

static void corpus_add_words(FILE *out)
{
    static const char *const words[16] = {"order ",   "the ",   "table ",  "for ", "two ",     "please ",
                                          "confirm ", "your ",  "trip ",   "to ",  "airport ", "tomorrow ",
                                          "at ",      "seven ", "thanks ", "and "};
    for (uint64_t number = 0; ftell(out) < GENERATED_BYTES; number++) {
        fputs(words[dataset_random(number) >> 60], out);
    }
}

struct corpus corpus_read(const char *path)
{
    struct corpus corpus = {0};
    FILE *out = open_memstream(&corpus.text, &corpus.size);
    if (!out) {
        bench_fail("out of memory");
    }
    path ? corpus_add_file(out, path) : corpus_add_words(out);
    if (fclose(out) || corpus.size < 2 * DATASET_MESSAGE_BYTES) {
        bench_fail("%s: too little text", path ? path : "generated");
    }
    return corpus;
}

void corpus_free(struct corpus *corpus)
{
    free(corpus->text);
}

/* ---- Dataset ----------------------------------------------------------------------------------------------------- */

struct dataset_names dataset_names(uint64_t conversation)
{
    struct dataset_names names;
    snprintf(names.user, sizeof(names.user), "user-%llu",
             (unsigned long long)conversation / DATASET_USER_CONVERSATIONS);
    snprintf(names.conversation, sizeof(names.conversation), "chat-%llu", (unsigned long long)conversation);
    return names;
}

const char *dataset_text(const struct dataset *dataset, uint64_t number)
{
    return dataset->corpus->text + number % (dataset->corpus->size / DATASET_MESSAGE_BYTES) * DATASET_MESSAGE_BYTES;
}

const char *dataset_role(uint64_t index)
{
    static const char *const roles[4] = {"user", "assistant", "tool", "tool"};
    return roles[index % 4];
}

/* splitmix64, by Sebastiano Vigna (public domain), https://prng.di.unimi.it/splitmix64.c: the formula. */
uint64_t dataset_random(uint64_t number)
{
    uint64_t z = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
