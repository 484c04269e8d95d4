/* Folds with a thread that packs ahead of them: what is home then is the same, and what has changed since it was packed
 * is not overwritten. */
#include "store/lmdb/fold_ahead.h"

#include "store/lmdb/fold.h"
#include "support/directory.h"
#include "support/store_client.h"
#include "support/store_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CONVERSATIONS = 150, APPENDS = 4, NAME_BYTES = 24 };

/* A client whose appends wait in the journal. */
static struct client *client_late(const char *directory)
{
    struct client *client = client_new_in(directory);
    client_close(client);
    client_config(client)->fold_late = true;
    client_open(client);
    return client;
}

/* Appends some messages to each conversation, in turn, so that they wait in the journal. */
static void history_append(const char *directory, unsigned round)
{
    struct client *client = client_late(directory);
    for (unsigned i = 0; i < APPENDS * CONVERSATIONS; i++) {
        char name[NAME_BYTES], text[NAME_BYTES], request[NAME_BYTES];
        snprintf(name, sizeof(name), "c%u", i % CONVERSATIONS);
        snprintf(text, sizeof(text), "round %u, turn %u", round, i / CONVERSATIONS);
        snprintf(request, sizeof(request), "r%u-%u", round, i);
        const struct store_message messages[] = {message_of("user", text), message_of("assistant", "so it is")};
        struct store_op op = op_creating(op_append(i % 3 ? "ann" : "bob", name, messages, 2));
        op.request_id = span_of_string(request);
        assert_ok(client_run(client, op));
        clock_advance(1);
        client_release(client);
    }
    client_free(client);
}

static struct buffer history_image(const char *directory)
{
    struct client *client = client_late(directory);
    struct buffer image = image_take(client);
    client_free(client);
    return image;
}

/* The store's files, open below the store. */
struct below {
    struct env *env;
    struct packed_runs *packed;
    struct fold_ahead *ahead;
    struct buffer scratch;
    struct work work;
};

static void below_open(struct below *below, const char *directory, bool ahead)
{
    struct error error = {0};
    const struct env_config config = {.data_dir = directory, .map_bytes = 1 << 30, .now_us = clock_now()};
    *below = (struct below){.env = NULL};
    assert_int_equal(env_open(&config, &below->env, &error), 0);
    if (ahead) {
        below->packed = packed_runs_new();
        below->ahead = fold_ahead_new(below->env, below->packed);
        assert_non_null(below->ahead);
    }
}

static void below_close(struct below *below)
{
    fold_ahead_free(below->ahead);
    packed_runs_free(below->packed);
    env_close(below->env);
    buffer_free(&below->scratch);
}

static void below_begin(struct below *below)
{
    below->work = (struct work){
        .txn = env_begin(below->env), .now_us = clock_now(), .scratch = &below->scratch, .packed = below->packed};
    work_load(&below->work);
}

static void below_commit(struct below *below)
{
    work_save(&below->work);
    assert_int_equal(env_commit(below->env, &below->work.txn), 0);
}

/* Folds the next ones in a commit. Returns how many. */
static size_t below_fold(struct below *below, size_t most)
{
    size_t folded = 0;
    below_begin(below);
    for (size_t count = 1; folded < most && count > 0; folded += count) {
        count = fold_next(&below->work, FOLD_GROUP_MAX);
    }
    below_commit(below);
    return folded;
}

/* Folds all, a few in a commit; what comes next is packed meanwhile, or before when `settle`. Returns whether the
 * writer had to pack anything itself. */
static bool folds_pack(const char *directory, bool ahead, bool settle)
{
    struct below below;
    below_open(&below, directory, ahead);
    for (size_t count = 1; count > 0;) {
        below_begin(&below);
        packed_runs_look(below.packed, below.work.txn.pending);
        env_abort(&below.work.txn);
        if (settle) {
            packed_runs_settle(below.packed);
        }
        count = below_fold(&below, 10);
    }
    below_begin(&below);
    bool packs = below.work.txn.packing->capacity > 0;
    env_abort(&below.work.txn);
    below_close(&below);
    return packs;
}

static void what_was_packed_ahead_is_not_packed_again(void **state)
{
    (void)state;
    clock_set(CLIENT_EPOCH_US);
    char *directory = directory_new();
    for (unsigned round = 1; round <= 3; round++) { /* the first makes runs, the others make them longer */
        history_append(directory, round);
        struct buffer wanted = history_image(directory);
        assert_false(folds_pack(directory, true, true));
        struct buffer image = history_image(directory);
        assert_true(span_equal(buffer_span(&image), buffer_span(&wanted)));
        buffer_free(&image);
        buffer_free(&wanted);
    }
    history_append(directory, 4);
    assert_true(folds_pack(directory, false, false));
    directory_remove(directory);
}

static void folding_goes_on_while_the_next_ones_are_packed(void **state)
{
    (void)state;
    clock_set(CLIENT_EPOCH_US);
    char *directory = directory_new();
    for (unsigned round = 1; round <= 3; round++) {
        history_append(directory, round);
        struct buffer wanted = history_image(directory);
        folds_pack(directory, true, false);
        struct buffer image = history_image(directory);
        assert_true(span_equal(buffer_span(&image), buffer_span(&wanted)));
        buffer_free(&image);
        buffer_free(&wanted);
    }
    directory_remove(directory);
}

/* The conversation that is folded next: the text of its first message is `text` from now on, and nobody is told. */
static void next_change(struct below *below, struct pending_place place, const char *text)
{
    const struct message_record record = {
        .seq = 1, .revision = 2, .content_size = strlen(text), .content = span_of_string(text)};
    const struct conversation_place conversation = {
        .head = {.layout = &layout_3,
                 .user_number = place.user_number,
                 .conversation_number = place.conversation_number},
        .found = true,
    };
    struct buffer bytes = {0};
    record_put_message(&bytes, &record);
    below_begin(below);
    place_replace_message(&below->work, &conversation, 1, buffer_span(&bytes));
    below_commit(below);
    buffer_free(&bytes);
}

static void what_has_changed_since_it_was_packed_stays_changed(void **state)
{
    (void)state;
    enum { MESSAGES = 2 * 2 * APPENDS };
    clock_set(CLIENT_EPOCH_US);
    char *directory = directory_new();
    struct below below;
    struct pending_place next;
    history_append(directory, 1);
    folds_pack(directory, true, true);
    history_append(directory, 2);
    below_open(&below, directory, true);
    below_begin(&below);
    packed_runs_look(below.packed, below.work.txn.pending);
    assert_int_equal(pending_look_ahead(below.work.txn.pending, NULL, 1, &next), 1);
    env_abort(&below.work.txn);
    packed_runs_settle(below.packed);
    next_change(&below, next, "changed");
    assert_int_equal(below_fold(&below, CONVERSATIONS), CONVERSATIONS);
    below_close(&below);
    struct client *client = client_new_in(directory);
    size_t changed = 0;
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "c%u", i);
        const struct answer *page = client_run(client, op_page(i % 3 ? "ann" : "bob", name, STORE_AFTER, 0, 100));
        assert_ok(page);
        assert_int_equal(page->count, MESSAGES);
        const char *text = (const char *)page->messages[0]->content.data;
        changed += strncmp(text, "changed", strlen("changed")) == 0;
    }
    assert_int_equal(changed, 1);
    client_free(client);
    directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_ahead_is_not_packed_again),
        cmocka_unit_test(folding_goes_on_while_the_next_ones_are_packed),
        cmocka_unit_test(what_has_changed_since_it_was_packed_stays_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
