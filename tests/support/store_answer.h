/* What an operation brought, copied out of the store and decoded, and what a test may say about it. */
#ifndef SUPPORT_STORE_ANSWER_H
#define SUPPORT_STORE_ANSWER_H

#include "store/store.h"

#include "chatlog/v1/audit_event.pb-c.h"
#include "chatlog/v1/conversation.pb-c.h"
#include "chatlog/v1/message.pb-c.h"

struct answer {
    struct store_op op;
    enum error_reason reason;   /* ERROR_NONE_REASON: success */
    struct error error;         /* when it failed */
    struct store_result result; /* when not; its buffers are the answer's own */
    size_t count;               /* records */
    struct span *records;       /* each as the store encoded it */
    Chatlog__V1__Conversation **conversations;
    Chatlog__V1__Message **messages;
    Chatlog__V1__AuditEvent **events;
};

/* Copies what done was given and decodes it. Ends the process when it is not what store.h says. */
void answer_take(struct answer *answer, const struct error *error, const struct store_result *result);
void answer_clear(struct answer *answer);

/* A pair of the metadata, or NULL. */
const char *conversation_label(const Chatlog__V1__Conversation *conversation, const char *key);
const char *message_label(const Chatlog__V1__Message *message, const char *key);

/* The number that came with an error. Fails the test when there is none. */
uint64_t answer_detail(const struct answer *answer, const char *key);

/* What the macros below call. */
void answer_expect(const struct answer *answer, enum error_reason reason, const char *file, int line);
void answer_expect_replay(const struct answer *first, const struct answer *again, const char *file, int line);
void answer_expect_seqs(const struct answer *answer, size_t count, const uint64_t *seqs, const char *file, int line);

/* Main thread only, as all of cmocka. */
#define assert_ok(answer)                   answer_expect((answer), ERROR_NONE_REASON, __FILE__, __LINE__)
#define assert_refused(answer, reason_name) answer_expect((answer), ERROR_##reason_name, __FILE__, __LINE__)

/* `again` is marked as a replay and is else byte for byte `first`. */
#define assert_replay(first, again) answer_expect_replay((first), (again), __FILE__, __LINE__)

/* The answer holds messages of exactly these sequence numbers. */
#define assert_seqs(answer, ...)                                                                                       \
    do {                                                                                                               \
        const uint64_t seqs_[] = {__VA_ARGS__};                                                                        \
        answer_expect_seqs((answer), sizeof(seqs_) / sizeof(seqs_[0]), seqs_, __FILE__, __LINE__);                     \
    } while (0)

#endif
