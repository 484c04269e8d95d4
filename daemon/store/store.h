/* The store: what the daemon keeps and how it is asked for, whatever engine keeps it.
 *
 * Every operation is one `struct store_op`, given to store_run. It is answered by exactly one call of op->done,
 * perhaps before store_run returns (LMDB reads), perhaps later and from another thread (changes, after the commit
 * that made them durable). The op and everything it points to stay valid and unchanged until then.
 *
 * Every key is built from op->user: an operation can only find what belongs to that user. Each operation is atomic;
 * several are not. Values have been checked by the caller against the limits; the store asserts, it does not check. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/limits.h"

struct store;

enum store_verb {
    /* Reads. */
    STORE_GET_CONVERSATION,
    STORE_LIST_CONVERSATIONS,
    STORE_GET_MESSAGE,
    STORE_LIST_MESSAGES,
    STORE_LIST_USERS,
    STORE_GET_STATS,
    STORE_LIST_EVENTS,
    /* Changes. */
    STORE_CREATE_CONVERSATION,
    STORE_UPDATE_CONVERSATION,
    STORE_DELETE_CONVERSATION,
    STORE_UNDELETE_CONVERSATION,
    STORE_APPEND_MESSAGES,
    STORE_UPDATE_MESSAGE,
    STORE_DELETE_MESSAGE,
    STORE_POP_MESSAGES,
    STORE_FORGET_USER,
    STORE_NOTE_EVENT, /* changes nothing: puts an event into the audit trail that the store does not meet by itself */
    /* Jobs: they take long, and a thread of their own does one after the other. */
    STORE_BACKUP,
    STORE_VERIFY,
    STORE_VERB_COUNT
};

/* What an event of the audit trail tells of; the numbers are those of the contract's AuditAction. */
enum store_action {
    STORE_ACTION_NONE,
    STORE_ACTION_DAMAGED, /* the event cannot be read: nothing but its time is known */
    STORE_ACTION_CREATE_CONVERSATION,
    STORE_ACTION_UPDATE_CONVERSATION,
    STORE_ACTION_DELETE_CONVERSATION,
    STORE_ACTION_UNDELETE_CONVERSATION,
    STORE_ACTION_PURGE_CONVERSATION,
    STORE_ACTION_EXPIRE_CONVERSATION,
    STORE_ACTION_REPLACE_MESSAGES,
    STORE_ACTION_UPDATE_MESSAGE,
    STORE_ACTION_DELETE_MESSAGE,
    STORE_ACTION_POP_MESSAGES,
    STORE_ACTION_FORGET_USER_BEGIN,
    STORE_ACTION_FORGET_USER_END,
    STORE_ACTION_MIGRATION_BEGIN,
    STORE_ACTION_MIGRATION_END,
    STORE_ACTION_RELOAD_TOKENS,
    STORE_ACTION_BACKUP,
    STORE_ACTION_RELOAD_TOKENS_FAILED,
};

struct store_pair {
    struct span key;
    struct span value;
};

/* What a client says of a conversation. */
struct store_conversation {
    struct span title;
    const struct store_pair *metadata;
    size_t metadata_count;
    bool archived;
    int64_t expire_time_us; /* 0: never */
};

/* What a client says of a message. */
struct store_message {
    struct span message_id; /* empty: none */
    struct span role;
    struct span content_type;
    struct span author;
    uint32_t token_count;
    int64_t sent_time_us;
    const struct store_pair *metadata;
    size_t metadata_count;
    struct span content;
};

enum store_conversation_mask {
    STORE_MASK_TITLE = 1 << 0,
    STORE_MASK_METADATA = 1 << 1,
    STORE_MASK_ARCHIVED = 1 << 2,
    STORE_MASK_EXPIRE_TIME = 1 << 3,
};

enum store_message_mask {
    STORE_MASK_CONTENT = 1 << 0,
    STORE_MASK_CONTENT_TYPE = 1 << 1,
    STORE_MASK_MESSAGE_METADATA = 1 << 2,
    STORE_MASK_TOKEN_COUNT = 1 << 3,
};

enum store_archived { STORE_ARCHIVED_EXCLUDE, STORE_ARCHIVED_ONLY, STORE_ARCHIVED_INCLUDE };
enum store_anchor { STORE_LATEST, STORE_BEFORE, STORE_AFTER, STORE_AROUND };

/* An optional number. */
struct store_expected {
    bool given;
    uint64_t value;
};

enum { STORE_FINDINGS_MAX = 20, STORE_FINDING_BYTES = 200 };

/* Everything there is, looked at record by record in snapshots of at most a second each. */
struct store_survey {
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t message_ids;
    uint64_t requests;
    uint64_t bytes; /* of keys and values */
    uint64_t content_bytes;
    size_t largest_key;        /* as it is */
    size_t largest_target_key; /* in the newest layout */
    uint64_t unreadable;       /* records whose checksum is wrong or that are no such record */
    uint64_t mismatches;       /* records that do not fit others: counts of a head, entries of lists, totals */
    uint64_t strays;           /* entries that belong to no conversation */
    uint64_t events;           /* of the audit trail */
    uint64_t damaged_events;   /* that are no such event, or that the user's list lacks */
    bool changed_meanwhile;    /* by a daemon: then totals and strays were not compared */
    size_t finding_count;      /* of the first ones, in words */
    char findings[STORE_FINDINGS_MAX][STORE_FINDING_BYTES];
};

enum { STORE_BACKUP_GROWTH_BYTES = 64 * 1024 * 1024, STORE_BACKUP_NAME_BYTES = 100 };

/* A backup that was made. */
struct store_backup {
    uint64_t commit_id; /* the last commit in it: its point in time */
    uint64_t time_us;   /* wall clock, of that */
    uint64_t layout;
    uint64_t target; /* = layout: no migration was under way */
    uint64_t file_bytes;
    uint64_t sum; /* XXH3-64 of its data file */
    uint64_t users;
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    uint64_t findings; /* what is wrong with the data, and so with its backup */
};

/* What an operation brought. Valid only during op->done. */
struct store_result {
    bool replayed;          /* the remembered answer of an earlier change with this request_id */
    struct buffer records;  /* conversations, messages, events or (LIST_USERS) user IDs, each behind op->record_field;
                             * the receiver may take the buffer away and leave an empty one */
    char etag[24];          /* of the conversation after a change, or as a read saw it; ends in NUL */
    uint64_t first_seq;     /* APPEND_MESSAGES */
    uint64_t last_seq;      /* APPEND_MESSAGES: of the last message appended; LIST_MESSAGES: the conversation's */
    int64_t create_time_us; /* APPEND_MESSAGES */
    bool has_more_before;   /* LIST_MESSAGES */
    bool has_more_after;
    struct buffer next;    /* of LIST_CONVERSATIONS, _USERS, _EVENTS: where the next page starts; empty: nowhere */
    struct store_receipt { /* FORGET_USER */
        uint64_t conversations;
        uint64_t messages;
        uint64_t content_bytes;
        uint64_t digest[2]; /* high, low */
        uint64_t commit_id;
    } receipt;
    struct store_stats { /* GET_STATS */
        uint64_t users;
        uint64_t conversations;
        uint64_t messages;
        uint64_t content_bytes;
        uint64_t used_bytes;
        uint64_t file_bytes;
        uint64_t commit_id;
        uint64_t journal_entries; /* that wait to be folded */
        uint64_t journal_bytes;
        uint64_t commits; /* since store_open */
        uint64_t changes;
        uint64_t queue_length;
        uint64_t queue_bytes;
        uint64_t folds;          /* conversations whose appends were folded */
        uint64_t commit_time_us; /* spent in commits */
        uint64_t map_bytes;      /* the largest size the data file may reach */
        uint64_t scrub_time_us;  /* wall clock, when the last scrub was done; 0: none since store_open */
        uint64_t scrub_findings;
    } stats;
    const struct store_survey *survey; /* VERIFY */
    struct store_backup backup;        /* BACKUP */
};

struct store_op {
    enum store_verb verb;
    struct span user; /* every verb but LIST_USERS, GET_STATS, NOTE_EVENT and jobs; of LIST_EVENTS empty: of all */
    struct span conversation; /* every verb that is about one conversation */
    struct span actor;        /* who asks: the principal's name, for the audit trail, of at most two IDs' length; empty:
                               * the daemon itself */
    struct span request_id;   /* of a change; empty: not remembered */
    uint64_t request_hash[2]; /* fingerprint of the request, compared when request_id is met again */
    int64_t deadline_us;      /* clock_monotonic_us after which the work must not begin; 0: none */
    uint32_t record_field;    /* protobuf field number each record of the result is put behind */
    size_t size;              /* bytes this op keeps alive, counted against limits.queue_bytes */
    union {
        struct store_conversation create;
        struct {
            struct store_conversation conversation;
            unsigned mask; /* of enum store_conversation_mask */
            struct span etag;
        } update;
        struct {
            struct span etag;
            bool purge;
        } delete;
        struct {
            enum store_archived archived;
            bool show_deleted;
            size_t page_size;
            struct span after; /* result.next of the page before; hostile input: any bytes must be safe */
        } list;                /* LIST_CONVERSATIONS, and LIST_USERS (page_size and after) */
        struct {
            const struct store_message *messages;
            size_t count;
            bool create_if_missing;
            struct store_expected expected_last_seq;
            struct store_expected replace_after_seq;
        } append;
        struct {
            enum store_anchor anchor;
            uint64_t seq;
            size_t limit;
            size_t max_bytes; /* of records; the first record is returned however large */
            bool basic;       /* leave content and metadata out */
        } messages;
        struct {
            uint64_t seq; /* 0: by message_id */
            struct span message_id;
            bool basic;
        } message; /* GET_MESSAGE, DELETE_MESSAGE (seq) */
        struct {
            uint64_t seq;
            struct store_message message;
            unsigned mask; /* of enum store_message_mask */
            uint32_t expected_revision;
        } edit; /* the result's record has no content and metadata */
        struct {
            size_t count;
            size_t max_bytes;
            struct store_expected expected_last_seq;
        } pop;
        struct {
            int64_t since_us; /* at or after; 0: any */
            int64_t until_us; /* before; 0: any */
            size_t page_size;
            struct span after; /* as list.after */
        } events;
        struct {
            enum store_action action;
            uint64_t conversations; /* what it was about, in numbers */
            uint64_t messages;
            uint64_t content_bytes;
        } note;
        struct {
            const char
                *name; /* a file name of less than STORE_BACKUP_NAME_BYTES, without '/', not beginning with '.' */
        } backup;
    };

    /* Called once; error is NULL on success, and result is NULL on failure. May run on the writer's thread: must
     * not block. The op may be freed in it. */
    void (*done)(struct store_op *op, const struct error *error, struct store_result *result);
    void *arg; /* the caller's */

    /* Set by the store before done: another operation is completed on this thread at once after this one. */
    bool more;

    struct store_op *next; /* the store's */
};

/* What store_open does about data in an older layout than the newest. */
enum store_migrate {
    STORE_MIGRATE_AUTO,   /* serves it, and moves it to the newest meanwhile */
    STORE_MIGRATE_HOLD,   /* serves it as it is; a migration that has begun goes on at the next start without hold */
    STORE_MIGRATE_REFUSE, /* fails */
};

/* What a store tells of itself. */
enum store_event {
    STORE_EVENT_PROGRESS,
    STORE_EVENT_MIGRATION_BEGIN,
    STORE_EVENT_MIGRATION_END,
    STORE_EVENT_MIGRATION_PAUSE,
    STORE_EVENT_MIGRATION_RESUME,
    STORE_EVENT_MIGRATION_HALT,
    STORE_EVENT_DISK_FULL,
    STORE_EVENT_DISK_ROOM,
};

struct store_config {
    const char *data_dir;         /* exists, or is created with mode 0700 */
    const struct limits *limits;  /* lives as long as the store */
    uint64_t map_bytes;           /* largest size the data file may reach */
    uint64_t disk_reserve_bytes;  /* changes that need room are refused when less is free */
    int64_t deleted_retention_us; /* from soft deletion to purge */
    int64_t audit_retention_us;   /* of an event of the audit trail, until it is removed; 0: for ever */
    uint32_t create_layout;       /* of a new data directory; 0: the newest. Older ones are for tests */
    enum store_migrate migrate;
    uint32_t migrate_to;          /* where STORE_MIGRATE_AUTO leads; 0: the newest layout. Others are for tests */
    size_t migrate_slice_records; /* of one commit of a migration; 0: as many as its time allows. For tests */
    const char *backup_dir;       /* where BACKUP puts them; NULL: there are none */
    int64_t scrub_interval_us;    /* from one scrub, a VERIFY at low priority, to the next; 0: none */
    bool fold_late;               /* leaves appends in the journal as long as there is room. For tests */
    /* Told what happens, a line at a time; of a migration also every 10 s how it goes. Called from the writer's thread:
     * must not block. NULL: nobody listens. */
    void (*event)(void *arg, enum store_event event, const char *line);
    void *event_arg;
    int64_t (*wall_clock_us)(void); /* NULL: clock_wall_us */
    /* Called when a commit failed in a way that leaves its outcome unknown. Must end the process without answering
     * anything more. */
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;
};

struct store_info {
    const char *engine_version;
    uint32_t layout;
    const uint32_t *readable_layouts;
    size_t readable_count;
};

enum store_migration_state {
    STORE_MIGRATION_NONE, /* none is under way: what follows is of the last one that was done, if any */
    STORE_MIGRATION_MOVING,
    STORE_MIGRATION_PAUSED, /* there is no room: goes on by itself when there is */
    STORE_MIGRATION_HALTED, /* failed three times at one place; both layouts are served; the next start tries again */
    STORE_MIGRATION_HELD,   /* the data has an older layout, or two, and is served so: migrate = hold */
};

/* How a migration between key layouts goes. */
struct store_migration {
    enum store_migration_state state;
    uint32_t from; /* 0: there was none */
    uint32_t to;
    uint64_t messages_total; /* when it began; changes go on meanwhile, so `moved` need not end there */
    uint64_t messages_moved;
    uint64_t conversations_total;
    uint64_t conversations_moved;
    uint64_t quarantined;         /* records that could not be read: kept as they are, with a copy in quarantine */
    uint64_t messages_per_second; /* lately */
    int64_t seconds_left;         /* -1: not known */
    int64_t start_time_us;        /* wall clock */
    int64_t finish_time_us;       /* 0: not finished */
    char last_error[128];
};

/* Opens the data directory, creating what is missing, and starts the writer's thread. On failure *ret_store is
 * untouched, and the error (reason ERROR_STARTUP) says what to do: another process holds the directory, a newer
 * layout, a damaged marker, a file of another LMDB version. */
int store_open(const struct store_config *config, struct store **ret_store, struct error *error);

void store_run(struct store *store, struct store_op *op);

/* Gives up a job under way (SHUTTING_DOWN) and takes no more. To be called before store_close, when the answers to
 * what is under way are waited for. */
void store_end_jobs(struct store *store);

/* False while changes that need room are refused. */
bool store_takes_writes(struct store *store);

/* For how long the writer's thread has been on one thing. It begins anew at least once a second; what takes longer is a
 * commit that waits for the disk, or a thread that hangs. Does not wait. */
int64_t store_silence_us(struct store *store);
/* What the store knows of itself beside GET_STATS. */
struct store_measures {
    struct store_stats stats;
    uint64_t disk_free_bytes; /* beyond the reserve */
    uint64_t readers;         /* snapshots open now */
    uint64_t reader_slots;    /* of LMDB, ever used at once */
    uint64_t audit_events;    /* written since store_open */
    bool takes_writes;
    struct histogram_view commit_changes; /* in one commit; HISTOGRAM_COUNT_SHIFT */
    struct histogram_view commit_time_us; /* of one commit that wrote, its sync included; HISTOGRAM_TIME_SHIFT */
};

/* False when the data file cannot be read, or memory is short. Waits for a snapshot as a read does. */
bool store_measure(struct store *store, struct store_measures *ret);

/* `layout` is the one the data has now, while a migration runs the one it comes from. Does not wait. */
struct store_info store_describe(struct store *store);

void store_migration(struct store *store, struct store_migration *ret);

/* Finishes the changes already given to store_run, then closes. A FORGET_USER still under way is answered
 * SHUTTING_DOWN and goes on at the next start. No store_run may be running or follow. Returns NULL. */
struct store *store_close(struct store *store);

#endif
