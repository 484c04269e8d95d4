/* What a check finds: each kind of thing that can be wrong is made wrong, in every layout, and is named. */
#include "store/lmdb/layout.h"
#include "store/maintenance.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct layout *layout; /* of the test that runs */

static int setup(void **state, const struct layout *wanted)
{
    char number[16];
    layout = wanted;
    snprintf(number, sizeof(number), "%u", (unsigned)wanted->number);
    setenv("CHATLOG_TEST_LAYOUT", number, 1);
    client_setup(state);
    struct store_message message = message_of("user", "hello");
    message.message_id = span_of_string("m-1");
    const struct store_conversation expiring = {.expire_time_us = CLIENT_EPOCH_US + CLIENT_RETENTION_US};
    assert_ok(client_run(*state, op_creating(op_append("ann", "chat", &message, 1))));
    assert_ok(client_run(*state, op_update("ann", "chat", STORE_MASK_EXPIRE_TIME, &expiring)));
    client_close(*state);
    return 0;
}

static int setup_1(void **state)
{
    return setup(state, &layout_1);
}

static int setup_2(void **state)
{
    return setup(state, &layout_2);
}

static int setup_3(void **state)
{
    return setup(state, &layout_3);
}

static struct place chat(void)
{
    struct place place = {.layout = layout, .user = span_of_string("ann"), .conversation = span_of_string("chat")};
    if (layout->has_names) {
        place.user_number = place.conversation_number = 1;
    }
    return place;
}

static const char *table_of(enum kind kind)
{
    static const char *const names[KIND_COUNT] = {[KIND_HEAD] = "conversations",
                                                  [KIND_MESSAGE] = "messages",
                                                  [KIND_MESSAGE_ID] = "message_ids",
                                                  [KIND_RECENCY] = "recency"};
    return layout->has_names ? "2.data" : names[kind];
}

static struct store_survey survey_of(struct client *client)
{
    struct store_survey survey;
    struct error error = {0};
    if (store_verify(client_config(client), &survey, &error)) {
        fail_msg("check: %s", error.message);
    }
    return survey;
}

/* One finding at least has these words. */
static void expect_finding(struct client *client, const char *words)
{
    struct store_survey survey = survey_of(client);
    assert_true(survey.unreadable + survey.mismatches + survey.strays + survey.damaged_events > 0);
    for (size_t i = 0; i < survey.finding_count; i++) {
        if (strstr(survey.findings[i], words)) {
            return;
        }
    }
    fail_msg("\"%s\" is not found, but \"%s\"", words, survey.findings[0]);
}

static const struct span nothing = {NULL, 0};

static void sound_data_is_sound(void **state)
{
    struct store_survey survey = survey_of(*state);
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays + survey.damaged_events, 0);
    assert_int_equal(survey.message_ids, 1);
    assert_int_equal(survey.messages, 1);
}

static void a_message_without_its_entry_in_the_index_is_found(void **state)
{
    struct place place = chat();
    struct key key = layout->message_id_key(&place, span_of_string("m-1"));
    lmdb_file_put(client_config(*state)->data_dir, table_of(KIND_MESSAGE_ID), key_span(&key), nothing);
    expect_finding(*state, "is not found by its message_id");
}

static void an_entry_of_the_index_without_its_message_is_found(void **state)
{
    struct place place = chat();
    struct key key = layout->message_key(&place, 1);
    lmdb_file_put(client_config(*state)->data_dir, table_of(KIND_MESSAGE), key_span(&key), nothing);
    expect_finding(*state, "other message_ids than messages");
    expect_finding(*state, "its head counts other messages");
}

static void a_conversation_missing_in_its_users_list_is_found(void **state)
{
    struct place place = chat();
    struct key key = layout->recency_key(&place, CLIENT_EPOCH_US);
    lmdb_file_put(client_config(*state)->data_dir, table_of(KIND_RECENCY), key_span(&key), nothing);
    expect_finding(*state, "the list of the user's conversations lacks it");
}

static void a_deadline_is_looked_for_from_both_ends(void **state)
{
    const char *directory = client_config(*state)->data_dir;
    int64_t time_us = CLIENT_EPOCH_US + CLIENT_RETENTION_US;
    struct key right = key_deadline(time_us, span_of_string("ann"), span_of_string("chat"));
    struct key late = key_deadline(time_us + 1, span_of_string("ann"), span_of_string("chat"));
    struct key stray = key_deadline(time_us, span_of_string("bob"), span_of_string("chat"));
    lmdb_file_put(directory, "deadlines", key_span(&right), nothing);
    expect_finding(*state, "no deadline says");
    lmdb_file_put(directory, "deadlines", key_span(&late), span_of_string("-"));
    expect_finding(*state, "not that of its conversation ann/chat");
    lmdb_file_put(directory, "deadlines", key_span(&stray), span_of_string("-"));
    expect_finding(*state, "of no conversation: bob/chat");
    lmdb_file_put(directory, "deadlines", span_of_string("x"), span_of_string("-"));
    expect_finding(*state, "an entry of the deadlines is damaged");
}

static void an_event_is_looked_for_from_both_ends(void **state)
{
    const char *directory = client_config(*state)->data_dir;
    struct key event = key_event(CLIENT_EPOCH_US + 1, 1);
    struct key listed = key_event_of_user(span_of_string("bob"), false, key_span(&event));
    lmdb_file_put(directory, "audit_users", key_span(&listed), span_of_string("-"));
    expect_finding(*state, "in the list of user bob");
    lmdb_file_put(directory, "audit", key_span(&event), span_of_string("no event"));
    expect_finding(*state, "of the audit trail is damaged");
}

static void records_without_a_head_are_found(void **state)
{
    if (!layout->has_names) {
        skip(); /* their keys name the conversation; the count alone tells */
    }
    struct place place = chat();
    place.conversation_number = 7;
    struct key key = layout->message_key(&place, 1);
    lmdb_file_put(client_config(*state)->data_dir, "2.data", key_span(&key), span_of_string("stray"));
    expect_finding(*state, "user number 1, conversation number 7 has records and no head");
}

#define in_every_layout(name)                                                                                          \
    cmocka_unit_test_setup_teardown(name, setup_1, client_teardown),                                                   \
        cmocka_unit_test_setup_teardown(name, setup_2, client_teardown),                                               \
        cmocka_unit_test_setup_teardown(name, setup_3, client_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_every_layout(sound_data_is_sound),
        in_every_layout(a_message_without_its_entry_in_the_index_is_found),
        in_every_layout(an_entry_of_the_index_without_its_message_is_found),
        in_every_layout(a_conversation_missing_in_its_users_list_is_found),
        in_every_layout(a_deadline_is_looked_for_from_both_ends),
        in_every_layout(an_event_is_looked_for_from_both_ends),
        in_every_layout(records_without_a_head_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
