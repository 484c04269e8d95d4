/* kill -9 at any moment: what was acknowledged is there, what was not is there whole or not at all, and removals go
 * on. Must not know an engine. Run as "PROGRAM MODE DIR" this program is the process that is killed. */
#include "support/process.h"
#include "support/store_client.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCH = 3, ROUNDS = 8, LARGE = 6000, LINE_BYTES = 32 };

/* Appends for ever and prints each last_seq that was acknowledged. */
static _Noreturn void append_for_ever(const char *directory)
{
    struct client *client = client_new_in(directory);
    const struct store_message messages[BATCH] = {
        {.content = span_of_string("one")}, {.content = span_of_string("two")}, {.content = span_of_string("three")}};
    for (;;) {
        const struct answer *answer = client_run(client, op_creating(op_append("alice", "thread", messages, BATCH)));
        printf("%" PRIu64 "\n", answer->result.last_seq);
        fflush(stdout);
        client_release(client);
    }
}

/* Creates conversations 0, 1, 2 ... for ever, and purges each second one again. Prints each that is done. */
static _Noreturn void change_for_ever(const char *directory)
{
    struct client *client = client_new_in(directory);
    for (size_t i = client_run(client, op_events(NULL, 1000, span_of(NULL, 0)))->count;; i++) {
        char name[LINE_BYTES];
        snprintf(name, sizeof(name), "%zu", i);
        client_run(client, op_create("alice", name));
        if (i % 2) {
            client_run(client, op_purge("alice", name));
        }
        printf("%zu\n", i);
        fflush(stdout);
        client_release(client);
    }
}

/* Begins to remove alice, by forgetting her or by purging her thread, and prints when the store has been asked. */
static _Noreturn void remove_and_wait(const char *directory, struct store_op op)
{
    struct client *client = client_new_in(directory);
    client_start(client, op);
    puts("begun");
    fflush(stdout);
    for (;;) {
        pause();
    }
}

/* The conversation is 1..n in whole batches. Returns n. */
static uint64_t assert_whole(struct client *client)
{
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    assert_ok(read);
    uint64_t last_seq = read->conversations[0]->last_seq;
    assert_int_equal(last_seq % BATCH, 0);
    assert_int_equal(read->conversations[0]->message_count, last_seq);
    for (uint64_t seen = 0; seen < last_seq;) {
        const struct answer *page = client_run(client, op_page("alice", "thread", STORE_AFTER, seen, 1000));
        assert_ok(page);
        assert_true(page->count > 0);
        for (size_t i = 0; i < page->count; i++) {
            assert_int_equal(page->messages[i]->seq, ++seen);
        }
    }
    client_wait_until_stored(client, 1, 1, last_seq);
    return last_seq;
}

static void what_was_acknowledged_before_a_kill_is_there_and_nothing_half(void **state)
{
    struct client *client = *state;
    uint64_t before = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char line[LINE_BYTES];
        client_close(client);
        struct process process = process_start("--append", client_config(client)->data_dir);
        for (unsigned i = 0; i <= round * 5; i++) {
            process_read_line(&process, line, sizeof(line));
        }
        process_kill(&process);
        uint64_t acknowledged = strtoull(line, NULL, 10);
        assert_true(acknowledged >= before + BATCH);
        client_open(client);
        before = assert_whole(client);
        assert_true(before >= acknowledged);
        client_release(client);
    }
}

/* Of each conversation: created and there, or created, purged and not there. Returns how many events there are. */
static size_t assert_events_are_the_changes(struct client *client)
{
    const struct answer *events = client_run(client, op_events("alice", 1000, span_of(NULL, 0)));
    size_t there = 0;
    assert_ok(events);
    for (size_t i = 0; i < events->count; i++) { /* the newest first */
        const char *name = events->events[i]->conversation_id;
        bool purged = events->events[i]->action == CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_PURGE_CONVERSATION;
        bool created_after_purge = i > 0 && strcmp(events->events[i - 1]->conversation_id, name) == 0;
        const struct answer *read = client_run(client, op_get("alice", name));
        assert_int_equal(read->reason,
                         purged || created_after_purge ? ERROR_CONVERSATION_NOT_FOUND : ERROR_NONE_REASON);
        there += read->reason == ERROR_NONE_REASON;
    }
    client_wait_until_stored(client, there > 0, there, 0); /* and none without its event */
    return events->count;
}

static void after_a_kill_there_is_an_event_exactly_for_each_change(void **state)
{
    struct client *client = *state;
    size_t before = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char line[LINE_BYTES];
        client_close(client);
        struct process process = process_start("--change", client_config(client)->data_dir);
        for (unsigned i = 0; i <= round; i++) {
            process_read_line(&process, line, sizeof(line));
        }
        usleep(round * 300);
        process_kill(&process);
        client_open(client);
        size_t events = assert_events_are_the_changes(client);
        assert_true(events > before && events < 1000);
        before = events;
        client_release(client);
    }
}

/* Kills the process soon after it has begun a removal, then sees that alice is there whole, or gone for ever. */
static void removal_kill(struct client *client, const char *mode, useconds_t after_us)
{
    char line[LINE_BYTES];
    client_fill(client, "alice", "thread", LARGE);
    client_close(client);
    struct process process = process_start(mode, client_config(client)->data_dir);
    process_read_line(&process, line, sizeof(line));
    usleep(after_us);
    process_kill(&process);
    client_open(client);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    if (read->reason == ERROR_NONE_REASON) {
        assert_int_equal(assert_whole(client), LARGE);
        assert_ok(client_run(client, op_forget("alice")));
    } else {
        assert_refused(read, CONVERSATION_NOT_FOUND);
        assert_int_equal(client_run(client, op_list("alice", 10, span_of(NULL, 0)))->count, 0);
    }
    client_wait_until_stored(client, 0, 0, 0);
    client_release(client);
}

static void a_removal_cut_off_by_a_kill_is_undone_or_goes_on(void **state)
{
    struct client *client = *state;
    for (useconds_t i = 0; i < ROUNDS; i++) {
        removal_kill(client, i % 2 ? "--forget" : "--purge", i * 2500);
    }
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--append") == 0) {
        append_for_ever(arguments[2]);
    }
    if (count == 3 && strcmp(arguments[1], "--change") == 0) {
        change_for_ever(arguments[2]);
    }
    if (count == 3 && strcmp(arguments[1], "--forget") == 0) {
        remove_and_wait(arguments[2], op_forget("alice"));
    }
    if (count == 3 && strcmp(arguments[1], "--purge") == 0) {
        remove_and_wait(arguments[2], op_purge("alice", "thread"));
    }
    const struct CMUnitTest tests[] = {
        store_test(what_was_acknowledged_before_a_kill_is_there_and_nothing_half),
        store_test(after_a_kill_there_is_an_event_exactly_for_each_change),
        store_test(a_removal_cut_off_by_a_kill_is_undone_or_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
