/* One user of the isolation test: what he should have by the contract (the model), his next random operation, and what
 * its answer must be. Every name, title, label, message_id and content he writes holds his marker, and no answer to
 * him may ever hold another's. Has one operation under way at most; not thread-safe. */
#ifndef IDENTITY_ISOLATION_H
#define IDENTITY_ISOLATION_H

#include "base/buffer.h"
#include "chatlog/v1/conversation.pb-c.h"
#include "chatlog/v1/envelope.pb-c.h"
#include "chatlog/v1/message.pb-c.h"

enum {
    ISOLATION_CONVERSATIONS = 8, /* half of them have names that all users share */
    ISOLATION_MESSAGES = 24,     /* in one conversation */
    ISOLATION_APPEND_MAX = 4,
    ISOLATION_TEXT_BYTES = 128,
    ISOLATION_TOKEN_BYTES = 1024,
    ISOLATION_COMPLAINT_BYTES = 512,
};

/* How a user asks. */
enum isolation_caller {
    ISOLATION_BY_TOKEN,   /* his own */
    ISOLATION_BY_SERVICE, /* a service's token, which acts for all of them */
    ISOLATION_BY_UNIX,    /* no token: the Unix user is a service */
};

struct isolation_marker {
    char text[24];
};

/* Texts are numbers, from which text_of_number makes them; 0: none. */
struct isolation_message {
    uint64_t seq;
    uint32_t revision;
    uint32_t token_count;
    uint32_t content;
    uint32_t label;
    uint32_t id;
};

struct isolation_conversation {
    bool exists;
    bool deleted;
    bool archived;
    uint32_t title;
    uint32_t label;
    uint64_t last_seq;
    char etag[24];
    size_t count;
    struct isolation_message messages[ISOLATION_MESSAGES];
    /* The last change that carried a request_id: sent again it must bring the same answer. */
    const char *method;
    char request_id[16];
    struct buffer payload;
    struct buffer answer;
};

struct isolation_user;

/* The operation under way. */
struct isolation_turn {
    const char *method; /* "Service/Method" of chatlog.v1 */
    struct buffer payload;
    char request_id[16]; /* "": none */
    const char *reason;  /* that the answer must have; "": success */
    bool changes;
    bool replays;
    /* Looks at the answer's payload; a complaint is what it finds wrong. NULL: it must be empty. */
    void (*check)(struct isolation_user *user, struct span payload);
    struct isolation_conversation *conversation;
    /* What a list of messages must hold: these, or (when `any`) `count` neighbours among the conversation's. */
    struct isolation_message messages[ISOLATION_MESSAGES];
    size_t count;
    bool any;
    bool basic;
    bool has_more_before;
    bool has_more_after;
};

struct isolation_user {
    struct isolation_marker marker;
    enum isolation_caller caller;
    char *authorization;                /* "Bearer ..."; "" without one */
    const struct isolation_user *other; /* whose data he tries to get at */
    uint64_t random;
    uint32_t numbers; /* texts and request_ids made so far */
    struct isolation_conversation conversations[ISOLATION_CONVERSATIONS];
    struct isolation_turn turn;
    /* A list under way, which goes on until its last page. */
    bool listing;
    uint32_t list_filter;
    unsigned listed; /* a bit for each conversation */
    int64_t list_time_us;
    char page_token[ISOLATION_TOKEN_BYTES];
    char last_page_token[ISOLATION_TOKEN_BYTES]; /* for others to try */
    uint64_t probes;                             /* of what is not his */
    uint64_t foreign;                            /* answers that held another's marker */
    char complaint[ISOLATION_COMPLAINT_BYTES];   /* the first; "": none */
};

/* isolation_user.c */

/* A user and his random numbers follow from seed and index alone. authorization and other are for the caller to set;
 * the first is then the user's to free. */
void isolation_user_begin(struct isolation_user *user, uint64_t seed, unsigned index, enum isolation_caller caller);
void isolation_user_end(struct isolation_user *user);

/* Keeps the first sentence. */
void isolation_complain(struct isolation_user *user, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t isolation_draw(struct isolation_user *user, uint64_t below);

/* The text that a number stands for, with the user's marker in it; "" for 0. Returns its length. */
size_t isolation_text(const struct isolation_user *user, uint32_t number, char ret[ISOLATION_TEXT_BYTES]);

/* The name of a conversation: that of all users, or the user's own. */
void isolation_name(const struct isolation_user *user, size_t index, char ret[ISOLATION_TEXT_BYTES]);

/* The other user's conversations, messages and names must not be found in these bytes. True when they hold a marker, or
 * what begins like one, that is not the user's. */
bool isolation_is_foreign(const struct isolation_marker *own, struct span bytes);

void isolation_compare_message(struct isolation_user *user, const struct isolation_message *expected, bool basic,
                               const Chatlog__V1__Message *message);
void isolation_compare_conversation(struct isolation_user *user, size_t index,
                                    const Chatlog__V1__Conversation *conversation);

/* isolation_turns.c */

/* Draws the next operation, does to the model what it must do, and writes the Request to *out. */
void isolation_turn_begin(struct isolation_user *user, struct buffer *out);

/* Takes its Response. False: it was told to try again; the same bytes are to be sent once more. */
bool isolation_turn_end(struct isolation_user *user, struct span response);

#endif
