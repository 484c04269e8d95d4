#include "rpc/rpc.h"

#include "base/clock.h"
#include "history/call.h"
#include "rpc/authorize.h"
#include "rpc/dispatch.h"
#include "rpc/envelope.h"
#include "rpc/validate.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    SHOWN_BYTES = 80,
    /* What 1,000 unpacked messages of 64 metadata pairs need beside their text; the text counts twice at most. */
    UNPACKED_BYTES = 16 * 1024 * 1024,
    RETRY_MS = 1000,
    REPLY_KEEP_BYTES = 256,
};

struct rpc {
    struct service service;
    struct dispatch *dispatch;
    struct counters *counters;
    const struct log *log;
    atomic_llong defect_logged_us; /* clock_monotonic_us of the last such line */
    atomic_llong denied_logged_us;
    atomic_uint denied; /* since that line */
    int64_t slow_us;
    atomic_llong slow_logged_us;
    atomic_uint slow;
    atomic_bool stopping;
};

/* One request on its way, from rpc_handle to its answer. Its memory is bounded by the arena's cap; what is kept for the
 * next one, by the arena's block and REPLY_KEEP_BYTES. */
struct rpc_call {
    struct call call;
    struct rpc *rpc;
    struct session *session;
    struct principal *principal; /* NULL until found, and for methods open to everybody */
    struct envelope envelope;
    const struct method *method; /* NULL until found */
    size_t meter;                /* where it is counted */
    int64_t received_us;
    void (*done)(void *arg, const struct rpc_response *response);
    void *arg;
};

struct rpc *rpc_new(const struct rpc_config *config)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    struct dispatch *dispatch = dispatch_new();
    if (!rpc || !dispatch) {
        free(rpc);
        dispatch_free(dispatch);
        return NULL;
    }
    rpc->dispatch = dispatch;
    rpc->counters = config->counters;
    rpc->log = config->log;
    rpc->slow_us = config->slow_us;
    rpc->service = (struct service){
        .store = config->store,
        .limits = config->limits,
        .counters = config->counters,
        .meters = dispatch_meters(dispatch),
        .version = config->version,
        .nng_version = config->nng_version,
        .start_wall_us = clock_wall_us(),
        .start_monotonic_us = clock_monotonic_us(),
    };
    memcpy(rpc->service.page_key, config->page_key, PAGE_KEY_BYTES);
    return rpc;
}

struct rpc *rpc_free(struct rpc *rpc)
{
    if (rpc) {
        dispatch_free(rpc->dispatch);
        free(rpc);
    }
    return NULL;
}

void rpc_stop(struct rpc *rpc)
{
    atomic_store(&rpc->stopping, true);
}

const struct method_meters *rpc_meters(const struct rpc *rpc)
{
    return dispatch_meters(rpc->dispatch);
}

/* At most one line a second of each kind. */
static bool line_allowed(atomic_llong *logged_us)
{
    long long now = clock_monotonic_us();
    long long last = atomic_load(logged_us);
    return now - last >= CLOCK_SECOND_US && atomic_compare_exchange_strong(logged_us, &last, now);
}

static const char *method_name(const struct rpc_call *rpc_call)
{
    return rpc_call->method ? rpc_call->method->name : "request";
}

/* Who asks; before that is known, whom the kernel names. */
static const char *caller_name(const struct rpc_call *rpc_call)
{
    return (rpc_call->principal ? rpc_call->principal : rpc_call->session->peer)->name;
}

static struct log_note note_begin(const struct rpc_call *rpc_call, enum log_event event)
{
    struct log_note note = {.event = event, .traceparent = rpc_call->envelope.traceparent};
    log_note_add(&note, "METHOD", "%s", method_name(rpc_call));
    log_note_add(&note, "PRINCIPAL", "%s", caller_name(rpc_call));
    return note;
}

static void failure_tell(const struct rpc_call *rpc_call, enum log_event event)
{
    const struct error *error = &rpc_call->call.error;
    struct log_note note = note_begin(rpc_call, event);
    struct span trace = rpc_call->envelope.traceparent;
    log_note_add(&note, "REASON", "%s", error_reason_name(error->reason));
    if (event != LOG_EVENT_REFUSED) {
        log_write(rpc_call->rpc->log, LOG_LEVEL_ERROR, &note, "%s: %s: %s%s%.*s", method_name(rpc_call),
                  error_reason_name(error->reason), error->message, trace.size ? "; trace " : "", SPAN_FORMAT(trace));
        return;
    }
    unsigned count = atomic_exchange(&rpc_call->rpc->denied, 0);
    log_note_add(&note, "PID", "%d", (int)rpc_call->session->pid);
    log_note_add(&note, "COUNT", "%u", count);
    log_write(rpc_call->rpc->log, LOG_LEVEL_WARNING, &note,
              "refused %u requests, the last: %s by %s (pid %d): %s: %s%s%.*s", count, method_name(rpc_call),
              caller_name(rpc_call), (int)rpc_call->session->pid, error_reason_name(error->reason), error->message,
              trace.size ? "; trace " : "", SPAN_FORMAT(trace));
}

/* Tells the operator of what no client can mend, and of who was not let in. Never shows a token. */
static void failure_note(const struct rpc_call *rpc_call)
{
    struct rpc *rpc = rpc_call->rpc;
    enum error_code code = error_reason_code(rpc_call->call.error.reason);
    switch (code) {
    case ERROR_DATA_LOSS:
        atomic_fetch_add_explicit(&rpc->counters->damaged_records, 1, memory_order_relaxed);
        /* fall through */
    case ERROR_INTERNAL:
        if (line_allowed(&rpc->defect_logged_us)) {
            failure_tell(rpc_call, code == ERROR_DATA_LOSS ? LOG_EVENT_RECORD_DAMAGED : LOG_EVENT_DEFECT);
        }
        return;
    case ERROR_UNAUTHENTICATED:
    case ERROR_PERMISSION_DENIED:
        atomic_fetch_add_explicit(&rpc->denied, 1, memory_order_relaxed);
        if (line_allowed(&rpc->denied_logged_us)) {
            failure_tell(rpc_call, LOG_EVENT_REFUSED);
        }
        return;
    default:
        return;
    }
}

static void slow_note(const struct rpc_call *rpc_call, int64_t took_us, enum error_code code)
{
    struct rpc *rpc = rpc_call->rpc;
    atomic_fetch_add_explicit(&rpc->counters->slow_requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&rpc->slow, 1, memory_order_relaxed);
    if (!line_allowed(&rpc->slow_logged_us)) {
        return;
    }
    struct log_note note = note_begin(rpc_call, LOG_EVENT_SLOW);
    unsigned count = atomic_exchange(&rpc->slow, 0);
    long long took_ms = (long long)took_us / CLOCK_MILLISECOND_US;
    log_note_add(&note, "CODE", "%s", error_code_name(code));
    log_note_add(&note, "MILLISECONDS", "%lld", took_ms);
    log_note_add(&note, "COUNT", "%u", count);
    log_write(rpc->log, LOG_LEVEL_WARNING, &note, "%u slow requests, the last: %s by %s took %lld ms: %s", count,
              method_name(rpc_call), caller_name(rpc_call), took_ms, error_code_name(code));
}

/* Keeps little memory for the next payload. */
static void payload_clear(struct call *call)
{
    if (call->payload.capacity > REPLY_KEEP_BYTES) {
        buffer_free(&call->payload);
    }
    buffer_clear(&call->payload);
}

static int memory_refuse(struct error *error, const char *what)
{
    error_set(error, ERROR_MEMORY_SHORT, "%s", what);
    return error_add_detail(error, "retry_delay_ms", RETRY_MS);
}

static void call_count(const struct rpc_call *rpc_call, enum error_code code)
{
    const struct rpc *rpc = rpc_call->rpc;
    int64_t took_us = clock_monotonic_us() - rpc_call->received_us;
    method_meters_note(dispatch_meters(rpc->dispatch), rpc_call->meter, code, took_us > 0 ? (uint64_t)took_us : 0);
    if (rpc->slow_us > 0 && took_us >= rpc->slow_us) {
        slow_note(rpc_call, took_us, code);
    }
}

/* The one place that answers. rc is 0, or negative with the error in call.error. */
static void rpc_answer(struct rpc_call *rpc_call, int rc, bool replayed)
{
    struct call *call = &rpc_call->call;
    if (!rc && call->payload.failed) {
        rc = memory_refuse(&call->error, "no memory for the reply");
    }
    if (rc) {
        payload_clear(call);
        envelope_put_error(&call->payload, &call->error);
        failure_note(rpc_call);
    }
    call_count(rpc_call, rc ? error_reason_code(call->error.reason) : ERROR_OK);
    arena_reset(&call->arena, 0);
    uint8_t head[ENVELOPE_HEAD_BYTES];
    size_t head_size = rc ? 0 : envelope_put_head(head, call->payload.size, replayed);
    struct rpc_response response = {
        .failed = call->payload.failed,
        .more = call->op.more,
        .head = span_of(head, head_size),
        .body = &call->payload,
    };
    rpc_call->principal = principal_release(rpc_call->principal);
    rpc_call->done(rpc_call->arg, &response); /* rpc_call may be another request's from here on */
}

static void store_answered(struct store_op *op, const struct error *error, struct store_result *result)
{
    struct rpc_call *rpc_call = op->arg;
    struct call *call = &rpc_call->call;
    int rc = 0;
    if (error) {
        call->error = *error;
        rc = -(int)error->reason;
    } else {
        rpc_call->method->reply(call, result);
    }
    rpc_answer(rpc_call, rc, result && result->replayed);
}

static void *allocator_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void allocator_free(void *arena, void *memory)
{
    (void)arena, (void)memory; /* all at once, with the arena */
}

/* Validates the payload, unpacks it into the arena and lets the method check it. The fingerprint is wanted only of a
 * request that may be met again. */
static int payload_unpack(struct rpc_call *rpc_call, struct fingerprint *fingerprint)
{
    struct call *call = &rpc_call->call;
    const struct method *method = rpc_call->method;
    struct span payload = rpc_call->envelope.payload;
    const struct limits *limits = rpc_call->rpc->service.limits;
    int rc = validate_message(method->request, payload, limits, fingerprint, &call->error);
    if (rc) {
        return rc;
    }
    call->arena.cap = 2 * payload.size + UNPACKED_BYTES;
    ProtobufCAllocator allocator = {allocator_alloc, allocator_free, &call->arena};
    call->request = protobuf_c_message_unpack(method->request, &allocator, payload.size, payload.data);
    if (!call->request && call->arena.failed) {
        return memory_refuse(&call->error, "no memory for the request");
    }
    if (!call->request) {
        return error_set(&call->error, ERROR_REQUEST_MALFORMED, "the payload is not a %s that fits in %zu bytes",
                         method->request->short_name, call->arena.cap);
    }
    return method->check ? method->check(limits, call->request, &call->error) : 0;
}

static int method_find(struct rpc_call *rpc_call)
{
    struct rpc *rpc = rpc_call->rpc;
    struct span name = rpc_call->envelope.method;
    rpc_call->method = dispatch_find(rpc->dispatch, name, &rpc_call->meter);
    if (!rpc_call->method) {
        name.size = name.size < SHOWN_BYTES ? name.size : SHOWN_BYTES;
        return error_set(&rpc_call->call.error, ERROR_METHOD_UNKNOWN,
                         "there is no method \"%.*s\"; AdminService/GetDescriptorSet tells which there are",
                         SPAN_FORMAT(name));
    }
    return 0;
}

/* Finds who asks, and whether it may call the method. */
static int caller_check(struct rpc_call *rpc_call)
{
    struct error *error = &rpc_call->call.error;
    if (rpc_call->method->scope == SCOPE_OPEN) {
        return 0;
    }
    int rc = session_identify(rpc_call->session, rpc_call->envelope.authorization, &rpc_call->principal, error);
    return rc ? rc : authorize_method(rpc_call->principal, rpc_call->method, error);
}

/* Fills what every operation of the store is given. */
static void op_prepare(struct rpc_call *rpc_call, const struct fingerprint *fingerprint, int64_t received_us)
{
    const struct envelope *envelope = &rpc_call->envelope;
    struct store_op *op = &rpc_call->call.op;
    XXH128_hash_t method = XXH3_128bits(envelope->method.data, envelope->method.size);
    op->actor = span_of_string(rpc_call->principal ? rpc_call->principal->name : "");
    op->request_id = envelope->request_id;
    op->request_hash[0] = fingerprint->high ^ method.high64;
    op->request_hash[1] = fingerprint->low ^ method.low64;
    op->deadline_us = received_us + (int64_t)envelope->timeout_ms * CLOCK_MILLISECOND_US;
    op->done = store_answered;
    op->arg = rpc_call;
}

/* Returns what the method's handle returns. */
static int call_begin(struct rpc_call *rpc_call, struct span request, int64_t received_us)
{
    struct call *call = &rpc_call->call;
    int rc = envelope_decode(request, rpc_call->rpc->service.limits, &rpc_call->envelope, &call->error);
    if (!rc) {
        rc = method_find(rpc_call);
    }
    if (rc) {
        return rc;
    }
    if (atomic_load_explicit(&rpc_call->rpc->stopping, memory_order_relaxed)) {
        error_set(&call->error, ERROR_SHUTTING_DOWN, "the daemon is stopping");
        return error_add_detail(&call->error, "retry_delay_ms", RETRY_MS);
    }
    struct fingerprint fingerprint = {0};
    rc = caller_check(rpc_call);
    if (!rc) {
        rc = payload_unpack(rpc_call, rpc_call->envelope.request_id.size > 0 ? &fingerprint : NULL);
    }
    if (!rc) {
        rc = authorize_user(rpc_call->principal, rpc_call->method, call->request, &call->op.user, &call->error);
    }
    if (rc) {
        return rc;
    }
    op_prepare(rpc_call, &fingerprint, received_us);
    if (clock_monotonic_us() > call->op.deadline_us) {
        return error_set(&call->error, ERROR_DEADLINE_PASSED, "the request waited longer than its %u ms",
                         rpc_call->envelope.timeout_ms);
    }
    rc = rpc_call->method->handle(call);
    call->op.size = request.size + call->arena.used;
    return rc;
}

struct rpc_call *rpc_call_new(struct rpc *rpc)
{
    struct rpc_call *rpc_call = calloc(1, sizeof(*rpc_call));
    if (rpc_call) {
        rpc_call->rpc = rpc;
    }
    return rpc_call;
}

struct rpc_call *rpc_call_free(struct rpc_call *rpc_call)
{
    if (rpc_call) {
        buffer_free(&rpc_call->call.payload);
        arena_free(&rpc_call->call.arena);
        free(rpc_call);
    }
    return NULL;
}

/* As new, but for the memory it keeps. */
static void call_reset(struct rpc_call *rpc_call)
{
    struct rpc *rpc = rpc_call->rpc;
    payload_clear(&rpc_call->call);
    struct call call = {.service = &rpc->service, .arena = rpc_call->call.arena, .payload = rpc_call->call.payload};
    *rpc_call = (struct rpc_call){.rpc = rpc, .call = call, .meter = dispatch_unknown(rpc->dispatch)};
}

void rpc_handle(struct rpc_call *rpc_call, struct session *session, struct span request, int64_t received_us,
                void (*done)(void *arg, const struct rpc_response *response), void *arg)
{
    call_reset(rpc_call);
    rpc_call->session = session;
    rpc_call->received_us = received_us;
    rpc_call->done = done;
    rpc_call->arg = arg;
    struct store *store = rpc_call->rpc->service.store;
    int rc = call_begin(rpc_call, request, received_us);
    if (rc == CALL_STORE) {
        store_run(store, &rpc_call->call.op);
    } else {
        rpc_answer(rpc_call, rc, false);
    }
}
