/* Conversations: what a client says of one is kept, found again and changed as store.h and conversation.proto say.
 * Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PAIRS = CHATLOG_LIMIT_metadata_pairs };

static const struct store_pair labels[] = {
    {{(const uint8_t *)"channel", 7}, {(const uint8_t *)"web", 3}},
    {{(const uint8_t *)"lang", 4}, {(const uint8_t *)"grüße", 7}},
};

/* A conversation with a value in each field. */
static struct store_op op_create_full(const char *user, const char *conversation)
{
    struct store_op op = op_create(user, conversation);
    op.create = (struct store_conversation){
        .title = span_of_string("Train to Göteborg"),
        .metadata = labels,
        .metadata_count = 2,
        .archived = true,
        .expire_time_us = CLIENT_EPOCH_US * 2,
    };
    return op;
}

static void a_new_conversation_holds_what_the_client_said_and_no_messages(void **state)
{
    struct client *client = *state;
    const struct answer *created = client_run(client, op_create_full("alice", "thread"));
    assert_ok(created);
    assert_int_equal(created->count, 1);
    const Chatlog__V1__Conversation *conversation = created->conversations[0];
    assert_string_equal(conversation->conversation_id, "thread");
    assert_string_equal(conversation->title, "Train to Göteborg");
    assert_int_equal(conversation->n_metadata, 2);
    assert_string_equal(conversation_label(conversation, "channel"), "web");
    assert_string_equal(conversation_label(conversation, "lang"), "grüße");
    assert_true(conversation->archived);
    assert_int_equal(conversation->expire_time_us, CLIENT_EPOCH_US * 2);
    assert_int_equal(conversation->create_time_us, CLIENT_EPOCH_US);
    assert_int_equal(conversation->activity_time_us, CLIENT_EPOCH_US);
    assert_int_equal(conversation->delete_time_us, 0);
    assert_int_equal(conversation->purge_time_us, 0);
    assert_int_equal(conversation->message_count, 0);
    assert_int_equal(conversation->last_seq, 0);
    assert_int_equal(conversation->content_bytes, 0);
    assert_true(conversation->etag[0] != '\0');
    assert_string_equal(conversation->etag, created->result.etag);
}

static void a_conversation_is_read_back_as_it_was_created(void **state)
{
    struct client *client = *state;
    const struct answer *created = client_run(client, op_create_full("alice", "thread"));
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_int_equal(read->count, 1);
    assert_true(span_equal(created->records[0], read->records[0]));
    assert_string_equal(read->result.etag, created->result.etag);
    assert_false(read->result.replayed);

    client_reopen(client);
    const struct answer *again = client_run(client, op_get("alice", "thread"));
    assert_ok(again);
    assert_true(span_equal(created->records[0], again->records[0]));
}

static void a_conversation_id_is_given_once_to_a_user(void **state)
{
    struct client *client = *state;
    const struct answer *created = client_run(client, op_create_full("alice", "thread"));
    assert_refused(client_run(client, op_create("alice", "thread")), CONVERSATION_EXISTS);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_true(span_equal(created->records[0], read->records[0]));
    assert_ok(client_run(client, op_create("bob", "thread")));
}

static void the_largest_values_are_kept_byte_for_byte(void **state)
{
    struct client *client = *state;
    char title[CHATLOG_LIMIT_title_bytes];
    char keys[PAIRS][CHATLOG_LIMIT_metadata_key_bytes];
    char values[PAIRS][CHATLOG_LIMIT_metadata_value_bytes];
    struct store_pair pairs[PAIRS];
    memset(title, 't', sizeof(title));
    for (size_t i = 0; i < PAIRS; i++) {
        memset(keys[i], (int)(' ' + i), sizeof(keys[i]));
        memset(values[i], (int)('~' - i), sizeof(values[i]));
        pairs[i] = (struct store_pair){span_of(keys[i], sizeof(keys[i])), span_of(values[i], sizeof(values[i]))};
    }
    struct store_op create = op_create("alice", "thread");
    create.create.title = span_of(title, sizeof(title));
    create.create.metadata = pairs;
    create.create.metadata_count = PAIRS;
    assert_ok(client_run(client, create));

    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    const Chatlog__V1__Conversation *conversation = read->conversations[0];
    assert_int_equal(strlen(conversation->title), sizeof(title));
    assert_int_equal(conversation->n_metadata, PAIRS);
    for (size_t i = 0; i < PAIRS; i++) {
        char key[CHATLOG_LIMIT_metadata_key_bytes + 1] = {0};
        memcpy(key, keys[i], sizeof(keys[i]));
        const char *value = conversation_label(conversation, key);
        assert_non_null(value);
        assert_int_equal(strlen(value), sizeof(values[i]));
        assert_memory_equal(value, values[i], sizeof(values[i]));
    }
}

static void an_absent_conversation_is_not_found_by_any_operation(void **state)
{
    struct client *client = *state;
    const struct store_conversation values = {0};
    const struct store_message message = message_of("user", "hello");
    const struct store_op ops[] = {
        op_get("alice", "thread"),
        op_update("alice", "thread", STORE_MASK_TITLE, &values),
        op_delete("alice", "thread"),
        op_purge("alice", "thread"),
        op_undelete("alice", "thread"),
        op_append("alice", "thread", &message, 1),
        op_replace("alice", "thread", 0, NULL, 0),
        op_message("alice", "thread", 1),
        op_message_by_id("alice", "thread", "id"),
        op_page("alice", "thread", STORE_LATEST, 0, 10),
        op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &message),
        op_delete_message("alice", "thread", 1),
        op_pop("alice", "thread", 1),
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        assert_refused(client_run(client, ops[i]), CONVERSATION_NOT_FOUND);
    }
    client_wait_until_stored(client, 0, 0, 0);
}

static void an_update_changes_only_the_fields_of_its_mask(void **state)
{
    struct client *client = *state;
    static const unsigned masks[] = {STORE_MASK_TITLE, STORE_MASK_METADATA, STORE_MASK_ARCHIVED,
                                     STORE_MASK_EXPIRE_TIME};
    static const struct store_pair pair = {{(const uint8_t *)"k", 1}, {(const uint8_t *)"v", 1}};
    const struct store_conversation values = {
        .title = span_of_string("Bus"),
        .metadata = &pair,
        .metadata_count = 1,
        .archived = false,
        .expire_time_us = CLIENT_EPOCH_US * 3,
    };
    assert_ok(client_run(client, op_create_full("alice", "thread")));
    unsigned changed = 0;
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        changed |= masks[i];
        const struct answer *updated = client_run(client, op_update("alice", "thread", masks[i], &values));
        assert_ok(updated);
        const Chatlog__V1__Conversation *now = updated->conversations[0];
        assert_string_equal(now->title, changed & STORE_MASK_TITLE ? "Bus" : "Train to Göteborg");
        assert_int_equal(now->n_metadata, changed & STORE_MASK_METADATA ? 1 : 2);
        assert_int_equal(now->archived, changed & STORE_MASK_ARCHIVED ? 0 : 1);
        assert_int_equal(now->expire_time_us, CLIENT_EPOCH_US * (changed & STORE_MASK_EXPIRE_TIME ? 3 : 2));
        const struct answer *read = client_run(client, op_get("alice", "thread"));
        assert_ok(read);
        assert_true(span_equal(read->records[0], updated->records[0]));
    }
}

static void an_update_can_empty_every_field(void **state)
{
    struct client *client = *state;
    const struct store_conversation nothing = {0};
    unsigned all = STORE_MASK_TITLE | STORE_MASK_METADATA | STORE_MASK_ARCHIVED | STORE_MASK_EXPIRE_TIME;
    assert_ok(client_run(client, op_create_full("alice", "thread")));
    const struct answer *updated = client_run(client, op_update("alice", "thread", all, &nothing));
    assert_ok(updated);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    const Chatlog__V1__Conversation *now = read->conversations[0];
    assert_string_equal(now->title, "");
    assert_int_equal(now->n_metadata, 0);
    assert_false(now->archived);
    assert_int_equal(now->expire_time_us, 0);
}

static void an_update_with_an_old_etag_changes_nothing(void **state)
{
    struct client *client = *state;
    const struct store_conversation values = {.title = span_of_string("new")};
    const struct answer *created = client_run(client, op_create_full("alice", "thread"));
    struct store_op update = op_update("alice", "thread", STORE_MASK_TITLE, &values);
    const struct answer *updated = client_run(client, op_with_etag(update, created->result.etag));
    assert_ok(updated);

    const char *const wrong[] = {created->result.etag, "x", "00000000000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_refused(client_run(client, op_with_etag(update, wrong[i])), ETAG_MISMATCH);
    }
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_true(span_equal(read->records[0], updated->records[0]));
}

static void every_change_gives_a_new_etag_that_reads_report(void **state)
{
    struct client *client = *state;
    const struct store_message message = message_of("user", "hello");
    const struct store_conversation values = {.title = span_of_string("title")};
    const struct store_op changes[] = {
        op_create("alice", "thread"),
        op_append("alice", "thread", &message, 1),
        op_append("alice", "thread", &message, 1),
        op_update("alice", "thread", STORE_MASK_TITLE, &values),
        op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &message),
        op_delete_message("alice", "thread", 1),
        op_replace("alice", "thread", 1, &message, 1),
        op_pop("alice", "thread", 1),
        op_delete("alice", "thread"),
        op_undelete("alice", "thread"),
    };
    enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };
    const struct answer *answers[CHANGES];
    for (size_t i = 0; i < CHANGES; i++) {
        answers[i] = client_run(client, changes[i]);
        assert_ok(answers[i]);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(answers[k]->result.etag, answers[i]->result.etag);
        }
        const struct answer *read = client_run(client, op_get("alice", "thread"));
        assert_ok(read);
        assert_string_equal(read->result.etag, answers[i]->result.etag);
        assert_string_equal(read->conversations[0]->etag, answers[i]->result.etag);
    }
}

static void an_etag_does_not_change_without_a_change(void **state)
{
    struct client *client = *state;
    const struct answer *created = client_run(client, op_create("alice", "thread"));
    assert_ok(client_run(client, op_create("alice", "other")));
    assert_refused(client_run(client, op_create("alice", "thread")), CONVERSATION_EXISTS);
    assert_refused(client_run(client, op_undelete("alice", "thread")), CONVERSATION_NOT_DELETED);
    assert_refused(client_run(client, op_delete_message("alice", "thread", 1)), MESSAGE_NOT_FOUND);
    client_reopen(client);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_string_equal(read->result.etag, created->result.etag);
}

static void a_change_that_is_no_append_moves_update_time_but_not_activity(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    const struct store_message message = message_of("user", "edited");
    const struct store_conversation values = {.title = span_of_string("title")};
    const struct store_op changes[] = {
        op_update("alice", "thread", STORE_MASK_TITLE, &values),
        op_edit("alice", "thread", 1, STORE_MASK_CONTENT, &message),
        op_delete_message("alice", "thread", 1),
        op_pop("alice", "thread", 1),
        op_delete("alice", "thread"),
        op_undelete("alice", "thread"),
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        clock_advance(CLOCK_SECOND_US);
        assert_ok(client_run(client, changes[i]));
        const struct answer *read = client_run(client, op_get("alice", "thread"));
        assert_ok(read);
        assert_int_equal(read->conversations[0]->update_time_us, clock_now());
        assert_int_equal(read->conversations[0]->activity_time_us, CLIENT_EPOCH_US);
        assert_int_equal(read->conversations[0]->create_time_us, CLIENT_EPOCH_US);
    }
}

static void update_time_never_goes_backwards(void **state)
{
    struct client *client = *state;
    const struct store_conversation values = {.title = span_of_string("title")};
    assert_ok(client_run(client, op_create("alice", "thread")));
    clock_set(CLIENT_EPOCH_US - CLOCK_SECOND_US);
    const struct answer *updated = client_run(client, op_update("alice", "thread", STORE_MASK_TITLE, &values));
    assert_ok(updated);
    assert_true(updated->conversations[0]->update_time_us >= CLIENT_EPOCH_US);
    client_reopen(client);
    updated = client_run(client, op_update("alice", "thread", STORE_MASK_TITLE, &values));
    assert_ok(updated);
    assert_true(updated->conversations[0]->update_time_us >= CLIENT_EPOCH_US);
}

static void an_operation_whose_time_is_over_is_not_begun(void **state)
{
    struct client *client = *state;
    struct store_op create = op_create("alice", "thread");
    struct store_op read = op_get("alice", "thread");
    create.deadline_us = read.deadline_us = clock_monotonic_us() - 1;
    assert_refused(client_run(client, create), DEADLINE_PASSED);
    assert_refused(client_run(client, read), DEADLINE_PASSED);
    client_wait_until_stored(client, 0, 0, 0);
    create.deadline_us = read.deadline_us = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    assert_ok(client_run(client, create));
    assert_ok(client_run(client, read));
}

static void a_conversation_created_again_does_not_repeat_the_old_ones_etags(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 2);
    const char *old = client_run(client, op_get("alice", "thread"))->result.etag;
    assert_ok(client_run(client, op_purge("alice", "thread")));
    clock_advance(1);
    client_fill(client, "alice", "thread", 2);
    assert_refused(client_run(client, op_with_etag(op_purge("alice", "thread"), old)), ETAG_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_new_conversation_holds_what_the_client_said_and_no_messages),
        store_test(a_conversation_is_read_back_as_it_was_created),
        store_test(a_conversation_id_is_given_once_to_a_user),
        store_test(the_largest_values_are_kept_byte_for_byte),
        store_test(an_absent_conversation_is_not_found_by_any_operation),
        store_test(an_update_changes_only_the_fields_of_its_mask),
        store_test(an_update_can_empty_every_field),
        store_test(an_update_with_an_old_etag_changes_nothing),
        store_test(every_change_gives_a_new_etag_that_reads_report),
        store_test(an_etag_does_not_change_without_a_change),
        store_test(a_change_that_is_no_append_moves_update_time_but_not_activity),
        store_test(update_time_never_goes_backwards),
        store_test(an_operation_whose_time_is_over_is_not_begun),
        store_test(a_conversation_created_again_does_not_repeat_the_old_ones_etags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
