/* What the LMDB engine refuses to open, and what it does with damaged records. The data file is made wrong through LMDB
 * itself, or byte by byte. */
#include "store/lmdb/env.h"
#include "support/directory.h"
#include "support/store_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 256, MAP_BYTES = 1 << 30, TABLES_MAX = 16 };

static const struct store_message hello = {.role = {(const uint8_t *)"user", 4},
                                           .content = {(const uint8_t *)"hello", 5}};

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

/* Puts (or with no value removes) one entry of a table of the closed store. */
static void entry_overwrite(struct client *client, const char *table, struct span key, struct span value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint8_t key_bytes[KEY_LMDB_MAX];
    uint8_t value_bytes[1024];
    assert_true(key.size <= sizeof(key_bytes) && value.size <= sizeof(value_bytes));
    memcpy(key_bytes, key.data, key.size);
    memcpy(value_bytes, value.data ? value.data : key_bytes, value.size);
    MDB_val lmdb_key = {.mv_size = key.size, .mv_data = key_bytes};
    MDB_val lmdb_value = {.mv_size = value.size, .mv_data = value_bytes};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, TABLES_MAX), 0);
    assert_int_equal(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(env, client_config(client)->data_dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    if (value.size > 0) {
        assert_int_equal(mdb_put(txn, dbi, &lmdb_key, &lmdb_value, 0), 0);
    } else {
        assert_int_equal(mdb_del(txn, dbi, &lmdb_key, NULL), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void marker_overwrite(struct client *client, struct marker marker)
{
    uint8_t bytes[MARKER_BYTES];
    marker_encode(&marker, bytes);
    entry_overwrite(client, "_meta", span_of_string("layout"), span_of(bytes, sizeof(bytes)));
}

static const struct marker present = {
    .format = MARKER_FORMAT, .layout = MARKER_LAYOUT, .target = MARKER_LAYOUT, .min_reader = 1, .min_writer = 1};

static void a_newer_layout_is_refused_and_named(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    client_close(client);
    struct marker newer = present;
    newer.format = 2;
    newer.layout = 7;
    newer.min_reader = 6;
    newer.min_writer = 7;
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
    odd.target = 2; /* a migration this daemon knows nothing of, though it claims to be able to read it */
    marker_overwrite(client, odd);
    assert_refused_untouched(client, "layout marker");
}

static void data_without_a_sound_marker_is_refused(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 1);
    client_close(client);
    entry_overwrite(client, "_meta", span_of_string("layout"), span_of_string("not a marker"));
    assert_refused_untouched(client, "marker is damaged");
    entry_overwrite(client, "_meta", span_of_string("layout"), span_of(NULL, 0));
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

static void message_damage(struct client *client, uint64_t seq)
{
    struct key key = key_message(span_of_string("alice"), span_of_string("thread"), seq);
    client_close(client);
    entry_overwrite(client, "messages", key_span(&key), span_of_string("\x08\x01\x20 damaged"));
    client_open(client);
}

static void a_damaged_message_is_named_and_its_neighbours_stay_readable(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 9);
    message_damage(client, 5);
    const struct answer *damaged = client_run(client, op_message("alice", "thread", 5));
    assert_refused(damaged, RECORD_DAMAGED);
    assert_non_null(strstr(damaged->error.message, "alice/thread/0000000005"));
    assert_refused(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 9)), RECORD_DAMAGED);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 4)), 6, 7, 8, 9);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_BEFORE, 5, 9)), 1, 2, 3, 4);
    assert_ok(client_run(client, op_message("alice", "thread", 4)));
}

static void changes_that_meet_a_damaged_message_write_nothing(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 9);
    message_damage(client, 5);
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    assert_refused(client_run(client, op_pop("alice", "thread", 6)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_replace("alice", "thread", 2, &hello, 1)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_delete_message("alice", "thread", 5)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_edit("alice", "thread", 5, STORE_MASK_CONTENT, &hello)), RECORD_DAMAGED);
    const struct answer *after = client_run(client, op_get("alice", "thread"));
    assert_true(span_equal(before->records[0], after->records[0]));
    assert_seqs(client_run(client, op_pop("alice", "thread", 4)), 6, 7, 8, 9);
    assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
}

static void a_damaged_conversation_is_named_and_others_stay_usable(void **state)
{
    struct client *client = *state;
    struct key key = key_conversation(span_of_string("alice"), span_of_string("thread"));
    client_fill(client, "alice", "thread", 2);
    client_fill(client, "alice", "other", 2);
    client_close(client);
    entry_overwrite(client, "conversations", key_span(&key), span_of_string("damaged"));
    client_open(client);
    const struct answer *damaged = client_run(client, op_get("alice", "thread"));
    assert_refused(damaged, RECORD_DAMAGED);
    assert_non_null(strstr(damaged->error.message, "alice/thread"));
    assert_refused(client_run(client, op_append("alice", "thread", &hello, 1)), RECORD_DAMAGED);
    assert_refused(client_run(client, op_purge("alice", "thread")), RECORD_DAMAGED);
    assert_ok(client_run(client, op_append("alice", "other", &hello, 1)));
}

static void damage_does_not_keep_a_user_from_being_forgotten(void **state)
{
    struct client *client = *state;
    struct key key = key_conversation(span_of_string("alice"), span_of_string("other"));
    client_fill(client, "alice", "thread", 9);
    client_fill(client, "alice", "other", 2);
    client_fill(client, "bob", "thread", 1);
    message_damage(client, 5);
    client_close(client);
    entry_overwrite(client, "conversations", key_span(&key), span_of_string("damaged"));
    client_open(client);
    const struct answer *receipt = client_run(client, op_forget("alice"));
    assert_ok(receipt);
    assert_int_equal(receipt->result.receipt.conversations, 2);
    assert_int_equal(receipt->result.receipt.messages, 11);
    client_wait_until_stored(client, 1, 1, 1);
    assert_seqs(client_run(client, op_page("bob", "thread", STORE_LATEST, 0, 10)), 1);
}

static void a_damaged_conversation_whose_time_is_over_is_removed(void **state)
{
    struct client *client = *state;
    struct key key = key_conversation(span_of_string("alice"), span_of_string("thread"));
    client_fill(client, "alice", "thread", 3);
    client_fill(client, "alice", "other", 1);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    client_close(client);
    entry_overwrite(client, "conversations", key_span(&key), span_of_string("damaged"));
    client_open(client);
    clock_advance(CLIENT_RETENTION_US);
    client_wait_until_stored(client, 1, 1, 1);
    assert_refused(client_run(client, op_get("alice", "thread")), CONVERSATION_NOT_FOUND);
    assert_int_equal(client_run(client, op_list("alice", 10, span_of(NULL, 0)))->count, 1);
    assert_ok(client_run_patiently(client, op_creating(op_append("alice", "thread", &hello, 1))));
}

static void a_damaged_remembered_answer_is_named_not_given(void **state)
{
    struct client *client = *state;
    struct store_op append = op_with_request(op_creating(op_append("alice", "thread", &hello, 1)), "r-1", 1);
    struct key key = key_request(span_of_string("alice"), span_of_string("thread"), span_of_string("r-1"));
    assert_ok(client_run(client, append));
    client_close(client);
    entry_overwrite(client, "requests", key_span(&key), span_of_string("short"));
    client_open(client);
    assert_refused(client_run(client, append), RECORD_DAMAGED);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_newer_layout_is_refused_and_named),
        store_test(a_marker_that_no_release_wrote_is_refused),
        store_test(data_without_a_sound_marker_is_refused),
        store_test(a_database_of_lmdb_1_is_refused_before_lmdb_sees_it),
        store_test(a_database_of_another_format_at_the_usual_place_is_refused),
        store_test(a_file_that_is_no_database_is_refused),
        store_test(a_file_of_a_few_bytes_is_refused_but_an_empty_one_is_new),
        store_test(a_lock_file_left_by_a_dead_process_does_not_stand_in_the_way),
        store_test(a_damaged_message_is_named_and_its_neighbours_stay_readable),
        store_test(changes_that_meet_a_damaged_message_write_nothing),
        store_test(a_damaged_conversation_is_named_and_others_stay_usable),
        store_test(damage_does_not_keep_a_user_from_being_forgotten),
        store_test(a_damaged_conversation_whose_time_is_over_is_removed),
        store_test(a_damaged_remembered_answer_is_named_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
