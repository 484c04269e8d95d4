/* AdminService: what operators and tools ask about the daemon itself. */
#include "history/check.h"
#include "history/methods.h"
#include "history/page_token.h"
#include "history/reply.h"

#include "base/clock.h"
#include "base/wire.h"
#include "chatlog/v1/admin_service.pb-c.h"
#include "descriptor_set.h"

static void put_text(struct buffer *out, uint32_t field, const char *text)
{
    wire_put_bytes(out, field, span_of_string(text));
}

static void put_limits(struct buffer *out, uint32_t field, const struct limits *limits)
{
#define LIMIT_ROW(name, value, cap, meaning) {#name, limits->name, (cap), meaning},
    const struct {
        const char *name;
        uint64_t value;
        uint64_t cap;
        const char *meaning;
    } rows[] = {CHATLOG_LIMITS(LIMIT_ROW)};
#undef LIMIT_ROW
    struct buffer limit = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&limit);
        put_text(&limit, 1, rows[i].name);
        wire_put_uint(&limit, 2, rows[i].value);
        wire_put_uint(&limit, 3, rows[i].cap);
        put_text(&limit, 4, rows[i].meaning);
        wire_put_element(out, field, buffer_span(&limit));
        out->failed |= limit.failed;
    }
    buffer_free(&limit);
}

static int info_handle(struct call *call)
{
    const struct service *service = call->service;
    struct buffer *out = &call->payload;
    struct store_info store = store_describe(service->store);
    put_text(out, 1, service->version);
    put_text(out, 2, service->nng_version);
    put_text(out, 3, store.engine_version);
    wire_put_uint(out, 4, store.layout);
    for (size_t i = 0; i < store.readable_count; i++) {
        wire_put_uint(out, 5, store.readable_layouts[i]); /* unpacked: every decoder takes it */
    }
    wire_put_uint(out, 6, (uint64_t)service->start_wall_us);
    put_limits(out, 7, service->limits);
    return CALL_ANSWERED;
}

static int stats_handle(struct call *call)
{
    return call_store(call, STORE_GET_STATS, "");
}

static int migration_handle(struct call *call)
{
    static const uint64_t states[] = {
        [STORE_MIGRATION_NONE] = CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_NONE,
        [STORE_MIGRATION_MOVING] = CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_MOVING,
        [STORE_MIGRATION_PAUSED] = CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_PAUSED,
        [STORE_MIGRATION_HALTED] = CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_HALTED,
        [STORE_MIGRATION_HELD] = CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_HELD,
    };
    struct store_migration migration;
    store_migration(call->service->store, &migration);
    const uint64_t numbers[] = {
        states[migration.state],
        migration.from,
        migration.to,
        migration.messages_total,
        migration.messages_moved,
        migration.conversations_total,
        migration.conversations_moved,
        migration.quarantined,
        migration.messages_per_second,
        (uint64_t)migration.seconds_left,
        (uint64_t)migration.start_time_us,
        (uint64_t)migration.finish_time_us,
    };
    for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        wire_put_uint(&call->payload, i + 1, numbers[i]); /* in the order of GetMigrationResponse's fields */
    }
    put_text(&call->payload, 13, migration.last_error);
    return CALL_ANSWERED;
}

static void put_methods(struct buffer *out, uint32_t field, const struct method_meters *meters)
{
    struct buffer row = {0};
    struct buffer latency = {0}; /* packed */
    struct method_view method;
    for (size_t i = 0; method_meters_read(meters, i, &method); i++) {
        uint64_t calls = histogram_total(&method.latency);
        if (calls == 0) {
            continue;
        }
        buffer_clear(&row);
        buffer_clear(&latency);
        put_text(&row, 1, method.name);
        wire_put_uint(&row, 2, calls);
        wire_put_uint(&row, 3, calls - method.codes[ERROR_OK]);
        wire_put_uint(&row, 4, method.latency.sum);
        for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
            wire_put_varint(&latency, method.latency.counts[bucket]);
        }
        wire_put_bytes(&row, 5, buffer_span(&latency));
        wire_put_element(out, field, buffer_span(&row));
        out->failed |= row.failed || latency.failed;
    }
    buffer_free(&latency);
    buffer_free(&row);
}

static void stats_reply(struct call *call, struct store_result *result)
{
    const struct service *service = call->service;
    const struct store_stats *stats = &result->stats;
    const uint64_t numbers[] = {
        stats->users,
        stats->conversations,
        stats->messages,
        stats->content_bytes,
        stats->used_bytes,
        stats->file_bytes,
        stats->commit_id,
        (uint64_t)(clock_monotonic_us() - service->start_monotonic_us),
        stats->commits,
        stats->changes,
        stats->queue_length,
        atomic_load_explicit(&service->counters->connections, memory_order_relaxed),
        atomic_load_explicit(&service->counters->connections_accepted, memory_order_relaxed),
        atomic_load_explicit(&service->counters->connections_refused, memory_order_relaxed),
        atomic_load_explicit(&service->counters->damaged_records, memory_order_relaxed),
    };
    for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        wire_put_uint(&call->payload, i + 1, numbers[i]); /* in the order of GetStatsResponse's fields */
    }
    put_methods(&call->payload, 16, service->meters);
    const uint64_t more[] = {
        stats->journal_entries,
        stats->journal_bytes,
        stats->folds,
        stats->commit_time_us,
        stats->queue_bytes,
        stats->map_bytes,
        atomic_load_explicit(&service->counters->slow_requests, memory_order_relaxed),
        (uint64_t)stats->scrub_time_us,
        stats->scrub_findings,
    };
    for (uint32_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        wire_put_uint(&call->payload, i + 17, more[i]);
    }
}

static int users_check(const struct limits *limits, const ProtobufCMessage *message, struct error *error)
{
    const Chatlog__V1__ListUsersRequest *request = (const void *)message;
    int rc = check_count(limits, "page_size", request->page_size, true, error);
    return rc ? rc : check_text("page_token", request->page_token, limits->page_token_bytes, error);
}

static int users_handle(struct call *call)
{
    const Chatlog__V1__ListUsersRequest *request = (const void *)call->request;
    call->op.list.page_size = request->page_size ? request->page_size : call->service->limits->page_default;
    int rc = page_token_open(call, request->page_token, 0, &call->op.list.after);
    return rc ? rc : call_store(call, STORE_LIST_USERS, "");
}

static void users_reply(struct call *call, struct store_result *result)
{
    reply_records(call, result);
    page_token_put(call, 2, 0, buffer_span(&result->next));
}

static int descriptor_handle(struct call *call)
{
    wire_put_bytes(&call->payload, 1, span_of(chatlog_descriptor_set, chatlog_descriptor_set_size));
    return CALL_ANSWERED;
}

const struct method admin_methods[] = {
    {"chatlog.v1.AdminService/GetServerInfo", SCOPE_ADMIN, &chatlog__v1__get_server_info_request__descriptor, NULL,
     info_handle, NULL},
    {"chatlog.v1.AdminService/GetStats", SCOPE_ADMIN, &chatlog__v1__get_stats_request__descriptor, NULL, stats_handle,
     stats_reply},
    {"chatlog.v1.AdminService/GetMigration", SCOPE_ADMIN, &chatlog__v1__get_migration_request__descriptor, NULL,
     migration_handle, NULL},
    {"chatlog.v1.AdminService/ListUsers", SCOPE_ADMIN, &chatlog__v1__list_users_request__descriptor, users_check,
     users_handle, users_reply},
    {"chatlog.v1.AdminService/GetDescriptorSet", SCOPE_ADMIN, &chatlog__v1__get_descriptor_set_request__descriptor,
     NULL, descriptor_handle, NULL},
    {0},
};
