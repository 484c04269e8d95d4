/* Between the structs of chatlog.h and the generated ones. Pieces are taken from an arena; texts and contents are
 * borrowed, never copied. */
#ifndef CHATLOG_LIB_CONVERT_H
#define CHATLOG_LIB_CONVERT_H

#include "arena.h"
#include "chatlog.h"
#include "unary.h"

#include "chatlog/v1/conversation.pb-c.h"
#include "chatlog/v1/message.pb-c.h"

/* For a string field of a generated struct; NULL becomes "". */
char *chatlog_convert_text(const char *text);

/* For requests. Errors: INVALID_ARGUMENT (a NULL where something is needed, a content no request can hold),
 * RESOURCE_EXHAUSTED / CLIENT_MEMORY. */
int chatlog_convert_conversation(struct chatlog_arena *arena, const struct chatlog_conversation *conversation,
                                 Chatlog__V1__Conversation *ret_wire, struct chatlog_error *error);
int chatlog_convert_message(struct chatlog_arena *arena, const struct chatlog_message *message,
                            Chatlog__V1__Message *ret_wire, struct chatlog_error *error);

/* The paths of an update mask, whose names stand in bit order. */
struct chatlog_mask {
    size_t count;
    char *paths[8];
};
int chatlog_convert_mask(unsigned fields, const char *const *names, size_t name_count, struct chatlog_mask *ret_mask,
                         struct chatlog_error *error);

/* For results: *ret points into wire and arena. Error: RESOURCE_EXHAUSTED / CLIENT_MEMORY. */
int chatlog_convert_conversation_back(struct chatlog_arena *arena, const Chatlog__V1__Conversation *wire,
                                      struct chatlog_conversation *ret, struct chatlog_error *error);
int chatlog_convert_message_back(struct chatlog_arena *arena, const Chatlog__V1__Message *wire,
                                 struct chatlog_message *ret, struct chatlog_error *error);

#endif
