/* Filling struct chatlog_error, the names of the codes, and the check of arguments. Knows no connection. */
#include "error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *chatlog_code_name(int code)
{
    static const char *const names[] = {
        [CHATLOG_OK] = "OK",
        [CHATLOG_CANCELLED] = "CANCELLED",
        [CHATLOG_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [CHATLOG_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [CHATLOG_NOT_FOUND] = "NOT_FOUND",
        [CHATLOG_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [CHATLOG_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [CHATLOG_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [CHATLOG_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [CHATLOG_ABORTED] = "ABORTED",
        [CHATLOG_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [CHATLOG_INTERNAL] = "INTERNAL",
        [CHATLOG_UNAVAILABLE] = "UNAVAILABLE",
        [CHATLOG_DATA_LOSS] = "DATA_LOSS",
        [CHATLOG_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };
    if (code < 0 || (size_t)code >= sizeof names / sizeof names[0] || names[code] == NULL)
        return "UNKNOWN";
    return names[code];
}

/* Takes off the end what is left of a UTF-8 character that was cut. */
static void drop_cut_character(char *text)
{
    size_t length = strlen(text);
    size_t start = length;
    while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char first = (unsigned char)text[start - 1];
    size_t wanted = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (length - (start - 1) < wanted)
        text[start - 1] = '\0';
}

void chatlog_error_copy(char *field, size_t size, const char *text)
{
    assert(size > 0);
    size_t length = strnlen(text, size);
    if (length < size) {
        memcpy(field, text, length + 1);
        return;
    }
    memcpy(field, text, size - 1);
    field[size - 1] = '\0';
    drop_cut_character(field);
}

int chatlog_error_set(struct chatlog_error *error, enum chatlog_code code, const char *reason, const char *format, ...)
{
    assert(code != CHATLOG_OK);
    if (error == NULL)
        return (int)code;
    *error = (struct chatlog_error){.code = code};
    chatlog_error_copy(error->reason, sizeof error->reason, reason);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof error->message)
        drop_cut_character(error->message);
    return (int)code;
}

int chatlog_error_memory(struct chatlog_error *error)
{
    return chatlog_error_set(error, CHATLOG_RESOURCE_EXHAUSTED, "CLIENT_MEMORY",
                             "this program is short of memory for the call");
}

int chatlog_argument_check(const struct chatlog_argument *arguments, struct chatlog_error *error)
{
    for (; arguments->name != NULL; arguments++)
        if (arguments->pointer == NULL)
            return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_REQUIRED", "%s must not be NULL",
                                     arguments->name);
    return 0;
}
