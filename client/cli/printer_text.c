/* Results for people. Everything that came from a client goes through escape_*. */
#include "cli/escape.h"
#include "cli/printer.h"

#include <inttypes.h>
#include <string.h>

#define CONTENT_INDENT "    "

/* "  name text" when there is a text; name "" leaves the name out. */
static void text_member(FILE *out, const char *name, const char *text)
{
    if (text && *text) {
        fprintf(out, "  %s%s", name, *name ? " " : "");
        escape_line(out, text, strlen(text));
    }
}

static void text_pairs(FILE *out, const struct chatlog_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputs("  ", out);
        escape_line(out, pairs[i].key, strlen(pairs[i].key));
        fputc('=', out);
        escape_line(out, pairs[i].value, strlen(pairs[i].value));
    }
}

static void text_conversation(FILE *out, const struct chatlog_conversation *conversation)
{
    const char *state = conversation->delete_time_us ? "deleted" : conversation->archived ? "archived" : "";
    fprintf(out, "%s  %8" PRIu64 " messages  %-8s  ", time_text(conversation->activity_time_us).text,
            conversation->message_count, state);
    escape_line(out, conversation->conversation_id, strlen(conversation->conversation_id));
    text_member(out, "", conversation->title);
    text_pairs(out, conversation->metadata, conversation->metadata_count);
    fputc('\n', out);
}

static void text_changed(FILE *out, const char *change, const struct chatlog_conversation *conversation)
{
    fprintf(out, "%s conversation ", change);
    escape_line(out, conversation->conversation_id, strlen(conversation->conversation_id));
    text_member(out, "", conversation->title);
    if (conversation->purge_time_us) {
        fprintf(out, "\nit can be undeleted until %s", time_text(conversation->purge_time_us).text);
    }
    fputc('\n', out);
}

static void text_purged(FILE *out, const char *user_id, const char *conversation_id)
{
    fputs("purged conversation ", out);
    escape_line(out, conversation_id, strlen(conversation_id));
    fputs(" of ", out);
    escape_line(out, user_id, strlen(user_id));
    fputc('\n', out);
}

static void text_content(FILE *out, const struct chatlog_message *message)
{
    const char *type = message->content_type;
    if (strncmp(type, "text/", 5) == 0 || strcmp(type, "application/json") == 0) {
        fputs(CONTENT_INDENT, out);
        escape_block(out, message->content, message->content_length, CONTENT_INDENT);
        fputc('\n', out);
    } else {
        fprintf(out, CONTENT_INDENT "(%zu bytes; --output json shows them)\n", message->content_length);
    }
}

static void text_message(FILE *out, const struct chatlog_message *message)
{
    fprintf(out, "#%" PRIu64 "  ", message->seq);
    escape_line(out, message->role, strlen(message->role));
    fprintf(out, "  %s", time_text(message->create_time_us).text);
    if (strcmp(message->content_type, "text/plain") != 0) {
        text_member(out, "", message->content_type);
    }
    text_member(out, "by", message->author);
    text_member(out, "id", message->message_id);
    if (message->token_count) {
        fprintf(out, "  tokens %" PRIu32, message->token_count);
    }
    if (message->sent_time_us) {
        fprintf(out, "  sent %s", time_text(message->sent_time_us).text);
    }
    if (message->update_time_us) {
        fprintf(out, "  revision %" PRIu32 " of %s", message->revision, time_text(message->update_time_us).text);
    }
    text_pairs(out, message->metadata, message->metadata_count);
    fputc('\n', out);
    text_content(out, message);
}

static void text_appended(FILE *out, const struct chatlog_append_result *result)
{
    fprintf(out, result->replayed ? "had been appended as message %" PRIu64 "\n" : "appended message %" PRIu64 "\n",
            result->last_seq);
}

static void text_receipt(FILE *out, const char *user_id, const struct chatlog_receipt *receipt)
{
    fputs("forgot user ", out);
    escape_line(out, user_id, strlen(user_id));
    fprintf(out,
            "\nremoved %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64 " bytes of content\n"
            "digest %s, commit %" PRIu64 "\n",
            receipt->conversations, receipt->messages, receipt->content_bytes, receipt->digest, receipt->commit_id);
}

static void text_migration(FILE *out, const struct chatlog_migration *migration)
{
    uint64_t total = migration->messages_total;
    uint64_t moved = migration->messages_moved < total ? migration->messages_moved : total;
    fprintf(out, "migration %s", migration_state_name(migration->state));
    if (migration->from_layout != 0) {
        fprintf(out, ", %slayout %" PRIu32 " to %" PRIu32,
                migration->state == CHATLOG_MIGRATION_NONE ? "the last was " : "", migration->from_layout,
                migration->to_layout);
    }
    if (migration->start_time_us != 0) {
        fprintf(out, ": %.1f %%, %" PRIu64 " of %" PRIu64 " messages",
                total > 0 ? 100.0 * (double)moved / (double)total : 100.0, moved, total);
    }
    if (migration->finish_time_us != 0) {
        fprintf(out, ", finished %s", time_text(migration->finish_time_us).text);
    } else if (migration->state == CHATLOG_MIGRATION_MOVING) {
        fprintf(out, ", %" PRIu64 " messages/s", migration->messages_per_second);
        if (migration->seconds_left >= 0) {
            fprintf(out, ", %" PRId64 " s left", migration->seconds_left);
        }
    }
    if (migration->quarantined > 0) {
        fprintf(out, ", %" PRIu64 " records in quarantine", migration->quarantined);
    }
    fprintf(out, "%s%s\n", migration->last_error[0] ? ": " : "", migration->last_error);
}

static void text_info(FILE *out, const struct chatlog_server_info *info, const struct chatlog_migration *migration)
{
    fprintf(out, "chatlogd %s (nng %s, LMDB %s)\nstarted %s\nstore layout %" PRIu32 ", can read", info->version,
            info->nng_version, info->lmdb_version, time_text(info->start_time_us).text, info->layout);
    for (size_t i = 0; i < info->readable_layout_count; i++) {
        fprintf(out, " %" PRIu32, info->readable_layouts[i]);
    }
    fputc('\n', out);
    if (migration) {
        text_migration(out, migration);
    }
    fputs("limits (value, hard cap):\n", out);
    for (size_t i = 0; i < info->limit_count; i++) {
        const struct chatlog_limit *limit = &info->limits[i];
        fprintf(out, "  %-22s %12" PRIu64 " %12" PRIu64 "  %s\n", limit->name, limit->value, limit->cap,
                limit->meaning);
    }
}

static void text_stats(FILE *out, const struct chatlog_stats *stats)
{
    for (const struct stats_field *field = stats_fields; field->name; field++) {
        fprintf(out, "%-22s %16" PRIu64 "\n", field->name, stats_value(stats, field));
    }
    for (size_t i = 0; i < stats->method_count; i++) {
        const struct chatlog_method_stats *method = &stats->methods[i];
        fprintf(out, "%-50s %12" PRIu64 " calls %8" PRIu64 " errors %10" PRIu64 " us mean\n", method->method,
                method->calls, method->errors, method->calls ? method->latency_us / method->calls : 0);
    }
}

static void text_health(FILE *out, bool serving)
{
    fputs(serving ? "serving\n" : "not serving\n", out);
}

static void text_backup(FILE *out, const char *name, const struct chatlog_backup *backup)
{
    fprintf(out,
            "backup %s of commit %" PRIu64 " (%s): %" PRIu64 " bytes, %" PRIu64 " users, %" PRIu64
            " conversations, %" PRIu64 " messages, %" PRIu64 " findings\n",
            name, backup->commit_id, time_text(backup->time_us).text, backup->file_bytes, backup->users,
            backup->conversations, backup->messages, backup->findings);
}

static void text_verification(FILE *out, const struct chatlog_verification *verification)
{
    fprintf(out,
            "%" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64 " message_ids, %" PRIu64
            " remembered requests, %" PRIu64 " events\n",
            verification->users, verification->conversations, verification->messages, verification->message_ids,
            verification->requests, verification->events);
    fprintf(out,
            "%" PRIu64 " records are damaged, %" PRIu64 " do not fit others, %" PRIu64 " belong to nothing, %" PRIu64
            " events are damaged%s\n",
            verification->unreadable, verification->mismatches, verification->strays, verification->damaged_events,
            verification->changed_meanwhile ? " (changes were made meanwhile: totals were not compared)" : "");
    for (size_t i = 0; i < verification->finding_count; i++) {
        fprintf(out, "  %s\n", verification->findings[i]);
    }
    fputs(verification_findings(verification) == 0 ? "everything is sound\n" : "something is wrong\n", out);
}

static void text_count(FILE *out, uint64_t count, const char *what)
{
    if (count > 0) {
        fprintf(out, "  %" PRIu64 " %s", count, what);
    }
}

static void text_event(FILE *out, const struct chatlog_audit_event *event)
{
    fprintf(out, "%s  %s", time_text(event->time_us).text, audit_action_name(event->action));
    text_member(out, "by", event->principal);
    text_member(out, "user", event->user_id);
    text_member(out, "conversation", event->conversation_id);
    if (event->first_seq > 0) {
        fprintf(out, "  #%" PRIu64, event->first_seq);
    }
    if (event->last_seq > event->first_seq) {
        fprintf(out, "-%" PRIu64, event->last_seq);
    }
    if (event->from_layout > 0) {
        fprintf(out, "  layout %" PRIu32 " to %" PRIu32, event->from_layout, event->to_layout);
    }
    text_count(out, event->conversations, "conversations");
    text_count(out, event->messages, "messages");
    text_count(out, event->content_bytes, "bytes");
    text_member(out, "digest", event->digest);
    text_member(out, "request", event->request_id);
    fprintf(out, "  commit %" PRIu64 "\n", event->commit_id);
}

static void text_imported(FILE *out, const struct import_counts *counts)
{
    fprintf(out, "imported %" PRIu64 " conversations, %" PRIu64 " messages (%" PRIu64 " already present)\n",
            counts->conversations, counts->messages, counts->present);
}

const struct printer printer_text = {
    .conversation = text_conversation,
    .changed = text_changed,
    .purged = text_purged,
    .message = text_message,
    .appended = text_appended,
    .receipt = text_receipt,
    .info = text_info,
    .stats = text_stats,
    .health = text_health,
    .backup = text_backup,
    .verification = text_verification,
    .event = text_event,
    .imported = text_imported,
};
