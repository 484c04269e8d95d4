/* What the LMDB engine refuses to open. The data file is made wrong through LMDB itself, or byte by byte. */
#include "store/lmdb/env.h"
#include "support/control.h"
#include "support/lmdb_file.h"
#include "support/store_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 256 };

/* The bytes of a file, so that a test can say it was left alone. */
struct image {
    uint8_t *bytes;
    size_t size;
};

static void data_path(struct client *client, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/data.mdb", client_config(client)->data_dir);
}

static struct image image_take(struct client *client)
{
    char path[PATH_BYTES];
    struct stat status;
    data_path(client, path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &status), 0);
    struct image image = {.bytes = malloc((size_t)status.st_size + 1), .size = (size_t)status.st_size};
    assert_non_null(image.bytes);
    assert_int_equal(read(file, image.bytes, image.size), image.size);
    close(file);
    return image;
}

/* Opening must fail, with these words in the error, and leave the data file as it is. */
static void assert_refused_untouched(struct client *client, const char *words)
{
    struct image before = image_take(client);
    struct store *store = NULL;
    struct error error = {0};
    assert_int_equal(store_open(client_config(client), &store, &error), -ERROR_STARTUP);
    assert_null(store);
    if (!strstr(error.message, words)) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    }
    assert_non_null(strstr(error.message, client_config(client)->data_dir));
    struct image after = image_take(client);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.bytes, after.bytes, before.size);
    free(before.bytes);
    free(after.bytes);
}

static void bytes_overwrite(struct client *client, off_t at, const void *bytes, size_t size)
{
    char path[PATH_BYTES];
    data_path(client, path);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, size, at), size);
    close(file);
}

static void meta_overwrite(struct client *client, const char *key, struct span value)
{
    lmdb_file_put(client_config(client)->data_dir, "_meta", span_of_string(key), value);
}

static void marker_overwrite(struct client *client, struct marker marker)
{
    uint8_t bytes[MARKER_BYTES];
    marker_encode(&marker, bytes);
    meta_overwrite(client, MARKER_KEY, span_of(bytes, sizeof(bytes)));
}

#define KNOWN "newer data with a marker that is known" /* a control */

static const struct marker present = {
    .format = MARKER_FORMAT, .layout = MARKER_LAYOUT, .target = MARKER_LAYOUT, .min_reader = 1, .min_writer = 1};

static void a_newer_layout_is_refused_and_named(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    client_close(client);
    struct marker newer = present;
    if (!control_is(KNOWN)) {
        newer.format = 2;
        newer.layout = 7;
        newer.min_reader = 6;
        newer.min_writer = 7;
    }
    marker_overwrite(client, newer);
    assert_refused_untouched(client, "has key layout 7 and needs a chatlogd that knows layout 7");
    newer.min_writer = 1;
    marker_overwrite(client, newer);
    assert_refused_untouched(client, "knows layout 6");
    marker_overwrite(client, present);
    client_open(client);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3);
}

static void a_marker_that_no_release_wrote_is_refused(void **state)
{
    struct client *client = *state;
    client_close(client);
    struct marker odd = present;
    odd.target = 1; /* at rest in two layouts at once */
    marker_overwrite(client, odd);
    assert_refused_untouched(client, "layout marker");
}

static void data_without_a_sound_marker_is_refused(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 1);
    client_close(client);
    meta_overwrite(client, MARKER_KEY, span_of_string("not a marker"));
    assert_refused_untouched(client, "marker is damaged");
    meta_overwrite(client, MARKER_KEY, span_of(NULL, 0));
    assert_refused_untouched(client, "marker is missing");
}

static void a_database_of_lmdb_1_is_refused_before_lmdb_sees_it(void **state)
{
    struct client *client = *state;
    static const uint8_t head[] = {0xde, 0xc0, 0xef, 0xbe, 3, 0, 0, 0}; /* behind a longer page header */
    static const uint8_t nothing[8] = {0};
    client_close(client);
    bytes_overwrite(client, 16, nothing, sizeof(nothing));
    bytes_overwrite(client, 24, head, sizeof(head));
    assert_refused_untouched(client, "LMDB data format 3");
}

static void a_database_of_another_format_at_the_usual_place_is_refused(void **state)
{
    struct client *client = *state;
    static const uint8_t version[] = {3, 0, 0, 0};
    client_close(client);
    bytes_overwrite(client, 20, version, sizeof(version));
    assert_refused_untouched(client, "LMDB data format 3");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct client *client = *state;
    char text[4096];
    memset(text, 'x', sizeof(text));
    client_close(client);
    bytes_overwrite(client, 0, text, sizeof(text));
    assert_refused_untouched(client, "is not an LMDB database");
}

static void a_file_of_a_few_bytes_is_refused_but_an_empty_one_is_new(void **state)
{
    struct client *client = *state;
    char path[PATH_BYTES];
    client_close(client);
    data_path(client, path);
    assert_int_equal(truncate(path, 10), 0);
    assert_refused_untouched(client, "is not an LMDB database");
    assert_int_equal(truncate(path, 0), 0);
    client_open(client);
    client_fill(client, "alice", "thread", 1);
}

static void a_lock_file_left_by_a_dead_process_does_not_stand_in_the_way(void **state)
{
    struct client *client = *state;
    char path[PATH_BYTES];
    char text[32] = "";
    client_close(client);
    snprintf(path, sizeof(path), "%s/chatlogd.lock", client_config(client)->data_dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "4194304000 and then some more\n");
    fclose(file);
    client_open(client);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_int_equal(strtol(text, NULL, 10), getpid());
}

static void control_a_chatlogd_that_opens_it_all_the_same_is_found_out(void **state)
{
    (void)state;
    control_must_fail(24, KNOWN, "a_newer_layout_is_refused_and_named");
}

int main(void)
{
    control_begin();
    const struct CMUnitTest tests[] = {
        store_test(a_newer_layout_is_refused_and_named),
        store_test(a_marker_that_no_release_wrote_is_refused),
        store_test(data_without_a_sound_marker_is_refused),
        store_test(a_database_of_lmdb_1_is_refused_before_lmdb_sees_it),
        store_test(a_database_of_another_format_at_the_usual_place_is_refused),
        store_test(a_file_that_is_no_database_is_refused),
        store_test(a_file_of_a_few_bytes_is_refused_but_an_empty_one_is_new),
        store_test(a_lock_file_left_by_a_dead_process_does_not_stand_in_the_way),
        cmocka_unit_test(control_a_chatlogd_that_opens_it_all_the_same_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
