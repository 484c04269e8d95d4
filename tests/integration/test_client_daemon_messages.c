/* The functions of chatlog.h about messages, once each against the real daemon, with every field given and read back.
 */
#include "daemon_fixture.h"

/* ---- Messages -----------------------------------------------------------------------------------------------------
 */

static void a_message_is_appended_and_read_back_with_every_field(void **state)
{
    struct fixture *f = *state;
    struct chatlog_message given[] = {
        {.message_id = "m1",
         .role = "assistant",
         .content_type = "application/json",
         .author = "model-7",
         .token_count = 4000000000u,
         .sent_time_us = 1234567890123456,
         .metadata = labels,
         .metadata_count = 3,
         .content = "{\"a\":\0 1}",
         .content_length = 9},
        {.role = "user"},
    };
    struct chatlog_append_result result;
    assert_ok(f, chatlog_append(f->client, "u", "c", given, 2, &creating, NULL, &result, &f->error));
    assert_int_equal(result.first_seq, 1);
    assert_int_equal(result.last_seq, 2);
    assert_true(result.create_time_us > 1500000000000000);
    assert_false(result.replayed);

    struct chatlog_message got;
    struct chatlog_message by_id;
    assert_ok(f, chatlog_get_message(f->client, "u", "c", 1, NULL, NULL, &got, &f->error));
    assert_string_equal(got.message_id, "m1");
    assert_string_equal(got.role, "assistant");
    assert_string_equal(got.content_type, "application/json");
    assert_string_equal(got.author, "model-7");
    assert_true(got.token_count == 4000000000u);
    assert_true(got.sent_time_us == 1234567890123456);
    assert_labels(got.metadata, got.metadata_count);
    assert_int_equal(got.content_length, 9);
    assert_memory_equal(got.content, "{\"a\":\0 1}", 10);
    assert_int_equal(got.seq, 1);
    assert_true(got.create_time_us == result.create_time_us);
    assert_true(got.update_time_us == 0);
    assert_int_equal(got.revision, 1);
    assert_int_equal(got.content_size, 9);
    assert_ok(f, chatlog_get_message(f->client, "u", "c", 0, "m1", NULL, &by_id, &f->error));
    assert_int_equal(by_id.seq, 1);
    chatlog_message_free(&got);
    chatlog_message_free(&by_id);

    assert_ok(f, chatlog_get_message(f->client, "u", "c", 2, NULL, NULL, &got, &f->error));
    assert_string_equal(got.message_id, "");
    assert_string_equal(got.content_type, "text/plain");
    assert_int_equal(got.content_length, 0);
    chatlog_message_free(&got);
    assert_fails(f, chatlog_get_message(f->client, "u", "c", 3, NULL, NULL, &got, &f->error), CHATLOG_NOT_FOUND,
                 "MESSAGE_NOT_FOUND");
}

static void a_retried_append_is_stored_once(void **state)
{
    struct fixture *f = *state;
    struct chatlog_message message = {.role = "user", .content = "once", .content_length = 4};
    struct chatlog_call_options options = {.request_id = "turn-1"};
    struct chatlog_append_result first;
    struct chatlog_append_result second;
    assert_ok(f, chatlog_append(f->client, "u", "c", &message, 1, &creating, &options, &first, &f->error));
    daemon_kill(f->daemon);
    daemon_restart(f->daemon);
    assert_ok(f, chatlog_append(f->client, "u", "c", &message, 1, &creating, &options, &second, &f->error));
    assert_true(second.replayed);
    assert_int_equal(second.first_seq, first.first_seq);
    assert_string_equal(second.etag, first.etag);
    message.content = "other";
    message.content_length = 5;
    assert_fails(f, chatlog_append(f->client, "u", "c", &message, 1, &creating, &options, NULL, &f->error),
                 CHATLOG_INVALID_ARGUMENT, "REQUEST_ID_REUSED");
    struct chatlog_messages page;
    assert_ok(f, chatlog_list_messages(f->client, "u", "c", NULL, NULL, &page, &f->error));
    assert_int_equal(page.count, 1);
    chatlog_messages_free(&page);
}

static void an_append_checks_the_last_seq_and_replaces_the_tail(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++)
        append_text(f, "u", "c", "x");
    struct chatlog_message message = {.role = "user", .content = "new", .content_length = 3};
    struct chatlog_append_options options = {.check_last_seq = true, .expected_last_seq = 2};
    assert_fails(f, chatlog_append(f->client, "u", "c", &message, 1, &options, NULL, NULL, &f->error), CHATLOG_ABORTED,
                 "LAST_SEQ_MISMATCH");
    assert_int_equal(f->error.last_seq, 4);
    options = (struct chatlog_append_options){
        .check_last_seq = true, .expected_last_seq = 4, .replace = true, .replace_after_seq = 2};
    struct chatlog_append_result result;
    assert_ok(f, chatlog_append(f->client, "u", "c", &message, 1, &options, NULL, &result, &f->error));
    assert_int_equal(result.first_seq, 5);
    struct chatlog_messages page;
    assert_ok(f, chatlog_list_messages(f->client, "u", "c", NULL, NULL, &page, &f->error));
    assert_int_equal(page.count, 3);
    assert_int_equal(page.items[0].seq, 1);
    assert_int_equal(page.items[1].seq, 2);
    assert_int_equal(page.items[2].seq, 5);
    assert_string_equal(page.etag, result.etag);
    chatlog_messages_free(&page);
    options = (struct chatlog_append_options){.replace = true, .replace_after_seq = 0};
    assert_ok(f, chatlog_append(f->client, "u", "c", NULL, 0, &options, NULL, &result, &f->error));
    assert_true(result.first_seq == 0 && result.last_seq == 0);
}

static void messages_are_listed_from_every_anchor(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct chatlog_message_query query;
        uint64_t first;
        size_t count;
        bool before;
        bool after;
    } cases[] = {
        {{.limit = 3}, 8, 3, true, false},
        {{.anchor = CHATLOG_BEFORE, .seq = 4, .limit = 2}, 2, 2, true, true},
        {{.anchor = CHATLOG_AFTER, .seq = 8, .limit = 5}, 9, 2, true, false},
        {{.anchor = CHATLOG_AROUND, .seq = 5, .limit = 3}, 4, 3, true, true},
        {{.limit = 100}, 1, 10, false, false},
    };
    for (int i = 0; i < 10; i++)
        append_text(f, "u", "c", "text");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chatlog_messages page;
        assert_ok(f, chatlog_list_messages(f->client, "u", "c", &cases[i].query, NULL, &page, &f->error));
        assert_int_equal(page.count, cases[i].count);
        assert_int_equal(page.items[0].seq, cases[i].first);
        assert_int_equal(page.has_more_before, cases[i].before);
        assert_int_equal(page.has_more_after, cases[i].after);
        assert_int_equal(page.last_seq, 10);
        chatlog_messages_free(&page);
    }
    struct chatlog_message_query basic = {.basic = true, .limit = 1};
    struct chatlog_messages page;
    assert_ok(f, chatlog_list_messages(f->client, "u", "c", &basic, NULL, &page, &f->error));
    assert_int_equal(page.items[0].content_length, 0);
    assert_int_equal(page.items[0].content_size, 4);
    chatlog_messages_free(&page);
    struct chatlog_message_query small = {.max_bytes = 1};
    assert_ok(f, chatlog_list_messages(f->client, "u", "c", &small, NULL, &page, &f->error));
    assert_int_equal(page.count, 1);
    chatlog_messages_free(&page);
}

static void a_message_is_updated_and_deleted(void **state)
{
    struct fixture *f = *state;
    append_text(f, "u", "c", "before");
    append_text(f, "u", "c", "second");
    struct chatlog_message change = {.seq = 1,
                                     .content = "after",
                                     .content_length = 5,
                                     .content_type = "text/markdown",
                                     .metadata = labels,
                                     .metadata_count = 3,
                                     .token_count = 2};
    struct chatlog_message got;
    unsigned all =
        CHATLOG_FIELD_CONTENT | CHATLOG_FIELD_CONTENT_TYPE | CHATLOG_FIELD_MESSAGE_METADATA | CHATLOG_FIELD_TOKEN_COUNT;
    assert_ok(f, chatlog_update_message(f->client, "u", "c", &change, all, 1, NULL, &got, &f->error));
    assert_int_equal(got.revision, 2);
    assert_int_equal(got.content_size, 5);
    chatlog_message_free(&got);
    assert_fails(f, chatlog_update_message(f->client, "u", "c", &change, all, 1, NULL, NULL, &f->error),
                 CHATLOG_ABORTED, "REVISION_MISMATCH");
    assert_ok(f, chatlog_get_message(f->client, "u", "c", 1, NULL, NULL, &got, &f->error));
    assert_string_equal((const char *)got.content, "after");
    assert_string_equal(got.content_type, "text/markdown");
    assert_labels(got.metadata, got.metadata_count);
    assert_int_equal(got.token_count, 2);
    assert_true(got.update_time_us >= got.create_time_us);
    chatlog_message_free(&got);
    assert_ok(f, chatlog_delete_message(f->client, "u", "c", 1, NULL, &f->error));
    assert_fails(f, chatlog_delete_message(f->client, "u", "c", 1, NULL, &f->error), CHATLOG_NOT_FOUND,
                 "MESSAGE_NOT_FOUND");
}

static void the_newest_messages_are_popped(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        append_text(f, "u", "c", "x");
    struct chatlog_messages page;
    assert_fails(f, chatlog_pop_messages(f->client, "u", "c", 1, true, 9, NULL, &page, &f->error), CHATLOG_ABORTED,
                 "LAST_SEQ_MISMATCH");
    assert_int_equal(f->error.last_seq, 3);
    assert_ok(f, chatlog_pop_messages(f->client, "u", "c", 2, true, 3, NULL, &page, &f->error));
    assert_int_equal(page.count, 2);
    assert_int_equal(page.items[0].seq, 2);
    assert_int_equal(page.items[1].seq, 3);
    assert_string_equal((const char *)page.items[1].content, "x");
    assert_true(strlen(page.etag) > 0);
    chatlog_messages_free(&page);
    assert_int_equal(append_text(f, "u", "c", "y"), 4);
}

static void a_message_of_the_largest_size_goes_there_and_back(void **state)
{
    struct fixture *f = *state;
    size_t length = CHATLOG_LIMIT_message_bytes;
    char *content = malloc(length + 1);
    for (size_t i = 0; i <= length; i++)
        content[i] = (char)(i * 31 % 251);
    struct chatlog_message message = {.role = "user", .content = content, .content_length = length};
    assert_ok(f, chatlog_append(f->client, "u", "c", &message, 1, &creating, NULL, NULL, &f->error));
    struct chatlog_message got;
    assert_ok(f, chatlog_get_message(f->client, "u", "c", 1, NULL, NULL, &got, &f->error));
    assert_int_equal(got.content_length, length);
    assert_memory_equal(got.content, content, length);
    chatlog_message_free(&got);
    message.content_length = length + 1;
    assert_fails(f, chatlog_append(f->client, "u", "c", &message, 1, NULL, NULL, NULL, &f->error),
                 CHATLOG_INVALID_ARGUMENT, "REQUEST_TOO_LARGE");
    free(content);
}

/* ---- Without waiting ----------------------------------------------------------------------------------------------
 */

enum { ASYNC_CALLS = 500 };

static void count_append(void *arg, int code, const struct chatlog_append_result *result,
                         const struct chatlog_error *error)
{
    (void)error;
    struct tally *tally = arg;
    tally->good += code == 0 && result->last_seq > 0;
    sem_post(&tally->ended);
}

static void appends_without_waiting_are_all_stored(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {0};
    sem_init(&tally.ended, 0, 0);
    struct chatlog_message message = {.role = "user", .content = "x", .content_length = 1};
    for (int i = 0; i < ASYNC_CALLS; i++)
        assert_ok(f, chatlog_append_async(f->client, "u", i % 2 != 0 ? "odd" : "even", &message, 1, &creating, NULL,
                                          count_append, &tally, &f->error));
    for (int i = 0; i < ASYNC_CALLS; i++)
        sem_wait(&tally.ended);
    assert_int_equal(tally.good, ASYNC_CALLS);
    sem_destroy(&tally.ended);
    struct chatlog_conversation got;
    assert_ok(f, chatlog_get_conversation(f->client, "u", "odd", NULL, &got, &f->error));
    assert_int_equal(got.last_seq, ASYNC_CALLS / 2);
    chatlog_conversation_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_is_appended_and_read_back_with_every_field, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retried_append_is_stored_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_append_checks_the_last_seq_and_replaces_the_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_are_listed_from_every_anchor, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_is_updated_and_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_messages_are_popped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_of_the_largest_size_goes_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(appends_without_waiting_are_all_stored, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
