/* The exchange form: a conversation as one line of JSON, as `import` takes and `export` gives it.
 *
 *   {"user_id":"u","conversation_id":"c","title":"t","metadata":{"k":"v"},"messages":[{"role":"user","content":"hi"}]}
 *
 * A message is one of
 *   {"role":string,"content":string}                                  text/plain
 *   {"role":string,"content_type":string,"content_base64":string}     any content type, any bytes
 *   any other object                                                  application/json, kept whole as JSON values
 * each perhaps with a member "chatlog" that holds what else a client may say of it. Pure: no input or output. */
#ifndef CLI_EXCHANGE_H
#define CLI_EXCHANGE_H

#include "chatlog.h"
#include "cli/memory.h"

#include <jansson.h>

/* Why a line or message was not taken: one sentence without the line number. May hold text from the file. */
struct exchange_problem {
    char text[512];
};

/* One line, read. Its strings live in root and pool. */
struct exchange_conversation {
    const char *user_id;
    struct chatlog_conversation conversation;
    struct chatlog_message *messages;
    size_t message_count;
    json_t *root;
    struct pool pool;
};

/* Reads a line. message_bytes is the server's limit of a message's content. Returns 0, or -1 with *ret_problem
 * filled; ret_conversation must be released only after 0. */
int exchange_read(const char *line, size_t length, uint64_t message_bytes,
                  struct exchange_conversation *ret_conversation, struct exchange_problem *ret_problem);

void exchange_free(struct exchange_conversation *conversation);

/* Reads one message. What *ret_message points to is in object and in pool. Returns as exchange_read. */
int exchange_read_message(json_t *object, struct pool *pool, struct chatlog_message *ret_message,
                          struct exchange_problem *ret_problem);

/* The line of a conversation without its messages. */
json_t *exchange_write(const char *user_id, const struct chatlog_conversation *conversation);

/* A message in the simplest form that exchange_read_message reads back as the same message. */
json_t *exchange_write_message(const struct chatlog_message *message);

/* Whether both say the same: role, content type and content, JSON compared as values. */
bool exchange_content_equal(const struct chatlog_message *a, const struct chatlog_message *b);

/* Whether both have the same message_id, author, token_count, sent_time_us and metadata. */
bool exchange_labels_equal(const struct chatlog_message *a, const struct chatlog_message *b);

bool exchange_pairs_equal(const struct chatlog_pair *a, size_t a_count, const struct chatlog_pair *b, size_t b_count);

#endif
