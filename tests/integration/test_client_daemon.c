/* The functions of chatlog.h about conversations, users and the daemon, once each against the real daemon, with every
 * field given and read back. */
#include "daemon_fixture.h"

/* ---- Conversations ------------------------------------------------------------------------------------------------
 */

static void a_conversation_is_created_and_read_back_with_every_field(void **state)
{
    struct fixture *f = *state;
    int64_t far = ((int64_t)time(NULL) + 86400) * 1000000;
    struct chatlog_conversation given = {.conversation_id = "c-\xC3\xA9",
                                         .title = "Trip \xF0\x9F\x9A\xA2",
                                         .metadata = labels,
                                         .metadata_count = 3,
                                         .archived = true,
                                         .expire_time_us = far};
    struct chatlog_conversation created;
    struct chatlog_conversation got;
    assert_ok(f, chatlog_create_conversation(f->client, "alice", &given, NULL, &created, &f->error));
    assert_ok(f, chatlog_get_conversation(f->client, "alice", given.conversation_id, NULL, &got, &f->error));
    assert_string_equal(got.conversation_id, given.conversation_id);
    assert_string_equal(got.title, given.title);
    assert_labels(got.metadata, got.metadata_count);
    assert_true(got.archived);
    assert_true(got.expire_time_us == far);
    assert_true(got.create_time_us > 1500000000000000);
    assert_true(got.update_time_us >= got.create_time_us);
    assert_true(got.activity_time_us >= got.create_time_us);
    assert_true(got.delete_time_us == 0 && got.purge_time_us == 0);
    assert_true(got.message_count == 0 && got.last_seq == 0 && got.content_bytes == 0);
    assert_true(strlen(got.etag) > 0);
    assert_string_equal(got.etag, created.etag);
    chatlog_conversation_free(&created);
    chatlog_conversation_free(&got);
    assert_fails(f, chatlog_create_conversation(f->client, "alice", &given, NULL, NULL, &f->error),
                 CHATLOG_ALREADY_EXISTS, "CONVERSATION_EXISTS");
    assert_fails(f, chatlog_get_conversation(f->client, "bob", given.conversation_id, NULL, NULL, &f->error),
                 CHATLOG_NOT_FOUND, "CONVERSATION_NOT_FOUND");
}

static void an_update_changes_the_named_fields_only(void **state)
{
    struct fixture *f = *state;
    struct chatlog_conversation given = {
        .conversation_id = "c", .title = "before", .metadata = labels, .metadata_count = 3};
    struct chatlog_conversation first;
    struct chatlog_conversation second;
    assert_ok(f, chatlog_create_conversation(f->client, "u", &given, NULL, &first, &f->error));
    struct chatlog_conversation change = {.conversation_id = "c", .title = "after", .archived = true};
    assert_ok(f, chatlog_update_conversation(f->client, "u", &change, CHATLOG_FIELD_TITLE | CHATLOG_FIELD_ARCHIVED,
                                             first.etag, NULL, &second, &f->error));
    assert_string_equal(second.title, "after");
    assert_true(second.archived);
    assert_labels(second.metadata, second.metadata_count);
    assert_string_not_equal(second.etag, first.etag);
    assert_fails(
        f,
        chatlog_update_conversation(f->client, "u", &change, CHATLOG_FIELD_METADATA, first.etag, NULL, NULL, &f->error),
        CHATLOG_ABORTED, "ETAG_MISMATCH");
    assert_ok(f,
              chatlog_update_conversation(f->client, "u", &change, CHATLOG_FIELD_METADATA | CHATLOG_FIELD_EXPIRE_TIME,
                                          NULL, NULL, NULL, &f->error));
    chatlog_conversation_free(&first);
    chatlog_conversation_free(&second);
    assert_ok(f, chatlog_get_conversation(f->client, "u", "c", NULL, &second, &f->error));
    assert_int_equal(second.metadata_count, 0);
    assert_string_equal(second.title, "after");
    chatlog_conversation_free(&second);
}

static void a_conversation_is_deleted_undeleted_and_purged(void **state)
{
    struct fixture *f = *state;
    struct chatlog_conversation got;
    append_text(f, "u", "c", "hello");
    assert_ok(f, chatlog_delete_conversation(f->client, "u", "c", NULL, NULL, &got, &f->error));
    assert_true(got.delete_time_us > 0);
    assert_true(got.purge_time_us > got.delete_time_us);
    chatlog_conversation_free(&got);
    struct chatlog_messages page;
    assert_fails(f, chatlog_list_messages(f->client, "u", "c", NULL, NULL, &page, &f->error),
                 CHATLOG_FAILED_PRECONDITION, "CONVERSATION_DELETED");
    assert_ok(f, chatlog_undelete_conversation(f->client, "u", "c", NULL, &got, &f->error));
    assert_true(got.delete_time_us == 0 && got.purge_time_us == 0);
    assert_int_equal(got.message_count, 1);
    chatlog_conversation_free(&got);
    assert_fails(f, chatlog_purge_conversation(f->client, "u", "c", "not its etag", NULL, &f->error), CHATLOG_ABORTED,
                 "ETAG_MISMATCH");
    assert_ok(f, chatlog_purge_conversation(f->client, "u", "c", NULL, NULL, &f->error));
    assert_fails(f, chatlog_get_conversation(f->client, "u", "c", NULL, NULL, &f->error), CHATLOG_NOT_FOUND,
                 "CONVERSATION_NOT_FOUND");
}

static void conversations_are_listed_page_by_page(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (int i = 1; i <= 5; i++) {
        snprintf(id, sizeof id, "c%d", i);
        append_text(f, "u", id, "x");
    }
    struct chatlog_conversation archived = {.conversation_id = "c6", .archived = true};
    assert_ok(f, chatlog_create_conversation(f->client, "u", &archived, NULL, NULL, &f->error));
    assert_ok(f, chatlog_delete_conversation(f->client, "u", "c3", NULL, NULL, NULL, &f->error));

    struct chatlog_conversations first;
    struct chatlog_conversations second;
    struct chatlog_conversation_query query = {.page_size = 3};
    assert_ok(f, chatlog_list_conversations(f->client, "u", &query, NULL, &first, &f->error));
    assert_int_equal(first.count, 3);
    assert_string_equal(first.items[0].conversation_id, "c5");
    assert_string_equal(first.items[1].conversation_id, "c4");
    assert_string_equal(first.items[2].conversation_id, "c2");
    query.page_token = first.next_page_token;
    assert_ok(f, chatlog_list_conversations(f->client, "u", &query, NULL, &second, &f->error));
    assert_int_equal(second.count, 1);
    assert_string_equal(second.items[0].conversation_id, "c1");
    assert_string_equal(second.next_page_token, "");
    chatlog_conversations_free(&first);
    chatlog_conversations_free(&second);

    query = (struct chatlog_conversation_query){.archived = CHATLOG_ARCHIVED_INCLUDE, .show_deleted = true};
    assert_ok(f, chatlog_list_conversations(f->client, "u", &query, NULL, &first, &f->error));
    assert_int_equal(first.count, 6);
    chatlog_conversations_free(&first);
    query = (struct chatlog_conversation_query){.archived = CHATLOG_ARCHIVED_ONLY};
    assert_ok(f, chatlog_list_conversations(f->client, "u", &query, NULL, &first, &f->error));
    assert_int_equal(first.count, 1);
    assert_string_equal(first.items[0].conversation_id, "c6");
    chatlog_conversations_free(&first);
}

/* ---- Users and the daemon -----------------------------------------------------------------------------------------
 */

static void a_user_is_listed_and_forgotten(void **state)
{
    struct fixture *f = *state;
    append_text(f, "alice", "c1", "one");
    append_text(f, "alice", "c2", "three");
    append_text(f, "bob", "c1", "x");
    struct chatlog_users users;
    assert_ok(f, chatlog_list_users(f->client, 1, NULL, NULL, &users, &f->error));
    assert_int_equal(users.count, 1);
    assert_string_equal(users.user_ids[0], "alice");
    struct chatlog_users rest;
    assert_ok(f, chatlog_list_users(f->client, 0, users.next_page_token, NULL, &rest, &f->error));
    assert_int_equal(rest.count, 1);
    assert_string_equal(rest.user_ids[0], "bob");
    assert_string_equal(rest.next_page_token, "");
    chatlog_users_free(&users);
    chatlog_users_free(&rest);

    struct chatlog_receipt receipt;
    assert_ok(f, chatlog_forget_user(f->client, "alice", NULL, &receipt, &f->error));
    assert_int_equal(receipt.conversations, 2);
    assert_int_equal(receipt.messages, 2);
    assert_int_equal(receipt.content_bytes, 8);
    assert_int_equal(strlen(receipt.digest), 32);
    assert_true(receipt.commit_id > 0);
    assert_ok(f, chatlog_list_users(f->client, 0, NULL, NULL, &users, &f->error));
    assert_int_equal(users.count, 1);
    chatlog_users_free(&users);
}

static void the_audit_trail_is_read_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct chatlog_call_options named = {.request_id = "r-1"};
    append_text(f, "alice", "c1", "one");
    append_text(f, "bob", "c2", "three");
    assert_ok(f, chatlog_delete_conversation(f->client, "bob", "c2", NULL, NULL, NULL, &f->error));
    assert_ok(f, chatlog_delete_message(f->client, "alice", "c1", 1, &named, &f->error));
    struct chatlog_audit_events page;
    assert_ok(f, chatlog_list_audit_events(f->client, NULL, NULL, &page, &f->error));
    assert_int_equal(page.count, 2);
    assert_string_equal(page.next_page_token, "");
    const struct chatlog_audit_event *event = &page.items[0];
    assert_int_equal(event->action, CHATLOG_AUDIT_DELETE_MESSAGE);
    assert_string_equal(event->user_id, "alice");
    assert_string_equal(event->conversation_id, "c1");
    assert_string_equal(event->request_id, "r-1");
    assert_true(event->first_seq == 1 && event->last_seq == 1 && event->messages == 1 && event->content_bytes == 3);
    assert_true(event->commit_id > page.items[1].commit_id && event->time_us >= page.items[1].time_us);
    assert_int_equal(page.items[1].action, CHATLOG_AUDIT_DELETE_CONVERSATION);
    int64_t later = event->time_us + 1;
    chatlog_audit_events_free(&page);

    struct chatlog_audit_query query = {.page_size = 1};
    assert_ok(f, chatlog_list_audit_events(f->client, &query, NULL, &page, &f->error));
    assert_int_equal(page.count, 1);
    struct chatlog_audit_events rest;
    query.page_token = page.next_page_token;
    assert_ok(f, chatlog_list_audit_events(f->client, &query, NULL, &rest, &f->error));
    assert_int_equal(rest.count, 1);
    assert_string_equal(rest.items[0].user_id, "bob");
    assert_string_equal(rest.next_page_token, "");
    query.user_id = "alice"; /* a token is of its query only */
    assert_fails(f, chatlog_list_audit_events(f->client, &query, NULL, &rest, &f->error), CHATLOG_INVALID_ARGUMENT,
                 "PAGE_TOKEN_INVALID");
    chatlog_audit_events_free(&page);
    chatlog_audit_events_free(&rest);
    query = (struct chatlog_audit_query){.since_time_us = later};
    assert_ok(f, chatlog_list_audit_events(f->client, &query, NULL, &page, &f->error));
    assert_int_equal(page.count, 0);
    chatlog_audit_events_free(&page);
}

static void the_daemon_tells_its_limits_and_counts(void **state)
{
    struct fixture *f = *state;
    append_text(f, "u", "c", "hello");
    struct chatlog_server_info info;
    assert_ok(f, chatlog_get_server_info(f->client, NULL, &info, &f->error));
    assert_true(strlen(info.version) > 0 && strlen(info.nng_version) > 0 && strlen(info.lmdb_version) > 0);
    assert_true(info.readable_layout_count >= 1);
    assert_int_equal(info.readable_layouts[0], 1);
    assert_int_equal(info.layout, info.readable_layouts[info.readable_layout_count - 1]);
    assert_true(info.start_time_us > 1500000000000000);
    size_t found = 0;
    for (size_t i = 0; i < info.limit_count; i++)
        found += strcmp(info.limits[i].name, "message_bytes") == 0 &&
                 info.limits[i].value == CHATLOG_LIMIT_message_bytes &&
                 info.limits[i].cap == CHATLOG_CAP_message_bytes && strlen(info.limits[i].meaning) > 0;
    assert_int_equal(found, 1);
    chatlog_server_info_free(&info);

    struct chatlog_stats stats;
    assert_ok(f, chatlog_get_stats(f->client, NULL, &stats, &f->error));
    assert_int_equal(stats.users, 1);
    assert_int_equal(stats.conversations, 1);
    assert_int_equal(stats.messages, 1);
    assert_int_equal(stats.content_bytes, 5);
    assert_true(stats.used_bytes > 0 && stats.file_bytes >= stats.used_bytes);
    assert_true(stats.commit_id > 0 && stats.commits > 0 && stats.changes > 0 && stats.uptime_us > 0);
    assert_true(stats.connections >= 1 && stats.connections_accepted >= 1);
    found = 0;
    for (size_t i = 0; i < stats.method_count; i++)
        found += strcmp(stats.methods[i].method, "chatlog.v1.HistoryService/AppendMessages") == 0 &&
                 stats.methods[i].calls == 1 && stats.methods[i].errors == 0;
    assert_int_equal(found, 1);
    chatlog_stats_free(&stats);

    bool serving = false;
    assert_ok(f, chatlog_check_health(f->client, NULL, &serving, &f->error));
    assert_true(serving);
}

/* ---- Any method ---------------------------------------------------------------------------------------------------
 */

static void count_call(void *arg, int code, const struct chatlog_reply *reply, const struct chatlog_error *error)
{
    (void)error;
    struct tally *tally = arg;
    tally->good += code == 0 && reply->payload_length > 1000;
    sem_post(&tally->ended);
}

static void any_method_is_called_by_its_name(void **state)
{
    struct fixture *f = *state;
    static const char method[] = "chatlog.v1.AdminService/GetDescriptorSet";
    struct chatlog_reply reply;
    assert_ok(f, chatlog_call(f->client, method, NULL, 0, NULL, &reply, &f->error));
    assert_true(reply.payload_length > 1000);
    assert_false(reply.replayed);
    chatlog_reply_free(&reply);
    struct tally tally = {0};
    sem_init(&tally.ended, 0, 0);
    assert_ok(f, chatlog_call_async(f->client, method, NULL, 0, NULL, count_call, &tally, &f->error));
    sem_wait(&tally.ended);
    assert_int_equal(tally.good, 1);
    sem_destroy(&tally.ended);
    assert_fails(f, chatlog_call(f->client, "chatlog.v1.HistoryService/Nothing", NULL, 0, NULL, &reply, &f->error),
                 CHATLOG_UNIMPLEMENTED, "METHOD_UNKNOWN");
}

/* ---- The daemon goes and comes ------------------------------------------------------------------------------------
 */

static void a_client_outlives_the_daemons_restarts(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(append_text(f, "u", "c", "x"), i);
        if (i == 2)
            daemon_stop(f->daemon);
        else
            daemon_kill(f->daemon);
        daemon_restart(f->daemon);
    }
    assert_int_equal(append_text(f, "u", "c", "x"), 4);
}

static void clients_closed_in_the_middle_of_calls_leave_no_connection_behind(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 40; round++) {
        struct tally tally = {0};
        sem_init(&tally.ended, 0, 0);
        struct chatlog *client;
        assert_int_equal(chatlog_open(daemon_url(f->daemon), &client, NULL), CHATLOG_OK);
        for (int i = 0; i < 100; i++)
            assert_int_equal(chatlog_call_async(client, "chatlog.v1.AdminService/GetDescriptorSet", NULL, 0, NULL,
                                                count_call, &tally, NULL),
                             CHATLOG_OK);
        for (int i = 0; i < round; i++)
            sem_wait(&tally.ended);
        chatlog_close(client);
        sem_destroy(&tally.ended);
    }
    struct chatlog_stats stats = {0};
    for (int i = 0; i < 100; i++) {
        assert_ok(f, chatlog_get_stats(f->client, NULL, &stats, &f->error));
        uint64_t connections = stats.connections;
        chatlog_stats_free(&stats);
        if (connections == 1)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    fail_msg("the daemon keeps connections of clients that are gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_conversation_is_created_and_read_back_with_every_field, setup, teardown),
        cmocka_unit_test_setup_teardown(an_update_changes_the_named_fields_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_conversation_is_deleted_undeleted_and_purged, setup, teardown),
        cmocka_unit_test_setup_teardown(conversations_are_listed_page_by_page, setup, teardown),
        cmocka_unit_test_setup_teardown(a_user_is_listed_and_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(the_audit_trail_is_read_page_by_page, setup, teardown),
        cmocka_unit_test_setup_teardown(the_daemon_tells_its_limits_and_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(any_method_is_called_by_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_outlives_the_daemons_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_closed_in_the_middle_of_calls_leave_no_connection_behind, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
