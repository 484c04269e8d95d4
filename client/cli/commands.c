/* Every command with its operands, options and help text. Nothing is done here. */
#include "cli/commands.h"

#include "chatlog_limits.h"

#include <string.h>

#define OFFSET(field) offsetof(struct options, field)

static const struct option export_options[] = {
    {.kind = OPTION_TEXT,
     .name = "user",
     .argument = "USER",
     .offset = OFFSET(user),
     .meaning = "only this user's conversations"},
    {0},
};

static const struct option conversations_options[] = {
    {.kind = OPTION_FLAG, .name = "archived", .offset = OFFSET(archived), .meaning = "archived ones too"},
    {.kind = OPTION_FLAG,
     .name = "deleted",
     .offset = OFFSET(deleted),
     .meaning = "deleted ones too, until they are purged"},
    {0},
};

static const struct option log_options[] = {
    {.kind = OPTION_NUMBER,
     .name = "count",
     .letter = 'n',
     .argument = "N",
     .offset = OFFSET(count),
     .smallest = 1,
     .largest = UINT32_MAX,
     .meaning = "at most this many messages; without it 50"},
    {.kind = OPTION_NUMBER,
     .name = "before",
     .argument = "SEQ",
     .offset = OFFSET(before),
     .largest = INT64_MAX,
     .meaning = "the newest of those below this sequence number"},
    {.kind = OPTION_NUMBER,
     .name = "after",
     .argument = "SEQ",
     .offset = OFFSET(after),
     .largest = INT64_MAX,
     .meaning = "the oldest of those above it"},
    {.kind = OPTION_NUMBER,
     .name = "around",
     .argument = "SEQ",
     .offset = OFFSET(around),
     .largest = INT64_MAX,
     .meaning = "those nearest to it; then N is at most 1000"},
    {0},
};

static const struct option append_options[] = {
    {.kind = OPTION_TEXT,
     .name = "role",
     .argument = "ROLE",
     .offset = OFFSET(role),
     .meaning = "who speaks: user, assistant, system, ... (needed)"},
    {.kind = OPTION_TEXT,
     .name = "request-id",
     .argument = "ID",
     .offset = OFFSET(request_id),
     .meaning = "append once, however often the command is repeated with this ID"},
    {.kind = OPTION_NUMBER,
     .name = "expected-last-seq",
     .argument = "SEQ",
     .offset = OFFSET(expected_last_seq),
     .largest = INT64_MAX,
     .meaning = "append only if this is the conversation's last sequence number"},
    {0},
};

static const struct option pop_options[] = {
    {.kind = OPTION_NUMBER,
     .name = "count",
     .letter = 'n',
     .argument = "N",
     .offset = OFFSET(count),
     .smallest = 1,
     .largest = CHATLOG_LIMIT_append_messages,
     .meaning = "how many, 1..1000; without it 1"},
    {0},
};

static const struct option forget_options[] = {
    {.kind = OPTION_FLAG, .name = "yes", .offset = OFFSET(yes), .meaning = "really do it (needed)"},
    {0},
};

static const struct option stats_options[] = {
    {.kind = OPTION_NUMBER_OR_NONE,
     .name = "watch",
     .argument = "[SECONDS]",
     .offset = OFFSET(watch),
     .smallest = 1,
     .largest = 86400,
     .meaning = "again and again, this far apart (without SECONDS 2), until interrupted"},
    {.kind = OPTION_NUMBER,
     .name = "count",
     .letter = 'n',
     .argument = "N",
     .offset = OFFSET(count),
     .smallest = 1,
     .largest = INT64_MAX,
     .meaning = "with --watch: this many times"},
    {0},
};

static const struct option top_options[] = {
    {.kind = OPTION_NUMBER,
     .name = "interval",
     .argument = "SECONDS",
     .offset = OFFSET(interval),
     .smallest = 1,
     .largest = 3600,
     .meaning = "how far apart the looks are, and what rates are over; without it 2"},
    {0},
};

static const struct option bench_options[] = {
    {.kind = OPTION_NUMBER,
     .name = "seconds",
     .argument = "N",
     .offset = OFFSET(seconds),
     .smallest = 1,
     .largest = 3600,
     .meaning = "how long each of the three measurements takes; without it 5"},
    {.kind = OPTION_NUMBER,
     .name = "in-flight",
     .argument = "N",
     .offset = OFFSET(in_flight),
     .smallest = 1,
     .largest = 128,
     .meaning = "appends under way at once in the second one, 1..128; without it 64"},
    {.kind = OPTION_FLAG, .name = "yes", .offset = OFFSET(yes), .meaning = "do not ask before writing"},
    {0},
};

static const struct option audit_options[] = {
    {.kind = OPTION_TEXT, .name = "user", .argument = "USER", .offset = OFFSET(user), .meaning = "only this user's"},
    {.kind = OPTION_TEXT,
     .name = "since",
     .argument = "TIME",
     .offset = OFFSET(since),
     .meaning = "only those at or after this time: 2025-11-22 or 2025-11-22T08:40:00, UTC"},
    {.kind = OPTION_TEXT,
     .name = "until",
     .argument = "TIME",
     .offset = OFFSET(until),
     .meaning = "only those before it"},
    {.kind = OPTION_NUMBER,
     .name = "count",
     .letter = 'n',
     .argument = "N",
     .offset = OFFSET(count),
     .smallest = 1,
     .largest = INT64_MAX,
     .meaning = "at most this many events; without it 50"},
    {0},
};

static const char import_details[] =
    "FILE has one conversation a line (- is standard input):\n"
    "  {\"user_id\":..., \"conversation_id\":..., \"title\":..., \"metadata\":{...}, \"messages\":[...]}\n"
    "title and metadata may be missing; metadata has string values only. A member that is not known is an error.\n"
    "\n"
    "A message with nothing but \"role\" and a string \"content\" is kept as text/plain. Any other object is kept "
    "whole as\n"
    "application/json, as JSON values: spaces between them are not kept, integers must fit in 64 bits, and numbers "
    "with\n"
    "a fraction or exponent are kept as 64-bit floating point.\n"
    "What plain files do not have, and `chatlog export` writes only where it is needed, is taken too:\n"
    "  a message {\"role\":..., \"content_type\":..., \"content_base64\":...} for any other content;\n"
    "  in a message \"chatlog\":{\"message_id\":..., \"author\":..., \"token_count\":..., \"sent_time_us\":...,\n"
    "  \"metadata\":{...}}; in a conversation \"chatlog\":{\"archived\":..., \"expire_time_us\":...}.\n"
    "\n"
    "A line is at most 256 MiB. A line that cannot be imported is reported with its number, and the others go on.\n"
    "An import may be repeated, also after a crash: messages that are stored already are skipped. Of a conversation\n"
    "that differs from the file nothing is appended. Title and metadata of a conversation that exists are left alone.";

static const char export_details[] =
    "Writes one conversation a line, in the form that `chatlog import` takes, whatever --output says. Archived\n"
    "conversations are exported, deleted ones are not. Sequence numbers, the daemon's own times and revisions are "
    "left\n"
    "out: an import gives new ones. Everything clients said is kept: text/plain and JSON messages as they are, other\n"
    "content as base64; message_id, author, token_count, sent_time_us and metadata of a message in its member "
    "\"chatlog\".";

static const char audit_details[] = "Shows who changed what, the newest first: every change but appends, whose "
                                    "messages tell it themselves. Nothing of\n"
                                    "what was said is in it. The daemon keeps events for its audit-retention; when a "
                                    "user is forgotten, only the events\n"
                                    "of that stay of his.";

static const char append_details[] =
    "The conversation is created if the user has none of this ID. Without TEXT, or with -, the text is read from\n"
    "standard input and kept byte for byte, with the line end of its last line.";

static const char bench_details[] = "Appends messages of 300 bytes to 16 conversations of a new user, one at a time, "
                                    "then many at once; then reads pages;\n"
                                    "then forgets the user. Times are seen from here, so they hold the way to the "
                                    "daemon and back. What others ask of the\n"
                                    "daemon meanwhile is slower, and counts in its metrics.";

static const char top_details[] =
    "On a terminal until q is pressed; elsewhere one frame, over one interval. Percentiles are estimates from buckets "
    "whose\n"
    "bounds double. --output does not matter; for programs there are `chatlog stats --output json --watch` and the\n"
    "daemon's metrics.";

static const struct option token_options[] = {
    {.kind = OPTION_TEXT,
     .name = "key",
     .argument = "KID:ALG:FILE",
     .offset = OFFSET(key),
     .meaning = "the key to sign with, as in the daemon's token-key;\nof ES256 the private one"},
    {.kind = OPTION_TEXT,
     .name = "user",
     .argument = "USER",
     .offset = OFFSET(user),
     .meaning = "the user it acts for; of a service its name, or nothing"},
    {.kind = OPTION_TEXT,
     .name = "scope",
     .argument = "WORDS",
     .offset = OFFSET(scope),
     .meaning = "of history:read, history:write, admin, service, with commas\nbetween; without it the first two"},
    {.kind = OPTION_NUMBER,
     .name = "ttl",
     .argument = "SECONDS",
     .offset = OFFSET(ttl),
     .smallest = 1,
     .largest = 31536000,
     .meaning = "how long it holds, up to a year; without it an hour"},
    {.kind = OPTION_TEXT,
     .name = "audience",
     .argument = "TEXT",
     .offset = OFFSET(audience),
     .meaning = "the daemon's token-audience; without it chatlogd"},
    {0},
};

static const char token_details[] =
    "Prints a JSON Web Token that the daemon takes if it has the same key under the same KID. Who has an HS256 secret\n"
    "can make tokens for everybody: real ones are made by the service that knows who its users are.";

static const char backup_details[] = "The backup is a directory NAME in the daemon's backup-dir, with the store as one "
                                     "commit left it and a manifest. It "
                                     "is\n"
                                     "verified and on disk when this command ends; reads and changes go on meanwhile. "
                                     "Interrupted, the command leaves the\n"
                                     "daemon at work: `chatlog audit` tells when the backup is done. `chatlogd "
                                     "restore` makes a data directory of it. The\n"
                                     "exit code is 1 when the backup was made but the data in it has damaged records.";

static const char verify_details[] =
    "Reads and changes go on meanwhile; it takes half of a processor's time at most, and as long as it takes.\n"
    "Of what nobody changed meanwhile the totals are compared too.";

/* clang-format off */
const struct command commands[] = {
    {"import", "FILE", 1, 1, NULL, false, NULL, command_import,
     "store the conversations of a JSONL file", import_details},
    {"export", "", 0, 0, export_options, false, NULL, command_export,
     "write all conversations as JSONL", export_details},
    {"conversations", "USER", 1, 1, conversations_options, false, NULL, command_conversations,
     "list a user's conversations, most recent activity first", NULL},
    {"log", "USER CONVERSATION", 2, 2, log_options, false, log_check, command_log,
     "show messages, the newest ones unless told otherwise", NULL},
    {"append", "USER CONVERSATION --role ROLE [TEXT|-]", 2, 3, append_options, false, append_check, command_append,
     "append one message", append_details},
    {"pop", "USER CONVERSATION", 2, 2, pop_options, false, NULL, command_pop,
     "remove the newest messages for good and show them",
     "Fewer are removed when the conversation has fewer, or when they would not fit in one reply of the daemon."},
    {"rename", "USER CONVERSATION TITLE", 3, 3, NULL, false, NULL, command_rename,
     "give a conversation another title", NULL},
    {"delete", "USER CONVERSATION", 2, 2, NULL, false, NULL, command_delete,
     "delete a conversation; it can be undeleted until it is purged", NULL},
    {"undelete", "USER CONVERSATION", 2, 2, NULL, false, NULL, command_undelete,
     "take a deletion back", NULL},
    {"purge", "USER CONVERSATION", 2, 2, NULL, false, NULL, command_purge,
     "remove a conversation for good, deleted before or not", NULL},
    {"forget", "USER --yes", 1, 1, forget_options, false, forget_check, command_forget,
     "remove everything of a user for good", NULL},
    {"info", "", 0, 0, NULL, false, NULL, command_info,
     "show the daemon's version, store layout, migration and limits", NULL},
    {"stats", "", 0, 0, stats_options, false, stats_check, command_stats,
     "show what is stored and what the daemon has done", NULL},
    {"top", "", 0, 0, top_options, false, NULL, command_top,
     "watch the daemon work: rates and latencies by method, commits, queue, journal", top_details},
    {"bench", "", 0, 0, bench_options, false, bench_check, command_bench,
     "measure the daemon with a user that is forgotten afterwards", bench_details},
    {"health", "", 0, 0, NULL, false, NULL, command_health,
     "ask whether the daemon is serving; the exit code is 0 only then", NULL},
    {"backup", "NAME", 1, 1, NULL, false, NULL, command_backup,
     "make a backup in the daemon's backup directory", backup_details},
    {"verify", "", 0, 0, NULL, false, NULL, command_verify,
     "look at every record; the exit code is 0 only if all is sound", verify_details},
    {"audit", "", 0, 0, audit_options, false, audit_check, command_audit,
     "show who changed what, the newest change first", audit_details},
    {"token", "--key KID:ALGORITHM:FILE", 0, 0, token_options, true, token_check, command_token,
     "make a token for trying out, without asking a daemon", token_details},
    {"help", "[COMMAND]", 0, 1, NULL, true, help_check, command_help,
     "show this help, or that of a command", NULL},
    {0},
};
/* clang-format on */

const struct command *commands_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}
