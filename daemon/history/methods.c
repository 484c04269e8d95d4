#include "history/methods.h"

const struct method *const method_groups[] = {
    conversation_methods, message_methods, user_methods,   admin_methods,
    audit_methods,        job_methods,     health_methods, NULL,
};
