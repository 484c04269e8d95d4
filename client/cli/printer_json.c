/* Results for programs: one object a line, times in ISO 8601, what is not set is left out. */
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/printer.h"

#include <string.h>

/* Writes and releases object. */
static void json_line(FILE *out, json_t *object)
{
    json_write(out, object);
    fputc('\n', out);
    json_decref(object);
}

static void json_conversation(FILE *out, const struct chatlog_conversation *conversation)
{
    json_t *object = memory_need(json_object());
    json_put(object, "conversation_id", json_string(conversation->conversation_id));
    json_put(object, "title", json_string(conversation->title ? conversation->title : ""));
    json_put_pairs(object, "metadata", conversation->metadata, conversation->metadata_count);
    json_put(object, "archived", json_boolean(conversation->archived));
    json_put(object, "message_count", json_number(conversation->message_count));
    json_put(object, "last_seq", json_number(conversation->last_seq));
    json_put(object, "content_bytes", json_number(conversation->content_bytes));
    json_put_text(object, "etag", conversation->etag);
    json_put_time(object, "create_time", conversation->create_time_us);
    json_put_time(object, "update_time", conversation->update_time_us);
    json_put_time(object, "activity_time", conversation->activity_time_us);
    json_put_time(object, "expire_time", conversation->expire_time_us);
    json_put_time(object, "delete_time", conversation->delete_time_us);
    json_put_time(object, "purge_time", conversation->purge_time_us);
    json_line(out, object);
}

static void json_changed(FILE *out, const char *change, const struct chatlog_conversation *conversation)
{
    (void)change; /* the conversation says it */
    json_conversation(out, conversation);
}

static void json_purged(FILE *out, const char *user_id, const char *conversation_id)
{
    json_t *object = memory_need(json_object());
    json_put(object, "user_id", json_string(user_id));
    json_put(object, "conversation_id", json_string(conversation_id));
    json_put(object, "purged", json_true());
    json_line(out, object);
}

/* Text as a string, JSON as JSON, everything else, and what is not what it claims to be, as base64. */
static void json_put_content(json_t *object, const struct chatlog_message *message)
{
    json_t *value = NULL;
    if (strncmp(message->content_type, "text/", 5) == 0) {
        value = json_stringn(message->content, message->content_length);
    } else if (strcmp(message->content_type, "application/json") == 0) {
        value = json_loadb(message->content, message->content_length, JSON_READ_FLAGS | JSON_DECODE_ANY, NULL);
    }
    if (value) {
        json_put(object, "content", value);
    } else {
        json_put(object, "content_base64", json_base64(message->content, message->content_length));
    }
}

static void json_message(FILE *out, const struct chatlog_message *message)
{
    json_t *object = memory_need(json_object());
    json_put(object, "seq", json_number(message->seq));
    json_put(object, "role", json_string(message->role));
    json_put(object, "content_type", json_string(message->content_type));
    json_put_content(object, message);
    json_put(object, "content_size", json_number(message->content_size));
    json_put_text(object, "message_id", message->message_id);
    json_put_text(object, "author", message->author);
    if (message->token_count) {
        json_put(object, "token_count", json_number(message->token_count));
    }
    json_put_time(object, "sent_time", message->sent_time_us);
    if (message->metadata_count) {
        json_put_pairs(object, "metadata", message->metadata, message->metadata_count);
    }
    json_put_time(object, "create_time", message->create_time_us);
    json_put_time(object, "update_time", message->update_time_us);
    json_put(object, "revision", json_number(message->revision));
    json_line(out, object);
}

static void json_appended(FILE *out, const struct chatlog_append_result *result)
{
    json_t *object = memory_need(json_object());
    json_put(object, "first_seq", json_number(result->first_seq));
    json_put(object, "last_seq", json_number(result->last_seq));
    json_put_time(object, "create_time", result->create_time_us);
    json_put(object, "etag", json_string(result->etag));
    json_put(object, "replayed", json_boolean(result->replayed));
    json_line(out, object);
}

static void json_receipt(FILE *out, const char *user_id, const struct chatlog_receipt *receipt)
{
    json_t *object = memory_need(json_object());
    json_put(object, "user_id", json_string(user_id));
    json_put(object, "conversations", json_number(receipt->conversations));
    json_put(object, "messages", json_number(receipt->messages));
    json_put(object, "content_bytes", json_number(receipt->content_bytes));
    json_put(object, "digest", json_string(receipt->digest));
    json_put(object, "commit_id", json_number(receipt->commit_id));
    json_line(out, object);
}

static void json_backup(FILE *out, const char *name, const struct chatlog_backup *backup)
{
    json_t *object = memory_need(json_object());
    json_put(object, "name", json_string(name));
    json_put(object, "commit_id", json_number(backup->commit_id));
    json_put_time(object, "time", backup->time_us);
    json_put(object, "layout", json_number(backup->layout));
    json_put(object, "target_layout", json_number(backup->target_layout));
    json_put(object, "file_bytes", json_number(backup->file_bytes));
    json_put(object, "users", json_number(backup->users));
    json_put(object, "conversations", json_number(backup->conversations));
    json_put(object, "messages", json_number(backup->messages));
    json_put(object, "content_bytes", json_number(backup->content_bytes));
    json_put(object, "findings", json_number(backup->findings));
    json_line(out, object);
}

static void json_verification(FILE *out, const struct chatlog_verification *verification)
{
    json_t *object = memory_need(json_object());
    json_t *findings = memory_need(json_array());
    for (size_t i = 0; i < verification->finding_count; i++) {
        if (json_array_append_new(findings, memory_need(json_string(verification->findings[i])))) {
            memory_need(NULL);
        }
    }
    json_put(object, "users", json_number(verification->users));
    json_put(object, "conversations", json_number(verification->conversations));
    json_put(object, "messages", json_number(verification->messages));
    json_put(object, "message_ids", json_number(verification->message_ids));
    json_put(object, "requests", json_number(verification->requests));
    json_put(object, "events", json_number(verification->events));
    json_put(object, "content_bytes", json_number(verification->content_bytes));
    json_put(object, "unreadable", json_number(verification->unreadable));
    json_put(object, "mismatches", json_number(verification->mismatches));
    json_put(object, "strays", json_number(verification->strays));
    json_put(object, "damaged_events", json_number(verification->damaged_events));
    json_put(object, "changed_meanwhile", json_boolean(verification->changed_meanwhile));
    json_put(object, "findings", findings);
    json_line(out, object);
}

static json_t *json_migration(const struct chatlog_migration *migration)
{
    json_t *object = memory_need(json_object());
    json_put(object, "state", json_string(migration_state_name(migration->state)));
    json_put(object, "from_layout", json_number(migration->from_layout));
    json_put(object, "to_layout", json_number(migration->to_layout));
    json_put(object, "messages_total", json_number(migration->messages_total));
    json_put(object, "messages_moved", json_number(migration->messages_moved));
    json_put(object, "conversations_total", json_number(migration->conversations_total));
    json_put(object, "conversations_moved", json_number(migration->conversations_moved));
    json_put(object, "quarantined", json_number(migration->quarantined));
    json_put(object, "messages_per_second", json_number(migration->messages_per_second));
    if (migration->seconds_left >= 0) {
        json_put(object, "seconds_left", json_number((uint64_t)migration->seconds_left));
    }
    json_put_time(object, "start_time", migration->start_time_us);
    json_put_time(object, "finish_time", migration->finish_time_us);
    json_put(object, "last_error", json_string(migration->last_error));
    return object;
}

static void json_info(FILE *out, const struct chatlog_server_info *info, const struct chatlog_migration *migration)
{
    json_t *object = memory_need(json_object());
    json_put(object, "version", json_string(info->version));
    json_put(object, "nng_version", json_string(info->nng_version));
    json_put(object, "lmdb_version", json_string(info->lmdb_version));
    json_put(object, "layout", json_number(info->layout));
    json_t *layouts = memory_need(json_array());
    for (size_t i = 0; i < info->readable_layout_count; i++) {
        json_array_append_new(layouts, json_number(info->readable_layouts[i]));
    }
    json_put(object, "readable_layouts", layouts);
    json_put_time(object, "start_time", info->start_time_us);
    if (migration) {
        json_put(object, "migration", json_migration(migration));
    }
    json_t *limits = memory_need(json_object());
    for (size_t i = 0; i < info->limit_count; i++) {
        json_t *limit = memory_need(json_object());
        json_put(limit, "value", json_number(info->limits[i].value));
        json_put(limit, "cap", json_number(info->limits[i].cap));
        json_put(limit, "meaning", json_string(info->limits[i].meaning));
        json_put(limits, info->limits[i].name, limit);
    }
    json_put(object, "limits", limits);
    json_line(out, object);
}

static void json_stats(FILE *out, const struct chatlog_stats *stats)
{
    json_t *object = memory_need(json_object());
    for (const struct stats_field *field = stats_fields; field->name; field++) {
        json_put(object, field->name, json_number(stats_value(stats, field)));
    }
    json_t *methods = memory_need(json_object());
    for (size_t i = 0; i < stats->method_count; i++) {
        json_t *method = memory_need(json_object());
        json_put(method, "calls", json_number(stats->methods[i].calls));
        json_put(method, "errors", json_number(stats->methods[i].errors));
        json_put(method, "latency_us", json_number(stats->methods[i].latency_us));
        json_t *counts = memory_need(json_array());
        for (size_t bucket = 0; bucket < stats->methods[i].latency_count; bucket++) {
            json_array_append_new(counts, json_number(stats->methods[i].latency_counts[bucket]));
        }
        json_put(method, "latency_counts", counts);
        json_put(methods, stats->methods[i].method, method);
    }
    json_put(object, "methods", methods);
    json_line(out, object);
}

static void json_health(FILE *out, bool serving)
{
    json_t *object = memory_need(json_object());
    json_put(object, "status", json_string(serving ? "SERVING" : "NOT_SERVING"));
    json_line(out, object);
}

static void json_put_count(json_t *object, const char *name, uint64_t value)
{
    if (value > 0) {
        json_put(object, name, json_number(value));
    }
}

static void json_event(FILE *out, const struct chatlog_audit_event *event)
{
    json_t *object = memory_need(json_object());
    json_put_time(object, "time", event->time_us);
    json_put(object, "action", json_string(audit_action_name(event->action)));
    json_put_text(object, "principal", event->principal);
    json_put_text(object, "user_id", event->user_id);
    json_put_text(object, "conversation_id", event->conversation_id);
    json_put_count(object, "first_seq", event->first_seq);
    json_put_count(object, "last_seq", event->last_seq);
    json_put_text(object, "request_id", event->request_id);
    json_put_count(object, "commit_id", event->commit_id);
    json_put_count(object, "conversations", event->conversations);
    json_put_count(object, "messages", event->messages);
    json_put_count(object, "content_bytes", event->content_bytes);
    json_put_text(object, "digest", event->digest);
    json_put_count(object, "from_layout", event->from_layout);
    json_put_count(object, "to_layout", event->to_layout);
    json_line(out, object);
}

static void json_imported(FILE *out, const struct import_counts *counts)
{
    json_t *object = memory_need(json_object());
    json_put(object, "lines", json_number(counts->lines));
    json_put(object, "failed_lines", json_number(counts->failed));
    json_put(object, "conversations", json_number(counts->conversations));
    json_put(object, "messages", json_number(counts->messages));
    json_put(object, "already_present", json_number(counts->present));
    json_line(out, object);
}

const struct printer printer_json = {
    .conversation = json_conversation,
    .changed = json_changed,
    .purged = json_purged,
    .message = json_message,
    .appended = json_appended,
    .receipt = json_receipt,
    .info = json_info,
    .stats = json_stats,
    .health = json_health,
    .backup = json_backup,
    .verification = json_verification,
    .event = json_event,
    .imported = json_imported,
};
