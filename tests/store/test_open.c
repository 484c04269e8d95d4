/* Opening and closing: what one process acknowledged another finds, and never two at a time. Must not know an
 * engine. Run as "PROGRAM --hold DIR" this program is the other process: it opens DIR, says so and waits. */
#include "support/directory.h"
#include "support/process.h"
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int try_open(struct client *client, const char *directory, struct store **ret_store, struct error *error)
{
    struct store_config config = *client_config(client);
    config.data_dir = directory;
    return store_open(&config, ret_store, error);
}

static void assert_not_opened(struct client *client, const char *directory, struct error *ret_error)
{
    struct store *const untouched = (struct store *)(uintptr_t)0x10;
    struct store *store = untouched;
    *ret_error = (struct error){0};
    assert_int_equal(try_open(client, directory, &store, ret_error), -ERROR_STARTUP);
    assert_ptr_equal(store, untouched);
    assert_int_equal(ret_error->reason, ERROR_STARTUP);
    assert_true(strlen(ret_error->message) > 0);
    assert_null(strchr(ret_error->message, '\n'));
}

static void assert_names(const struct error *error, pid_t holder)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", (int)holder);
    if (!strstr(error->message, number)) {
        fail_msg("\"%s\" does not name process %s", error->message, number);
    }
}

static void a_directory_is_opened_once_in_a_process(void **state)
{
    struct client *client = *state;
    struct error error;
    client_fill(client, "alice", "thread", 2);
    for (int i = 0; i < 3; i++) {
        assert_not_opened(client, client_config(client)->data_dir, &error);
        assert_names(&error, getpid());
    }
    client_fill(client, "alice", "thread", 1);
    client_reopen(client);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3);
}

/* The other process. */
static _Noreturn void hold(const char *directory)
{
    client_new_in(directory);
    puts("held");
    fflush(stdout);
    for (;;) {
        pause();
    }
}

static void the_second_process_is_refused_and_told_who_holds_the_directory(void **state)
{
    struct client *client = *state;
    struct error error;
    char line[16];
    client_close(client);
    struct process holder = process_start("--hold", client_config(client)->data_dir);
    process_read_line(&holder, line, sizeof(line));
    assert_string_equal(line, "held");
    assert_not_opened(client, client_config(client)->data_dir, &error);
    assert_names(&error, holder.id);
    process_kill(&holder);
    client_open(client);
}

static void data_survives_many_restarts(void **state)
{
    struct client *client = *state;
    for (uint64_t i = 1; i <= 10; i++) {
        client_fill(client, "alice", "thread", 1);
        client_reopen(client);
        client_reopen(client);
        const struct answer *page = client_run(client, op_page("alice", "thread", STORE_AFTER, 0, 1000));
        assert_ok(page);
        assert_int_equal(page->count, i);
        assert_int_equal(page->result.last_seq, i);
        client_wait_until_stored(client, 1, 1, i);
    }
}

static void a_missing_directory_is_created_for_its_owner_only(void **state)
{
    struct client *client = *state;
    char path[256];
    char *parent = directory_new();
    snprintf(path, sizeof(path), "%s/data", parent);
    struct store *store = NULL;
    struct error error = {0};
    assert_int_equal(try_open(client, path, &store, &error), 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_null(store_close(store));
    directory_remove(parent);
}

static void a_path_that_can_not_be_a_directory_is_refused(void **state)
{
    struct client *client = *state;
    char path[256];
    struct error error;
    char *parent = directory_new();
    snprintf(path, sizeof(path), "%s/no/such/data", parent);
    assert_not_opened(client, path, &error);
    snprintf(path, sizeof(path), "%s/file", parent);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_not_opened(client, path, &error);
    assert_non_null(strstr(error.message, path));
    directory_remove(parent);
}

static void two_stores_of_one_process_are_independent(void **state)
{
    struct client *client = *state;
    struct client *other = client_new();
    client_fill(client, "alice", "thread", 3);
    client_fill(other, "alice", "thread", 1);
    assert_ok(client_run(other, op_forget("alice")));
    client_wait_until_stored(client, 1, 1, 3);
    client_wait_until_stored(other, 0, 0, 0);
    client_free(other);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3);
}

static void a_store_describes_itself(void **state)
{
    struct client *client = *state;
    struct store_info info = store_describe(client_store(client));
    assert_non_null(info.engine_version);
    assert_true(strlen(info.engine_version) > 0);
    bool readable = false;
    for (size_t i = 0; i < info.readable_count; i++) {
        readable |= info.readable_layouts[i] == info.layout;
        assert_true(i == 0 || info.readable_layouts[i] > info.readable_layouts[i - 1]);
    }
    assert_true(readable);
    assert_true(store_takes_writes(client_store(client)));
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--hold") == 0) {
        hold(arguments[2]);
    }
    const struct CMUnitTest tests[] = {
        store_test(a_directory_is_opened_once_in_a_process),
        store_test(the_second_process_is_refused_and_told_who_holds_the_directory),
        store_test(data_survives_many_restarts),
        store_test(a_missing_directory_is_created_for_its_owner_only),
        store_test(a_path_that_can_not_be_a_directory_is_refused),
        store_test(two_stores_of_one_process_are_independent),
        store_test(a_store_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
