/* No room: changes that need some are refused and nothing is lost; reads and deletions go on and make room. Must not
 * know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL_MAP_BYTES = 8 * 1024 * 1024, CONTENT_BYTES = 100 * 1024, ATTEMPTS = 1000 };

static const struct store_message hello = {.content = {(const uint8_t *)"hello", 5}};

/* From here on there is less room on the disk than is to be kept free. */
static void disk_fill(struct client *client)
{
    client_close(client);
    client_config(client)->disk_reserve_bytes = UINT64_MAX / 2;
    client_open(client);
}

static void a_full_disk_refuses_what_needs_room(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    disk_fill(client);
    assert_refused(client_run(client, op_create("alice", "other")), DISK_FULL);
    assert_refused(client_run(client, op_append("alice", "thread", &hello, 1)), DISK_FULL);
    assert_refused(client_run(client, op_creating(op_append("bob", "thread", &hello, 1))), DISK_FULL);
    assert_false(store_takes_writes(client_store(client)));
    client_wait_until_stored(client, 1, 1, 3);
    client_close(client);
    client_config(client)->disk_reserve_bytes = 0;
    client_open(client);
    assert_true(store_takes_writes(client_store(client)));
    const struct answer *appended = client_run(client, op_append("alice", "thread", &hello, 1));
    assert_ok(appended);
    assert_int_equal(appended->result.first_seq, 4);
}

static void a_full_disk_lets_reads_and_deletions_go_on(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 5);
    client_fill(client, "alice", "soft", 1);
    client_fill(client, "alice", "purged", 3000);
    client_fill(client, "bob", "thread", 3000);
    disk_fill(client);
    assert_ok(client_run(client, op_get("alice", "thread")));
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 2)), 4, 5);
    assert_int_equal(client_run(client, op_list("alice", 10, span_of(NULL, 0)))->count, 3);
    assert_ok(client_run(client, op_delete_message("alice", "thread", 1)));
    assert_seqs(client_run(client, op_pop("alice", "thread", 2)), 4, 5);
    assert_ok(client_run(client, op_delete("alice", "soft")));
    assert_ok(client_run(client, op_purge("alice", "purged")));
    assert_ok(client_run(client, op_forget("bob")));
    client_wait_until_stored(client, 1, 2, 3);
    clock_advance(CLIENT_RETENTION_US);
    client_wait_until_stored(client, 1, 1, 2);
}

static void a_request_stored_before_the_disk_was_full_is_answered_again(void **state)
{
    struct client *client = *state;
    struct store_op append = op_with_request(op_creating(op_append("alice", "thread", &hello, 1)), "request", 1);
    const struct answer *first = client_run(client, append);
    assert_ok(first);
    disk_fill(client);
    assert_replay(first, client_run(client, append));
}

/* Appends until there is no room. Returns how many messages were acknowledged. */
static uint64_t map_fill(struct client *client, const struct store_message *message)
{
    uint64_t stored = 0;
    for (int i = 0; i < ATTEMPTS; i++) {
        const struct answer *appended = client_run(client, op_creating(op_append("alice", "thread", message, 1)));
        if (appended->reason != ERROR_NONE_REASON) {
            assert_refused(appended, DISK_FULL);
            return stored;
        }
        assert_int_equal(appended->result.first_seq, ++stored);
    }
    fail_msg("%d messages of %d bytes fit in %d bytes", ATTEMPTS, CONTENT_BYTES, SMALL_MAP_BYTES);
    return 0;
}

static void a_data_file_at_its_largest_refuses_appends_keeps_all_and_can_be_emptied(void **state)
{
    struct client *client = *state;
    uint8_t *content = calloc(1, CONTENT_BYTES);
    assert_non_null(content);
    const struct store_message message = {.content = span_of(content, CONTENT_BYTES)};
    client_close(client);
    client_config(client)->map_bytes = SMALL_MAP_BYTES;
    client_open(client);
    uint64_t stored = map_fill(client, &message);
    assert_true(stored > 10);
    for (int i = 0; i < 3; i++) {
        assert_refused(client_run(client, op_append("alice", "thread", &message, 1)), DISK_FULL);
    }
    client_reopen(client);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_int_equal(read->conversations[0]->message_count, stored);
    client_wait_until_stored(client, 1, 1, stored);
    assert_seqs(client_run(client, op_pop("alice", "thread", 2)), stored - 1, stored);
    assert_ok(client_run(client, op_purge("alice", "thread")));
    client_wait_until_stored(client, 0, 0, 0);
    uint64_t again = map_fill(client, &message);
    assert_true(again > stored / 2);
    free(content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_full_disk_refuses_what_needs_room),
        store_test(a_full_disk_lets_reads_and_deletions_go_on),
        store_test(a_request_stored_before_the_disk_was_full_is_answered_again),
        store_test(a_data_file_at_its_largest_refuses_appends_keeps_all_and_can_be_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
