/* A list beside the writer: what waits of a conversation is published in the middle of it. */
#include "store/lmdb/env.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/layout.h"
#include "store/lmdb/read_waiting.h"
#include "support/directory.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ENTRIES_MAX = 16 };

static const struct store_message hello = {.content = {(const uint8_t *)"hello", 5}};

/* A conversation that one commit folded and appended to again, below the store; and the index as it was before. */
struct moment {
    char *directory;
    struct env *env;
    struct txn txn;
    struct pending *published; /* as this commit makes it: of the env */
    struct pending *before;    /* knows an entry that is home in this snapshot */
    struct pending_place place;
    uint64_t last_id;
};

static void conversation_make(const char *directory)
{
    struct client *client = client_new_in(directory);
    const struct store_message edited = {.content = span_of_string("edited")};
    assert_ok(client_run(client, op_creating(op_append("alice", "c", &hello, 1))));
    clock_advance(1);
    assert_ok(client_run(client, op_append("alice", "c", &hello, 1)));
    assert_ok(client_run(client, op_edit("alice", "c", 1, STORE_MASK_CONTENT, &edited))); /* folds it first */
    clock_advance(1);
    assert_ok(client_run(client, op_append("alice", "c", &hello, 1)));
    client_free(client);
}

static struct pending_entry entry_of(const struct moment *moment, uint64_t id, int64_t activity_us)
{
    return (struct pending_entry){.id = id,
                                  .user_number = moment->place.user_number,
                                  .conversation_number = moment->place.conversation_number,
                                  .activity_us = activity_us,
                                  .bytes = 1};
}

static int moment_setup(void **state)
{
    struct moment *moment = calloc(1, sizeof(*moment));
    struct error error = {0};
    assert_non_null(moment);
    unsetenv("CHATLOG_TEST_LAYOUT");
    setenv("CHATLOG_TEST_FOLD_LATE", "1", 1);
    clock_set(CLIENT_EPOCH_US);
    moment->directory = directory_new();
    conversation_make(moment->directory);
    const struct env_config config = {.data_dir = moment->directory, .map_bytes = 1 << 30, .now_us = clock_now()};
    assert_int_equal(env_open(&config, &moment->env, &error), 0);
    moment->txn = env_begin_read(moment->env);
    moment->published = moment->txn.pending;
    pending_begin_sweep(moment->published);
    assert_int_equal(pending_sweep(moment->published, 1, &moment->place), 1);
    moment->last_id = journal_last(&moment->txn);
    moment->before = moment->txn.pending = pending_new(ENTRIES_MAX);
    struct pending_entry folded = entry_of(moment, moment->last_id - 1, CLIENT_EPOCH_US + 1);
    pending_push(moment->before, &folded);
    pending_commit(moment->before, 0);
    *state = moment;
    return 0;
}

static int moment_teardown(void **state)
{
    struct moment *moment = *state;
    moment->txn.pending = moment->published;
    env_abort(&moment->txn);
    pending_free(moment->before);
    env_close(moment->env);
    directory_remove(moment->directory);
    free(moment);
    unsetenv("CHATLOG_TEST_FOLD_LATE");
    return 0;
}

/* What the writer does right after its commit. */
static void publish(struct moment *moment)
{
    struct pending_entry next = entry_of(moment, moment->last_id, CLIENT_EPOCH_US + 2);
    pending_remove(moment->before, moment->place.conversation_number);
    pending_push(moment->before, &next);
    pending_commit(moment->before, txn_id(&moment->txn));
}

/* How often a list has the conversation that meets its entry at home and what waits in this order, and in between the
 * writer publishes. */
static unsigned listed(struct moment *moment, bool home_first)
{
    struct error error = {0};
    struct read read = {.txn = &moment->txn, .error = &error};
    struct place home = {
        .layout = &layout_3, .user = span_of_string("alice"), .user_number = moment->place.user_number};
    struct waiting waiting;
    const struct waiting_entry *entry = NULL;
    enum waiting_state state = WAITING_UNSETTLED;
    assert_int_equal(waiting_open(&read, &home, span_of(NULL, 0), &waiting), 0);
    for (unsigned step = 0; step < 2; step++) {
        if ((step == 0) == home_first) {
            assert_int_equal(waiting_settle(&read, &waiting, moment->place.conversation_number, &state), 0);
        } else {
            assert_int_equal(waiting_look(&read, &waiting, &entry), 0);
        }
        if (step == 0) {
            publish(moment);
        }
    }
    assert_false(read.head.stale);
    head_free(&read.head);
    return (state == WAITING_HOME ? 1U : 0U) + (entry ? 1U : 0U);
}

static void what_waits_is_asked_first_and_the_list_has_it_once(void **state)
{
    assert_int_equal(listed(*state, false), 1);
}

static void what_is_home_is_asked_first_and_the_list_has_it_once(void **state)
{
    assert_int_equal(listed(*state, true), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_waits_is_asked_first_and_the_list_has_it_once, moment_setup,
                                        moment_teardown),
        cmocka_unit_test_setup_teardown(what_is_home_is_asked_first_and_the_list_has_it_once, moment_setup,
                                        moment_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
