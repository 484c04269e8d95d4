/* replace_after_seq: dropping the tail of a conversation and appending, in one step. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct store_message *three_messages(void)
{
    static const struct store_message messages[] = {
        {.content = {(const uint8_t *)"aa", 2}},
        {.content = {(const uint8_t *)"bb", 2}},
        {.content = {(const uint8_t *)"cc", 2}},
    };
    return messages;
}

static void a_replacement_drops_the_tail_and_appends_with_new_numbers(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    const struct answer *replaced = client_run(client, op_replace("alice", "thread", 3, three_messages(), 3));
    assert_ok(replaced);
    assert_int_equal(replaced->result.first_seq, 6);
    assert_int_equal(replaced->result.last_seq, 8);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2, 3, 6, 7, 8);
    assert_refused(client_run(client, op_message("alice", "thread", 4)), MESSAGE_NOT_FOUND);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_int_equal(read->conversations[0]->message_count, 6);
    assert_int_equal(read->conversations[0]->last_seq, 8);
    assert_int_equal(read->conversations[0]->content_bytes, 3 * strlen("message 1") + 6);
    assert_string_equal(read->result.etag, replaced->result.etag);
    client_wait_until_stored(client, 1, 1, 6);
}

static void a_replacement_after_zero_drops_everything(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    assert_ok(client_run(client, op_replace("alice", "thread", 0, three_messages(), 1)));
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 6);
}

static void a_replacement_without_messages_only_drops(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    const struct answer *replaced = client_run(client, op_replace("alice", "thread", 2, NULL, 0));
    assert_ok(replaced);
    assert_int_equal(replaced->result.first_seq, 0);
    assert_int_equal(replaced->result.last_seq, 0);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_int_equal(read->conversations[0]->last_seq, 5);
}

static void a_replacement_above_the_last_message_only_appends(void **state)
{
    struct client *client = *state;
    const uint64_t above[] = {3, 4, UINT32_MAX, INT64_MAX, UINT64_MAX};
    client_fill(client, "alice", "thread", 3);
    assert_ok(client_run(client, op_replace("alice", "thread", above[0], three_messages(), 1)));
    for (size_t i = 1; i < sizeof(above) / sizeof(above[0]); i++) {
        assert_ok(client_run(client, op_replace("alice", "thread", above[i], NULL, 0)));
    }
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2, 3, 4);
}

static void a_replacement_may_use_the_message_ids_it_drops_but_not_those_it_keeps(void **state)
{
    struct client *client = *state;
    struct store_message kept = message_of("user", "kept");
    struct store_message dropped = message_of("user", "dropped");
    kept.message_id = span_of_string("kept");
    dropped.message_id = span_of_string("dropped");
    const struct store_message both[] = {kept, dropped};
    assert_ok(client_run(client, op_creating(op_append("alice", "thread", both, 2))));
    assert_refused(client_run(client, op_replace("alice", "thread", 1, &kept, 1)), MESSAGE_ID_EXISTS);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2);
    assert_seqs(client_run(client, op_message_by_id("alice", "thread", "dropped")), 2);
    assert_ok(client_run(client, op_replace("alice", "thread", 1, &dropped, 1)));
    assert_seqs(client_run(client, op_message_by_id("alice", "thread", "dropped")), 3);
    assert_seqs(client_run(client, op_message_by_id("alice", "thread", "kept")), 1);
}

static void a_replacement_of_another_state_than_expected_drops_nothing(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    struct store_op replace = op_replace("alice", "thread", 1, three_messages(), 1);
    const struct answer *refused = client_run(client, op_expecting(replace, 2));
    assert_refused(refused, LAST_SEQ_MISMATCH);
    assert_int_equal(answer_detail(refused, "last_seq"), 3);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2, 3);
    assert_ok(client_run(client, op_expecting(replace, 3)));
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 4);
}

static void a_replacement_may_create_the_conversation(void **state)
{
    struct client *client = *state;
    struct store_op replace = op_replace("alice", "thread", 7, three_messages(), 2);
    assert_refused(client_run(client, replace), CONVERSATION_NOT_FOUND);
    assert_ok(client_run(client, op_creating(replace)));
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2);
}

static void a_replacement_drops_no_more_messages_than_the_limit(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_limits(client)->replace_messages = 4;
    client_open(client);
    client_fill(client, "alice", "thread", 6);
    assert_refused(client_run(client, op_replace("alice", "thread", 1, three_messages(), 1)), REPLACE_TOO_LARGE);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2, 3, 4, 5, 6);
    assert_ok(client_run(client, op_replace("alice", "thread", 2, three_messages(), 1)));
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 100)), 1, 2, 7);
}

static void the_replacement_limit_counts_messages_and_not_gaps(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_limits(client)->replace_messages = 2;
    client_open(client);
    client_fill(client, "alice", "thread", 6);
    for (uint64_t seq = 2; seq <= 5; seq++) {
        assert_ok(client_run(client, op_delete_message("alice", "thread", seq)));
    }
    assert_ok(client_run(client, op_replace("alice", "thread", 0, NULL, 0)));
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_int_equal(read->conversations[0]->message_count, 0);
    assert_int_equal(read->conversations[0]->content_bytes, 0);
}

static void create_time_does_not_go_back_over_a_replaced_tail(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 1);
    clock_advance(CLOCK_SECOND_US);
    client_fill(client, "alice", "thread", 1);
    clock_set(CLIENT_EPOCH_US);
    const struct answer *replaced = client_run(client, op_replace("alice", "thread", 0, three_messages(), 1));
    assert_ok(replaced);
    assert_true(replaced->result.create_time_us >= CLIENT_EPOCH_US + CLOCK_SECOND_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_replacement_drops_the_tail_and_appends_with_new_numbers),
        store_test(a_replacement_after_zero_drops_everything),
        store_test(a_replacement_without_messages_only_drops),
        store_test(a_replacement_above_the_last_message_only_appends),
        store_test(a_replacement_may_use_the_message_ids_it_drops_but_not_those_it_keeps),
        store_test(a_replacement_of_another_state_than_expected_drops_nothing),
        store_test(a_replacement_may_create_the_conversation),
        store_test(a_replacement_drops_no_more_messages_than_the_limit),
        store_test(the_replacement_limit_counts_messages_and_not_gaps),
        store_test(create_time_does_not_go_back_over_a_replaced_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
