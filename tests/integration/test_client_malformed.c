/* What libchatlog makes of the replies of a hostile or broken server. */
#include "client_replies.h"

/* ---- Malformed ----------------------------------------------------------------------------------------------------
 */

static void assert_malformed(const struct fake_bytes *response,
                             int (*call)(struct chatlog *client, struct chatlog_error *error))
{
    struct fake_bytes copy = *response;
    struct fixture fixture = fixture_start(answer_same, &copy);
    assert_int_equal(call(fixture.client, &fixture.error), CHATLOG_INTERNAL);
    assert_string_equal(fixture.error.reason, "REPLY_MALFORMED");
    fixture_end(&fixture);
}

static int get_conversation(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_conversation conversation;
    int code = chatlog_get_conversation(client, "u", "c", NULL, &conversation, error);
    if (code == 0)
        chatlog_conversation_free(&conversation);
    return code;
}

static int get_message(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_message message;
    int code = chatlog_get_message(client, "u", "c", 1, NULL, NULL, &message, error);
    if (code == 0)
        chatlog_message_free(&message);
    return code;
}

static int list_messages(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_messages page;
    int code = chatlog_list_messages(client, "u", "c", NULL, NULL, &page, error);
    if (code == 0)
        chatlog_messages_free(&page);
    return code;
}

static int list_conversations(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_conversations page;
    int code = chatlog_list_conversations(client, "u", NULL, NULL, &page, error);
    if (code == 0)
        chatlog_conversations_free(&page);
    return code;
}

static int append(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_message message = {.role = "user"};
    struct chatlog_append_result result;
    return chatlog_append(client, "u", "c", &message, 1, NULL, NULL, &result, error);
}

static int forget(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_receipt receipt;
    return chatlog_forget_user(client, "u", NULL, &receipt, error);
}

static int get_server_info(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_server_info info;
    int code = chatlog_get_server_info(client, NULL, &info, error);
    if (code == 0)
        chatlog_server_info_free(&info);
    return code;
}

static int get_stats(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_stats stats;
    int code = chatlog_get_stats(client, NULL, &stats, error);
    if (code == 0)
        chatlog_stats_free(&stats);
    return code;
}

static int list_users(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_users page;
    int code = chatlog_list_users(client, 0, NULL, NULL, &page, error);
    if (code == 0)
        chatlog_users_free(&page);
    return code;
}

static int list_audit_events(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_audit_events page;
    int code = chatlog_list_audit_events(client, NULL, NULL, &page, error);
    if (code == 0)
        chatlog_audit_events_free(&page);
    return code;
}

static void replies_that_are_no_response_are_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } responses[] = {
        {"\xFF\xFF\xFF\xFF", 4},                 /* a tag that does not end */
        {"\x2A\x7F", 2},                         /* a payload longer than the reply */
        {"\x2A\xFF\xFF\xFF\xFF\xFF\xFF\x01", 8}, /* one of 2^49 bytes */
        {"\x28\x01", 2},                         /* a payload that is a number */
        {"\x0A\x01\x30", 3},                     /* a code that is a text */
        {"\x22\x02\x08\x01", 4},                 /* details whose key is a number */
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28},
    };
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        struct fake_bytes response = {0};
        fake_put_raw(&response, responses[i].bytes, responses[i].length);
        assert_malformed(&response, list_messages);
        fake_bytes_free(&response);
    }
}

static void a_response_without_what_was_asked_for_is_malformed(void **state)
{
    (void)state;
    struct fake_bytes empty = {0};
    assert_malformed(&empty, get_conversation);
    assert_malformed(&empty, get_message);
}

static void texts_longer_than_their_fields_are_malformed(void **state)
{
    (void)state;
    struct fake_bytes payload = {0};
    fake_put_text(&payload, 3, "an etag of more than thirty-one bytes");
    struct fake_bytes response = ok_response(&payload);
    assert_malformed(&response, append);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);

    fake_put_text(&payload, 4, "0123456789abcdef0123456789abcdef0");
    response = ok_response(&payload);
    assert_malformed(&response, forget);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);
}

/* A megabyte of empty messages would take 76 when decoded without a bound. */
static void a_reply_that_would_grow_without_bound_is_malformed(void **state)
{
    (void)state;
    struct fake_bytes payload = {.data = malloc(1 << 20), .length = 1 << 20};
    for (size_t i = 0; i < payload.length; i += 2)
        memcpy(payload.data + i, "\x0A\0", 2);
    struct fake_bytes response = ok_response(&payload);
    assert_malformed(&response, list_messages);
    assert_malformed(&response, list_conversations);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);
}

static void a_page_as_large_as_any_honest_one_is_read(void **state)
{
    (void)state;
    struct fake_bytes payload = {0};
    struct fake_bytes message = {0};
    fake_put_varint(&message, 1, 1);
    for (int i = 0; i < 64; i++) {
        char key[3] = {(char)('A' + i / 8), (char)('a' + i % 8)};
        put_pair(&message, 12, key, "");
    }
    for (int i = 0; i < 1000; i++)
        fake_put_bytes(&payload, 1, message.data, message.length);
    struct fake_bytes response = ok_response(&payload);
    struct fixture fixture = fixture_start(answer_same, &response);
    struct chatlog_messages page;
    assert_int_equal(chatlog_list_messages(fixture.client, "u", "c", NULL, NULL, &page, NULL), CHATLOG_OK);
    assert_int_equal(page.count, 1000);
    assert_int_equal(page.items[999].metadata_count, 64);
    chatlog_messages_free(&page);
    fixture_end(&fixture);
    fake_bytes_free(&message);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);
}

/* ---- Damaged at random --------------------------------------------------------------------------------------------
 */

struct damage {
    const struct fake_bytes *response;
    uint64_t random;
};

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void answer_damaged(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)request;
    struct damage *damage = arg;
    fake_put_raw(&reply->response, damage->response->data, damage->response->length);
    for (uint64_t i = 1 + next_random(&damage->random) % 3; i > 0; i--)
        reply->response.data[next_random(&damage->random) % reply->response.length] ^=
            (uint8_t)(1 << next_random(&damage->random) % 8);
    if (next_random(&damage->random) % 4 == 0)
        reply->response.length = next_random(&damage->random) % reply->response.length;
}

static void damaged_replies_of_every_call_end_it_in_order(void **state)
{
    (void)state;
    static int (*const calls[])(struct chatlog *, struct chatlog_error *) = {
        get_conversation, get_message,     list_messages, list_conversations, append,
        forget,           get_server_info, get_stats,     list_users,         list_audit_events,
    };
    struct fake_bytes payload = messages_page(3);
    struct fake_bytes response = ok_response(&payload);
    struct damage damage = {&response, 88172645463325252u};
    struct fixture fixture = fixture_start(answer_damaged, &damage);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            struct chatlog_error error = {0};
            int code = calls[i](fixture.client, &error);
            /* A damaged code may be any; when it is UNAVAILABLE the call is made again. */
            assert_true(code == 0 || (code == (int)error.code && error.reason[0] != '\0') || code == CHATLOG_INTERNAL);
        }
    }
    fixture_end(&fixture);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_that_are_no_response_are_malformed),
        cmocka_unit_test(a_response_without_what_was_asked_for_is_malformed),
        cmocka_unit_test(texts_longer_than_their_fields_are_malformed),
        cmocka_unit_test(a_reply_that_would_grow_without_bound_is_malformed),
        cmocka_unit_test(a_page_as_large_as_any_honest_one_is_read),
        cmocka_unit_test(damaged_replies_of_every_call_end_it_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
