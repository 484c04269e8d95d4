/* From the bytes of a Request to the bytes of its Response. */
#include "support/lmdb_file.h"
#include "support/rpc_client.h"

#include "base/wire.h"
#include "chatlog/v1/admin_service.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = rpc_fixture_new();
    return 0;
}

static int tear_down(void **state)
{
    *state = rpc_fixture_free(*state);
    return 0;
}

static void expect_envelope(void **state, const struct field *fields, const char *reason)
{
    struct buffer bytes = fields_encode(fields);
    Chatlog__V1__Response *response = rpc_send(*state, buffer_span(&bytes));
    assert_string_equal(response->reason, reason);
    chatlog__v1__response__free_unpacked(response, NULL);
    buffer_free(&bytes);
}

#define CHECK_METHOD "grpc.health.v1.Health/Check"

static void a_bad_envelope_is_answered_with_what_is_wrong(void **state)
{
    Chatlog__V1__Response *response = rpc_send(*state, span_of("\x0a\x05"
                                                               "abc",
                                                               5));
    assert_string_equal(response->reason, "REQUEST_MALFORMED");
    assert_int_equal(response->code, 3);
    chatlog__v1__response__free_unpacked(response, NULL);
    expect_envelope(state, (struct field[]){{0}}, "METHOD_UNKNOWN");
    expect_envelope(state, (struct field[]){{1, .text = "no.such/Method"}, {0}}, "METHOD_UNKNOWN");
    expect_envelope(state, (struct field[]){{1, .text = "chatlog.v1.HistoryService/AppendMessage"}, {0}},
                    "METHOD_UNKNOWN");
    expect_envelope(state, (struct field[]){{1, .text = "\xff\xfe"}, {0}}, "FIELD_INVALID");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {4, .text = "x", .repeat = 129}, {0}},
                    "REQUEST_TOO_LARGE");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {4, .text = "a\nb"}, {0}}, "FIELD_INVALID");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {3, .value = UINT64_MAX}, {0}}, "FIELD_INVALID");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {2, .text = "\x0b"}, {0}}, "REQUEST_MALFORMED");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {77, .value = 1}, {0}}, "");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {5, .text = "x", .repeat = 4104}, {0}},
                    "REQUEST_TOO_LARGE");
    expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {5, .text = "x", .repeat = 4103}, {0}}, "");
}

static void a_traceparent_has_the_form_of_w3c_trace_context(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"", true},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7x01", false},
        {"0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"x", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_envelope(state, (struct field[]){{1, .text = CHECK_METHOD}, {6, .text = rows[i].text}, {0}},
                        rows[i].valid ? "" : "FIELD_INVALID");
    }
}

static void quoted_text_of_a_client_is_always_utf8_in_the_answer(void **state)
{
    char name[81];
    memset(name, 'x', 79);
    memcpy(name + 79, "\xc3", 2); /* cut inside the character by the quotation */
    char full[96];
    snprintf(full, sizeof(full), "%s\xbc/y", name);
    Chatlog__V1__Response *response = rpc_call(*state, full, (struct field[]){{0}}, NULL);
    assert_string_equal(response->reason, "METHOD_UNKNOWN");
    for (const char *c = response->message; *c; c++) {
        assert_true((unsigned char)*c < 0x80);
    }
    chatlog__v1__response__free_unpacked(response, NULL);
}

static void health_is_asked_of_services_that_are_served(void **state)
{
    rpc_expect(*state, CHECK_METHOD, (struct field[]){{0}}, "");
    rpc_expect(*state, CHECK_METHOD, (struct field[]){{1, .text = "chatlog.v1.HistoryService"}, {0}}, "");
    rpc_expect(*state, CHECK_METHOD, (struct field[]){{1, .text = "other"}, {0}}, "SERVICE_NOT_FOUND");
    Chatlog__V1__Response *response = rpc_call(*state, CHECK_METHOD, (struct field[]){{0}}, NULL);
    Grpc__Health__V1__HealthCheckResponse *health =
        grpc__health__v1__health_check_response__unpack(NULL, response->payload.len, response->payload.data);
    assert_int_equal(health->status, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    grpc__health__v1__health_check_response__free_unpacked(health, NULL);
    chatlog__v1__response__free_unpacked(response, NULL);
}

static void server_info_tells_every_limit(void **state)
{
    Chatlog__V1__Response *response =
        rpc_call(*state, "chatlog.v1.AdminService/GetServerInfo", (struct field[]){{0}}, NULL);
    Chatlog__V1__GetServerInfoResponse *info =
        chatlog__v1__get_server_info_response__unpack(NULL, response->payload.len, response->payload.data);
    assert_non_null(info);
    assert_string_equal(info->version, "test");
    assert_true(info->layout >= 1 && info->n_readable_layouts >= 1 && info->start_time_us > 0);
    assert_int_equal(info->n_limits * sizeof(uint64_t), sizeof(struct limits));
    for (size_t i = 0; i < info->n_limits; i++) {
        assert_true(info->limits[i]->value > 0 && info->limits[i]->value <= info->limits[i]->cap);
        assert_true(info->limits[i]->meaning[0]);
    }
    chatlog__v1__get_server_info_response__free_unpacked(info, NULL);
    chatlog__v1__response__free_unpacked(response, NULL);
}

static void stats_count_what_is_stored_and_what_was_called(void **state)
{
    const struct field message[] = {{13, .text = "hello"}, {0}};
    rpc_expect(*state, "AppendMessages",
               (struct field[]){{1, .text = "u"}, {2, .text = "c"}, {3, .sub = message}, {4, .value = 1}, {0}}, "");
    rpc_expect(*state, "GetConversation", (struct field[]){{1, .text = "u"}, {2, .text = "no"}, {0}},
               "CONVERSATION_NOT_FOUND");
    rpc_expect(*state, "no.such/Method", (struct field[]){{0}}, "METHOD_UNKNOWN");
    Chatlog__V1__Response *response = rpc_call(*state, "chatlog.v1.AdminService/GetStats", (struct field[]){{0}}, NULL);
    Chatlog__V1__GetStatsResponse *stats =
        chatlog__v1__get_stats_response__unpack(NULL, response->payload.len, response->payload.data);
    assert_int_equal(stats->users, 1);
    assert_int_equal(stats->conversations, 1);
    assert_int_equal(stats->messages, 1);
    assert_int_equal(stats->content_bytes, 5);
    assert_true(stats->commits == 1 && stats->changes == 1 && stats->uptime_us > 0);
    assert_int_equal(stats->n_methods, 3);
    assert_string_equal(stats->methods[0]->method, "chatlog.v1.HistoryService/AppendMessages");
    assert_true(stats->methods[0]->calls == 1 && stats->methods[0]->errors == 0);
    assert_true(stats->methods[1]->calls == 1 && stats->methods[1]->errors == 1);
    assert_string_equal(stats->methods[2]->method, "(unknown)");
    chatlog__v1__get_stats_response__free_unpacked(stats, NULL);
    chatlog__v1__response__free_unpacked(response, NULL);
}

static void a_damaged_record_is_answered_as_such_and_counted(void **state)
{
    struct rpc_fixture *fixture = *state;
    const struct field message[] = {{13, .text = "hello"}, {0}};
    const struct field get[] = {{1, .text = "u"}, {2, .text = "c"}, {3, .value = 1}, {0}};
    const struct field other[] = {{1, .text = "u"}, {2, .text = "c"}, {3, .value = 2}, {0}};
    rpc_expect(
        fixture, "AppendMessages",
        (struct field[]){{1, .text = "u"}, {2, .text = "c"}, {3, .sub = message, .repeat = 2}, {4, .value = 1}, {0}},
        "");
    rpc_fixture_close(fixture);
    /* Layout 2: user 1, content, conversation 1, message 1. */
    static const uint8_t key[26] = {[7] = 1, [8] = 3, [16] = 1, [17] = 3, [25] = 1};
    uint8_t value[256];
    size_t size = lmdb_file_get(fixture->directory, "2.data", span_of(key, sizeof(key)), value, sizeof(value));
    value[size / 2] ^= 1;
    lmdb_file_put(fixture->directory, "2.data", span_of(key, sizeof(key)), span_of(value, size));
    rpc_fixture_open(fixture);
    rpc_expect(fixture, "GetMessage", get, "RECORD_DAMAGED");
    rpc_expect(fixture, "GetMessage", get, "RECORD_DAMAGED");
    rpc_expect(fixture, "GetMessage", other, "");
    assert_int_equal(atomic_load(&fixture->counters.damaged_records), 2);
}

static void a_generic_client_can_read_the_contract(void **state)
{
    Chatlog__V1__Response *response =
        rpc_call(*state, "chatlog.v1.AdminService/GetDescriptorSet", (struct field[]){{0}}, NULL);
    Chatlog__V1__GetDescriptorSetResponse *set =
        chatlog__v1__get_descriptor_set_response__unpack(NULL, response->payload.len, response->payload.data);
    struct span bytes = span_of(set->file_descriptor_set.data, set->file_descriptor_set.len);
    struct wire_field file;
    size_t files = 0;
    int more;
    while ((more = wire_next(&bytes, &file)) > 0) {
        assert_true(file.number == 1 && file.type == WIRE_BYTES);
        files++;
    }
    assert_int_equal(more, 0);
    assert_int_equal(files, 6);
    chatlog__v1__get_descriptor_set_response__free_unpacked(set, NULL);
    chatlog__v1__response__free_unpacked(response, NULL);
}

static void a_repeated_change_is_answered_as_the_first_time_and_made_once(void **state)
{
    const struct field message[] = {{13, .text = "hello"}, {0}};
    const struct field append[] = {{1, .text = "u"}, {2, .text = "c"}, {3, .sub = message}, {4, .value = 1}, {0}};
    const struct field reordered[] = {{4, .value = 1}, {3, .sub = message}, {2, .text = "c"}, {1, .text = "u"}, {0}};
    const struct field other[] = {{1, .text = "u"}, {2, .text = "c"}, {3, .sub = message, .repeat = 2}, {0}};
    Chatlog__V1__Response *first = rpc_call(*state, "AppendMessages", append, "once");
    assert_true(first->code == 0 && !first->replayed);
    const struct field *repeats[] = {append, reordered};
    for (size_t i = 0; i < 2; i++) {
        Chatlog__V1__Response *again = rpc_call(*state, "AppendMessages", repeats[i], "once");
        assert_true(again->code == 0 && again->replayed);
        assert_int_equal(again->payload.len, first->payload.len);
        assert_memory_equal(again->payload.data, first->payload.data, first->payload.len);
        chatlog__v1__response__free_unpacked(again, NULL);
    }
    Chatlog__V1__Response *reused = rpc_call(*state, "AppendMessages", other, "once");
    assert_string_equal(reused->reason, "REQUEST_ID_REUSED");
    Chatlog__V1__Response *renamed = rpc_call(
        *state, "DeleteMessage", (struct field[]){{1, .text = "u"}, {2, .text = "c"}, {3, .value = 1}, {0}}, "once");
    assert_string_equal(renamed->reason, "REQUEST_ID_REUSED");
    chatlog__v1__response__free_unpacked(first, NULL);
    chatlog__v1__response__free_unpacked(reused, NULL);
    chatlog__v1__response__free_unpacked(renamed, NULL);
}

static void answer_ignore(void *arg, struct span response)
{
    Chatlog__V1__Response **ret = arg;
    *ret = chatlog__v1__response__unpack(NULL, response.size, response.data);
}

static void a_request_whose_time_is_over_is_not_begun(void **state)
{
    struct rpc_fixture *fixture = *state;
    struct buffer bytes = fields_encode((struct field[]){{1, .text = CHECK_METHOD}, {3, .value = 1}, {0}});
    Chatlog__V1__Response *response = NULL;
    rpc_handle(fixture->rpc, &fixture->session, buffer_span(&bytes), -1000000, answer_ignore, &response);
    assert_non_null(response);
    assert_string_equal(response->reason, "DEADLINE_PASSED");
    assert_int_equal(response->code, 4);
    chatlog__v1__response__free_unpacked(response, NULL);
    buffer_free(&bytes);
}

static void a_stopping_daemon_says_so(void **state)
{
    struct rpc_fixture *fixture = *state;
    rpc_stop(fixture->rpc);
    Chatlog__V1__Response *response = rpc_call(fixture, CHECK_METHOD, (struct field[]){{0}}, NULL);
    assert_string_equal(response->reason, "SHUTTING_DOWN");
    assert_int_equal(response->code, 14);
    assert_string_equal(response->details[0]->key, "retry_delay_ms");
    chatlog__v1__response__free_unpacked(response, NULL);
}

static void the_largest_allowed_request_is_taken(void **state)
{
    struct field pairs[65] = {{0}};
    struct field entries[64][3];
    char keys[64][8];
    memset(entries, 0, sizeof(entries));
    for (unsigned i = 0; i < 64; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%u", i);
        entries[i][0] = (struct field){1, .text = keys[i]};
        entries[i][1] = (struct field){2, .text = "v"};
        pairs[i] = (struct field){12, .sub = entries[i]};
    }
    const struct field append[] = {
        {1, .text = "u"}, {2, .text = "c"}, {3, .sub = pairs, .repeat = 1000}, {4, .value = 1}, {0}};
    rpc_expect(*state, "AppendMessages", append, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bad_envelope_is_answered_with_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_traceparent_has_the_form_of_w3c_trace_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quoted_text_of_a_client_is_always_utf8_in_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(health_is_asked_of_services_that_are_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(server_info_tells_every_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stats_count_what_is_stored_and_what_was_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_answered_as_such_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_generic_client_can_read_the_contract, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_repeated_change_is_answered_as_the_first_time_and_made_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_request_whose_time_is_over_is_not_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stopping_daemon_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_largest_allowed_request_is_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
