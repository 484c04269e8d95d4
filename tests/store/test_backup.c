/* Test 29 of the fault programme: a backup holds what the store held at one commit, whatever happens meanwhile, and a
 * data directory made of it holds the same. Must not know an engine. */
#include "store/maintenance.h"
#include "support/directory.h"
#include "support/store_image.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 512, MANIFEST_BYTES = 4096, BACKUPS = 5, MESSAGES = 1000 };

/* A store, and where its backups go. */
struct place {
    struct client *client;
    char *directory;
};

static struct place place;

static int setup(void **state)
{
    client_setup(state);
    place = (struct place){.client = *state, .directory = directory_new()};
    client_close(place.client);
    client_config(place.client)->backup_dir = place.directory;
    client_open(place.client);
    return 0;
}

static int teardown(void **state)
{
    client_teardown(state);
    directory_remove(place.directory);
    return 0;
}

static struct store_op op_backup(const char *name)
{
    return (struct store_op){.verb = STORE_BACKUP, .backup = {.name = name}};
}

static char *path_of(const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", place.directory, name);
    return path;
}

static bool is_there(const char *name)
{
    char path[PATH_BYTES];
    return access(path_of(name, path), F_OK) == 0;
}

/* Restores the backup into a directory of its name with "-data" behind it. Returns 0 or the error's reason. */
static int restore(const char *name, struct error *error)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    char to_name[64];
    struct store_backup backup;
    struct store_config config = *client_config(place.client);
    snprintf(to_name, sizeof(to_name), "%s-data", name);
    config.data_dir = path_of(to_name, to);
    return -store_restore(&config, path_of(name, from), &backup, error);
}

/* A store on what was restored; free it with client_free. */
static struct client *restored(const char *name)
{
    static char to[PATH_BYTES];
    char to_name[64];
    struct error error = {0};
    struct store_survey survey;
    if (restore(name, &error)) {
        fail_msg("restore: %s", error.message);
    }
    snprintf(to_name, sizeof(to_name), "%s-data", name);
    struct client *client = client_new_in(path_of(to_name, to));
    client_close(client);
    assert_int_equal(store_verify(client_config(client), &survey, &error), 0);
    if (survey.unreadable || survey.mismatches || survey.strays || survey.damaged_events) {
        fail_msg("what was restored is not sound: %s", survey.findings[0]);
    }
    client_open(client);
    return client;
}

static void a_backup_holds_what_the_store_held(void **state)
{
    struct client *client = *state;
    image_fill(client, MESSAGES);
    struct buffer wanted = image_take(client);
    const struct answer *before = client_run(client, op_stats());
    const struct answer *answer = client_run(client, op_backup("one"));
    assert_ok(answer);
    assert_int_equal(answer->result.backup.findings, 0);
    assert_int_equal(answer->result.backup.messages, before->result.stats.messages);
    if (!client_config(client)->fold_late) { /* else nothing is written by itself meanwhile */
        assert_true(answer->result.backup.commit_id >= before->result.stats.commit_id);
    } else {
        assert_int_equal(answer->result.backup.commit_id, before->result.stats.commit_id);
    }
    client_fill(client, "later", "chat", 10);
    struct client *copy = restored("one");
    image_expect(copy, &wanted, "restored");
    image_replay(copy);
    client_fill(copy, "goes", "on", 10);
    client_free(copy);
    buffer_free(&wanted);
}

/* Writes to two conversations in turn. */
struct turns {
    struct client *client;
    atomic_bool stop;
    atomic_uint done; /* of both together */
};

static void *turns_main(void *arg)
{
    struct turns *turns = arg;
    const struct store_message message = message_of("user", "tick");
    while (!atomic_load(&turns->stop)) {
        unsigned done = atomic_load(&turns->done);
        const struct answer *answer =
            client_run(turns->client, op_creating(op_append("ann", done % 2 ? "second" : "first", &message, 1)));
        if (answer->reason != ERROR_NONE_REASON) {
            abort();
        }
        atomic_fetch_add(&turns->done, 1);
    }
    return NULL;
}

static uint64_t last_seq(struct client *client, const char *conversation)
{
    const struct answer *answer = client_run(client, op_page("ann", conversation, STORE_LATEST, 0, 1));
    return answer->reason == ERROR_CONVERSATION_NOT_FOUND ? 0 : answer->result.last_seq;
}

static void a_backup_under_load_is_of_one_moment_and_has_what_was_answered_before(void **state)
{
    struct turns turns = {.client = *state};
    pthread_t thread;
    client_fill(*state, "bulk", "chat", 5000);
    assert_int_equal(pthread_create(&thread, NULL, turns_main, &turns), 0);
    for (int i = 0; i < BACKUPS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "turn-%d", i);
        while (atomic_load(&turns.done) < 10U * ((unsigned)i + 1)) {
            usleep(1000);
        }
        unsigned least = atomic_load(&turns.done);
        const struct answer *answer = client_run(*state, op_backup(name));
        unsigned most = atomic_load(&turns.done) + 1; /* one more may be stored and not answered */
        assert_ok(answer);
        struct client *copy = restored(name);
        uint64_t first = last_seq(copy, "first");
        uint64_t second = last_seq(copy, "second");
        client_free(copy);
        assert_true(first == second || first == second + 1);
        assert_true(first + second >= least && first + second <= most);
    }
    atomic_store(&turns.stop, true);
    pthread_join(thread, NULL);
}

/* What was restored is migrated to its end, and is what there was before. */
static void expect_migrated(const char *name, const struct buffer *wanted)
{
    struct client *copy = restored(name);
    client_close(copy);
    client_config(copy)->migrate = STORE_MIGRATE_AUTO;
    client_open(copy);
    image_wait_migrated(copy);
    image_expect(copy, wanted, "restored");
    client_free(copy);
}

static void a_backup_in_the_middle_of_a_migration_goes_on_where_it_was(void **state)
{
    struct client *client = *state;
    const uint32_t layouts[] = {1, 2};
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        char held[16];
        char moving[16];
        snprintf(held, sizeof(held), "held-%u", (unsigned)layouts[i]);
        snprintf(moving, sizeof(moving), "moving-%u", (unsigned)layouts[i]);
        image_begin_old(client, layouts[i]);
        image_fill(client, MESSAGES);
        struct buffer wanted = image_take(client);
        client_close(client);
        image_migrate(client, 1);
        image_wait_moving(client);
        client_close(client);
        client_config(client)->migrate = STORE_MIGRATE_HOLD;
        client_open(client);
        const struct answer *answer = client_run(client, op_backup(held));
        assert_ok(answer);
        assert_int_not_equal(answer->result.backup.layout, answer->result.backup.target);
        client_close(client);
        image_migrate(client, 1);
        assert_ok(client_run(client, op_backup(moving)));
        image_wait_migrated(client);
        expect_migrated(held, &wanted);
        expect_migrated(moving, &wanted);
        buffer_free(&wanted);
    }
}

static void a_backup_leaves_an_event_and_one_that_failed_does_not(void **state)
{
    struct client *client = *state;
    client_fill(client, "ann", "chat", 3);
    assert_ok(client_run(client, op_by(op_backup("one"), "uid:0")));
    assert_refused(client_run(client, op_backup("one")), BACKUP_EXISTS);
    struct store_op op = op_events(NULL, 10, span_of(NULL, 0));
    const struct answer *events = client_run(client, op);
    size_t backups = 0;
    assert_ok(events);
    for (size_t i = 0; i < events->count; i++) {
        if (events->events[i]->action == CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_BACKUP) {
            backups++;
            assert_string_equal(events->events[i]->principal, "uid:0");
            assert_string_equal(events->events[i]->request_id, "one");
            assert_int_equal(events->events[i]->messages, 3);
        }
    }
    assert_int_equal(backups, 1);
}

static void without_a_directory_there_are_no_backups(void **state)
{
    struct client *client = *state;
    client_close(client);
    client_config(client)->backup_dir = NULL;
    client_open(client);
    assert_refused(client_run(client, op_backup("one")), BACKUP_OFF);
    client_close(client);
    client_config(client)->backup_dir = "/nonexistent/backups";
    client_open(client);
    assert_refused(client_run(client, op_backup("one")), BACKUP_FAILED);
}

static void a_backup_that_would_not_leave_the_reserve_is_refused_and_leaves_nothing(void **state)
{
    struct client *client = *state;
    client_fill(client, "ann", "chat", 3);
    client_close(client);
    client_config(client)->disk_reserve_bytes = INT64_MAX;
    client_open(client);
    assert_refused(client_run(client, op_backup("one")), DISK_FULL);
    assert_false(is_there("one"));
    assert_false(is_there(".making"));
}

static void what_a_killed_daemon_left_of_a_backup_is_removed(void **state)
{
    char path[PATH_BYTES];
    assert_int_equal(mkdir(path_of(".making", path), 0700), 0);
    int file = open(path_of(".making/data.mdb", path), O_WRONLY | O_CREAT, 0600);
    assert_true(file >= 0 && write(file, "half", 4) == 4);
    close(file);
    client_fill(*state, "ann", "chat", 3);
    assert_ok(client_run(*state, op_backup("one")));
    assert_false(is_there(".making"));
    client_free(restored("one"));
}

static void jobs_are_given_up_when_the_store_stops(void **state)
{
    struct client *client = *state;
    store_end_jobs(client_store(client));
    assert_refused(client_run(client, op_backup("one")), SHUTTING_DOWN);
    assert_refused(client_run(client, (struct store_op){.verb = STORE_VERIFY}), SHUTTING_DOWN);
    assert_false(is_there("one"));
}

static void a_verification_finds_nothing_wrong_under_load(void **state)
{
    struct turns turns = {.client = *state};
    pthread_t thread;
    image_fill(*state, MESSAGES);
    assert_int_equal(pthread_create(&thread, NULL, turns_main, &turns), 0);
    while (atomic_load(&turns.done) < 20) {
        usleep(1000);
    }
    for (int i = 0; i < BACKUPS; i++) {
        assert_ok(client_run(*state, (struct store_op){.verb = STORE_VERIFY}));
    }
    atomic_store(&turns.stop, true);
    pthread_join(thread, NULL);
}

/* Changes one byte of a file of the backup. */
static void byte_change(const char *file, off_t at)
{
    char path[PATH_BYTES];
    uint8_t byte = 0;
    int descriptor = open(path_of(file, path), O_RDWR);
    assert_true(descriptor >= 0 && pread(descriptor, &byte, 1, at) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(descriptor, &byte, 1, at), 1);
    close(descriptor);
}

/* Where in the manifest the value of this member begins. */
static off_t manifest_find(const char *name, const char *member)
{
    char path[PATH_BYTES];
    char text[MANIFEST_BYTES + 1] = "";
    int descriptor = open(path_of(name, path), O_RDONLY);
    assert_true(descriptor >= 0 && read(descriptor, text, MANIFEST_BYTES) > 0);
    close(descriptor);
    const char *found = strstr(text, member);
    assert_non_null(found);
    return found - text + (off_t)strlen(member);
}

static void what_is_no_sound_backup_is_not_restored(void **state)
{
    struct error error = {0};
    char path[PATH_BYTES];
    client_fill(*state, "ann", "chat", 100);
    assert_int_equal(restore("none", &error), ERROR_STARTUP);
    assert_non_null(strstr(error.message, "manifest"));

    assert_ok(client_run(*state, op_backup("changed")));
    byte_change("changed/data.mdb", 20000);
    assert_int_equal(restore("changed", &error), ERROR_STARTUP);
    assert_non_null(strstr(error.message, "is not the file"));
    assert_false(is_there("changed-data/data.mdb"));

    assert_ok(client_run(*state, op_backup("short")));
    assert_int_equal(truncate(path_of("short/data.mdb", path), 12288), 0);
    assert_int_equal(restore("short", &error), ERROR_STARTUP);

    assert_ok(client_run(*state, op_backup("odd")));
    byte_change("odd/manifest.json", 0);
    assert_int_equal(restore("odd", &error), ERROR_STARTUP);
    byte_change("odd/manifest.json", 0);
    byte_change("odd/manifest.json", manifest_find("odd/manifest.json", "\"commit_id\": "));
    assert_int_equal(restore("odd", &error), ERROR_STARTUP);
    assert_non_null(strstr(error.message, "its checksum of itself does not fit"));

    byte_change("changed/data.mdb", 20000); /* as it was: the directory that the failed try left will do */
    assert_int_equal(restore("changed", &error), 0);
    assert_int_equal(restore("changed", &error), ERROR_STARTUP);
    assert_non_null(strstr(error.message, "not empty"));
}

#define backup_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        backup_test(a_backup_holds_what_the_store_held),
        backup_test(a_backup_under_load_is_of_one_moment_and_has_what_was_answered_before),
        backup_test(a_backup_in_the_middle_of_a_migration_goes_on_where_it_was),
        backup_test(a_backup_leaves_an_event_and_one_that_failed_does_not),
        backup_test(without_a_directory_there_are_no_backups),
        backup_test(a_backup_that_would_not_leave_the_reserve_is_refused_and_leaves_nothing),
        backup_test(what_a_killed_daemon_left_of_a_backup_is_removed),
        backup_test(jobs_are_given_up_when_the_store_stops),
        backup_test(a_verification_finds_nothing_wrong_under_load),
        backup_test(what_is_no_sound_backup_is_not_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
