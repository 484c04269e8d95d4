/* libchatlog: the C client of chatlogd.
 *
 * Open one `struct chatlog` per daemon and share it: every function may be called from any thread at the same time,
 * except chatlog_close. Calls block until the answer or the deadline, save those ending in _async. Deadlines hold
 * whatever the wall clock does. Each client has one thread, which blocks all signals; it does not survive a fork.
 * Nothing is logged and nothing is printed; a failed allocation is an error (RESOURCE_EXHAUSTED), never an abort.
 *
 * Every call returns 0 or an enum chatlog_code, and then fills *error (which may be NULL). Result structs are filled
 * only on success, and own their memory until the matching free function. NULL for an argument that is needed is
 * INVALID_ARGUMENT / FIELD_REQUIRED.
 *
 * Exactly once: each change carries a request_id, yours or a random one. When the connection breaks or the daemon says
 * UNAVAILABLE or RESOURCE_EXHAUSTED, the library sends the call again with the same request_id until the deadline, so a
 * change is made once. Give your own request_id to make that hold across restarts of your own process too.
 *
 * Reasons that come from the library itself, besides those of the daemon (see the README):
 *   UNAVAILABLE: SERVER_UNREACHABLE (not connected until the deadline; the message says why), CONNECTION_LOST (after
 * the request was sent, and it may not be sent again) DEADLINE_EXCEEDED: NO_ANSWER (sent, not answered: a change may
 * have been made, and a call with the same request_id tells), NOT_SENT (nothing was done) RESOURCE_EXHAUSTED:
 * CLIENT_MEMORY, CLIENT_THREADS, CLIENT_FILES, TOO_MANY_CALLS (1,024 calls or 1 GiB of requests are under way on this
 * client; 128 requests are on the wire at once, the others wait) INVALID_ARGUMENT: URL_INVALID, FIELD_REQUIRED,
 * FIELD_INVALID, REQUEST_TOO_LARGE INTERNAL: REPLY_MALFORMED (another program answers there), CLIENT_RANDOM CANCELLED:
 * CLIENT_CLOSED.  FAILED_PRECONDITION: BLOCKING_IN_COMPLETION
 *
 * Strings are UTF-8 and end in NUL. Times are microseconds since 1970-01-01T00:00:00Z, 0 meaning "not set".
 * Limits are in chatlog_limits.h; meanings of all fields are in the proto files. */
#ifndef CHATLOG_H
#define CHATLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHATLOG_API __attribute__((visibility("default")))

/* Where a daemon listens unless it is told otherwise. */
#define CHATLOG_DEFAULT_URL "ipc:///run/chatlogd/chatlogd.sock"

/* The status codes of gRPC. */
enum chatlog_code {
    CHATLOG_OK = 0,
    CHATLOG_CANCELLED = 1,
    CHATLOG_INVALID_ARGUMENT = 3,
    CHATLOG_DEADLINE_EXCEEDED = 4,
    CHATLOG_NOT_FOUND = 5,
    CHATLOG_ALREADY_EXISTS = 6,
    CHATLOG_PERMISSION_DENIED = 7,
    CHATLOG_RESOURCE_EXHAUSTED = 8,
    CHATLOG_FAILED_PRECONDITION = 9,
    CHATLOG_ABORTED = 10,
    CHATLOG_UNIMPLEMENTED = 12,
    CHATLOG_INTERNAL = 13,
    CHATLOG_UNAVAILABLE = 14,
    CHATLOG_DATA_LOSS = 15,
    CHATLOG_UNAUTHENTICATED = 16,
};

struct chatlog_error {
    enum chatlog_code code;
    char reason[48];         /* "CONVERSATION_NOT_FOUND": for programs */
    char message[512];       /* one sentence: for people */
    uint64_t last_seq;       /* with LAST_SEQ_MISMATCH: the real one */
    uint32_t retry_delay_ms; /* when a retry may help: after this long; else 0 */
};

/* "NOT_FOUND"; "UNKNOWN" for a number that is none. */
CHATLOG_API const char *chatlog_code_name(int code);

/* ---- Connection ------------------------------------------------------------------------------------------------ */

struct chatlog;

/* Makes a client of the daemon at url ("ipc:///path" or "tcp://127.0.0.1:port"; NULL means CHATLOG_DEFAULT_URL).
 * Does not block: the connection is made, and made again whenever it is lost, in the background.
 * Errors: INVALID_ARGUMENT / URL_INVALID, RESOURCE_EXHAUSTED. */
CHATLOG_API int chatlog_open(const char *url, struct chatlog **ret_client, struct chatlog_error *error);

/* Blocks until the daemon has answered a health check, at most timeout_ms (0: 30,000). UNAVAILABLE when it did not. */
CHATLOG_API int chatlog_wait_ready(struct chatlog *client, uint32_t timeout_ms, struct chatlog_error *error);

/* The token (a JSON Web Token) that calls begun from now on show the daemon; NULL or "" means none. Calls under way,
 * and their retries, keep the one they began with. Copied; may be replaced at any time, from any thread. Without a
 * token the daemon asks the kernel who is at the other end of a local socket, and refuses TCP. Errors: INVALID_ARGUMENT
 * / FIELD_INVALID (blanks or control characters, or over 4,096 bytes). */
CHATLOG_API int chatlog_set_token(struct chatlog *client, const char *token, struct chatlog_error *error);

/* Ends calls under way with CANCELLED, waits for their completions, and frees the client. No other call may begin.
 * Must not be called from a completion. NULL is allowed. Returns NULL. */
CHATLOG_API struct chatlog *chatlog_close(struct chatlog *client);

/* How one call is to be made; NULL or zeros mean the defaults. */
struct chatlog_call_options {
    uint32_t timeout_ms;    /* deadline over all attempts; 0: 30,000; at most 600,000 */
    const char *request_id; /* of a change: 1..128 bytes; NULL: a random one */
};

/* ---- Data ------------------------------------------------------------------------------------------------------ */

struct chatlog_pair {
    const char *key;
    const char *value;
};

/* In requests the first block is read, the rest is ignored. */
struct chatlog_conversation {
    const char *conversation_id;
    const char *title; /* NULL: empty */
    const struct chatlog_pair *metadata;
    size_t metadata_count;
    bool archived;
    int64_t expire_time_us;

    const char *etag;
    int64_t create_time_us;
    int64_t update_time_us;
    int64_t activity_time_us;
    int64_t delete_time_us;
    int64_t purge_time_us;
    uint64_t message_count;
    uint64_t last_seq;
    uint64_t content_bytes;

    void *memory; /* the library's */
};

struct chatlog_message {
    const char *message_id; /* NULL or "": none */
    const char *role;
    const char *content_type; /* NULL or "" in requests: text/plain; always set in results */
    const char *author;
    uint32_t token_count;
    int64_t sent_time_us;
    const struct chatlog_pair *metadata;
    size_t metadata_count;
    const void *content; /* any bytes; in results followed by a NUL that does not count */
    size_t content_length;

    uint64_t seq;
    int64_t create_time_us;
    int64_t update_time_us;
    uint32_t revision;
    uint64_t content_size; /* set in every view */

    void *memory; /* the library's */
};

CHATLOG_API void chatlog_conversation_free(struct chatlog_conversation *conversation);
CHATLOG_API void chatlog_message_free(struct chatlog_message *message);

/* ---- Conversations --------------------------------------------------------------------------------------------- */

/* In all of these ret_conversation may be NULL. */
CHATLOG_API int chatlog_create_conversation(struct chatlog *client, const char *user_id,
                                            const struct chatlog_conversation *conversation,
                                            const struct chatlog_call_options *options,
                                            struct chatlog_conversation *ret_conversation, struct chatlog_error *error);

CHATLOG_API int chatlog_get_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                                         const struct chatlog_call_options *options,
                                         struct chatlog_conversation *ret_conversation, struct chatlog_error *error);

enum chatlog_conversation_fields {
    CHATLOG_FIELD_TITLE = 1 << 0,
    CHATLOG_FIELD_METADATA = 1 << 1,
    CHATLOG_FIELD_ARCHIVED = 1 << 2,
    CHATLOG_FIELD_EXPIRE_TIME = 1 << 3,
};

/* Changes the named fields. etag: NULL, or the change is made only if it is still the conversation's. */
CHATLOG_API int chatlog_update_conversation(struct chatlog *client, const char *user_id,
                                            const struct chatlog_conversation *conversation, unsigned fields,
                                            const char *etag, const struct chatlog_call_options *options,
                                            struct chatlog_conversation *ret_conversation, struct chatlog_error *error);

/* Soft: can be undeleted until its purge time; ret_conversation (may be NULL) tells. */
CHATLOG_API int chatlog_delete_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                                            const char *etag, const struct chatlog_call_options *options,
                                            struct chatlog_conversation *ret_conversation, struct chatlog_error *error);

/* For good, deleted before or not. The request_id goes with the conversation: when the answer of an attempt was lost,
 * the next attempt of the same call brings NOT_FOUND. */
CHATLOG_API int chatlog_purge_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                                           const char *etag, const struct chatlog_call_options *options,
                                           struct chatlog_error *error);

CHATLOG_API int chatlog_undelete_conversation(struct chatlog *client, const char *user_id, const char *conversation_id,
                                              const struct chatlog_call_options *options,
                                              struct chatlog_conversation *ret_conversation,
                                              struct chatlog_error *error);

enum chatlog_archived { CHATLOG_ARCHIVED_EXCLUDE = 1, CHATLOG_ARCHIVED_ONLY = 2, CHATLOG_ARCHIVED_INCLUDE = 3 };

/* NULL or zeros: the first page of 50, without archived and deleted ones. */
struct chatlog_conversation_query {
    uint32_t page_size;
    const char *page_token; /* NULL or "" for the first page */
    enum chatlog_archived archived;
    bool show_deleted;
};

struct chatlog_conversations {
    struct chatlog_conversation *items; /* most recent activity first */
    size_t count;
    const char *next_page_token; /* "" after the last page */
    void *memory;                /* the library's */
};

CHATLOG_API int chatlog_list_conversations(struct chatlog *client, const char *user_id,
                                           const struct chatlog_conversation_query *query,
                                           const struct chatlog_call_options *options,
                                           struct chatlog_conversations *ret_page, struct chatlog_error *error);
CHATLOG_API void chatlog_conversations_free(struct chatlog_conversations *page);

/* ---- Messages -------------------------------------------------------------------------------------------------- */

/* NULL or zeros: append at the end of a conversation that exists. */
struct chatlog_append_options {
    bool create_if_missing;
    bool check_last_seq; /* then expected_last_seq must be the conversation's, else ABORTED */
    uint64_t expected_last_seq;
    bool replace; /* then every message above replace_after_seq is dropped in the same step */
    uint64_t replace_after_seq;
};

struct chatlog_append_result {
    uint64_t first_seq;
    uint64_t last_seq;
    int64_t create_time_us;
    char etag[32];
    bool replayed; /* it had been appended before, with this request_id */
};

/* ret_result may be NULL. */
CHATLOG_API int chatlog_append(struct chatlog *client, const char *user_id, const char *conversation_id,
                               const struct chatlog_message *messages, size_t count,
                               const struct chatlog_append_options *append, const struct chatlog_call_options *options,
                               struct chatlog_append_result *ret_result, struct chatlog_error *error);

/* The completion of chatlog_append_async: called once, on the client's thread; must not block, but may start further
 * calls. When code is 0, result is set, else error; both are valid only during the call. */
typedef void chatlog_append_done(void *arg, int code, const struct chatlog_append_result *result,
                                 const struct chatlog_error *error);

/* Starts an append and returns; what the arguments point to may be freed at once. A return value other than 0 (bad
 * argument, no memory) means that done will not be called. Retries as the blocking call does. */
CHATLOG_API int chatlog_append_async(struct chatlog *client, const char *user_id, const char *conversation_id,
                                     const struct chatlog_message *messages, size_t count,
                                     const struct chatlog_append_options *append,
                                     const struct chatlog_call_options *options, chatlog_append_done *done, void *arg,
                                     struct chatlog_error *error);

enum chatlog_anchor { CHATLOG_LATEST, CHATLOG_BEFORE, CHATLOG_AFTER, CHATLOG_AROUND };

/* NULL or zeros: the newest 50 in full. */
struct chatlog_message_query {
    enum chatlog_anchor anchor;
    uint64_t seq; /* of the anchor; unused with LATEST */
    uint32_t limit;
    uint32_t max_bytes;
    bool basic; /* without content and metadata */
};

struct chatlog_messages {
    struct chatlog_message *items; /* ascending seq */
    size_t count;
    bool has_more_before;
    bool has_more_after;
    uint64_t last_seq; /* of the conversation */
    const char *etag;
    void *memory; /* the library's */
};

CHATLOG_API int chatlog_list_messages(struct chatlog *client, const char *user_id, const char *conversation_id,
                                      const struct chatlog_message_query *query,
                                      const struct chatlog_call_options *options, struct chatlog_messages *ret_page,
                                      struct chatlog_error *error);
CHATLOG_API void chatlog_messages_free(struct chatlog_messages *page);

/* By seq, or by message_id when that is not NULL. */
CHATLOG_API int chatlog_get_message(struct chatlog *client, const char *user_id, const char *conversation_id,
                                    uint64_t seq, const char *message_id, const struct chatlog_call_options *options,
                                    struct chatlog_message *ret_message, struct chatlog_error *error);

enum chatlog_message_fields {
    CHATLOG_FIELD_CONTENT = 1 << 0,
    CHATLOG_FIELD_CONTENT_TYPE = 1 << 1,
    CHATLOG_FIELD_MESSAGE_METADATA = 1 << 2,
    CHATLOG_FIELD_TOKEN_COUNT = 1 << 3,
};

/* message->seq says which. expected_revision: 0, or the change is made only at that revision. ret_message (may be NULL)
 * comes without content and metadata. */
CHATLOG_API int chatlog_update_message(struct chatlog *client, const char *user_id, const char *conversation_id,
                                       const struct chatlog_message *message, unsigned fields,
                                       uint32_t expected_revision, const struct chatlog_call_options *options,
                                       struct chatlog_message *ret_message, struct chatlog_error *error);

CHATLOG_API int chatlog_delete_message(struct chatlog *client, const char *user_id, const char *conversation_id,
                                       uint64_t seq, const struct chatlog_call_options *options,
                                       struct chatlog_error *error);

/* Removes the newest `count` (1..1000) and returns them; fewer when there are fewer or they do not fit in one reply.
 * check_last_seq: as in chatlog_append_options. In the page only items, count and etag are set. */
CHATLOG_API int chatlog_pop_messages(struct chatlog *client, const char *user_id, const char *conversation_id,
                                     uint32_t count, bool check_last_seq, uint64_t expected_last_seq,
                                     const struct chatlog_call_options *options, struct chatlog_messages *ret_page,
                                     struct chatlog_error *error);

/* ---- Users ----------------------------------------------------------------------------------------------------- */

struct chatlog_receipt {
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    char digest[33];
    uint64_t commit_id;
};

/* Removes everything of the user for good; the answer comes when the last record is gone. ret_receipt may be NULL. */
CHATLOG_API int chatlog_forget_user(struct chatlog *client, const char *user_id,
                                    const struct chatlog_call_options *options, struct chatlog_receipt *ret_receipt,
                                    struct chatlog_error *error);

/* ---- The daemon itself ----------------------------------------------------------------------------------------- */

struct chatlog_limit {
    const char *name;
    uint64_t value;
    uint64_t cap;
    const char *meaning;
};

struct chatlog_server_info {
    const char *version;
    const char *nng_version;
    const char *lmdb_version;
    uint32_t layout;
    const uint32_t *readable_layouts;
    size_t readable_layout_count;
    int64_t start_time_us;
    const struct chatlog_limit *limits;
    size_t limit_count;
    void *memory; /* the library's */
};

CHATLOG_API int chatlog_get_server_info(struct chatlog *client, const struct chatlog_call_options *options,
                                        struct chatlog_server_info *ret_info, struct chatlog_error *error);
CHATLOG_API void chatlog_server_info_free(struct chatlog_server_info *info);

struct chatlog_method_stats {
    const char *method;
    uint64_t calls;
    uint64_t errors;
    uint64_t latency_us; /* of all calls together; 0 from a daemon that does not tell */
    /* How many calls took at most 8 << i microseconds and are not in the entry before; the last entry: the rest. */
    const uint64_t *latency_counts;
    size_t latency_count; /* entries */
};

struct chatlog_stats {
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    uint64_t used_bytes;
    uint64_t file_bytes;
    uint64_t commit_id;
    uint64_t uptime_us;
    uint64_t commits;
    uint64_t changes;
    uint64_t queue_length;
    uint64_t connections;
    uint64_t connections_accepted;
    uint64_t connections_refused;
    uint64_t damaged_records; /* answers DATA_LOSS */
    uint64_t journal_entries; /* appends that wait to be folded into their conversations */
    uint64_t journal_bytes;
    uint64_t journal_folds;  /* conversations that were */
    uint64_t commit_time_us; /* spent in commits */
    uint64_t queue_bytes;
    uint64_t map_bytes; /* the largest size the data file may reach */
    uint64_t slow_requests;
    uint64_t scrub_time_us;  /* when the daemon last looked at everything by itself; 0: not since it started */
    uint64_t scrub_findings; /* what it found wrong then */
    const struct chatlog_method_stats *methods;
    size_t method_count;
    void *memory; /* the library's */
};

CHATLOG_API int chatlog_get_stats(struct chatlog *client, const struct chatlog_call_options *options,
                                  struct chatlog_stats *ret_stats, struct chatlog_error *error);
CHATLOG_API void chatlog_stats_free(struct chatlog_stats *stats);

enum chatlog_migration_state {
    CHATLOG_MIGRATION_UNKNOWN, /* the daemon named a state this library does not know */
    CHATLOG_MIGRATION_NONE,    /* none is under way; the rest is of the last one that was finished */
    CHATLOG_MIGRATION_MOVING,
    CHATLOG_MIGRATION_PAUSED, /* the disk has no room; goes on by itself */
    CHATLOG_MIGRATION_HALTED, /* failed three times; everything is served; the next start tries again */
    CHATLOG_MIGRATION_HELD,   /* the data has an older layout and is served so, as the daemon was told */
};

/* How a migration between the store's key layouts goes, or went. */
struct chatlog_migration {
    enum chatlog_migration_state state;
    uint32_t from_layout; /* 0: there was never one */
    uint32_t to_layout;
    uint64_t messages_total; /* when it began */
    uint64_t messages_moved;
    uint64_t conversations_total;
    uint64_t conversations_moved;
    uint64_t quarantined;         /* records that could not be read and were copied to quarantine */
    uint64_t messages_per_second; /* lately */
    int64_t seconds_left;         /* -1: not known */
    int64_t start_time_us;        /* 0: not begun */
    int64_t finish_time_us;       /* 0: not finished */
    const char *last_error;       /* "" when there is none */
    void *memory;                 /* the library's */
};

CHATLOG_API int chatlog_get_migration(struct chatlog *client, const struct chatlog_call_options *options,
                                      struct chatlog_migration *ret_migration, struct chatlog_error *error);
CHATLOG_API void chatlog_migration_free(struct chatlog_migration *migration);

/* A backup in the directory that the daemon's configuration names. */
struct chatlog_backup {
    uint64_t commit_id; /* the last commit in it: its point in time */
    int64_t time_us;    /* of that */
    uint32_t layout;
    uint32_t target_layout; /* = layout: no migration was under way */
    uint64_t file_bytes;
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    uint64_t findings; /* what is wrong with the data, and so with its backup; chatlog_verify names it */
};

/* Makes a backup of this name (1..100 of A-Z a-z 0-9 . _ -, not beginning with a dot), verified and on disk when it
 * returns. Takes as long as it takes: give options a timeout. When that is over the backup goes on; the audit trail
 * tells when it is done. Never sent twice. */
CHATLOG_API int chatlog_make_backup(struct chatlog *client, const char *name,
                                    const struct chatlog_call_options *options, struct chatlog_backup *ret_backup,
                                    struct chatlog_error *error);

/* What was looked at, and what is wrong with it. */
struct chatlog_verification {
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t message_ids;
    uint64_t requests;
    uint64_t events;
    uint64_t content_bytes;
    uint64_t unreadable;         /* records whose checksum is wrong or that are no such record */
    uint64_t mismatches;         /* that do not fit others */
    uint64_t strays;             /* that belong to nothing */
    uint64_t damaged_events;     /* of the audit trail */
    bool changed_meanwhile;      /* totals were not compared */
    const char *const *findings; /* the first ones, in words */
    size_t finding_count;
    void *memory; /* the library's */
};

/* Looks at every record there is. As chatlog_make_backup, it takes long. */
CHATLOG_API int chatlog_verify(struct chatlog *client, const struct chatlog_call_options *options,
                               struct chatlog_verification *ret_verification, struct chatlog_error *error);
CHATLOG_API void chatlog_verification_free(struct chatlog_verification *verification);

struct chatlog_users {
    const char *const *user_ids; /* ascending */
    size_t count;
    const char *next_page_token; /* "" after the last page */
    void *memory;                /* the library's */
};

/* page_size 0: 50. page_token NULL or "": the first page. */
CHATLOG_API int chatlog_list_users(struct chatlog *client, uint32_t page_size, const char *page_token,
                                   const struct chatlog_call_options *options, struct chatlog_users *ret_page,
                                   struct chatlog_error *error);
CHATLOG_API void chatlog_users_free(struct chatlog_users *page);

/* What an event of the audit trail tells of; proto/chatlog/v1/audit_event.proto says more of each. */
enum chatlog_audit_action {
    CHATLOG_AUDIT_UNKNOWN, /* the daemon named an action this library does not know */
    CHATLOG_AUDIT_DAMAGED, /* the event itself is damaged: only its time is known */
    CHATLOG_AUDIT_CREATE_CONVERSATION,
    CHATLOG_AUDIT_UPDATE_CONVERSATION,
    CHATLOG_AUDIT_DELETE_CONVERSATION,
    CHATLOG_AUDIT_UNDELETE_CONVERSATION,
    CHATLOG_AUDIT_PURGE_CONVERSATION,
    CHATLOG_AUDIT_EXPIRE_CONVERSATION,
    CHATLOG_AUDIT_REPLACE_MESSAGES,
    CHATLOG_AUDIT_UPDATE_MESSAGE,
    CHATLOG_AUDIT_DELETE_MESSAGE,
    CHATLOG_AUDIT_POP_MESSAGES,
    CHATLOG_AUDIT_FORGET_USER_BEGIN,
    CHATLOG_AUDIT_FORGET_USER_END,
    CHATLOG_AUDIT_MIGRATION_BEGIN,
    CHATLOG_AUDIT_MIGRATION_END,
    CHATLOG_AUDIT_RELOAD_TOKENS,
    CHATLOG_AUDIT_BACKUP,
    CHATLOG_AUDIT_RELOAD_TOKENS_FAILED,
    CHATLOG_AUDIT_ACTION_COUNT
};

/* A change that was not an append. Texts are "" and numbers 0 when there is nothing to tell. */
struct chatlog_audit_event {
    int64_t time_us;
    enum chatlog_audit_action action;
    const char *principal; /* who asked for it; "": the daemon itself */
    const char *user_id;
    const char *conversation_id;
    uint64_t first_seq; /* the messages it was about, both included */
    uint64_t last_seq;
    const char *request_id;
    uint64_t commit_id;
    uint64_t conversations; /* removed; of a migration: there, or moved */
    uint64_t messages;
    uint64_t content_bytes;
    const char *digest; /* of a receipt */
    uint32_t from_layout;
    uint32_t to_layout;
};

struct chatlog_audit_query {
    const char *user_id;    /* NULL or "": of all users */
    int64_t since_time_us;  /* at or after; 0: any */
    int64_t until_time_us;  /* before; 0: any */
    uint32_t page_size;     /* 0: 50 */
    const char *page_token; /* NULL or "": the first page */
};

struct chatlog_audit_events {
    const struct chatlog_audit_event *items; /* the newest first */
    size_t count;
    const char *next_page_token; /* "" after the last page */
    void *memory;                /* the library's */
};

/* query NULL: the newest 50. */
CHATLOG_API int chatlog_list_audit_events(struct chatlog *client, const struct chatlog_audit_query *query,
                                          const struct chatlog_call_options *options,
                                          struct chatlog_audit_events *ret_page, struct chatlog_error *error);
CHATLOG_API void chatlog_audit_events_free(struct chatlog_audit_events *page);

/* *ret_serving is false while the daemon stops or takes no writes (its disk is full). */
CHATLOG_API int chatlog_check_health(struct chatlog *client, const struct chatlog_call_options *options,
                                     bool *ret_serving, struct chatlog_error *error);

/* ---- Any method ------------------------------------------------------------------------------------------------ */

struct chatlog_reply {
    const void *payload; /* the encoded response message */
    size_t payload_length;
    bool replayed;
    void *memory; /* the library's */
};

/* Calls a method by its full name with an encoded request message, for methods and languages this header does not know.
 * request_id is sent only when options name one; only then are changes retried. */
CHATLOG_API int chatlog_call(struct chatlog *client, const char *method, const void *payload, size_t payload_length,
                             const struct chatlog_call_options *options, struct chatlog_reply *ret_reply,
                             struct chatlog_error *error);
CHATLOG_API void chatlog_reply_free(struct chatlog_reply *reply);

/* As chatlog_append_done. */
typedef void chatlog_call_done(void *arg, int code, const struct chatlog_reply *reply,
                               const struct chatlog_error *error);

CHATLOG_API int chatlog_call_async(struct chatlog *client, const char *method, const void *payload,
                                   size_t payload_length, const struct chatlog_call_options *options,
                                   chatlog_call_done *done, void *arg, struct chatlog_error *error);

#ifdef __cplusplus
}
#endif

#endif
