/* rpc_handle over a real store: whatever a client sends, it is answered exactly once, with a Response that decodes, and
 * never with a defect or damaged data. An input is a run of requests, each [selector, size low, size high, bytes]:
 * selector 0 sends the bytes as they are, N calls the N-th method below with them as payload, and 128 + N does so with
 * a request_id. The store lives on from input to input, as a daemon's does, and begins anew now and then. */
#include "base/clock.h"
#include "base/wire.h"
#include "fuzz/fuzz.h"
#include "history/methods.h"
#include "support/rpc_client.h"

enum {
    REQUESTS_MAX = 32,
    INPUTS_PER_STORE = 2000,
    WITH_REQUEST_ID = 128,
    FIELD_METHOD = 1,
    FIELD_PAYLOAD = 2,
    FIELD_REQUEST_ID = 4,
};

#define HISTORY "chatlog.v1.HistoryService/"
#define ADMIN   "chatlog.v1.AdminService/"

/* The corpus counts on this order: add new methods at the end. */
static const char *const methods[] = {
    HISTORY "CreateConversation",
    HISTORY "GetConversation",
    HISTORY "UpdateConversation",
    HISTORY "DeleteConversation",
    HISTORY "UndeleteConversation",
    HISTORY "ListConversations",
    HISTORY "AppendMessages",
    HISTORY "ListMessages",
    HISTORY "GetMessage",
    HISTORY "UpdateMessage",
    HISTORY "DeleteMessage",
    HISTORY "PopMessages",
    HISTORY "ForgetUser",
    ADMIN "GetServerInfo",
    ADMIN "GetStats",
    ADMIN "ListUsers",
    ADMIN "GetDescriptorSet",
    "grpc.health.v1.Health/Check",
    ADMIN "GetMigration",
    ADMIN "ListAuditEvents",
    ADMIN "Backup",
    ADMIN "Verify",
};

enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

/* No method of the daemon may be missing above. */
static void check_methods(void)
{
    size_t count = 0;
    for (const struct method *const *group = method_groups; *group; group++) {
        for (const struct method *method = *group; method->name; method++) {
            count++;
        }
    }
    fuzz_require(count == METHODS);
}

static void send(struct rpc_fixture *fixture, unsigned selector, struct span bytes)
{
    struct buffer request = {0};
    unsigned number = selector % WITH_REQUEST_ID;
    if (number > 0 && number <= METHODS) {
        wire_put_bytes(&request, FIELD_METHOD, span_of_string(methods[number - 1]));
        wire_put_bytes(&request, FIELD_PAYLOAD, bytes);
        if (selector >= WITH_REQUEST_ID) {
            wire_put_bytes(&request, FIELD_REQUEST_ID, span_of_string("r"));
        }
    } else {
        buffer_append(&request, bytes.data, bytes.size);
    }
    fuzz_require(!request.failed);
    Chatlog__V1__Response *response = rpc_send(fixture, buffer_span(&request));
    fuzz_require(response && response->code != CHATLOG__V1__CODE__CODE_INTERNAL &&
                 response->code != CHATLOG__V1__CODE__CODE_DATA_LOSS);
    fuzz_require((response->code == 0) == (response->reason[0] == 0));
    chatlog__v1__response__free_unpacked(response, NULL);
    buffer_free(&request);
}

/* What lives on from input to input; libFuzzer has no other place for it. */
static struct {
    struct rpc_fixture *fixture;
    unsigned inputs;
} kept;

static void kept_end(void)
{
    if (kept.fixture) {
        kept.fixture = rpc_fixture_free(kept.fixture);
    }
    kept.inputs = 0;
}

static struct rpc_fixture *kept_fixture(void)
{
    static bool started;
    if (!started) {
        check_methods();
        started = atexit(kept_end) == 0;
    }
    if (kept.inputs == INPUTS_PER_STORE) {
        kept_end();
    }
    if (!kept.fixture) {
        kept.fixture = rpc_fixture_new();
    }
    kept.inputs++;
    return kept.fixture;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_fixture *fixture = kept_fixture();
    for (unsigned count = 0; size >= 3 && count < REQUESTS_MAX; count++) {
        size_t length = (size_t)data[1] | (size_t)data[2] << 8;
        length = length < size - 3 ? length : size - 3;
        send(fixture, data[0], span_of(data + 3, length));
        data += 3 + length;
        size -= 3 + length;
    }
    return 0;
}
