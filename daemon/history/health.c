/* grpc.health.v1.Health: does the daemon answer, and does its store take writes? */
#include "history/methods.h"

#include "base/wire.h"
#include "grpc/health/v1/health.pb-c.h"

static int health_handle(struct call *call)
{
    static const char *const services[] = {"", "chatlog.v1.HistoryService", "chatlog.v1.AdminService"};
    const Grpc__Health__V1__HealthCheckRequest *request = (const void *)call->request;
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(request->service, services[i]) == 0) {
            bool serving = store_takes_writes(call->service->store);
            wire_put_uint(&call->payload, 1,
                          serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                                  : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
            return CALL_ANSWERED;
        }
    }
    return error_set(&call->error, ERROR_SERVICE_NOT_FOUND,
                     "there is no service of this name; ask for \"\" or chatlog.v1.HistoryService");
}

const struct method health_methods[] = {
    {"grpc.health.v1.Health/Check", SCOPE_OPEN, &grpc__health__v1__health_check_request__descriptor, NULL,
     health_handle, NULL},
    {0},
};
