/* Filling struct chatlog_error, and the checks of arguments that every call begins with. */
#ifndef CHATLOG_LIB_ERROR_H
#define CHATLOG_LIB_ERROR_H

#include "chatlog.h"

/* Fills *error, which may be NULL; the message is cut to fit, between characters. Returns code. */
int chatlog_error_set(struct chatlog_error *error, enum chatlog_code code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* RESOURCE_EXHAUSTED / CLIENT_MEMORY */
int chatlog_error_memory(struct chatlog_error *error);

/* Copies text and its NUL into a field of `size` bytes; what does not fit is cut between characters. */
void chatlog_error_copy(char *field, size_t size, const char *text);

/* One pointer that a call cannot do without. */
struct chatlog_argument {
    const void *pointer;
    const char *name;
};

/* INVALID_ARGUMENT / FIELD_REQUIRED for the first that is NULL. The list ends in a row without a name. */
int chatlog_argument_check(const struct chatlog_argument *arguments, struct chatlog_error *error);

#define CHATLOG_REQUIRE(error, ...)                                                                                    \
    chatlog_argument_check((const struct chatlog_argument[]){__VA_ARGS__, {NULL, NULL}}, error)

#endif
