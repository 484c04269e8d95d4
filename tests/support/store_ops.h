/* The operations of store.h, each built in one line. They borrow their arguments, which must outlive the answer. */
#ifndef SUPPORT_STORE_OPS_H
#define SUPPORT_STORE_OPS_H

#include "store/store.h"

/* A message with these words and this role as text/plain. */
struct store_message message_of(const char *role, const char *content);

/* Conversations. */
struct store_op op_create(const char *user, const char *conversation);
struct store_op op_get(const char *user, const char *conversation);
struct store_op op_update(const char *user, const char *conversation, unsigned mask,
                          const struct store_conversation *values);
struct store_op op_delete(const char *user, const char *conversation);
struct store_op op_purge(const char *user, const char *conversation);
struct store_op op_undelete(const char *user, const char *conversation);
struct store_op op_list(const char *user, size_t page_size, struct span after);

/* Messages. */
struct store_op op_append(const char *user, const char *conversation, const struct store_message *messages,
                          size_t count);
struct store_op op_replace(const char *user, const char *conversation, uint64_t after_seq,
                           const struct store_message *messages, size_t count);
struct store_op op_page(const char *user, const char *conversation, enum store_anchor anchor, uint64_t seq,
                        size_t limit);
struct store_op op_message(const char *user, const char *conversation, uint64_t seq);
struct store_op op_message_by_id(const char *user, const char *conversation, const char *message_id);
struct store_op op_edit(const char *user, const char *conversation, uint64_t seq, unsigned mask,
                        const struct store_message *values);
struct store_op op_delete_message(const char *user, const char *conversation, uint64_t seq);
struct store_op op_pop(const char *user, const char *conversation, size_t count);

/* Users. */
struct store_op op_forget(const char *user);
struct store_op op_users(size_t page_size, struct span after);
struct store_op op_stats(void);

/* The audit trail; user NULL: of all. */
struct store_op op_events(const char *user, size_t page_size, struct span after);
struct store_op op_note(enum store_action action);

/* The same operation with more said. */
struct store_op op_with_request(struct store_op op, const char *request_id, uint64_t hash);
struct store_op op_by(struct store_op op, const char *actor);
struct store_op op_creating(struct store_op append);
struct store_op op_expecting(struct store_op append_or_pop, uint64_t last_seq);
struct store_op op_with_etag(struct store_op update_or_delete, const char *etag);

#endif
