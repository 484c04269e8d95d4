/* A journal that is nearly full: appends are slowed down to what is folded, and none fails. It is made so by a number
 * far ahead, as if a million entries had come and gone between the oldest that waits and the next one. */
#include "store/lmdb/journal.h"
#include "store/lmdb/layout.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CONVERSATIONS = 20, NAME_BYTES = 16, AHEAD = 10 };

static const struct store_message hello = {.content = {(const uint8_t *)"hello", 5}};

static int late_setup(void **state)
{
    unsetenv("CHATLOG_TEST_LAYOUT");
    setenv("CHATLOG_TEST_FOLD_LATE", "1", 1);
    return client_setup(state);
}

static void append(struct client *client, unsigned number, uint64_t wanted_seq)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "thread %u", number);
    const struct answer *answer = client_run(client, op_creating(op_append("alice", name, &hello, 1)));
    assert_ok(answer);
    assert_int_equal(answer->result.first_seq, wanted_seq);
}

static uint64_t journal_entries(struct client *client)
{
    return client_run(client, op_stats())->result.stats.journal_entries;
}

/* Puts a fold mark of a conversation that there is not under this number. */
static void number_use_up(struct client *client, uint64_t number)
{
    struct key key = {0};
    key_add_number(&key, number);
    key_add_number(&key, UINT32_MAX);
    key_add_number(&key, UINT32_MAX);
    key_add_number(&key, 0);
    struct buffer value = {0};
    buffer_append(&value, "\x08\x01", 2);
    layout_seal(&layout_3, key_span(&key), &value);
    client_close(client);
    lmdb_file_put(client_config(client)->data_dir, "3.journal", key_span(&key), buffer_span(&value));
    buffer_free(&value);
    client_open(client);
}

static void a_full_journal_fails_no_append_and_gets_empty(void **state)
{
    struct client *client = *state;
    for (unsigned round = 1; round <= 2; round++) { /* the first of a conversation goes home, the second waits */
        for (unsigned i = 0; i < CONVERSATIONS; i++) {
            append(client, i, round);
        }
    }
    assert_int_equal(journal_entries(client), CONVERSATIONS);
    number_use_up(client, JOURNAL_ENTRIES_MAX - AHEAD);
    assert_true(journal_entries(client) > JOURNAL_ENTRIES_MAX - CONVERSATIONS - AHEAD);
    for (unsigned round = 3; round <= 5; round++) {
        for (unsigned i = CONVERSATIONS; i > 0; i--) { /* those that are folded last come first */
            append(client, i - 1, round);
        }
    }
    assert_true(journal_entries(client) < JOURNAL_ENTRIES_MAX / 2);
    client_wait_until_stored(client, 1, CONVERSATIONS, 5 * CONVERSATIONS);
    client_reopen(client);
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "thread %u", i);
        assert_seqs(client_run(client, op_page("alice", name, STORE_LATEST, 0, 9)), 1, 2, 3, 4, 5);
    }
}

static void a_journal_longer_than_this_daemon_allows_is_read_and_folded(void **state)
{
    struct client *client = *state;
    append(client, 0, 1);
    append(client, 0, 2);
    append(client, 1, 1);
    append(client, 1, 2);
    number_use_up(client, JOURNAL_ENTRIES_MAX * 2);
    for (uint64_t seq = 3; seq <= 6; seq++) {
        append(client, 0, seq);
        append(client, 1, seq);
    }
    assert_true(journal_entries(client) < JOURNAL_ENTRIES_MAX / 2);
    client_wait_until_stored(client, 1, 2, 12);
}

static void where_no_number_is_left_folding_gets_on_all_the_same(void **state)
{
    struct client *client = *state;
    /* The most numbers there can be: four times those of a full journal, and an eighth. */
    uint64_t last = UINT64_C(4) * JOURNAL_ENTRIES_MAX / 8 * 9;
    for (unsigned round = 1; round <= 2; round++) {
        for (unsigned i = 0; i < CONVERSATIONS; i++) {
            append(client, i, round);
        }
    }
    number_use_up(client, last);
    for (unsigned i = CONVERSATIONS; i > 0; i--) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "thread %u", i - 1);
        assert_ok(client_run(client, op_edit("alice", name, 2, STORE_MASK_CONTENT, &hello)));
        append(client, i - 1, 3);
    }
    client_reopen(client);
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        append(client, i, 4);
    }
    client_wait_until_stored(client, 1, CONVERSATIONS, 4 * CONVERSATIONS);
}

/* Reads every conversation, again and again, beside appends that have to fold. */
struct reader {
    pthread_t thread;
    struct client *client;
    atomic_uint_fast64_t answered; /* messages that each conversation has at least */
    atomic_bool stop;
    unsigned faults;
};

static void *reader_run(void *arg)
{
    struct reader *reader = arg;
    for (unsigned i = 0; !atomic_load(&reader->stop); i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "thread %u", i % CONVERSATIONS);
        uint64_t answered = atomic_load(&reader->answered);
        const struct answer *page = client_run(reader->client, op_page("alice", name, STORE_AFTER, 0, 100));
        reader->faults += page->reason != ERROR_NONE_REASON || page->count < answered;
        for (size_t k = 0; k < page->count; k++) {
            reader->faults += page->messages[k]->seq != k + 1;
        }
        const struct answer *list = client_run(reader->client, op_list("alice", 100, span_of(NULL, 0)));
        reader->faults += list->reason != ERROR_NONE_REASON || list->count != CONVERSATIONS;
    }
    return NULL;
}

static void readers_see_all_while_a_full_journal_is_folded(void **state)
{
    struct reader reader = {.client = *state, .answered = 2};
    for (unsigned round = 1; round <= 2; round++) {
        for (unsigned i = 0; i < CONVERSATIONS; i++) {
            append(reader.client, i, round);
        }
    }
    for (unsigned turn = 0; turn < 3; turn++) {
        uint64_t first = atomic_load(&reader.answered) + 1;
        number_use_up(reader.client, JOURNAL_ENTRIES_MAX * (turn + 1) - AHEAD);
        atomic_store(&reader.stop, false);
        assert_int_equal(pthread_create(&reader.thread, NULL, reader_run, &reader), 0);
        for (uint64_t seq = first; seq < first + 10; seq++) {
            for (unsigned i = CONVERSATIONS; i > 0; i--) {
                append(reader.client, i - 1, seq);
            }
            atomic_store(&reader.answered, seq);
        }
        atomic_store(&reader.stop, true);
        pthread_join(reader.thread, NULL);
        assert_int_equal(reader.faults, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_journal_fails_no_append_and_gets_empty, late_setup, client_teardown),
        cmocka_unit_test_setup_teardown(a_journal_longer_than_this_daemon_allows_is_read_and_folded, late_setup,
                                        client_teardown),
        cmocka_unit_test_setup_teardown(where_no_number_is_left_folding_gets_on_all_the_same, late_setup,
                                        client_teardown),
        cmocka_unit_test_setup_teardown(readers_see_all_while_a_full_journal_is_folded, late_setup, client_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
