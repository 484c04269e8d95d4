#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define ERROR_ROW(reason, code, meaning) [ERROR_##reason] = {#reason, ERROR_##code},
static const struct {
    const char *name;
    enum error_code code;
} error_rows[ERROR_REASON_COUNT] = {[ERROR_NONE_REASON] = {"", ERROR_OK}, ERROR_REASONS(ERROR_ROW)};
#undef ERROR_ROW

int error_set(struct error *error, enum error_reason reason, const char *format, ...)
{
    assert(reason > ERROR_NONE_REASON && reason < ERROR_REASON_COUNT);
    *error = (struct error){.reason = reason};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return -(int)reason;
}

int error_add_detail(struct error *error, const char *key, uint64_t value)
{
    for (size_t i = 0; i < sizeof(error->details) / sizeof(error->details[0]); i++) {
        if (!error->details[i].key) {
            error->details[i] = (struct error_detail){key, value};
            break;
        }
    }
    return -(int)error->reason;
}

const char *error_reason_name(enum error_reason reason)
{
    assert(reason < ERROR_REASON_COUNT);
    return error_rows[reason].name;
}

enum error_code error_reason_code(enum error_reason reason)
{
    assert(reason < ERROR_REASON_COUNT);
    return error_rows[reason].code;
}

const char *error_code_name(unsigned code)
{
    static const char *const names[] = {
        [ERROR_OK] = "OK",
        [ERROR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [ERROR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [ERROR_NOT_FOUND] = "NOT_FOUND",
        [ERROR_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [ERROR_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [ERROR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [ERROR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [ERROR_ABORTED] = "ABORTED",
        [ERROR_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [ERROR_INTERNAL] = "INTERNAL",
        [ERROR_UNAVAILABLE] = "UNAVAILABLE",
        [ERROR_DATA_LOSS] = "DATA_LOSS",
        [ERROR_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };
    return code < sizeof(names) / sizeof(names[0]) ? names[code] : NULL;
}
