/* A sweep that stops in its middle: by a crash, by a transaction that is undone, by conversations that go meanwhile. */
#include "store/lmdb/env.h"
#include "store/lmdb/fold.h"
#include "support/directory.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { USERS = 3, CONVERSATIONS = 6, APPENDS = 4, ALL = USERS * CONVERSATIONS, NAME_BYTES = 24 };

static const char *const users[USERS] = {"ann", "bob", "eve"};

/* A store whose appends wait in the journal. */
static struct client *waiting_make(const char *directory)
{
    clock_set(CLIENT_EPOCH_US);
    struct client *client = client_new_in(directory);
    client_close(client);
    client_config(client)->fold_late = true;
    client_open(client);
    for (size_t i = 0; i < APPENDS * ALL; i++) {
        char name[NAME_BYTES], text[NAME_BYTES];
        snprintf(name, sizeof(name), "c%zu", i % ALL / USERS);
        snprintf(text, sizeof(text), "%zu", i / ALL + 1);
        const struct store_message message = message_of("user", text);
        assert_ok(client_run(client, op_creating(op_append(users[i % USERS], name, &message, 1))));
        clock_advance(1);
    }
    return client;
}

static void assert_all(struct client *client, const char *user)
{
    for (size_t i = 0; i < CONVERSATIONS; i++) {
        char name[NAME_BYTES], text[NAME_BYTES];
        snprintf(name, sizeof(name), "c%zu", i);
        const struct answer *page = client_run(client, op_page(user, name, STORE_AFTER, 0, 100));
        assert_ok(page);
        assert_int_equal(page->count, APPENDS);
        for (size_t k = 0; k < APPENDS; k++) {
            snprintf(text, sizeof(text), "%zu", k + 1);
            assert_int_equal(page->messages[k]->seq, k + 1);
            assert_memory_equal(page->messages[k]->content.data, text, strlen(text));
        }
    }
}

/* The store's files, open below the store. */
struct below {
    struct env *env;
    struct work work;
    struct buffer scratch;
    struct journal_places *places;
};

static void below_open(struct below *below, const char *directory)
{
    struct error error = {0};
    const struct env_config config = {.data_dir = directory, .map_bytes = 1 << 30, .now_us = clock_now()};
    *below = (struct below){.places = journal_places_new()};
    assert_non_null(below->places);
    assert_int_equal(env_open(&config, &below->env, &error), 0);
}

static void below_begin(struct below *below)
{
    below->work = (struct work){
        .txn = env_begin(below->env), .now_us = clock_now(), .scratch = &below->scratch, .places = below->places};
    work_load(&below->work);
    journal_places_learn(below->places, &below->work.txn);
}

/* Folds so many, in groups of every size, or undoes it. */
static void below_fold(struct below *below, size_t count, bool commit)
{
    below_begin(below);
    for (size_t folded = 0, most = 1; folded < count; most = most % FOLD_GROUP_MAX + 1) {
        size_t wanted = most < count - folded ? most : count - folded;
        assert_int_equal(fold_next(&below->work, wanted), wanted);
        folded += wanted;
    }
    assert_int_equal(below->work.folds, count);
    fold_truncate(&below->work, SIZE_MAX);
    if (commit) {
        work_save(&below->work);
        assert_int_equal(env_commit(below->env, &below->work.txn), 0);
    } else {
        env_abort(&below->work.txn);
    }
}

/* How many conversations wait. */
static size_t below_waiting(struct below *below)
{
    uint64_t begun_id;
    below_begin(below);
    pending_begin_sweep(below->work.txn.pending);
    size_t waiting = pending_sweep_ahead(below->work.txn.pending, &begun_id);
    env_abort(&below->work.txn);
    return waiting;
}

static void below_close(struct below *below)
{
    env_close(below->env);
    buffer_free(&below->scratch);
    journal_places_free(below->places);
}

/* Folds all that is left: nothing waits then, and the journal is empty. */
static void below_fold_last(struct below *below, size_t count)
{
    below_fold(below, count, true);
    below_fold(below, 0, true); /* what is home leaves the journal with the next commit */
    below_begin(below);
    assert_int_equal(fold_next(&below->work, FOLD_GROUP_MAX), 0);
    assert_int_equal(txn_count(&below->work.txn, TABLE_3_JOURNAL), 0);
    env_abort(&below->work.txn);
}

static void assert_all_of_all(struct client *client)
{
    for (size_t i = 0; i < USERS; i++) {
        assert_all(client, users[i]);
    }
}

static void a_start_in_the_middle_of_a_sweep_goes_on_with_what_is_left(void **state)
{
    (void)state;
    for (size_t stop = 0; stop <= ALL; stop++) {
        char *directory = directory_new();
        struct client *client = waiting_make(directory);
        client_close(client);
        struct below below;
        below_open(&below, directory);
        below_fold(&below, stop, true);
        below_close(&below); /* nothing of the sweep is kept but what was committed */
        below_open(&below, directory);
        assert_int_equal(below_waiting(&below), ALL - stop);
        below_close(&below);
        client_open(client);
        assert_all_of_all(client);
        client_close(client);
        below_open(&below, directory);
        below_fold_last(&below, ALL - stop);
        below_close(&below);
        client_open(client);
        assert_all_of_all(client);
        client_wait_until_stored(client, USERS, ALL, APPENDS * ALL);
        client_free(client);
        directory_remove(directory);
    }
}

static void what_was_folded_and_undone_is_folded_by_the_next_sweep(void **state)
{
    (void)state;
    char *directory = directory_new();
    struct client *client = waiting_make(directory);
    client_close(client);
    struct below below;
    below_open(&below, directory);
    below_fold(&below, ALL / 2, false);
    below_fold(&below, ALL - ALL / 2, true);
    assert_int_equal(below_waiting(&below), ALL / 2);
    below_fold_last(&below, ALL / 2);
    below_close(&below);
    client_open(client);
    assert_all_of_all(client);
    client_free(client);
    directory_remove(directory);
}

/* The user in the middle of the order is forgotten while the sweep stands at him. */
static void what_is_removed_in_the_middle_of_a_sweep_does_not_come_back(void **state)
{
    (void)state;
    char *directory = directory_new();
    struct client *client = waiting_make(directory);
    client_close(client);
    struct below below;
    below_open(&below, directory);
    below_fold(&below, CONVERSATIONS + 2, true);
    below_close(&below);
    client_open(client);
    assert_ok(client_run(client, op_forget(users[1])));
    client_close(client);
    below_open(&below, directory);
    below_begin(&below);
    size_t folded = 0;
    for (size_t count; (count = fold_next(&below.work, FOLD_GROUP_MAX)) > 0;) {
        folded += count;
    }
    assert_int_equal(folded, CONVERSATIONS); /* the last user's */
    work_save(&below.work);
    assert_int_equal(env_commit(below.env, &below.work.txn), 0);
    below_close(&below);
    client_open(client);
    assert_all(client, users[0]);
    assert_all(client, users[2]);
    assert_refused(client_run(client, op_page(users[1], "c0", STORE_AFTER, 0, 100)), CONVERSATION_NOT_FOUND);
    client_wait_until_stored(client, USERS - 1, ALL - CONVERSATIONS, APPENDS * (ALL - CONVERSATIONS));
    client_free(client);
    directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_in_the_middle_of_a_sweep_goes_on_with_what_is_left),
        cmocka_unit_test(what_was_folded_and_undone_is_folded_by_the_next_sweep),
        cmocka_unit_test(what_is_removed_in_the_middle_of_a_sweep_does_not_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
