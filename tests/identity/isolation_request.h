/* How a user's requests are put together, field by field. An operation writes turn.payload, says in the turn what the
 * answer must be, and changes the model as the daemon's data must change. */
#ifndef IDENTITY_ISOLATION_REQUEST_H
#define IDENTITY_ISOLATION_REQUEST_H

#include "base/wire.h"
#include "identity/isolation.h"

#define HISTORY "chatlog.v1.HistoryService/"
#define ADMIN   "chatlog.v1.AdminService/"

/* Field numbers that many requests share. */
enum { FIELD_USER = 1, FIELD_CONVERSATION = 2 };

/* True once in so many calls. */
bool isolation_one_in(struct isolation_user *user, uint64_t count);

/* A fresh number of a text. */
uint32_t isolation_number(struct isolation_user *user);

void isolation_put_text(struct buffer *out, uint32_t field, const char *text);

/* A member of a oneof, which is there also when it is 0. */
void isolation_put_choice(struct buffer *out, uint32_t field, uint64_t value);

/* The text of a number; nothing for 0. */
void isolation_put_number(const struct isolation_user *user, struct buffer *out, uint32_t field, uint32_t number);

/* A pair of metadata with that text; nothing for 0. */
void isolation_put_label(const struct isolation_user *user, struct buffer *out, uint32_t field, uint32_t number);

/* Chooses a conversation and begins a request about it, of the user himself. */
struct isolation_conversation *isolation_begin(struct isolation_user *user, const char *method);

/* True when the turn's conversation is there to be read or changed; else the answer must say why not. */
bool isolation_is_live(struct isolation_user *user);

/* Which of the user's the turn's conversation is. */
size_t isolation_index(const struct isolation_user *user);

/* How many of the messages lie at or below this seq. */
size_t isolation_count_to(const struct isolation_conversation *conversation, uint64_t seq);

/* The answer must hold `count` messages from the first-th on. */
void isolation_expect(struct isolation_user *user, size_t first, size_t count);

/* A message of the turn's conversation and its seq; or NULL and one that there is not, and the answer must say so. */
struct isolation_message *isolation_pick_message(struct isolation_user *user, uint64_t *ret_seq);

/* The operations. */
typedef void isolation_operation(struct isolation_user *user);
isolation_operation isolation_draw_labels;
isolation_operation isolation_draw_get;
isolation_operation isolation_draw_delete;
isolation_operation isolation_draw_undelete;
isolation_operation isolation_draw_list;
isolation_operation isolation_draw_append;
isolation_operation isolation_draw_list_messages;
isolation_operation isolation_draw_get_message;
isolation_operation isolation_draw_update_message;
isolation_operation isolation_draw_delete_message;
isolation_operation isolation_draw_pop;
isolation_operation isolation_draw_forget;
isolation_operation isolation_draw_again;
isolation_operation isolation_probe_conversation;
isolation_operation isolation_probe_message;
isolation_operation isolation_probe_page;
isolation_operation isolation_probe_right;

/* Look at an answer's payload; what is wrong is a complaint. */
typedef void isolation_check(struct isolation_user *user, struct span payload);
isolation_check isolation_check_conversation;
isolation_check isolation_check_list;
isolation_check isolation_check_append;
isolation_check isolation_check_messages;
isolation_check isolation_check_message;
isolation_check isolation_check_etag;
isolation_check isolation_check_receipt;
isolation_check isolation_check_replay;

#endif
