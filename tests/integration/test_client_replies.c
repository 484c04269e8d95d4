/* What libchatlog makes of replies: every field, and every error. */
#include "client_replies.h"

/* ---- Fields -------------------------------------------------------------------------------------------------------
 */

static void a_page_of_messages_is_read_with_every_field(void **state)
{
    (void)state;
    struct fake_bytes payload = messages_page(2);
    struct fake_bytes response = ok_response(&payload);
    struct fixture fixture = fixture_start(answer_same, &response);
    struct chatlog_messages page;
    assert_int_equal(chatlog_list_messages(fixture.client, "u", "c", NULL, NULL, &page, NULL), CHATLOG_OK);
    assert_int_equal(page.count, 2);
    assert_true(page.has_more_before);
    assert_false(page.has_more_after);
    assert_int_equal(page.last_seq, 77);
    assert_string_equal(page.etag, "e9");
    const struct chatlog_message *message = &page.items[1];
    assert_int_equal(message->seq, 2);
    assert_int_equal(message->create_time_us, 1001);
    assert_int_equal(message->update_time_us, 1002);
    assert_int_equal(message->revision, 2);
    assert_int_equal(message->content_size, 3);
    assert_string_equal(message->message_id, "m-1");
    assert_string_equal(message->role, "user");
    assert_string_equal(message->content_type, "text/plain");
    assert_string_equal(message->author, "alice");
    assert_int_equal(message->token_count, 12);
    assert_int_equal(message->sent_time_us, 1003);
    assert_int_equal(message->metadata_count, 2);
    assert_string_equal(message->metadata[0].key, "lang");
    assert_string_equal(message->metadata[0].value, "en");
    assert_string_equal(message->metadata[1].value, "");
    assert_int_equal(message->content_length, 3);
    assert_memory_equal(message->content, "a\0b\0", 4); /* the NUL behind does not count */
    chatlog_messages_free(&page);
    assert_null(page.items);
    fixture_end(&fixture);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);
}

static void an_empty_payload_is_an_empty_page(void **state)
{
    (void)state;
    struct fake_bytes response = {0};
    struct fixture fixture = fixture_start(answer_same, &response);
    struct chatlog_messages page;
    assert_int_equal(chatlog_list_messages(fixture.client, "u", "c", NULL, NULL, &page, NULL), CHATLOG_OK);
    assert_int_equal(page.count, 0);
    assert_string_equal(page.etag, "");
    chatlog_messages_free(&page);
    struct chatlog_conversations conversations;
    assert_int_equal(chatlog_list_conversations(fixture.client, "u", NULL, NULL, &conversations, NULL), CHATLOG_OK);
    assert_int_equal(conversations.count, 0);
    assert_string_equal(conversations.next_page_token, "");
    chatlog_conversations_free(&conversations);
    fixture_end(&fixture);
}

static void content_that_is_empty_is_a_pointer_to_a_nul(void **state)
{
    (void)state;
    struct fake_bytes message = {0};
    struct fake_bytes payload = {0};
    fake_put_varint(&message, 1, 5);
    fake_put_bytes(&payload, 1, message.data, message.length);
    struct fake_bytes response = ok_response(&payload);
    struct fixture fixture = fixture_start(answer_same, &response);
    struct chatlog_message got;
    assert_int_equal(chatlog_get_message(fixture.client, "u", "c", 5, NULL, NULL, &got, NULL), CHATLOG_OK);
    assert_int_equal(got.content_length, 0);
    assert_string_equal((const char *)got.content, "");
    chatlog_message_free(&got);
    fixture_end(&fixture);
    fake_bytes_free(&message);
    fake_bytes_free(&payload);
    fake_bytes_free(&response);
}

/* ---- Errors -------------------------------------------------------------------------------------------------------
 */

static void an_error_carries_the_numbers_of_its_details(void **state)
{
    (void)state;
    struct fake_reply reply = {0};
    fake_reply_error(&reply, 10, "LAST_SEQ_MISMATCH", "last_seq is 41");
    fake_reply_detail(&reply, "last_seq", "18446744073709551615");
    fake_reply_detail(&reply, "something_new", "x");
    struct fixture fixture = fixture_start(answer_same, &reply.response);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_ABORTED);
    assert_string_equal(fixture.error.reason, "LAST_SEQ_MISMATCH");
    assert_true(fixture.error.last_seq == UINT64_MAX);
    assert_int_equal(fixture.error.retry_delay_ms, 0);
    fixture_end(&fixture);
    fake_bytes_free(&reply.response);
}

static void details_that_are_no_numbers_count_as_not_there(void **state)
{
    (void)state;
    static const char *const values[] = {"", "-1", "12x", "99999999999", " 5", "0x10"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct fake_reply reply = {0};
        fake_reply_error(&reply, 8, "QUEUE_FULL", "later");
        fake_reply_detail(&reply, "retry_delay_ms", values[i]);
        struct fixture fixture = fixture_start(answer_same, &reply.response);
        assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_RESOURCE_EXHAUSTED);
        assert_int_equal(fixture.error.retry_delay_ms, 0);
        fixture_end(&fixture);
        fake_bytes_free(&reply.response);
    }
}

static void texts_too_long_for_the_error_are_cut_between_characters(void **state)
{
    (void)state;
    char message[2000] = "";
    while (strlen(message) < 1500)
        strcat(message, "\xE2\x82\xAC"); /* the euro sign */
    struct fake_reply reply = {0};
    fake_reply_error(&reply, 3, "A_REASON_THAT_IS_MUCH_LONGER_THAN_ANY_REASON_THERE_IS", message);
    struct fixture fixture = fixture_start(answer_same, &reply.response);
    assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_INVALID_ARGUMENT);
    assert_int_equal(strlen(fixture.error.reason), 47);
    assert_int_equal(strlen(fixture.error.message), 510); /* 170 whole signs of 511 bytes */
    fixture_end(&fixture);
    fake_bytes_free(&reply.response);
}

static void a_code_the_library_does_not_know_is_internal_with_the_servers_words(void **state)
{
    (void)state;
    static const uint64_t codes[] = {2, 11, 17, 99, UINT64_MAX, UINT64_C(1) << 31};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct fake_bytes response = {0};
        fake_put_varint(&response, 1, codes[i]);
        fake_put_text(&response, 2, "NEWER");
        fake_put_text(&response, 3, "what a newer daemon says");
        struct fixture fixture = fixture_start(answer_same, &response);
        assert_int_equal(append_hello(&fixture, NULL, NULL), CHATLOG_INTERNAL);
        assert_string_equal(fixture.error.reason, "NEWER");
        fixture_end(&fixture);
        fake_bytes_free(&response);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_messages_is_read_with_every_field),
        cmocka_unit_test(an_empty_payload_is_an_empty_page),
        cmocka_unit_test(content_that_is_empty_is_a_pointer_to_a_nul),
        cmocka_unit_test(an_error_carries_the_numbers_of_its_details),
        cmocka_unit_test(details_that_are_no_numbers_count_as_not_there),
        cmocka_unit_test(texts_too_long_for_the_error_are_cut_between_characters),
        cmocka_unit_test(a_code_the_library_does_not_know_is_internal_with_the_servers_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
