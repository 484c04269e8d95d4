/* The records a store keeps, as bytes: a Conversation, a Message and an AuditEvent in the protobuf encoding of the
 * contract, so that a reply is made by copying them. Knows no engine and no key.
 *
 * Fields stand in ascending order of their number, none twice (but metadata), none that is not listed: a decoder
 * rejects everything else, which finds most damage. */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/store.h"

/* Metadata on its way into a record: `raw` entries of an older record are copied, or else pairs are encoded. */
struct record_metadata {
    struct span raw; /* whole fields, tag and all */
    const struct store_pair *pairs;
    size_t count;
};

struct conversation_record {
    struct span conversation_id;
    struct span title;
    struct record_metadata metadata;
    bool archived;
    int64_t expire_time_us;
    uint64_t revision; /* the etag, as a number */
    int64_t create_time_us;
    int64_t update_time_us;
    int64_t activity_time_us;
    int64_t delete_time_us;
    int64_t purge_time_us;
    uint64_t message_count;
    uint64_t last_seq;
    uint64_t content_bytes;
};

struct message_record {
    uint64_t seq;
    int64_t create_time_us;
    int64_t update_time_us;
    uint32_t revision;
    uint64_t content_size;
    struct span message_id;
    struct span role;
    struct span content_type;
    struct span author;
    uint32_t token_count;
    int64_t sent_time_us;
    struct record_metadata metadata;
    struct span content;
};

/* An event of the audit trail; IDs and numbers only. */
struct event_record {
    int64_t time_us;
    uint32_t action; /* enum store_action; a newer daemon may know more */
    struct span principal;
    struct span user;
    struct span conversation;
    uint64_t first_seq;
    uint64_t last_seq;
    struct span request_id;
    uint64_t commit_id;
    uint64_t conversations;
    uint64_t messages;
    uint64_t content_bytes;
    struct span digest;
    uint32_t from_layout;
    uint32_t to_layout;
};

/* Append the encoding; a short memory shows in out->failed. */
void record_put_conversation(struct buffer *out, const struct conversation_record *record);
void record_put_message(struct buffer *out, const struct message_record *record);
void record_put_event(struct buffer *out, const struct event_record *record);

/* At least the size record_put_message will append. */
size_t record_message_bound(const struct message_record *record);

/* Return 0, or -1 when the bytes are not such a record. What *ret holds is borrowed from the bytes. */
int record_get_conversation(struct span bytes, struct conversation_record *ret);
int record_get_message(struct span bytes, struct message_record *ret);
int record_get_event(struct span bytes, struct event_record *ret);

/* The ID that an encoded conversation begins with; empty: it begins with none. Looks at nothing behind it. */
struct span record_conversation_id(struct span conversation);

/* The part of an encoded message that view BASIC shows: all but metadata and content, which stand last. */
struct span record_basic_view(struct span message);

/* The moment from which the conversation no longer exists; 0: none. */
int64_t record_gone_time(const struct conversation_record *record);

#endif
