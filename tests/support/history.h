/* Made-up histories of any size: who says what is a function of numbers, so that a reader knows what must be there
 * without having stored it. Conversations have about 50 messages of 200 to 300 bytes. */
#ifndef SUPPORT_HISTORY_H
#define SUPPORT_HISTORY_H

#include <stddef.h>
#include <stdint.h>

enum { HISTORY_ID_BYTES = 32, HISTORY_TEXT_MAX = 300, HISTORY_LENGTH_MAX = 99, HISTORY_USER_CONVERSATIONS = 20 };

/* The IDs of a conversation by its number. */
void history_user(uint64_t conversation, char id[HISTORY_ID_BYTES]);
void history_conversation(uint64_t conversation, char id[HISTORY_ID_BYTES]);

/* How many messages it has, 1 to HISTORY_LENGTH_MAX, 50 on average. */
uint64_t history_length(uint64_t conversation);

/* How many conversations hold this many messages (the last one perhaps more than are asked for). */
uint64_t history_conversations(uint64_t messages);

/* What the message says; returns its length. No NUL at the end. */
size_t history_text(uint64_t conversation, uint64_t seq, char text[HISTORY_TEXT_MAX]);

/* "user" and "assistant" in turn. */
const char *history_role(uint64_t seq);

/* A number that looks like any other, the same for the same number. */
uint64_t history_random(uint64_t number);

#endif
