/* Every error a client can be answered with: one list of reasons, each with its gRPC status code.
 *
 * A function that can fail returns 0, or the negative of a reason and has then filled the `struct error` it was
 * given. Pass that up unchanged. A positive return value is an answer for the direct caller. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdint.h>

enum error_code {
    ERROR_OK = 0,
    ERROR_INVALID_ARGUMENT = 3,
    ERROR_DEADLINE_EXCEEDED = 4,
    ERROR_NOT_FOUND = 5,
    ERROR_ALREADY_EXISTS = 6,
    ERROR_PERMISSION_DENIED = 7,
    ERROR_RESOURCE_EXHAUSTED = 8,
    ERROR_FAILED_PRECONDITION = 9,
    ERROR_ABORTED = 10,
    ERROR_UNIMPLEMENTED = 12,
    ERROR_INTERNAL = 13,
    ERROR_UNAVAILABLE = 14,
    ERROR_DATA_LOSS = 15,
    ERROR_UNAUTHENTICATED = 16,
};

/* X(reason, code, meaning): the meaning is shown in the README's table, which a lint rule keeps equal. */
#define ERROR_REASONS(X)                                                                                               \
    X(REQUEST_MALFORMED, INVALID_ARGUMENT, "the bytes are not the protobuf message they should be")                    \
    X(REQUEST_TOO_LARGE, INVALID_ARGUMENT, "a size or count in the request is over its limit")                         \
    X(FIELD_INVALID, INVALID_ARGUMENT, "a field has a value that is not allowed")                                      \
    X(FIELD_REQUIRED, INVALID_ARGUMENT, "a field that is needed is not set")                                           \
    X(PAGE_TOKEN_INVALID, INVALID_ARGUMENT, "the page token is not one for this user and these filters")               \
    X(REQUEST_ID_REUSED, INVALID_ARGUMENT, "the request_id was used before for another change")                        \
    X(DEADLINE_PASSED, DEADLINE_EXCEEDED, "the time was over before the work began; nothing was done")                 \
    X(CONVERSATION_NOT_FOUND, NOT_FOUND, "the user has no conversation of this ID")                                    \
    X(MESSAGE_NOT_FOUND, NOT_FOUND, "the conversation has no such message")                                            \
    X(SERVICE_NOT_FOUND, NOT_FOUND, "health was asked of a service that is not served")                                \
    X(CONVERSATION_EXISTS, ALREADY_EXISTS, "the user has a conversation of this ID, perhaps a deleted one")            \
    X(MESSAGE_ID_EXISTS, ALREADY_EXISTS, "the conversation has a message of this message_id")                          \
    X(TOKEN_REQUIRED, UNAUTHENTICATED, "the connection does not tell who asks; send a token")                          \
    X(TOKEN_INVALID, UNAUTHENTICATED, "the token does not hold; the message says why")                                 \
    X(TOKEN_EXPIRED, UNAUTHENTICATED, "the token has expired; get a new one")                                          \
    X(PEER_UNKNOWN, PERMISSION_DENIED, "the Unix user has no role in the daemon's configuration")                      \
    X(SCOPE_MISSING, PERMISSION_DENIED, "the caller may not use this method")                                          \
    X(USER_FOREIGN, PERMISSION_DENIED, "a user may act for itself only, whoever else exists")                          \
    X(QUEUE_FULL, RESOURCE_EXHAUSTED, "too many changes are waiting for the disk; retry")                              \
    X(DISK_FULL, RESOURCE_EXHAUSTED, "the disk has no room; reads and deletes go on")                                  \
    X(MEMORY_SHORT, RESOURCE_EXHAUSTED, "the daemon is short of memory; retry")                                        \
    X(CONVERSATION_FULL, RESOURCE_EXHAUSTED, "the conversation has no sequence numbers left")                          \
    X(BACKUP_EXISTS, ALREADY_EXISTS, "there is a backup of this name")                                                 \
    X(BACKUP_OFF, FAILED_PRECONDITION, "the daemon's configuration has no backup-dir")                                 \
    X(BACKUP_FAILED, ABORTED, "the backup was given up; the message says why")                                         \
    X(JOB_RUNNING, FAILED_PRECONDITION, "a backup or a verification is under way; wait for its end")                   \
    X(CONVERSATION_DELETED, FAILED_PRECONDITION, "the conversation is deleted; undelete it first")                     \
    X(CONVERSATION_NOT_DELETED, FAILED_PRECONDITION, "the conversation is not deleted")                                \
    X(REPLACE_TOO_LARGE, FAILED_PRECONDITION, "more messages would be dropped than one call may")                      \
    X(ETAG_MISMATCH, ABORTED, "the conversation was changed since this etag")                                          \
    X(LAST_SEQ_MISMATCH, ABORTED, "the conversation's last_seq is another than expected")                              \
    X(REVISION_MISMATCH, ABORTED, "the message was changed since this revision")                                       \
    X(METHOD_UNKNOWN, UNIMPLEMENTED, "there is no method of this name")                                                \
    X(DEFECT, INTERNAL, "a defect of the daemon; its log says more")                                                   \
    X(PURGE_RUNNING, UNAVAILABLE, "the data of that name is still being removed; retry")                               \
    X(SHUTTING_DOWN, UNAVAILABLE, "the daemon is stopping; retry")                                                     \
    X(RECORD_DAMAGED, DATA_LOSS, "a stored record is damaged; its neighbours stay readable")                           \
    X(STARTUP, FAILED_PRECONDITION, "the daemon cannot start on this data; never sent to clients")

#define ERROR_REASON_ENUM(reason, code, meaning) ERROR_##reason,
enum error_reason { ERROR_NONE_REASON, ERROR_REASONS(ERROR_REASON_ENUM) ERROR_REASON_COUNT };
#undef ERROR_REASON_ENUM

struct error_detail {
    const char *key; /* static */
    uint64_t value;
};

struct error {
    enum error_reason reason;
    struct error_detail details[2]; /* unused ones have no key */
    char message[256];              /* one sentence, no newline */
};

/* Fills *error and returns -reason. The message is cut to fit. */
int error_set(struct error *error, enum error_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a number that belongs to the reason; the first two are kept. Returns -error->reason. */
int error_add_detail(struct error *error, const char *key, uint64_t value);

/* "CONVERSATION_NOT_FOUND", and the gRPC code that goes with it. */
const char *error_reason_name(enum error_reason reason);
enum error_code error_reason_code(enum error_reason reason);

/* "NOT_FOUND"; NULL for a number that is no code. */
const char *error_code_name(unsigned code);

#endif
