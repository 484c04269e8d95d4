/* What the writer knows of conversations by itself, after folds: the same when all was sound, nothing when a fold met
 * damage, because what is home then may not be what the appends made. */
#include "store/lmdb/env.h"
#include "store/lmdb/fold.h"
#include "store/lmdb/journal.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { APPENDS = 3, VALUE_BYTES_MAX = 4096 };

/* The first conversation there is, of the first user. */
static const struct place thread = {.layout = &layout_3, .user_number = 1, .conversation_number = 1};

static int setup(void **state)
{
    unsetenv("CHATLOG_TEST_LAYOUT");
    client_setup(state);
    struct client *client = *state;
    client_close(client);
    client_config(client)->fold_late = true;
    client_open(client);
    assert_ok(client_run(client, op_create("alice", "thread")));
    for (int i = 0; i < APPENDS; i++) {
        const struct store_message message = message_of("user", "hello");
        assert_ok(client_run(client, op_append("alice", "thread", &message, 1)));
    }
    client_close(client);
    return 0;
}

static struct key entry_key(uint64_t id)
{
    struct key key = {0};
    key_add_number(&key, id);
    key_add_number(&key, thread.user_number);
    key_add_number(&key, thread.conversation_number);
    key_add_number(&key, id); /* an append is a message */
    return key;
}

static void value_flip(const char *directory, const char *table, struct key key)
{
    uint8_t value[VALUE_BYTES_MAX];
    size_t size = lmdb_file_get(directory, table, key_span(&key), value, sizeof(value));
    value[size / 2] ^= 1;
    lmdb_file_put(directory, table, key_span(&key), span_of(value, size));
}

static void nothing_do(const char *directory)
{
    (void)directory;
}

static void entry_damage(const char *directory)
{
    value_flip(directory, "3.journal", entry_key(APPENDS));
}

static void head_damage(const char *directory)
{
    value_flip(directory, "2.data", layout_3.head_key(&thread));
}

static void head_remove(const char *directory)
{
    struct key key = layout_3.head_key(&thread);
    lmdb_file_put(directory, "2.data", key_span(&key), span_of(NULL, 0));
}

/* Folds the thread, in the file as `damage` has left it, with so many of its entries lost meanwhile. Returns whether
 * the thread and a conversation of somebody else are known as before. */
static bool known_after_fold(struct client *client, void (*damage)(const char *directory), uint64_t lost)
{
    struct error error = {0};
    struct buffer scratch = {0};
    struct env *env;
    const char *directory = client_config(client)->data_dir;
    const struct env_config config = {.data_dir = directory, .map_bytes = 1 << 30, .now_us = clock_now()};
    damage(directory);
    assert_int_equal(env_open(&config, &env, &error), 0);
    struct head_cache *heads = head_cache_new();
    struct work work = {.txn = env_begin(env), .now_us = clock_now(), .scratch = &scratch, .heads = heads};
    work_load(&work);
    assert_non_null(head_cache_put(heads, span_of_string("alice"), span_of_string("thread")));
    assert_non_null(head_cache_put(heads, span_of_string("bob"), span_of_string("thread")));
    for (uint64_t id = 1; id <= lost; id++) {
        struct journal_entry entry;
        assert_int_equal(journal_get(&work.txn, id, &entry), GET_FOUND);
        journal_delete(&work, &entry);
    }
    fold_conversation(&work, thread.user_number, thread.conversation_number);
    assert_int_equal(work.folds, 1);
    bool alice = head_cache_find(heads, span_of_string("alice"), span_of_string("thread")) != NULL;
    bool bob = head_cache_find(heads, span_of_string("bob"), span_of_string("thread")) != NULL;
    assert_int_equal(alice, bob);
    env_abort(&work.txn);
    head_cache_free(heads);
    env_close(env);
    buffer_free(&scratch);
    return alice;
}

static void a_fold_changes_nothing_of_what_is_known(void **state)
{
    assert_true(known_after_fold(*state, nothing_do, 0));
}

static void after_a_damaged_entry_nothing_is_known(void **state)
{
    assert_false(known_after_fold(*state, entry_damage, 0));
}

static void after_a_lost_entry_nothing_is_known(void **state)
{
    assert_false(known_after_fold(*state, nothing_do, 1));
}

static void after_a_damaged_head_nothing_is_known(void **state)
{
    assert_false(known_after_fold(*state, head_damage, 0));
}

static void after_a_lost_head_nothing_is_known(void **state)
{
    assert_false(known_after_fold(*state, head_remove, 0));
}

#define fold_test(name) cmocka_unit_test_setup_teardown(name, setup, client_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fold_test(a_fold_changes_nothing_of_what_is_known), fold_test(after_a_damaged_entry_nothing_is_known),
        fold_test(after_a_lost_entry_nothing_is_known),     fold_test(after_a_damaged_head_nothing_is_known),
        fold_test(after_a_lost_head_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
