/* The table of the methods that this library calls by name. */
#include "methods.h"

#include "chatlog/v1/admin_service.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"

#include <assert.h>
#include <string.h>

#define CHATLOG_METHOD_ROW(constant, name, reply, kind) [METHOD_##constant] = {name, &reply, METHOD_##kind},
static const struct chatlog_method methods[METHOD_COUNT] = {CHATLOG_METHODS(CHATLOG_METHOD_ROW)};

const struct chatlog_method *chatlog_method_get(enum chatlog_method_id id)
{
    assert((unsigned)id < METHOD_COUNT);
    return &methods[id];
}

const struct chatlog_method *chatlog_method_find(const char *name)
{
    assert(name != NULL);
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}
