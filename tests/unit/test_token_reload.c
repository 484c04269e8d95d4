/* SIGHUP with a store that refuses what the audit trail is told: the keys are read all the same, and the log says that
 * the event is missing. What a store that takes it then has: tests/cli/test_token.py. */
#include "auth/token_keys.h"
#include "support/made_token.h"
#include "support/rpc_client.h"
#include "token_reload.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct rpc_fixture *rpc;
    struct made_keys keys;
    char *path;
    char spec[TOKEN_KEY_SPEC_BYTES];
    const char *specs[1];
    struct authority *authority;
    struct log log;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct error error;
    assert_non_null(fixture);
    fixture->rpc = rpc_fixture_new();
    fixture->log = log_new(LOG_LEVEL_INFO, LOG_TEXT);
    fixture->keys = made_keys_new("P-256");
    fixture->path = made_file(fixture->rpc->directory, "key", fixture->keys.secret);
    snprintf(fixture->spec, sizeof(fixture->spec), "h:HS256:%s", fixture->path);
    fixture->specs[0] = fixture->spec;
    const struct authority_config config = {.token_keys = fixture->specs, .token_key_count = 1, .audience = "chatlogd"};
    assert_int_equal(authority_new(&config, &fixture->authority, &error), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    authority_free(fixture->authority);
    rpc_fixture_free(fixture->rpc);
    free(fixture->path);
    free(fixture);
    return 0;
}

/* Reloads with standard error going to a file, and returns what was written there. */
static void reload(struct fixture *fixture, char *ret, size_t size)
{
    const struct token_reload config = {
        .authority = fixture->authority, .store = fixture->rpc->store, .log = &fixture->log, .key_count = 1};
    const siginfo_t signal = {.si_code = SI_USER};
    FILE *file = tmpfile();
    assert_non_null(file);
    int errors = dup(STDERR_FILENO);
    assert_true(errors >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    token_reload(&config, &signal);
    assert_true(dup2(errors, STDERR_FILENO) >= 0);
    close(errors);
    rewind(file);
    ret[fread(ret, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Two operations: the first keeps the writer's thread in its answer until it may go on, the second waits behind it. */
struct jam {
    struct store_op ops[2];
    sem_t answering;
    sem_t go_on;
    sem_t over;
};

static void jam_first(struct store_op *op, const struct error *error, struct store_result *result)
{
    struct jam *jam = op->arg;
    (void)result;
    assert_null(error);
    sem_post(&jam->answering);
    sem_wait(&jam->go_on);
}

static void jam_second(struct store_op *op, const struct error *error, struct store_result *result)
{
    struct jam *jam = op->arg;
    (void)result;
    assert_null(error);
    sem_post(&jam->over);
}

/* From here on the store refuses every change. */
static void jam_begin(struct jam *jam, struct rpc_fixture *rpc)
{
    static void (*const done[])(struct store_op * op, const struct error *error,
                                struct store_result *result) = {jam_first, jam_second};
    rpc->limits.queue_requests = 1;
    sem_init(&jam->answering, 0, 0);
    sem_init(&jam->go_on, 0, 0);
    sem_init(&jam->over, 0, 0);
    for (size_t i = 0; i < 2; i++) {
        jam->ops[i] = (struct store_op){
            .verb = STORE_NOTE_EVENT, .note.action = STORE_ACTION_BACKUP, .done = done[i], .arg = jam};
        store_run(rpc->store, &jam->ops[i]);
        if (i == 0) {
            sem_wait(&jam->answering);
        }
    }
}

static void jam_end(struct jam *jam)
{
    sem_post(&jam->go_on);
    sem_wait(&jam->over);
    sem_destroy(&jam->answering);
    sem_destroy(&jam->go_on);
    sem_destroy(&jam->over);
}

static bool knows(struct fixture *fixture, const char *secret)
{
    char *token = made_token_for("HS256", "h", "ann", "history:read", "chatlogd", 60, MADE_HS256, secret);
    struct verified verified;
    struct error error;
    bool known = authority_verify(fixture->authority, span_of_string(token), &verified, &error) == 0;
    if (known) {
        principal_release(verified.principal);
    }
    free(token);
    return known;
}

static void new_keys_are_in_force_though_the_audit_trail_has_no_room_for_them(void **state)
{
    struct fixture *fixture = *state;
    char log[2048];
    struct made_keys fresh = made_keys_new("P-256");
    struct jam jam;
    jam_begin(&jam, fixture->rpc);
    free(made_file(fixture->rpc->directory, "key", fresh.secret));
    reload(fixture, log, sizeof(log));
    jam_end(&jam);
    assert_non_null(strstr(log, "info SIGHUP: 1 token keys were read again"));
    assert_non_null(strstr(log, "warning the audit trail has no event of this SIGHUP: too many changes"));
    assert_true(knows(fixture, fresh.secret));
    assert_false(knows(fixture, fixture->keys.secret));
}

static void old_keys_stay_in_force_though_the_audit_trail_has_no_room_for_that(void **state)
{
    struct fixture *fixture = *state;
    char log[2048];
    struct jam jam;
    jam_begin(&jam, fixture->rpc);
    free(made_file(fixture->rpc->directory, "key", "short"));
    reload(fixture, log, sizeof(log));
    jam_end(&jam);
    assert_non_null(strstr(log, "error SIGHUP: the token keys stay as they were: "));
    assert_non_null(strstr(log, "warning the audit trail has no event of this SIGHUP: too many changes"));
    assert_true(knows(fixture, fixture->keys.secret));
}

static void an_event_under_way_when_the_store_closes_is_committed(void **state)
{
    struct fixture *fixture = *state;
    char log[2048];
    reload(fixture, log, sizeof(log));
    rpc_fixture_close(fixture->rpc); /* a leak of the event, or its use after the end, is for ASan to see */
    rpc_fixture_open(fixture->rpc);
    Chatlog__V1__Response *response =
        rpc_call(fixture->rpc, "chatlog.v1.AdminService/ListAuditEvents", (const struct field[]){{0}}, NULL);
    assert_int_equal(response->code, 0);
    assert_true(response->payload.len > 0 && memmem(response->payload.data, response->payload.len, "uid:0", 5));
    chatlog__v1__response__free_unpacked(response, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(new_keys_are_in_force_though_the_audit_trail_has_no_room_for_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(old_keys_stay_in_force_though_the_audit_trail_has_no_room_for_that, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_event_under_way_when_the_store_closes_is_committed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
