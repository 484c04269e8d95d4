/* What each method of HistoryService refuses, and with which word. */
#include "support/rpc_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define USER                                                                                                           \
    {                                                                                                                  \
        1, .text = "u"                                                                                                 \
    }
#define LIVE                                                                                                           \
    {                                                                                                                  \
        2, .text = "live"                                                                                              \
    } /* holds messages 1, 2, 3; message 1 has the message_id "first" */
#define GONE                                                                                                           \
    {                                                                                                                  \
        2, .text = "gone"                                                                                              \
    } /* deleted softly */
#define ABSENT                                                                                                         \
    {                                                                                                                  \
        2, .text = "absent"                                                                                            \
    }
#define FIELDS(...)                                                                                                    \
    (const struct field[])                                                                                             \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
#define SUB(field_number, ...)                                                                                         \
    {                                                                                                                  \
        field_number, .sub = FIELDS(__VA_ARGS__)                                                                       \
    }
#define HELLO SUB(3, {13, .text = "hello"})

struct row {
    const char *method;
    const char *reason;
    const struct field *fields;
};

static int set_up(void **state)
{
    struct rpc_fixture *fixture = rpc_fixture_new();
    rpc_expect(fixture, "AppendMessages",
               FIELDS(USER, LIVE, SUB(3, {6, .text = "first"}, {13, .text = "1"}), HELLO, HELLO, {4, .value = 1}), "");
    rpc_expect(fixture, "CreateConversation", FIELDS(USER, SUB(2, {1, .text = "gone"})), "");
    rpc_expect(fixture, "DeleteConversation", FIELDS(USER, GONE), "");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    *state = rpc_fixture_free(*state);
    return 0;
}

/* Where a method keeps user and conversation, and what else it needs to be well formed. */
static const struct shape {
    const char *method;
    bool nested; /* the conversation's ID is field 1 of sub-message 2 */
    bool no_conversation;
    struct field more[2];
} shapes[] = {
    {"CreateConversation", .nested = true},
    {.method = "GetConversation"},
    {"UpdateConversation", .nested = true, .more = {{3, .text = "title"}}},
    {.method = "DeleteConversation"},
    {.method = "UndeleteConversation"},
    {"ListConversations", .no_conversation = true},
    {"AppendMessages", .more = {{3, .sub = (const struct field[]){{13, .text = "x"}, {0}}}}},
    {.method = "ListMessages"},
    {"GetMessage", .more = {{3, .value = 1}}},
    {"UpdateMessage", .more = {{3, .sub = (const struct field[]){{1, .value = 1}, {0}}}, {4, .text = "content"}}},
    {"DeleteMessage", .more = {{3, .value = 1}}},
    {"PopMessages", .more = {{3, .value = 1}}},
    {"ForgetUser", .no_conversation = true},
};

enum { SHAPE_COUNT = sizeof(shapes) / sizeof(shapes[0]) };

static void expect_for(struct rpc_fixture *fixture, const struct shape *shape, struct field user, struct field id,
                       const char *reason)
{
    const struct field nested[] = {{1, .text = id.text, .repeat = id.repeat}, {0}};
    struct field fields[5] = {user};
    size_t count = 1;
    if (shape->nested) {
        fields[count++] = (struct field){2, .sub = nested};
    } else if (!shape->no_conversation) {
        fields[count++] = id;
    }
    memcpy(&fields[count], shape->more, sizeof(shape->more));
    rpc_expect(fixture, shape->method, fields, reason);
}

static void every_method_checks_whose_data_and_which_conversation(void **state)
{
    static const struct {
        struct field value;
        const char *reason;
    } bad[] = {
        {{1, .text = ""}, "FIELD_REQUIRED"},         {{1, .text = "x", .repeat = 129}, "REQUEST_TOO_LARGE"},
        {{1, .text = "a\x1f"}, "FIELD_INVALID"},     {{1, .text = "a\x7f"}, "FIELD_INVALID"},
        {{1, .text = "a\xc2\x85"}, "FIELD_INVALID"}, {{1, .text = "\xff"}, "FIELD_INVALID"},
    };
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
            struct field id = bad[j].value;
            expect_for(*state, &shapes[i], bad[j].value, (struct field)LIVE, bad[j].reason);
            id.number = 2;
            if (!shapes[i].no_conversation) {
                expect_for(*state, &shapes[i], (struct field)USER, id, bad[j].reason);
            }
        }
    }
}

static void a_conversation_that_is_absent_or_of_another_user_is_not_found(void **state)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        if (!shapes[i].no_conversation && strcmp(shapes[i].method, "CreateConversation") != 0) {
            expect_for(*state, &shapes[i], (struct field)USER, (struct field)ABSENT, "CONVERSATION_NOT_FOUND");
            expect_for(*state, &shapes[i], (struct field){1, .text = "other"}, (struct field)LIVE,
                       "CONVERSATION_NOT_FOUND");
        }
    }
}

static void a_deleted_conversation_says_that_it_is_deleted(void **state)
{
    static const char *const methods[] = {"UpdateConversation", "DeleteConversation", "AppendMessages", "ListMessages",
                                          "GetMessage",         "UpdateMessage",      "DeleteMessage",  "PopMessages"};
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        for (size_t j = 0; j < sizeof(methods) / sizeof(methods[0]); j++) {
            if (strcmp(shapes[i].method, methods[j]) == 0) {
                expect_for(*state, &shapes[i], (struct field)USER, (struct field)GONE, "CONVERSATION_DELETED");
            }
        }
    }
    rpc_expect(*state, "GetConversation", FIELDS(USER, GONE), "");
    rpc_expect(*state, "CreateConversation", FIELDS(USER, SUB(2, {1, .text = "gone"})), "CONVERSATION_EXISTS");
    rpc_expect(*state, "UndeleteConversation", FIELDS(USER, GONE), "");
}

static void expect_rows(struct rpc_fixture *fixture, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rpc_expect(fixture, rows[i].method, rows[i].fields, rows[i].reason);
    }
}

#define EXPECT_ROWS(state, rows) expect_rows(*(state), rows, sizeof(rows) / sizeof((rows)[0]))

static void bad_conversations_are_refused(void **state)
{
    const struct field no_key[] = {{2, .text = "v"}, {0}};
    const struct field pair[] = {{1, .text = "k"}, {2, .text = "v"}, {0}};
    const struct row rows[] = {
        {"CreateConversation", "FIELD_REQUIRED", FIELDS(USER)},
        {"CreateConversation", "CONVERSATION_EXISTS", FIELDS(USER, SUB(2, {1, .text = "live"}))},
        {"CreateConversation", "REQUEST_TOO_LARGE",
         FIELDS(USER, SUB(2, {1, .text = "c"}, {2, .text = "t", .repeat = 1025}))},
        {"CreateConversation", "FIELD_INVALID", FIELDS(USER, SUB(2, {1, .text = "c"}, {2, .text = "a\nb"}))},
        {"CreateConversation", "FIELD_INVALID", FIELDS(USER, SUB(2, {1, .text = "c"}, {3, .sub = no_key}))},
        {"CreateConversation", "FIELD_INVALID", FIELDS(USER, SUB(2, {1, .text = "c"}, {3, .sub = pair, .repeat = 2}))},
        {"CreateConversation", "REQUEST_TOO_LARGE",
         FIELDS(USER, SUB(2, {1, .text = "c"}, SUB(3, {1, .text = "k", .repeat = 65})))},
        {"CreateConversation", "REQUEST_TOO_LARGE",
         FIELDS(USER, SUB(2, {1, .text = "c"}, SUB(3, {1, .text = "k"}, {2, .text = "v", .repeat = 1025})))},
        {"CreateConversation", "REQUEST_TOO_LARGE",
         FIELDS(USER, SUB(2, {1, .text = "c"}, {3, .sub = pair, .repeat = 65}))},
        {"CreateConversation", "FIELD_INVALID", FIELDS(USER, SUB(2, {1, .text = "c"}, {5, .value = UINT64_MAX}))},
        {"CreateConversation", "FIELD_INVALID",
         FIELDS(USER, SUB(2, {1, .text = "c"}, {5, .value = UINT64_C(10000000000000000)}))},
        {"UpdateConversation", "FIELD_REQUIRED", FIELDS(USER, SUB(2, {1, .text = "live"}))},
        {"UpdateConversation", "FIELD_INVALID", FIELDS(USER, SUB(2, {1, .text = "live"}), {3, .text = "etag"})},
        {"UpdateConversation", "ETAG_MISMATCH",
         FIELDS(USER, SUB(2, {1, .text = "live"}), {3, .text = "title"}, {4, .text = "no"})},
        {"UpdateConversation", "REQUEST_TOO_LARGE",
         FIELDS(USER, SUB(2, {1, .text = "live"}), {3, .text = "title"}, {4, .text = "e", .repeat = 129})},
        {"DeleteConversation", "ETAG_MISMATCH", FIELDS(USER, LIVE, {3, .text = "no"})},
        {"UndeleteConversation", "CONVERSATION_NOT_DELETED", FIELDS(USER, LIVE)},
        {"ListConversations", "FIELD_INVALID", FIELDS(USER, {2, .value = 1001})},
        {"ListConversations", "FIELD_INVALID", FIELDS(USER, {4, .value = 4})},
        {"ListConversations", "PAGE_TOKEN_INVALID", FIELDS(USER, {3, .text = "made up"})},
        {"ListConversations", "PAGE_TOKEN_INVALID", FIELDS(USER, {3, .text = "00112233445566778899"})},
        {"ListConversations", "REQUEST_TOO_LARGE", FIELDS(USER, {3, .text = "0", .repeat = 1025})},
    };
    EXPECT_ROWS(state, rows);
}

static void bad_messages_are_refused(void **state)
{
    const struct row rows[] = {
        {"AppendMessages", "FIELD_INVALID", FIELDS(USER, LIVE)},
        {"AppendMessages", "REQUEST_TOO_LARGE",
         FIELDS(USER, LIVE, {3, .sub = FIELDS({13, .text = "x"}), .repeat = 1001})},
        {"AppendMessages", "REQUEST_TOO_LARGE", FIELDS(USER, LIVE, SUB(3, {6, .text = "i", .repeat = 129}))},
        {"AppendMessages", "REQUEST_TOO_LARGE", FIELDS(USER, LIVE, SUB(3, {7, .text = "r", .repeat = 65}))},
        {"AppendMessages", "REQUEST_TOO_LARGE", FIELDS(USER, LIVE, SUB(3, {8, .text = "t", .repeat = 129}))},
        {"AppendMessages", "REQUEST_TOO_LARGE", FIELDS(USER, LIVE, SUB(3, {9, .text = "a", .repeat = 129}))},
        {"AppendMessages", "FIELD_INVALID", FIELDS(USER, LIVE, SUB(3, {7, .text = "a\nb"}))},
        {"AppendMessages", "FIELD_INVALID", FIELDS(USER, LIVE, SUB(3, {11, .value = UINT64_MAX}))},
        {"AppendMessages", "FIELD_INVALID", FIELDS(USER, LIVE, SUB(3, {10, .value = UINT64_C(1) << 32}))},
        {"AppendMessages", "REQUEST_TOO_LARGE",
         FIELDS(USER, LIVE, SUB(3, {13, .text = "0123456789abcdef", .repeat = 262145}))},
        {"AppendMessages", "MESSAGE_ID_EXISTS", FIELDS(USER, LIVE, SUB(3, {6, .text = "first"}))},
        {"AppendMessages", "LAST_SEQ_MISMATCH", FIELDS(USER, LIVE, HELLO, {5, .value = 2})},
        {"ListMessages", "FIELD_INVALID", FIELDS(USER, LIVE, {6, .value = 1001})},
        {"ListMessages", "FIELD_INVALID", FIELDS(USER, LIVE, {8, .value = 3})},
        {"GetMessage", "FIELD_REQUIRED", FIELDS(USER, LIVE)},
        {"GetMessage", "FIELD_INVALID", FIELDS(USER, LIVE, {3, .value = 1}, {5, .value = 9})},
        {"GetMessage", "MESSAGE_NOT_FOUND", FIELDS(USER, LIVE, {3, .value = 4})},
        {"GetMessage", "MESSAGE_NOT_FOUND", FIELDS(USER, LIVE, {3, .value = UINT64_MAX})},
        {"GetMessage", "MESSAGE_NOT_FOUND", FIELDS(USER, LIVE, {4, .text = "second"})},
        {"UpdateMessage", "FIELD_REQUIRED", FIELDS(USER, LIVE, {4, .text = "content"})},
        {"UpdateMessage", "FIELD_REQUIRED", FIELDS(USER, LIVE, SUB(3, {13, .text = "x"}), {4, .text = "content"})},
        {"UpdateMessage", "FIELD_REQUIRED", FIELDS(USER, LIVE, SUB(3, {1, .value = 1}))},
        {"UpdateMessage", "FIELD_INVALID", FIELDS(USER, LIVE, SUB(3, {1, .value = 1}), {4, .text = "role"})},
        {"UpdateMessage", "MESSAGE_NOT_FOUND", FIELDS(USER, LIVE, SUB(3, {1, .value = 9}), {4, .text = "content"})},
        {"UpdateMessage", "REVISION_MISMATCH",
         FIELDS(USER, LIVE, SUB(3, {1, .value = 1}), {4, .text = "content"}, {5, .value = 2})},
        {"DeleteMessage", "FIELD_REQUIRED", FIELDS(USER, LIVE)},
        {"DeleteMessage", "MESSAGE_NOT_FOUND", FIELDS(USER, LIVE, {3, .value = 4})},
        {"PopMessages", "FIELD_INVALID", FIELDS(USER, LIVE)},
        {"PopMessages", "FIELD_INVALID", FIELDS(USER, LIVE, {3, .value = 1001})},
        {"PopMessages", "LAST_SEQ_MISMATCH", FIELDS(USER, LIVE, {3, .value = 1}, {4, .value = 9})},
    };
    EXPECT_ROWS(state, rows);
    /* None of them left anything behind. */
    rpc_expect(*state, "AppendMessages", FIELDS(USER, LIVE, HELLO, {5, .value = 3}), "");
}

static void bad_audit_queries_are_refused(void **state)
{
    const struct row rows[] = {
        {"chatlog.v1.AdminService/ListAuditEvents", "REQUEST_TOO_LARGE", FIELDS({1, .text = "u", .repeat = 129})},
        {"chatlog.v1.AdminService/ListAuditEvents", "FIELD_INVALID", FIELDS({1, .text = "a\nb"})},
        {"chatlog.v1.AdminService/ListAuditEvents", "FIELD_INVALID", FIELDS({2, .value = UINT64_MAX})},
        {"chatlog.v1.AdminService/ListAuditEvents", "FIELD_INVALID", FIELDS({3, .value = UINT64_MAX})},
        {"chatlog.v1.AdminService/ListAuditEvents", "FIELD_INVALID", FIELDS({4, .value = 1001})},
        {"chatlog.v1.AdminService/ListAuditEvents", "PAGE_TOKEN_INVALID", FIELDS({5, .text = "made up"})},
        {"chatlog.v1.AdminService/ListAuditEvents", "PAGE_TOKEN_INVALID", FIELDS({5, .text = "00112233445566778899"})},
        {"chatlog.v1.AdminService/ListAuditEvents", "REQUEST_TOO_LARGE", FIELDS({5, .text = "0", .repeat = 1025})},
    };
    EXPECT_ROWS(state, rows);
    rpc_expect(*state, "chatlog.v1.AdminService/ListAuditEvents",
               FIELDS({2, .value = 5}, {3, .value = 5}, {4, .value = 1000}), "");
}

static void a_success_with_nothing_to_tell_is_an_answer(void **state)
{
    Chatlog__V1__Response *response = rpc_call(*state, "ListConversations", FIELDS({1, .text = "nobody"}), NULL);
    assert_int_equal(response->code, 0);
    assert_int_equal(response->payload.len, 0);
    chatlog__v1__response__free_unpacked(response, NULL);
    rpc_expect(*state, "DeleteConversation", FIELDS(USER, LIVE, {4, .value = 1}), "");
    rpc_expect(*state, "GetConversation", FIELDS(USER, LIVE), "CONVERSATION_NOT_FOUND");
}

static void the_error_carries_the_numbers_a_program_needs(void **state)
{
    Chatlog__V1__Response *response =
        rpc_call(*state, "AppendMessages", FIELDS(USER, LIVE, HELLO, {5, .value = 2}), NULL);
    assert_int_equal(response->n_details, 1);
    assert_string_equal(response->details[0]->key, "last_seq");
    assert_string_equal(response->details[0]->value, "3");
    chatlog__v1__response__free_unpacked(response, NULL);
    response = rpc_call(*state, "AppendMessages", FIELDS(USER, LIVE, SUB(3, {7, .text = "r", .repeat = 65})), NULL);
    assert_string_equal(response->message, "messages[0]: role has 65 bytes; at most 64 are allowed");
    assert_string_equal(response->details[0]->key, "limit");
    assert_string_equal(response->details[0]->value, "64");
    chatlog__v1__response__free_unpacked(response, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_method_checks_whose_data_and_which_conversation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_conversation_that_is_absent_or_of_another_user_is_not_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_conversation_says_that_it_is_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_conversations_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_messages_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_audit_queries_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_success_with_nothing_to_tell_is_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_error_carries_the_numbers_a_program_needs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
