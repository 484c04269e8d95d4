/* Thousands of random operations, each compared with what a plain in-memory model says, and now and then everything
 * there is; with restarts in between. CHATLOG_TEST_SEED chooses another run than the fixed one; the seed is printed.
 * Must not know an engine. */
#include "store/maintenance.h"
#include "support/store_client.h"
#include "support/store_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 6000, COMPARE_EVERY = 150, REOPEN_EVERY = 400, BATCH_MAX = 6, POOL = 64 };

static const char *const users[] = {"u", "uu", "v"};
static const char *const conversations[] = {"c", "cc", "c c", "d"};
enum { USERS = 3, CONVERSATIONS = 4 };

struct run {
    struct client *client;
    struct model *model;
    uint64_t seed;
    unsigned migrations;
    char ids[POOL][16]; /* message IDs and contents to draw from */
    struct store_message messages[BATCH_MAX];
    struct store_pair pair;
};

static uint64_t draw(struct run *run, uint64_t below)
{
    run->seed = run->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (run->seed >> 33) % below;
}

static struct span draw_text(struct run *run)
{
    return span_of_string(run->ids[draw(run, POOL)]);
}

static struct store_message draw_message(struct run *run)
{
    return (struct store_message){
        .message_id = draw(run, 3) == 0 ? draw_text(run) : span_of(NULL, 0),
        .role = span_of_string("user"),
        .content_type = draw(run, 4) == 0 ? span_of_string("application/json") : span_of(NULL, 0),
        .token_count = (uint32_t)draw(run, 3),
        .metadata = &run->pair,
        .metadata_count = draw(run, 2),
        .content = span_of(draw_text(run).data, draw(run, 4)),
    };
}

static struct store_op draw_append(struct run *run, const char *user, const char *conversation, uint64_t last_seq)
{
    size_t count = 1 + draw(run, BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        run->messages[i] = draw_message(run);
    }
    struct store_op op = op_append(user, conversation, run->messages, count);
    op.append.create_if_missing = draw(run, 4) != 0;
    if (draw(run, 4) == 0) {
        op = op_expecting(op, draw(run, 3) == 0 ? draw(run, 5) : last_seq);
    }
    if (draw(run, 8) == 0) {
        op.append.replace_after_seq = (struct store_expected){.given = true, .value = draw(run, last_seq + 2)};
        op.append.count = draw(run, 3) == 0 ? 0 : count;
    }
    return op;
}

static struct store_op draw_conversation_change(struct run *run, const char *user, const char *conversation)
{
    struct store_conversation values = {
        .title = draw_text(run),
        .metadata = &run->pair,
        .metadata_count = draw(run, 2),
        .archived = draw(run, 2) == 0,
        .expire_time_us = draw(run, 4) == 0 ? clock_now() + (int64_t)draw(run, 100) * CLOCK_SECOND_US : 0,
    };
    switch (draw(run, 5)) {
    case 0: {
        struct store_op create = op_create(user, conversation);
        create.create = values;
        return create;
    }
    case 1:
    case 2:
        return op_update(user, conversation, (unsigned)(1 + draw(run, 15)), &values);
    case 3:
        return draw(run, 4) == 0 ? op_purge(user, conversation) : op_delete(user, conversation);
    default:
        return op_undelete(user, conversation);
    }
}

static struct store_op draw_message_change(struct run *run, const char *user, const char *conversation,
                                           uint64_t last_seq)
{
    uint64_t seq = 1 + draw(run, last_seq + 1);
    struct store_message values = draw_message(run);
    struct store_op op;
    switch (draw(run, 4)) {
    case 0:
        op = op_pop(user, conversation, 1 + draw(run, 5));
        return draw(run, 4) == 0 ? op_expecting(op, draw(run, last_seq + 1)) : op;
    case 1:
        return op_delete_message(user, conversation, seq);
    default:
        op = op_edit(user, conversation, seq, (unsigned)(1 + draw(run, 15)), &values);
        op.edit.expected_revision = (uint32_t)draw(run, 3);
        return op;
    }
}

static struct store_op draw_change(struct run *run)
{
    const char *user = users[draw(run, USERS)];
    const char *conversation = conversations[draw(run, CONVERSATIONS)];
    uint64_t last_seq = model_last_seq(run->model, user, conversation);
    uint64_t kind = draw(run, 100);
    if (kind == 0) {
        return op_forget(user);
    }
    if (kind < 25) {
        return draw_conversation_change(run, user, conversation);
    }
    if (kind < 65) {
        return draw_append(run, user, conversation, last_seq);
    }
    return draw_message_change(run, user, conversation, last_seq);
}

/* Every conversation and message, the lists and the counts. */
static void compare_all(struct run *run)
{
    for (size_t i = 0; i < USERS; i++) {
        for (size_t k = 0; k < CONVERSATIONS; k++) {
            model_compare_conversation(run->model, run->client, users[i], conversations[k]);
        }
        model_compare_list(run->model, run->client, users[i]);
    }
    model_compare_stats(run->model, run->client);
    client_release(run->client);
}

/* With the store closed: its parts fit one another. */
static void assert_sound(struct run *run)
{
    struct store_survey survey;
    struct error error = {0};
    assert_int_equal(store_verify(client_config(run->client), &survey, &error), 0);
    if (survey.unreadable || survey.mismatches || survey.strays) {
        fail_msg("%llu unreadable, %llu mismatches, %llu strays, the first: %s", (unsigned long long)survey.unreadable,
                 (unsigned long long)survey.mismatches, (unsigned long long)survey.strays, survey.findings[0]);
    }
}

static void reopen(struct run *run)
{
    client_close(run->client);
    assert_sound(run);
    client_open(run->client);
}

/* Opens the store again so that it moves to another layout a few records a commit, goes on with that, or stays where it
 * is for a while, perhaps half way. */
static void reopen_migrating(struct run *run)
{
    struct store_config *config = client_config(run->client);
    struct store_status status;
    struct error error;
    client_close(run->client);
    assert_sound(run);
    assert_int_equal(store_status(config, &status, &error), 0);
    if (status.layout == status.target) {
        run->migrations++;
        config->migrate_to = 1 + (status.layout + (uint32_t)draw(run, 2)) % 3;
    }
    config->migrate = draw(run, 3) == 0 ? STORE_MIGRATE_HOLD : STORE_MIGRATE_AUTO;
    config->migrate_slice_records = 1 + draw(run, 3);
    client_open(run->client);
    if (config->migrate == STORE_MIGRATE_AUTO && draw(run, 2) == 0) { /* soon half way, and kept there */
        usleep((useconds_t)draw(run, 20000));
        client_close(run->client);
        config->migrate = STORE_MIGRATE_HOLD;
        client_open(run->client);
    }
}

static void run_steps(struct run *run, bool migrating)
{
    for (int step = 1; step <= STEPS; step++) {
        clock_advance((int64_t)draw(run, 2 * CLOCK_SECOND_US));
        struct store_op op = draw_change(run);
        const struct answer *answer = client_run_patiently(run->client, op);
        model_apply(run->model, &op, answer);
        if (step % COMPARE_EVERY == 0) {
            compare_all(run);
        }
        if (step % REOPEN_EVERY == 0) {
            migrating ? reopen_migrating(run) : reopen(run);
            compare_all(run);
        }
    }
}

static void random_run(struct client *client, bool migrating)
{
    const char *chosen = getenv("CHATLOG_TEST_SEED");
    struct run run = {.client = client, .model = model_new(), .seed = chosen ? strtoull(chosen, NULL, 10) : 2026};
    print_message("CHATLOG_TEST_SEED=%llu\n", (unsigned long long)run.seed);
    client_close(run.client);
    client_config(run.client)->deleted_retention_us = INT64_MAX; /* purge by time is not random: the model has none */
    client_open(run.client);
    run.pair = (struct store_pair){span_of_string("key"), span_of_string("value")};
    for (size_t i = 0; i < POOL; i++) {
        snprintf(run.ids[i], sizeof(run.ids[i]), "id %zu", i);
    }
    run_steps(&run, migrating);
    assert_true(!migrating || chosen || run.migrations > 2);
    run.model = model_free(run.model);
}

static void random_operations_leave_what_the_model_says(void **state)
{
    random_run(*state, false);
}

static void random_operations_while_it_is_migrated_to_and_fro_leave_what_the_model_says(void **state)
{
    random_run(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(random_operations_leave_what_the_model_says),
        store_test(random_operations_while_it_is_migrated_to_and_fro_leave_what_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
