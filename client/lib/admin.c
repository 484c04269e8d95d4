/* The calls about the daemon itself. */
#include "error.h"
#include "unary.h"

#include "chatlog/v1/admin_service.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"

/* ---- Server info ------------------------------------------------------------------------------------------------- */

static int read_info(const struct chatlog_result *result, struct chatlog_server_info *ret_info,
                     struct chatlog_error *error)
{
    const Chatlog__V1__GetServerInfoResponse *response = (const Chatlog__V1__GetServerInfoResponse *)result->message;
    struct chatlog_limit *limits = chatlog_arena_get(result->memory, response->n_limits, sizeof *limits);
    if (limits == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < response->n_limits; i++) {
        const Chatlog__V1__Limit *limit = response->limits[i];
        limits[i] = (struct chatlog_limit){limit->name, limit->value, limit->cap, limit->meaning};
    }
    *ret_info = (struct chatlog_server_info){
        .version = response->version,
        .nng_version = response->nng_version,
        .lmdb_version = response->lmdb_version,
        .layout = response->layout,
        .readable_layouts = response->readable_layouts,
        .readable_layout_count = response->n_readable_layouts,
        .start_time_us = response->start_time_us,
        .limits = limits,
        .limit_count = response->n_limits,
        .memory = result->memory,
    };
    return 0;
}

int chatlog_get_server_info(struct chatlog *client, const struct chatlog_call_options *options,
                            struct chatlog_server_info *ret_info, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_info, "ret_info"});
    if (code != 0)
        return code;
    Chatlog__V1__GetServerInfoRequest request;
    chatlog__v1__get_server_info_request__init(&request);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_GET_SERVER_INFO, &request.base, options, &result, error);
    if (code != 0)
        return code;
    code = read_info(&result, ret_info, error);
    if (code != 0)
        chatlog_arena_free(result.memory);
    return code;
}

void chatlog_server_info_free(struct chatlog_server_info *info)
{
    if (info == NULL)
        return;
    chatlog_arena_free(info->memory);
    *info = (struct chatlog_server_info){0};
}

/* ---- Statistics -------------------------------------------------------------------------------------------------- */

static int read_stats(const struct chatlog_result *result, struct chatlog_stats *ret_stats, struct chatlog_error *error)
{
    const Chatlog__V1__GetStatsResponse *response = (const Chatlog__V1__GetStatsResponse *)result->message;
    struct chatlog_method_stats *methods = chatlog_arena_get(result->memory, response->n_methods, sizeof *methods);
    if (methods == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < response->n_methods; i++) {
        const Chatlog__V1__MethodStats *method = response->methods[i];
        methods[i] = (struct chatlog_method_stats){
            .method = method->method,
            .calls = method->calls,
            .errors = method->errors,
            .latency_us = method->latency_us,
            .latency_counts = method->latency_counts,
            .latency_count = method->n_latency_counts,
        };
    }
    *ret_stats = (struct chatlog_stats){
        .users = response->users,
        .conversations = response->conversations,
        .messages = response->messages,
        .content_bytes = response->content_bytes,
        .used_bytes = response->used_bytes,
        .file_bytes = response->file_bytes,
        .commit_id = response->commit_id,
        .uptime_us = response->uptime_us,
        .commits = response->commits,
        .changes = response->changes,
        .queue_length = response->queue_length,
        .connections = response->connections,
        .connections_accepted = response->connections_accepted,
        .connections_refused = response->connections_refused,
        .damaged_records = response->damaged_records,
        .journal_entries = response->journal_entries,
        .journal_bytes = response->journal_bytes,
        .journal_folds = response->journal_folds,
        .commit_time_us = response->commit_time_us,
        .queue_bytes = response->queue_bytes,
        .map_bytes = response->map_bytes,
        .slow_requests = response->slow_requests,
        .scrub_time_us = response->scrub_time_us,
        .scrub_findings = response->scrub_findings,
        .methods = methods,
        .method_count = response->n_methods,
        .memory = result->memory,
    };
    return 0;
}

int chatlog_get_stats(struct chatlog *client, const struct chatlog_call_options *options,
                      struct chatlog_stats *ret_stats, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_stats, "ret_stats"});
    if (code != 0)
        return code;
    Chatlog__V1__GetStatsRequest request;
    chatlog__v1__get_stats_request__init(&request);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_GET_STATS, &request.base, options, &result, error);
    if (code != 0)
        return code;
    code = read_stats(&result, ret_stats, error);
    if (code != 0)
        chatlog_arena_free(result.memory);
    return code;
}

void chatlog_stats_free(struct chatlog_stats *stats)
{
    if (stats == NULL)
        return;
    chatlog_arena_free(stats->memory);
    *stats = (struct chatlog_stats){0};
}

/* ---- Migration --------------------------------------------------------------------------------------------------- */

static enum chatlog_migration_state state_of(Chatlog__V1__MigrationState state)
{
    bool known = state > CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_UNSPECIFIED &&
                 state <= CHATLOG__V1__MIGRATION_STATE__MIGRATION_STATE_HELD;
    return known ? (enum chatlog_migration_state)state : CHATLOG_MIGRATION_UNKNOWN;
}

int chatlog_get_migration(struct chatlog *client, const struct chatlog_call_options *options,
                          struct chatlog_migration *ret_migration, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_migration, "ret_migration"});
    if (code != 0)
        return code;
    Chatlog__V1__GetMigrationRequest request;
    chatlog__v1__get_migration_request__init(&request);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_GET_MIGRATION, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Chatlog__V1__GetMigrationResponse *response = (const Chatlog__V1__GetMigrationResponse *)result.message;
    *ret_migration = (struct chatlog_migration){
        .state = state_of(response->state),
        .from_layout = response->from_layout,
        .to_layout = response->to_layout,
        .messages_total = response->messages_total,
        .messages_moved = response->messages_moved,
        .conversations_total = response->conversations_total,
        .conversations_moved = response->conversations_moved,
        .quarantined = response->quarantined,
        .messages_per_second = response->messages_per_second,
        .seconds_left = response->seconds_left,
        .start_time_us = response->start_time_us,
        .finish_time_us = response->finish_time_us,
        .last_error = response->last_error,
        .memory = result.memory,
    };
    return 0;
}

void chatlog_migration_free(struct chatlog_migration *migration)
{
    if (migration == NULL)
        return;
    chatlog_arena_free(migration->memory);
    *migration = (struct chatlog_migration){0};
}

/* ---- Health ------------------------------------------------------------------------------------------------------ */

int chatlog_check_health(struct chatlog *client, const struct chatlog_call_options *options, bool *ret_serving,
                         struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"}, {ret_serving, "ret_serving"});
    if (code != 0)
        return code;
    Grpc__Health__V1__HealthCheckRequest request;
    grpc__health__v1__health_check_request__init(&request);
    struct chatlog_result result;
    code = chatlog_unary_call(client, METHOD_CHECK_HEALTH, &request.base, options, &result, error);
    if (code != 0)
        return code;
    const Grpc__Health__V1__HealthCheckResponse *response =
        (const Grpc__Health__V1__HealthCheckResponse *)result.message;
    *ret_serving = response->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    chatlog_arena_free(result.memory);
    return 0;
}
