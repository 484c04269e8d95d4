/* The keys of layout 2, which layout 3 has too. */
#ifndef STORE_LMDB_LAYOUTS_LAYOUT_2_H
#define STORE_LMDB_LAYOUTS_LAYOUT_2_H

#include "store/lmdb/layout.h"

struct key layout_2_user_prefix(const struct place *place);
struct key layout_2_conversation_prefix(const struct place *place, enum kind kind);
struct key layout_2_head_key(const struct place *place);
struct key layout_2_message_key(const struct place *place, uint64_t seq);
struct key layout_2_message_id_key(const struct place *place, struct span message_id);
struct key layout_2_request_key(const struct place *place, struct span request_id);
struct key layout_2_recency_prefix(const struct place *place);
struct key layout_2_recency_key(const struct place *place, int64_t activity_time_us);
int layout_2_parse_message(struct span key, struct span prefix, uint64_t *ret_seq);
int layout_2_parse_recency(struct span key, struct span prefix, int64_t *ret_activity_us,
                           struct span *ret_conversation);
enum get_result layout_2_find(struct txn *txn, struct place *place);
enum get_result layout_2_find_near(struct cursor *cursor, struct place *place);
void layout_2_create(struct work *work, struct place *place);
void layout_2_remove_user(struct work *work, const struct place *place);
void layout_2_remove_names(struct work *work, const struct place *place);
bool layout_2_next_conversation(struct txn *txn, const struct place *after, struct place *ret, struct buffer *memory);
bool layout_2_next_content(struct txn *txn, struct place *place);
bool layout_2_next_user(struct txn *txn, struct span after, struct key *ret_user);

#define LAYOUT_2_KEYS                                                                                                  \
    .tables = {[KIND_HEAD] = TABLE_2_DATA,                                                                             \
               [KIND_MESSAGE] = TABLE_2_DATA,                                                                          \
               [KIND_MESSAGE_ID] = TABLE_2_DATA,                                                                       \
               [KIND_REQUEST] = TABLE_2_DATA,                                                                          \
               [KIND_RECENCY] = TABLE_2_DATA},                                                                         \
    .sealed = true, .has_names = true, .head_key = layout_2_head_key, .message_key = layout_2_message_key,             \
    .message_id_key = layout_2_message_id_key, .request_key = layout_2_request_key,                                    \
    .recency_key = layout_2_recency_key, .conversation_prefix = layout_2_conversation_prefix,                          \
    .add_seq = key_add_number, .recency_prefix = layout_2_recency_prefix, .user_prefix = layout_2_user_prefix,         \
    .parse_message = layout_2_parse_message, .parse_recency = layout_2_parse_recency, .find = layout_2_find,           \
    .find_near = layout_2_find_near, .create = layout_2_create, .remove = layout_2_remove_names,                       \
    .remove_user = layout_2_remove_user, .next_conversation = layout_2_next_conversation,                              \
    .next_user = layout_2_next_user, .next_content = layout_2_next_content

#endif
