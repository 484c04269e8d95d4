/* The limits in force: the defaults of chatlog_limits.h as the configuration changed them. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "chatlog_limits.h"

#include <stdint.h>

#define LIMITS_FIELD(name, value, cap, meaning) uint64_t name;
struct limits {
    CHATLOG_LIMITS(LIMITS_FIELD)
};
#undef LIMITS_FIELD

#define LIMITS_VALUE(name, value, cap, meaning) .name = (value),
#define LIMITS_DEFAULT                                                                                                 \
    (struct limits)                                                                                                    \
    {                                                                                                                  \
        CHATLOG_LIMITS(LIMITS_VALUE)                                                                                   \
    }

#endif
