/* The journal has room for so much of a conversation and of a user: what comes beyond is stored all the same, once,
 * and lists keep their order meanwhile. Must not know an engine. */
#include "support/store_client.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MANY = 600,
    NAME_BYTES = 24,
    ALL = 1000,
    LARGEST_PAGE = 7,
    OTHERS = 5,
    SIZE_MIN_TRIED = 16056,
    SIZE_MAX_TRIED = 16200
};

static int late_setup(void **state)
{
    clock_set(CLIENT_EPOCH_US);
    struct client *client = client_new();
    client_close(client);
    client_config(client)->fold_late = true;
    client_open(client);
    *state = client;
    return 0;
}

#define late_test(name) cmocka_unit_test_setup_teardown(name, late_setup, client_teardown)

static void append_named(struct client *client, const char *conversation, size_t number)
{
    char text[NAME_BYTES];
    snprintf(text, sizeof(text), "%zu", number);
    const struct store_message message = message_of("user", text);
    assert_ok(client_run(client, op_creating(op_append("alice", conversation, &message, 1))));
}

/* The conversation is 1..count, each with its number as its text. */
static void assert_numbered(struct client *client, const char *conversation, size_t count)
{
    const struct answer *page = client_run(client, op_page("alice", conversation, STORE_AFTER, 0, ALL));
    assert_ok(page);
    assert_int_equal(page->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(page->messages[i]->seq, i + 1);
        char text[NAME_BYTES];
        snprintf(text, sizeof(text), "%zu", i + 1);
        assert_int_equal(page->messages[i]->content.len, strlen(text));
        assert_memory_equal(page->messages[i]->content.data, text, strlen(text));
    }
}

static void more_appends_than_may_wait_are_all_there_once(void **state)
{
    struct client *client = *state;
    for (size_t i = 1; i <= MANY; i++) {
        append_named(client, "thread", i);
        if (i % 50 == 0) {
            assert_numbered(client, "thread", i);
        }
    }
    client_reopen(client);
    assert_numbered(client, "thread", MANY);
    client_wait_until_stored(client, 1, 1, MANY);
}

/* Walks the list in pages of this size. Says how often each conversation "c<number>" came; the order is that of
 * activity, latest first, then of names. */
static void list_walk(struct client *client, size_t page_size, unsigned *seen, size_t most)
{
    struct span after = span_of(NULL, 0);
    const Chatlog__V1__Conversation *before = NULL;
    memset(seen, 0, most * sizeof(*seen));
    do {
        const struct answer *page = client_run(client, op_list("alice", page_size, after));
        assert_ok(page);
        assert_true(page->count <= page_size);
        for (size_t i = 0; i < page->count; i++) {
            const Chatlog__V1__Conversation *now = page->conversations[i];
            size_t number = strtoul(now->conversation_id + 1, NULL, 10);
            assert_true(number < most);
            seen[number]++;
            if (before) {
                int64_t a = before->activity_time_us;
                int64_t b = now->activity_time_us;
                assert_true(a > b || (a == b && strcmp(before->conversation_id, now->conversation_id) < 0));
            }
            before = now;
        }
        after = buffer_span(&page->result.next);
    } while (after.size > 0);
}

static void conversations_make(struct client *client, size_t count, size_t appends)
{
    char name[NAME_BYTES];
    for (size_t k = 1; k <= appends; k++) {
        for (size_t i = 0; i < count; i++) {
            snprintf(name, sizeof(name), "c%zu", i);
            clock_advance(i % 3 == 0); /* so that several have the same time */
            append_named(client, name, k);
        }
    }
}

static void more_conversations_than_may_wait_are_all_there_once(void **state)
{
    struct client *client = *state;
    unsigned seen[MANY];
    char name[NAME_BYTES];
    conversations_make(client, MANY, 2);
    for (int round = 0; round < 2; round++) {
        for (size_t page_size = 1; page_size <= LARGEST_PAGE; page_size += 3) {
            list_walk(client, page_size, seen, MANY);
            for (size_t i = 0; i < MANY; i++) {
                assert_int_equal(seen[i], 1);
            }
            client_release(client);
        }
        for (size_t i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "c%zu", i);
            assert_numbered(client, name, 2);
        }
        client_reopen(client);
    }
    client_wait_until_stored(client, 1, MANY, 2 * (uint64_t)MANY);
}

/* Appends to conversations c0..c4, so that they move to the front of the list again and again. */
struct mover {
    pthread_t thread;
    struct client *client;
    atomic_bool stop;
    unsigned failures;
};

static void *mover_run(void *arg)
{
    struct mover *mover = arg;
    const struct store_message message = {.content = span_of_string("again")};
    for (size_t i = 0; !atomic_load(&mover->stop); i++) {
        static const char *const names[OTHERS] = {"c0", "c1", "c2", "c3", "c4"};
        clock_advance(1);
        mover->failures +=
            client_run(mover->client, op_append("alice", names[i % OTHERS], &message, 1))->reason != ERROR_NONE_REASON;
    }
    return NULL;
}

static void a_list_read_in_pages_has_each_conversation_that_rests_once_while_others_move(void **state)
{
    struct client *client = *state;
    enum { COUNT = 40 };
    unsigned seen[COUNT];
    conversations_make(client, COUNT, 1);
    struct mover mover = {.client = client};
    assert_int_equal(pthread_create(&mover.thread, NULL, mover_run, &mover), 0);
    for (size_t page_size = 1; page_size <= LARGEST_PAGE; page_size++) {
        list_walk(client, page_size, seen, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(i < OTHERS ? seen[i] <= 1 : seen[i] == 1);
        }
    }
    atomic_store(&mover.stop, true);
    pthread_join(mover.thread, NULL);
    assert_int_equal(mover.failures, 0);
}

/* Appends content of these many bytes, with the longest request_id. */
static void append_sized(struct client *client, const char *conversation, size_t bytes, uint64_t wanted_seq)
{
    static uint8_t content[SIZE_MAX_TRIED];
    char request[129];
    snprintf(request, sizeof(request), "%0128" PRIu64, wanted_seq);
    const struct store_message message = {.content = span_of(content, bytes)};
    const struct answer *answer =
        client_run(client, op_with_request(op_append("alice", conversation, &message, 1), request, bytes));
    assert_ok(answer);
    assert_int_equal(answer->result.first_seq, wanted_seq);
}

/* Three appends leave just enough of the conversation's room, or just not, for the largest that may wait. */
static void appends_of_every_size_near_the_room_are_stored(void **state)
{
    struct client *client = *state;
    uint64_t conversations = 0;
    for (size_t size = SIZE_MIN_TRIED; size < SIZE_MAX_TRIED; size += 8) {
        for (size_t last = SIZE_MIN_TRIED + 64; last < SIZE_MAX_TRIED; last += 8) {
            char name[NAME_BYTES];
            snprintf(name, sizeof(name), "c%" PRIu64, ++conversations);
            assert_ok(client_run(client, op_create("alice", name)));
            for (uint64_t seq = 1; seq <= 3; seq++) {
                append_sized(client, name, size, seq);
            }
            append_sized(client, name, last, 4);
        }
        client_release(client);
    }
    client_reopen(client);
    client_wait_until_stored(client, 1, conversations, 4 * conversations);
}

static void many_message_ids_are_found_in_what_waits(void **state)
{
    struct client *client = *state;
    struct store_message messages[ALL];
    char names[ALL][NAME_BYTES];
    for (size_t i = 0; i < ALL; i++) {
        snprintf(names[i], NAME_BYTES, "id %zu", i);
        messages[i] = (struct store_message){.message_id = span_of_string(names[i])};
    }
    for (size_t i = 0; i < 20; i++) {
        assert_ok(client_run(client, op_creating(op_append("alice", "thread", &messages[i], 1))));
    }
    assert_refused(client_run(client, op_append("alice", "thread", messages, ALL)), MESSAGE_ID_EXISTS);
    assert_refused(client_run(client, op_append("alice", "thread", &messages[19], 2)), MESSAGE_ID_EXISTS);
    assert_ok(client_run(client, op_append("alice", "thread", &messages[20], ALL - 20)));
    for (size_t i = 0; i < ALL; i += 37) {
        assert_int_equal(client_run(client, op_message_by_id("alice", "thread", names[i]))->messages[0]->seq, i + 1);
        assert_refused(client_run(client, op_append("alice", "thread", &messages[i], 1)), MESSAGE_ID_EXISTS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        late_test(more_appends_than_may_wait_are_all_there_once),
        late_test(more_conversations_than_may_wait_are_all_there_once),
        late_test(a_list_read_in_pages_has_each_conversation_that_rests_once_while_others_move),
        late_test(appends_of_every_size_near_the_room_are_stored),
        late_test(many_message_ids_are_found_in_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
