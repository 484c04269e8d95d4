/* Moving a store from one key layout to another while it is used: nothing is lost, nothing is seen of it. Must not know
 * an engine. */
#include "store/maintenance.h"
#include "support/process.h"
#include "support/store_image.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG = 1200, SHORT = 60, PAIRS = 3, HALF_TRIES = 20 };

/* Every way up; each is gone back too. */
static const uint32_t pairs[PAIRS][2] = {{1, 2}, {1, 3}, {2, 3}};

static void assert_sound(struct client *client)
{
    struct store_survey survey;
    struct error error = {0};
    if (store_verify(client_config(client), &survey, &error)) {
        fail_msg("verify: %s", error.message);
    }
    if (survey.unreadable || survey.mismatches || survey.strays || survey.damaged_events) {
        fail_msg("verify finds %llu unreadable, %llu mismatches, %llu strays, the first: %s",
                 (unsigned long long)survey.unreadable, (unsigned long long)survey.mismatches,
                 (unsigned long long)survey.strays, survey.findings[0]);
    }
    assert_true(survey.conversations > 0 && survey.messages > 0);
}

static void migrate_down(struct client *client, uint32_t to)
{
    struct store_migration migration;
    struct error error = {0};
    if (store_migrate_to(client_config(client), to, false, &migration, &error)) {
        fail_msg("down: %s", error.message);
    }
    assert_int_equal(migration.to, to);
    assert_int_equal(migration.quarantined, 0);
}

/* The content is that at every moment when nothing moves. */
static void up_down_up_between(struct client *client, const uint32_t pair[2], size_t slice_records, size_t messages)
{
    image_begin_old(client, pair[0]);
    image_fill(client, messages);
    struct buffer wanted = image_take(client);
    client_close(client);
    assert_sound(client);
    for (int round = 0; round < 2; round++) {
        client_config(client)->migrate_to = pair[1];
        image_migrate(client, slice_records);
        struct store_migration migration = image_wait_migrated(client);
        assert_int_equal(migration.from, pair[0]);
        assert_int_equal(migration.to, pair[1]);
        assert_int_equal(migration.quarantined, 0);
        assert_int_equal(migration.messages_moved, migration.messages_total);
        assert_int_equal(migration.conversations_moved, migration.conversations_total);
        assert_int_equal(store_describe(client_store(client)).layout, pair[1]);
        image_expect(client, &wanted, "up");
        image_replay(client);
        client_close(client);
        assert_sound(client);
        migrate_down(client, pair[0]);
        assert_sound(client);
        client_config(client)->migrate = STORE_MIGRATE_HOLD;
        client_open(client);
        assert_int_equal(store_describe(client_store(client)).layout, pair[0]);
        image_expect(client, &wanted, "down");
        image_replay(client);
        client_close(client);
    }
    buffer_free(&wanted);
    client_open(client);
}

static void up_down_up(struct client *client, size_t slice_records, size_t messages)
{
    for (size_t i = 0; i < PAIRS; i++) {
        clock_set(CLIENT_EPOCH_US);
        up_down_up_between(client, pairs[i], slice_records, messages);
        client_release(client);
    }
}

static void up_and_down_and_up_again_changes_nothing(void **state)
{
    up_down_up(*state, 0, LONG);
}

static void up_and_down_a_thousand_records_at_a_time_changes_nothing(void **state)
{
    up_down_up(*state, 1000, LONG);
}

static void up_and_down_seven_records_at_a_time_changes_nothing(void **state)
{
    up_down_up(*state, 7, LONG);
}

static void up_and_down_one_record_at_a_time_changes_nothing(void **state)
{
    up_down_up(*state, 1, SHORT);
}

/* A thread that reads everything again and again. */
struct watcher {
    struct client *client;
    const struct buffer *wanted;
    atomic_bool stop;
    atomic_uint rounds;
    atomic_bool differed;
};

static void *watcher_main(void *arg)
{
    struct watcher *watcher = arg;
    while (!atomic_load(&watcher->stop) && !atomic_load(&watcher->differed)) {
        struct buffer image = image_take(watcher->client);
        if (!span_equal(buffer_span(&image), buffer_span(watcher->wanted))) {
            atomic_store(&watcher->differed, true);
        }
        buffer_free(&image);
        atomic_fetch_add(&watcher->rounds, 1);
    }
    return NULL;
}

/* Reads while the store is migrated to that layout. Returns how often all was read. */
static unsigned read_while_migrated(struct client *client, const struct buffer *wanted, uint32_t to)
{
    client_close(client);
    client_release(client);
    client_config(client)->migrate_to = to;
    image_migrate(client, 2);
    struct watcher watcher = {.client = client, .wanted = wanted};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, watcher_main, &watcher), 0);
    image_wait_migrated(client);
    atomic_store(&watcher.stop, true);
    pthread_join(thread, NULL);
    assert_false(atomic_load(&watcher.differed));
    assert_int_equal(store_describe(client_store(client)).layout, to);
    return atomic_load(&watcher.rounds);
}

static void a_reader_sees_the_same_at_every_moment(void **state)
{
    struct client *client = *state;
    for (size_t i = 0; i < PAIRS; i++) {
        image_begin_old(client, pairs[i][0]);
        image_fill(client, 200);
        struct buffer wanted = image_take(client);
        for (unsigned ups = 0, downs = 0; ups < 2 || downs < 2;) { /* some are over before all was read once */
            ups += read_while_migrated(client, &wanted, pairs[i][1]);
            downs += read_while_migrated(client, &wanted, pairs[i][0]);
        }
        buffer_free(&wanted);
    }
}

/* Waits until so many messages were moved. False: all were, before it could be seen. */
static bool wait_moved(struct client *client, uint64_t messages)
{
    struct store_migration migration;
    do {
        store_migration(client_store(client), &migration);
    } while (migration.state == STORE_MIGRATION_MOVING && migration.messages_moved < messages);
    return migration.state == STORE_MIGRATION_MOVING;
}

/* Two users in that layout, ann with a large conversation. */
static void large_fill(struct client *client, uint32_t layout, size_t large)
{
    clock_set(CLIENT_EPOCH_US);
    image_begin_old(client, layout);
    client_fill(client, "ann", "other", 20);
    client_fill(client, "ann", "thread", large);
    client_fill(client, "bob", "thread", 10);
}

/* Begins to migrate them, and returns when so many messages were moved, but not all. */
static void migrate_half(struct client *client, uint32_t from, uint32_t to, size_t large, uint64_t messages)
{
    bool moving = false;
    for (unsigned tries = 0; !moving; tries++) { /* a few runs are moved faster than a busy machine lets us look */
        assert_true(tries < HALF_TRIES);
        large_fill(client, from, large);
        client_close(client);
        client_config(client)->migrate_to = to;
        image_migrate(client, 3);
        moving = wait_moved(client, messages);
    }
}

static void remove_half_moved(struct client *client, uint32_t from, uint32_t to)
{
    migrate_half(client, from, to, 4000, 200);
    assert_ok(client_run(client, op_purge("ann", "thread")));
    assert_refused(client_run(client, op_get("ann", "thread")), CONVERSATION_NOT_FOUND);
    client_config(client)->migrate_slice_records = 0;
    client_reopen(client);
    client_wait_until_stored(client, 2, 2, 30);
    struct store_message again = message_of("user", "again");
    assert_ok(client_run_patiently(client, op_creating(op_append("ann", "thread", &again, 1))));
    assert_int_equal(image_wait_migrated(client).quarantined, 0);
    client_wait_until_stored(client, 2, 3, 31);
    client_close(client);
    assert_sound(client);
    client_open(client);
}

static void a_large_conversation_can_be_removed_while_it_is_half_moved(void **state)
{
    for (size_t i = 0; i < PAIRS; i++) {
        remove_half_moved(*state, pairs[i][0], pairs[i][1]);
        remove_half_moved(*state, pairs[i][1], pairs[i][0]);
    }
}

/* The receipt for ann, who has two conversations, in a store of that layout, or half way to the other. */
static struct store_receipt receipt_of(uint32_t from, uint32_t to)
{
    struct client *client = client_new();
    if (to == from) {
        large_fill(client, from, 2500);
    } else {
        migrate_half(client, from, to, 2500, 100);
    }
    const struct answer *answer = client_run(client, op_forget("ann"));
    assert_ok(answer);
    struct store_receipt receipt = answer->result.receipt;
    client_wait_until_stored(client, 1, 1, 10);
    if (to != from) {
        image_wait_migrated(client);
    }
    client_close(client);
    assert_sound(client);
    client_open(client);
    client_free(client);
    return receipt;
}

static void a_user_forgotten_half_way_gets_the_receipt_any_layout_gives(void **state)
{
    (void)state;
    const struct store_receipt wanted = receipt_of(1, 1);
    static const uint32_t ways[][2] = {{2, 2}, {3, 3}, {1, 2}, {2, 1}, {1, 3}, {3, 1}, {2, 3}, {3, 2}};
    assert_int_equal(wanted.conversations, 2);
    assert_int_equal(wanted.messages, 2520);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct store_receipt receipt = receipt_of(ways[i][0], ways[i][1]);
        assert_int_equal(receipt.conversations, wanted.conversations);
        assert_int_equal(receipt.messages, wanted.messages);
        assert_int_equal(receipt.content_bytes, wanted.content_bytes);
        assert_memory_equal(receipt.digest, wanted.digest, sizeof(wanted.digest));
    }
}

static void a_store_on_hold_stays_what_it_is_and_works(void **state)
{
    struct client *client = *state;
    struct store_migration migration;
    image_begin_old(client, 1);
    image_fill(client, SHORT);
    store_migration(client_store(client), &migration);
    assert_int_equal(migration.state, STORE_MIGRATION_HELD);
    assert_int_equal(migration.from, 1);
    assert_int_equal(migration.to, 3);
    client_reopen(client);
    assert_int_equal(store_describe(client_store(client)).layout, 1);
    /* On its way it stops there, and both layouts are served. */
    struct buffer wanted = image_take(client);
    client_close(client);
    image_migrate(client, 1);
    assert_true(wait_moved(client, 10));
    client_close(client);
    client_config(client)->migrate = STORE_MIGRATE_HOLD;
    client_open(client);
    store_migration(client_store(client), &migration);
    assert_int_equal(migration.state, STORE_MIGRATION_HELD);
    uint64_t moved = migration.messages_moved;
    image_expect(client, &wanted, "on hold half way");
    client_fill(client, "new", "thread", 5);
    store_migration(client_store(client), &migration);
    assert_int_equal(migration.messages_moved, moved);
    /* Refusing is about what has not begun: this goes on. */
    client_close(client);
    client_config(client)->migrate = STORE_MIGRATE_REFUSE;
    client_open(client);
    image_wait_migrated(client);
    client_close(client);
    assert_sound(client);
    client_open(client);
    buffer_free(&wanted);
}

static void a_store_told_to_refuse_does_not_open_older_data_and_says_what_to_do(void **state)
{
    struct client *client = *state;
    struct store *store = NULL;
    struct error error = {0};
    image_begin_old(client, 1);
    client_fill(client, "ann", "thread", 3);
    client_close(client);
    client_config(client)->migrate = STORE_MIGRATE_REFUSE;
    assert_int_equal(store_open(client_config(client), &store, &error), -ERROR_STARTUP);
    assert_non_null(strstr(error.message, "has key layout 1"));
    assert_non_null(strstr(error.message, "writes layout 3"));
    assert_non_null(strstr(error.message, "chatlogd migrate --to 3"));
    client_config(client)->migrate = STORE_MIGRATE_HOLD;
    client_open(client);
    assert_seqs(client_run(client, op_page("ann", "thread", STORE_LATEST, 0, 9)), 1, 2, 3);
}

static void migrate_without_room(struct client *client, uint32_t from, uint32_t to)
{
    enum { MAP_BYTES = 8 * 1024 * 1024, TEXT = 20000 };
    struct store_migration migration;
    char *text = calloc(1, TEXT + 1);
    assert_non_null(text);
    memset(text, 'x', TEXT);
    struct store_message large = message_of("user", text);
    client_config(client)->map_bytes = MAP_BYTES;
    image_begin_old(client, from);
    const struct answer *answer;
    uint64_t stored = 0;
    do {
        answer = client_run(client, op_creating(op_append(stored % 2 ? "ann" : "bob", "thread", &large, 1)));
        stored += answer->reason == ERROR_NONE_REASON;
    } while (answer->reason == ERROR_NONE_REASON);
    assert_refused(answer, DISK_FULL);
    client_close(client);
    client_config(client)->migrate_to = to;
    image_migrate(client, 0);
    do {
        store_migration(client_store(client), &migration);
    } while (migration.state == STORE_MIGRATION_MOVING);
    assert_int_equal(migration.state, STORE_MIGRATION_PAUSED);
    assert_true(migration.last_error[0] != '\0');
    assert_ok(client_run(client, op_message("ann", "thread", 1)));
    assert_ok(client_run(client, op_pop("ann", "thread", 1)));
    assert_ok(client_run(client, op_purge("bob", "thread")));
    image_wait_migrated(client);
    assert_int_equal(store_describe(client_store(client)).layout, to);
    assert_ok(client_run(client, op_append("ann", "thread", &large, 1)));
    client_close(client);
    assert_sound(client);
    client_open(client);
    free(text);
}

static void without_room_it_pauses_serves_and_goes_on_by_itself(void **state)
{
    migrate_without_room(*state, 1, 2);
    migrate_without_room(*state, 1, 3);
}

/* Killed again and again. */

static void lines_ignore(void *arg, enum store_event event, const char *line)
{
    (void)arg, (void)event;
    puts(line);
    fflush(stdout);
}

/* The process that is killed: migrates to one of the layouts it is not in, again and again. */
static _Noreturn void migrate_for_ever(const char *directory)
{
    struct client *client = client_new_in(directory);
    struct store_migration migration;
    struct error error;
    struct store_status status;
    unsigned seed = (unsigned)getpid();
    client_config(client)->migrate = STORE_MIGRATE_AUTO;
    client_config(client)->migrate_slice_records = 5;
    client_config(client)->event = lines_ignore;
    for (;;) {
        client_close(client);
        if (store_status(client_config(client), &status, &error)) {
            abort();
        }
        client_config(client)->migrate_to = 1 + (status.layout + (unsigned)rand_r(&seed) % 2) % 3;
        client_open(client);
        do {
            usleep(500);
            store_migration(client_store(client), &migration);
        } while (migration.state != STORE_MIGRATION_NONE);
    }
}

static void killed_at_any_moment_it_goes_on_and_loses_nothing(void **state)
{
    enum { KILLS = 200, PAUSE_US = 40000 };
    struct client *client = *state;
    unsigned seed = 2026;
    unsigned half_way = 0;
    image_begin_old(client, 1);
    image_fill(client, 100);
    struct buffer wanted = image_take(client);
    for (int i = 0; i < KILLS; i++) {
        char line[300];
        struct store_migration migration;
        client_close(client);
        client_release(client);
        struct process process = process_start("--migrate", client_config(client)->data_dir);
        process_read_line(&process, line, sizeof(line));
        usleep((useconds_t)(rand_r(&seed) % PAUSE_US));
        process_kill(&process);
        client_open(client); /* on hold */
        store_migration(client_store(client), &migration);
        half_way += migration.state == STORE_MIGRATION_HELD && migration.messages_moved > 0;
        image_expect(client, &wanted, "after a kill");
        client_close(client);
        assert_sound(client);
        client_open(client);
    }
    print_message("%u of %d kills came half way\n", half_way, KILLS);
    assert_true(half_way > 0);
    image_replay(client);
    buffer_free(&wanted);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--migrate") == 0) {
        migrate_for_ever(arguments[2]);
    }
    const struct CMUnitTest tests[] = {
        store_test(up_and_down_and_up_again_changes_nothing),
        store_test(up_and_down_a_thousand_records_at_a_time_changes_nothing),
        store_test(up_and_down_seven_records_at_a_time_changes_nothing),
        store_test(up_and_down_one_record_at_a_time_changes_nothing),
        store_test(a_reader_sees_the_same_at_every_moment),
        store_test(a_large_conversation_can_be_removed_while_it_is_half_moved),
        store_test(a_user_forgotten_half_way_gets_the_receipt_any_layout_gives),
        store_test(a_store_on_hold_stays_what_it_is_and_works),
        store_test(a_store_told_to_refuse_does_not_open_older_data_and_says_what_to_do),
        store_test(without_room_it_pauses_serves_and_goes_on_by_itself),
        store_test(killed_at_any_moment_it_goes_on_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
