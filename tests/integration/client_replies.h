/* Replies with every field, for the tests of what libchatlog makes of them. */
#ifndef INTEGRATION_CLIENT_REPLIES_H
#define INTEGRATION_CLIENT_REPLIES_H

#include "client_fixture.h"

/* Answers every request with the same bytes. */
static inline void answer_same(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)request;
    const struct fake_bytes *response = arg;
    fake_put_raw(&reply->response, response->data, response->length);
}

static inline struct fake_bytes ok_response(const struct fake_bytes *payload)
{
    struct fake_reply reply = {0};
    fake_reply_ok(&reply, payload);
    return reply.response;
}

static inline void put_pair(struct fake_bytes *bytes, unsigned field, const char *key, const char *value)
{
    struct fake_bytes pair = {0};
    fake_put_text(&pair, 1, key);
    fake_put_text(&pair, 2, value);
    fake_put_bytes(bytes, field, pair.data, pair.length);
    fake_bytes_free(&pair);
}

static inline void put_message(struct fake_bytes *bytes, unsigned field, uint64_t seq)
{
    struct fake_bytes message = {0};
    fake_put_varint(&message, 1, seq);
    fake_put_varint(&message, 2, 1001);
    fake_put_varint(&message, 3, 1002);
    fake_put_varint(&message, 4, 2);
    fake_put_varint(&message, 5, 3);
    fake_put_text(&message, 6, "m-1");
    fake_put_text(&message, 7, "user");
    fake_put_text(&message, 9, "alice");
    fake_put_varint(&message, 10, 12);
    fake_put_varint(&message, 11, 1003);
    put_pair(&message, 12, "lang", "en");
    put_pair(&message, 12, "tone", "");
    fake_put_bytes(&message, 13, "a\0b", 3);
    fake_put_bytes(bytes, field, message.data, message.length);
    fake_bytes_free(&message);
}

static inline struct fake_bytes messages_page(unsigned count)
{
    struct fake_bytes page = {0};
    for (unsigned i = 1; i <= count; i++)
        put_message(&page, 1, i);
    fake_put_varint(&page, 2, 1);
    fake_put_varint(&page, 4, 77);
    fake_put_text(&page, 5, "e9");
    return page;
}

#endif
