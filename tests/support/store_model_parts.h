/* What the model is made of: shared by what changes it and what compares it with a store. */
#ifndef SUPPORT_STORE_MODEL_PARTS_H
#define SUPPORT_STORE_MODEL_PARTS_H

#include "support/store_model.h"

enum { THREADS_MAX = 64, MESSAGES_MAX = 2000, TEXT_BYTES = 32 };

struct text {
    char bytes[TEXT_BYTES];
};

struct record {
    uint64_t seq;
    int64_t create_time_us;
    int64_t update_time_us;
    uint32_t revision;
    uint32_t token_count;
    size_t metadata_count;
    struct text message_id;
    struct text role;
    struct text content_type;
    struct text content;
};

/* A conversation there is. */
struct thread {
    struct text user;
    struct text name;
    struct text title;
    struct text etag;
    size_t metadata_count;
    bool archived;
    int64_t expire_time_us;
    int64_t create_time_us;
    int64_t update_time_us;
    bool update_time_unsure; /* a change that had nothing to change may have moved it */
    int64_t activity_time_us;
    int64_t delete_time_us;
    uint64_t last_seq;
    struct record records[MESSAGES_MAX];
    size_t count;
};

struct model {
    struct thread *threads[THREADS_MAX]; /* NULL: free */
};

/* Drops the conversations whose time is over. */
void model_expire(struct model *model);

/* The place of a conversation, or one where it could be. Never NULL. */
struct thread **model_slot(struct model *model, const char *user, const char *name);

#endif
