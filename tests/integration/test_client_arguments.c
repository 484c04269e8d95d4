/* What libchatlog refuses before it sends anything. No server runs here: a call that tried to send would end only at
 * its deadline, and with another error. */
#include "client_fixture.h"

#include "chatlog_limits.h"

static struct chatlog_error error;

static void assert_refused(int code, const char *reason, const char *said)
{
    assert_int_equal(code, CHATLOG_INVALID_ARGUMENT);
    assert_int_equal(error.code, CHATLOG_INVALID_ARGUMENT);
    assert_string_equal(error.reason, reason);
    if (strstr(error.message, said) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, said);
}

static void a_null_where_something_is_needed_is_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    struct chatlog_conversation conversation = {.conversation_id = "c1"};
    struct chatlog_conversations conversations;
    struct chatlog_message message = {.role = "user"};
    struct chatlog_messages messages;
    assert_refused(chatlog_get_conversation(NULL, "u", "c", NULL, NULL, &error), "FIELD_REQUIRED", "client");
    assert_refused(chatlog_get_conversation(f.client, NULL, "c", NULL, NULL, &error), "FIELD_REQUIRED", "user_id");
    assert_refused(chatlog_get_conversation(f.client, "u", NULL, NULL, NULL, &error), "FIELD_REQUIRED",
                   "conversation_id");
    assert_refused(chatlog_create_conversation(f.client, "u", NULL, NULL, NULL, &error), "FIELD_REQUIRED",
                   "conversation");
    conversation.conversation_id = NULL;
    assert_refused(chatlog_create_conversation(f.client, "u", &conversation, NULL, NULL, &error), "FIELD_REQUIRED",
                   "conversation_id");
    assert_refused(chatlog_list_conversations(f.client, "u", NULL, NULL, NULL, &error), "FIELD_REQUIRED", "ret_page");
    assert_refused(chatlog_list_conversations(f.client, NULL, NULL, NULL, &conversations, &error), "FIELD_REQUIRED",
                   "user_id");
    assert_refused(chatlog_append(f.client, "u", "c", NULL, 1, NULL, NULL, NULL, &error), "FIELD_REQUIRED", "messages");
    assert_refused(chatlog_append_async(f.client, "u", "c", &message, 1, NULL, NULL, NULL, NULL, &error),
                   "FIELD_REQUIRED", "done");
    assert_refused(chatlog_list_messages(f.client, "u", NULL, NULL, NULL, &messages, &error), "FIELD_REQUIRED",
                   "conversation_id");
    assert_refused(chatlog_get_message(f.client, "u", "c", 1, NULL, NULL, NULL, &error), "FIELD_REQUIRED",
                   "ret_message");
    assert_refused(chatlog_update_message(f.client, "u", "c", NULL, CHATLOG_FIELD_CONTENT, 0, NULL, NULL, &error),
                   "FIELD_REQUIRED", "message");
    assert_refused(chatlog_forget_user(f.client, NULL, NULL, NULL, &error), "FIELD_REQUIRED", "user_id");
    assert_refused(chatlog_get_server_info(f.client, NULL, NULL, &error), "FIELD_REQUIRED", "ret_info");
    assert_refused(chatlog_get_stats(f.client, NULL, NULL, &error), "FIELD_REQUIRED", "ret_stats");
    assert_refused(chatlog_list_users(f.client, 0, NULL, NULL, NULL, &error), "FIELD_REQUIRED", "ret_page");
    assert_refused(chatlog_check_health(f.client, NULL, NULL, &error), "FIELD_REQUIRED", "ret_serving");
    assert_refused(chatlog_wait_ready(NULL, 10, &error), "FIELD_REQUIRED", "client");
    assert_refused(chatlog_open(NULL, NULL, &error), "FIELD_REQUIRED", "ret_client");
    fixture_end(&f);
}

static void calls_by_name_are_checked_too(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    struct chatlog_reply reply;
    assert_refused(chatlog_call(f.client, NULL, "", 0, NULL, &reply, &error), "FIELD_REQUIRED", "method");
    assert_refused(chatlog_call(f.client, "m", NULL, 3, NULL, &reply, &error), "FIELD_REQUIRED", "payload");
    assert_refused(chatlog_call(f.client, "m", "", 0, NULL, NULL, &error), "FIELD_REQUIRED", "ret_reply");
    assert_refused(chatlog_call_async(f.client, "m", "", 0, NULL, NULL, NULL, &error), "FIELD_REQUIRED", "done");
    fixture_end(&f);
}

static void the_error_may_be_null(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    assert_int_equal(chatlog_get_conversation(f.client, NULL, "c", NULL, NULL, NULL), CHATLOG_INVALID_ARGUMENT);
    assert_int_equal(
        chatlog_get_conversation(f.client, "u", "c", &(struct chatlog_call_options){.timeout_ms = 20}, NULL, NULL),
        CHATLOG_UNAVAILABLE);
    fixture_end(&f);
}

static void null_inside_data_is_refused_with_its_place(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    struct chatlog_pair pairs[] = {{"a", "1"}, {"b", NULL}};
    struct chatlog_message message = {.role = "user", .metadata = pairs, .metadata_count = 2};
    assert_refused(chatlog_append(f.client, "u", "c", &message, 1, NULL, NULL, NULL, &error), "FIELD_REQUIRED",
                   "metadata[1]");
    message.metadata = NULL;
    assert_refused(chatlog_append(f.client, "u", "c", &message, 1, NULL, NULL, NULL, &error), "FIELD_REQUIRED",
                   "metadata");
    message.metadata_count = 0;
    message.content_length = 5;
    assert_refused(chatlog_append(f.client, "u", "c", &message, 1, NULL, NULL, NULL, &error), "FIELD_REQUIRED",
                   "content");
    struct chatlog_conversation conversation = {.conversation_id = "c", .metadata = pairs, .metadata_count = 2};
    assert_refused(chatlog_create_conversation(f.client, "u", &conversation, NULL, NULL, &error), "FIELD_REQUIRED",
                   "metadata[1]");
    fixture_end(&f);
}

static void a_request_no_server_takes_is_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    struct chatlog_reply reply;
    size_t length = (128u << 20) + 1;
    assert_refused(chatlog_call(f.client, "m", "x", length, NULL, &reply, &error), "REQUEST_TOO_LARGE", "134217729");
    struct chatlog_message message = {.role = "user", .content = "x", .content_length = SIZE_MAX};
    assert_refused(chatlog_append(f.client, "u", "c", &message, 1, NULL, NULL, NULL, &error), "REQUEST_TOO_LARGE",
                   "content");

    /* Each fits, all together do not. */
    char *content = malloc(100u << 20);
    struct chatlog_message messages[2];
    for (int i = 0; i < 2; i++)
        messages[i] = (struct chatlog_message){.role = "user", .content = content, .content_length = 100u << 20};
    assert_refused(chatlog_append(f.client, "u", "c", messages, 2, NULL, NULL, NULL, &error), "REQUEST_TOO_LARGE",
                   "2097152");
    free(content);
    fixture_end(&f);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    struct chatlog_call_options options = {.timeout_ms = 600001};
    assert_refused(chatlog_get_conversation(f.client, "u", "c", &options, NULL, &error), "FIELD_INVALID", "timeout_ms");
    options = (struct chatlog_call_options){.request_id = ""};
    assert_refused(chatlog_purge_conversation(f.client, "u", "c", NULL, &options, &error), "FIELD_INVALID",
                   "request_id");
    char id[130] = {0};
    memset(id, 'i', 129);
    options.request_id = id;
    assert_refused(chatlog_delete_message(f.client, "u", "c", 1, &options, &error), "FIELD_INVALID", "request_id");
    assert_refused(chatlog_undelete_conversation(f.client, "u", "c", &options, NULL, &error), "FIELD_INVALID",
                   "request_id");
    fixture_end(&f);
}

static void a_mask_without_or_with_unknown_fields_is_refused(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    struct chatlog_conversation conversation = {.conversation_id = "c"};
    struct chatlog_message message = {.seq = 1};
    assert_refused(chatlog_update_conversation(f.client, "u", &conversation, 0, NULL, NULL, NULL, &error),
                   "FIELD_INVALID", "fields");
    assert_refused(chatlog_update_conversation(f.client, "u", &conversation, 1 << 4, NULL, NULL, NULL, &error),
                   "FIELD_INVALID", "fields");
    assert_refused(chatlog_update_message(f.client, "u", "c", &message, 1 << 9, 0, NULL, NULL, &error), "FIELD_INVALID",
                   "fields");
    struct chatlog_messages page;
    struct chatlog_message_query query = {.anchor = (enum chatlog_anchor)9};
    assert_refused(chatlog_list_messages(f.client, "u", "c", &query, NULL, &page, &error), "FIELD_INVALID", "anchor");
    fixture_end(&f);
}

static void a_url_that_cannot_be_dialled_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"",       "chatlogd.sock", "http://localhost:80", "inproc://x",
                                       "ipc://", "tcp://",        "tcp://127.0.0.1",     "tcp://127.0.0.1:no"};
    struct chatlog *client = NULL;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_refused(chatlog_open(urls[i], &client, &error), "URL_INVALID", "");
        assert_null(client);
    }
    char url[200] = "ipc:///";
    memset(url + 7, 'x', 150);
    assert_refused(chatlog_open(url, &client, &error), "URL_INVALID", "107");
    assert_null(chatlog_close(NULL));
}

static void what_no_token_can_be_is_refused_and_the_old_one_kept(void **state)
{
    (void)state;
    struct fixture f = fixture_new();
    char longest[CHATLOG_LIMIT_token_bytes + 2];
    memset(longest, 'x', sizeof longest);
    longest[CHATLOG_LIMIT_token_bytes + 1] = '\0';
    static const char *const tokens[] = {"a b", "a\nb", " a", "a\x7f", "\xc3\xbc", "a\t"};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        assert_refused(chatlog_set_token(f.client, tokens[i], &error), "FIELD_INVALID", "blanks");
    assert_refused(chatlog_set_token(f.client, longest, &error), "FIELD_INVALID", "4,096");
    longest[CHATLOG_LIMIT_token_bytes] = '\0';
    assert_int_equal(chatlog_set_token(f.client, longest, &error), 0);
    assert_int_equal(chatlog_set_token(f.client, "", &error), 0);
    assert_int_equal(chatlog_set_token(f.client, NULL, &error), 0);
    assert_refused(chatlog_set_token(NULL, "a", &error), "FIELD_REQUIRED", "client");
    fixture_end(&f);
}

static void freeing_nothing_is_allowed(void **state)
{
    (void)state;
    struct chatlog_conversation conversation = {0};
    struct chatlog_messages messages = {0};
    chatlog_conversation_free(&conversation);
    chatlog_messages_free(&messages);
    chatlog_conversation_free(NULL);
    chatlog_conversations_free(NULL);
    chatlog_message_free(NULL);
    chatlog_messages_free(NULL);
    chatlog_server_info_free(NULL);
    chatlog_stats_free(NULL);
    chatlog_users_free(NULL);
    chatlog_reply_free(NULL);
}

static void codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(chatlog_code_name(CHATLOG_OK), "OK");
    assert_string_equal(chatlog_code_name(CHATLOG_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(chatlog_code_name(CHATLOG_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(chatlog_code_name(2), "UNKNOWN");
    assert_string_equal(chatlog_code_name(-1), "UNKNOWN");
    assert_string_equal(chatlog_code_name(17), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_null_where_something_is_needed_is_refused),
        cmocka_unit_test(calls_by_name_are_checked_too),
        cmocka_unit_test(the_error_may_be_null),
        cmocka_unit_test(null_inside_data_is_refused_with_its_place),
        cmocka_unit_test(a_request_no_server_takes_is_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_mask_without_or_with_unknown_fields_is_refused),
        cmocka_unit_test(a_url_that_cannot_be_dialled_is_refused),
        cmocka_unit_test(what_no_token_can_be_is_refused_and_the_old_one_kept),
        cmocka_unit_test(freeing_nothing_is_allowed),
        cmocka_unit_test(codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
