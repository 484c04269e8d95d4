/* No room: changes that need some are refused and nothing is lost; reads and deletions go on and make room. Must not
 * know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL_MAP_BYTES = 8 * 1024 * 1024, LARGE_CONTENT = 100 * 1024, SMALL_CONTENT = 200, ATTEMPTS = 1000 };

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

/* Appends batches of this many equal messages until there is no room. Returns how many messages were acknowledged. */
static uint64_t map_fill(struct client *client, size_t content_bytes, size_t batch)
{
    uint64_t stored = 0;
    uint8_t *content = calloc(1, content_bytes);
    struct store_message *messages = calloc(batch, sizeof(*messages));
    assert_true(content && messages);
    for (size_t i = 0; i < batch; i++) {
        messages[i].content = span_of(content, content_bytes);
    }
    const struct answer *appended = NULL;
    for (int i = 0; i < ATTEMPTS && (!appended || appended->reason == ERROR_NONE_REASON); i++) {
        appended = client_run(client, op_creating(op_append("alice", "thread", messages, batch)));
        stored += appended->reason == ERROR_NONE_REASON ? batch : 0;
    }
    free(messages);
    free(content);
    assert_refused(appended, DISK_FULL);
    return stored;
}

static void small_map_open(struct client *client)
{
    client_close(client);
    client_config(client)->map_bytes = SMALL_MAP_BYTES;
    client_open(client);
}

static void a_data_file_at_its_largest_refuses_appends_keeps_all_and_can_be_emptied(void **state)
{
    struct client *client = *state;
    small_map_open(client);
    uint64_t stored = map_fill(client, LARGE_CONTENT, 1);
    assert_true(stored > 10);
    assert_int_equal(map_fill(client, LARGE_CONTENT, 1), 0);
    client_reopen(client);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    assert_int_equal(read->conversations[0]->message_count, stored);
    assert_int_equal(read->conversations[0]->last_seq, stored);
    client_wait_until_stored(client, 1, 1, stored);
    assert_seqs(client_run(client, op_pop("alice", "thread", 2)), stored - 1, stored);
    assert_ok(client_run(client, op_purge("alice", "thread")));
    client_wait_until_stored(client, 0, 0, 0);
    assert_true(map_fill(client, LARGE_CONTENT, 1) > stored / 2);
}

static void a_data_file_filled_to_the_brim_keeps_room_for_deletions(void **state)
{
    struct client *client = *state;
    static const size_t batches[] = {1000, 100, 10, 1, 1, 1};
    uint64_t stored = 0;
    small_map_open(client);
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        stored += map_fill(client, SMALL_CONTENT, batches[i]);
    }
    for (uint64_t seq = 1; seq <= 20; seq++) {
        assert_ok(client_run(client, op_delete_message("alice", "thread", seq * stored / 21)));
    }
    assert_ok(client_run(client, op_with_request(op_pop("alice", "thread", 1), "request", 1)));
    client_wait_until_stored(client, 1, 1, stored - 21);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_ok(client_run(client, op_forget("alice")));
    client_wait_until_stored(client, 0, 0, 0);
    assert_true(map_fill(client, SMALL_CONTENT, 1000) > stored / 2);
}

static void deletions_succeed_beside_appends_that_find_no_room(void **state)
{
    struct client *client = *state;
    enum { MAP_BYTES = 64 * 1024 * 1024, MIB = 1024 * 1024, FILLED = 52, TRIED = 10 };
    struct answer *removed[TRIED];
    uint8_t *content = calloc(1, 4 * MIB);
    assert_non_null(content);
    const struct store_message large = {.content = span_of(content, MIB)};
    const struct store_message largest = {.content = span_of(content, 4 * MIB)};
    client_close(client);
    client_config(client)->map_bytes = MAP_BYTES;
    client_open(client);
    client_fill(client, "bob", "thread", TRIED);
    for (int i = 0; i < FILLED; i++) {
        assert_ok(client_run(client, op_creating(op_append("alice", "thread", &large, 1))));
    }
    for (uint64_t i = 0; i < TRIED; i++) {
        client_start(client, op_append("alice", "thread", &largest, 1));
        removed[i] = client_start(client, op_delete_message("bob", "thread", i + 1));
    }
    client_wait_all(client);
    free(content);
    for (size_t i = 0; i < TRIED; i++) {
        assert_ok(removed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_full_disk_refuses_what_needs_room),
        store_test(a_full_disk_lets_reads_and_deletions_go_on),
        store_test(a_request_stored_before_the_disk_was_full_is_answered_again),
        store_test(a_data_file_at_its_largest_refuses_appends_keeps_all_and_can_be_emptied),
        store_test(a_data_file_filled_to_the_brim_keeps_room_for_deletions),
        store_test(deletions_succeed_beside_appends_that_find_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
