/* What a salvage brings over: everything of sound data, whatever state it is in, and of damaged data all that can be
 * read; what cannot is named, and the result is sound. */
#include "store/lmdb/layout.h"
#include "store/maintenance.h"
#include "support/directory.h"
#include "support/lmdb_file.h"
#include "support/store_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATH_BYTES = 512, MESSAGES = 1000, LINES_BYTES = 4096 };

struct fixture {
    struct client *client;
    struct store_salvage salvage;
    char *directory;
    char to[PATH_BYTES];
    char lines[LINES_BYTES]; /* what was told */
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    void *client;
    client_setup(&client);
    fixture->client = client;
    fixture->directory = directory_new();
    snprintf(fixture->to, sizeof(fixture->to), "%s/new", fixture->directory);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    client_free(fixture->client);
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

static void line_keep(void *arg, enum store_event event, const char *line)
{
    (void)event;
    struct fixture *fixture = arg;
    size_t length = strlen(fixture->lines);
    snprintf(fixture->lines + length, sizeof(fixture->lines) - length, "%s\n", line);
}

/* Salvages the closed client's data. A store on the result, which was checked; free it with client_free. */
static struct client *salvaged(struct fixture *fixture)
{
    struct error error = {0};
    struct store_survey survey;
    struct store_config config = *client_config(fixture->client);
    const char *from = config.data_dir;
    config.data_dir = fixture->to;
    config.event = line_keep;
    config.event_arg = fixture;
    if (store_salvage(&config, from, &fixture->salvage, &error)) {
        fail_msg("salvage: %s", error.message);
    }
    assert_int_equal(store_verify(&config, &survey, &error), 0);
    if (survey.unreadable || survey.mismatches || survey.strays || survey.damaged_events) {
        fail_msg("what was salvaged is not sound: %s", survey.findings[0]);
    }
    return client_new_in(fixture->to);
}

static void expect_told(const struct fixture *fixture, const char *words)
{
    if (!strstr(fixture->lines, words)) {
        fail_msg("\"%s\" is not told, but \"%s\"", words, fixture->lines);
    }
}

static void everything(struct fixture *fixture, struct buffer *wanted)
{
    struct client *copy = salvaged(fixture);
    if (fixture->salvage.lost + fixture->salvage.renamed > 0) {
        fail_msg("something was lost: %s", fixture->lines);
    }
    image_expect(copy, wanted, "salvaged");
    image_replay(copy);
    client_free(copy);
    buffer_free(wanted);
}

static void from_layout(void **state, uint32_t layout)
{
    struct fixture *fixture = *state;
    image_begin_old(fixture->client, layout);
    image_fill(fixture->client, MESSAGES);
    struct buffer wanted = image_take(fixture->client);
    client_close(fixture->client);
    everything(fixture, &wanted);
}

static void of_sound_data_of_layout_1_everything_is_there(void **state)
{
    from_layout(state, 1);
}

static void of_sound_data_of_layout_2_everything_is_there(void **state)
{
    from_layout(state, 2);
}

static void of_sound_data_of_layout_3_everything_is_there(void **state)
{
    from_layout(state, 3);
}

static void what_waits_in_the_journal_is_there(void **state)
{
    struct fixture *fixture = *state;
    client_close(fixture->client);
    client_config(fixture->client)->fold_late = true;
    client_open(fixture->client);
    image_fill(fixture->client, MESSAGES);
    struct buffer wanted = image_take(fixture->client);
    client_close(fixture->client);
    everything(fixture, &wanted);
}

static void in_the_middle_of_a_migration_everything_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct store_status status;
    struct error error;
    image_begin_old(fixture->client, 1);
    image_fill(fixture->client, MESSAGES);
    struct buffer wanted = image_take(fixture->client);
    client_close(fixture->client);
    image_migrate(fixture->client, 1);
    image_wait_moving(fixture->client);
    client_close(fixture->client);
    assert_int_equal(store_status(client_config(fixture->client), &status, &error), 0);
    assert_int_not_equal(status.layout, status.target);
    everything(fixture, &wanted);
}

/* Ann has one conversation of three messages, Bob another; both closed, and folded. */
static void two_users(struct fixture *fixture)
{
    image_begin_old(fixture->client, 2);
    client_fill(fixture->client, "ann", "chat", 3);
    client_fill(fixture->client, "bob", "talk", 3);
    client_close(fixture->client);
}

static void damage(struct fixture *fixture, const char *table, struct span key)
{
    lmdb_file_put(client_config(fixture->client)->data_dir, table, key, span_of_string("not what was put here"));
}

static struct place ann(void)
{
    return (struct place){.layout = &layout_2,
                          .user = span_of_string("ann"),
                          .conversation = span_of_string("chat"),
                          .user_number = 1,
                          .conversation_number = 1};
}

static void a_damaged_message_is_lost_alone(void **state)
{
    struct fixture *fixture = *state;
    struct place place = ann();
    two_users(fixture);
    struct key key = layout_2.message_key(&place, 2);
    damage(fixture, "2.data", key_span(&key));
    struct client *copy = salvaged(fixture);
    assert_int_equal(fixture->salvage.lost, 1);
    assert_int_equal(fixture->salvage.messages, 5);
    expect_told(fixture, "message ann/chat/2 is damaged");
    assert_seqs(client_run(copy, op_page("ann", "chat", STORE_LATEST, 0, 10)), 1, 3);
    assert_seqs(client_run(copy, op_page("bob", "talk", STORE_LATEST, 0, 10)), 1, 2, 3);
    client_fill(copy, "ann", "chat", 1);
    assert_seqs(client_run(copy, op_page("ann", "chat", STORE_LATEST, 0, 1)), 4);
    client_free(copy);
}

static void a_damaged_head_loses_no_message(void **state)
{
    struct fixture *fixture = *state;
    struct place place = ann();
    two_users(fixture);
    struct key key = layout_2.head_key(&place);
    damage(fixture, "2.data", key_span(&key));
    struct client *copy = salvaged(fixture);
    assert_int_equal(fixture->salvage.lost, 1);
    expect_told(fixture, "the head of ann/chat is damaged");
    assert_seqs(client_run(copy, op_page("ann", "chat", STORE_LATEST, 0, 10)), 1, 2, 3);
    client_free(copy);
}

static void a_user_without_a_name_gets_one_of_the_number(void **state)
{
    struct fixture *fixture = *state;
    two_users(fixture);
    damage(fixture, "2.users", span_of_string("ann"));
    struct client *copy = salvaged(fixture);
    assert_int_equal(fixture->salvage.renamed, 1);
    expect_told(fixture, "it is salvaged-user-1/chat");
    assert_seqs(client_run(copy, op_page("salvaged-user-1", "chat", STORE_LATEST, 0, 10)), 1, 2, 3);
    assert_seqs(client_run(copy, op_page("bob", "talk", STORE_LATEST, 0, 10)), 1, 2, 3);
    client_free(copy);
}

static void nothing_is_written_over(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    two_users(fixture);
    client_free(salvaged(fixture));
    struct store_config config = *client_config(fixture->client);
    const char *from = config.data_dir;
    config.data_dir = fixture->to;
    assert_int_equal(store_salvage(&config, from, &fixture->salvage, &error), -ERROR_STARTUP);
    assert_non_null(strstr(error.message, "is there already"));
}

#define salvage_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        salvage_test(of_sound_data_of_layout_1_everything_is_there),
        salvage_test(of_sound_data_of_layout_2_everything_is_there),
        salvage_test(of_sound_data_of_layout_3_everything_is_there),
        salvage_test(what_waits_in_the_journal_is_there),
        salvage_test(in_the_middle_of_a_migration_everything_is_there),
        salvage_test(a_damaged_message_is_lost_alone),
        salvage_test(a_damaged_head_loses_no_message),
        salvage_test(a_user_without_a_name_gets_one_of_the_number),
        salvage_test(nothing_is_written_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
