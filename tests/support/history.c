#include "support/history.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MIN = 200 };

/* splitmix64, by Sebastiano Vigna (public domain), https://prng.di.unimi.it/splitmix64.c: the formula. */
uint64_t history_random(uint64_t number)
{
    uint64_t z = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void history_user(uint64_t conversation, char id[HISTORY_ID_BYTES])
{
    snprintf(id, HISTORY_ID_BYTES, "user-%07llu", (unsigned long long)conversation / HISTORY_USER_CONVERSATIONS);
}

void history_conversation(uint64_t conversation, char id[HISTORY_ID_BYTES])
{
    snprintf(id, HISTORY_ID_BYTES, "chat-%016llx", (unsigned long long)history_random(conversation));
}

uint64_t history_length(uint64_t conversation)
{
    return 1 + history_random(conversation) % HISTORY_LENGTH_MAX;
}

uint64_t history_conversations(uint64_t messages)
{
    uint64_t count = 0;
    for (uint64_t sum = 0; sum < messages; count++) {
        sum += history_length(count);
    }
    return count;
}

size_t history_text(uint64_t conversation, uint64_t seq, char text[HISTORY_TEXT_MAX])
{
    static const char words[32][12] = {"order ",  "the ",     "table ", "for ",     "two ",      "please ", "confirm ",
                                       "your ",   "trip ",    "to ",    "airport ", "tomorrow ", "at ",     "seven ",
                                       "thanks ", "and ",     "would ", "you ",     "like ",     "a ",      "seat ",
                                       "window ", "by ",      "is ",    "there ",   "still ",    "any ",    "room ",
                                       "near ",   "station ", "when ",  "can "};
    uint64_t random = history_random(conversation * 1000003 + seq);
    size_t size = TEXT_MIN + random % (HISTORY_TEXT_MAX - TEXT_MIN + 1);
    for (size_t used = 0; used < size;) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const char *word = words[random >> 59];
        size_t length = strlen(word);
        length = length < size - used ? length : size - used;
        memcpy(text + used, word, length);
        used += length;
    }
    return size;
}

const char *history_role(uint64_t seq)
{
    return seq % 2 ? "user" : "assistant";
}
