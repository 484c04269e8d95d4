/* LMDB failing under the writer. This program takes the place of three of LMDB's functions for the store, so that it
 * can make the n-th call fail; the real ones are called else. */
#include "store/maintenance.h"
#include "support/store_client.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { HELD_POLL_US = 1000 };

/* One fault: calls are counted down, and the one that reaches 0 (with `stays`: and every later one) fails with rc. */
struct fault {
    atomic_int calls_left; /* 0: none is set */
    atomic_int rc;
    atomic_bool stays;
};

static struct fault put_fault;
static struct fault commit_fault;
static atomic_bool commit_held;           /* a commit that is to fail waits until this is taken back */
static atomic_bool environment_is_broken; /* LMDB's own state after a failed meta page */

static void fault_set(struct fault *fault, int call, int rc, bool stays)
{
    atomic_store(&fault->rc, rc);
    atomic_store(&fault->stays, stays);
    atomic_store(&fault->calls_left, call);
}

/* The error this call is to fail with, or 0. */
static int fault_meet(struct fault *fault)
{
    if (atomic_load(&fault->calls_left) == 0) {
        return 0;
    }
    if (atomic_fetch_sub(&fault->calls_left, 1) > 1) {
        return 0;
    }
    if (atomic_load(&fault->stays)) {
        atomic_store(&fault->calls_left, 1);
    }
    return atomic_load(&fault->rc);
}

static void real_function(const char *name, void *function, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found || size != sizeof(found)) {
        abort();
    }
    memcpy(function, &found, size);
}

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags)
{
    int (*real)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned int);
    real_function("mdb_put", &real, sizeof(real));
    int rc = fault_meet(&put_fault);
    return rc ? rc : real(txn, dbi, key, data, flags);
}

int mdb_txn_commit(MDB_txn *txn)
{
    int (*real)(MDB_txn *);
    real_function("mdb_txn_commit", &real, sizeof(real));
    int rc = fault_meet(&commit_fault);
    if (rc) {
        while (atomic_load(&commit_held)) {
            usleep(HELD_POLL_US);
        }
        mdb_txn_abort(txn); /* as LMDB does */
        return rc;
    }
    return real(txn);
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn)
{
    int (*real)(MDB_env *, MDB_txn *, unsigned int, MDB_txn **);
    real_function("mdb_txn_begin", &real, sizeof(real));
    *txn = NULL;
    return atomic_load(&environment_is_broken) ? MDB_PANIC : real(env, parent, flags, txn);
}

static void faults_clear(void)
{
    fault_set(&put_fault, 0, 0, false);
    fault_set(&commit_fault, 0, 0, false);
    atomic_store(&commit_held, false);
    atomic_store(&environment_is_broken, false);
}

static int faults_setup(void **state)
{
    faults_clear();
    return client_setup(state);
}

static int faults_teardown(void **state)
{
    faults_clear();
    return client_teardown(state);
}

#define fault_test(name) cmocka_unit_test_setup_teardown(name, faults_setup, faults_teardown)

static const struct store_message hello = {.content = {(const uint8_t *)"hello", 5}};

static void a_commit_that_finds_no_room_stores_nothing_and_the_next_goes_on(void **state)
{
    struct client *client = *state;
    static const struct {
        int rc;
        enum error_reason reason;
    } rows[] = {
        {ENOSPC, ERROR_DISK_FULL},       {EDQUOT, ERROR_DISK_FULL}, {MDB_MAP_FULL, ERROR_DISK_FULL},
        {MDB_TXN_FULL, ERROR_DISK_FULL}, {EFBIG, ERROR_DISK_FULL},  {ENOMEM, ERROR_MEMORY_SHORT},
    };
    client_fill(client, "alice", "thread", 1);
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fault_set(&commit_fault, 1, rows[i].rc, false);
        const struct answer *refused = client_run(client, op_append("alice", "thread", &hello, 1));
        assert_int_equal(refused->reason, rows[i].reason);
        assert_true(answer_detail(refused, "retry_delay_ms") > 0);
        fault_set(&put_fault, 2, rows[i].rc, false);
        assert_int_equal(client_run(client, op_append("alice", "thread", &hello, 1))->reason, rows[i].reason);
        const struct answer *after = client_run(client, op_get("alice", "thread"));
        assert_true(span_equal(before->records[0], after->records[0]));
    }
    const struct answer *appended = client_run(client, op_append("alice", "thread", &hello, 1));
    assert_ok(appended);
    assert_int_equal(appended->result.first_seq, 2);
    client_wait_until_stored(client, 1, 1, 2);
}

/* The other process: one append against a fault. Says by its exit status what became of it. */
enum { CHILD_FATAL = 42, CHILD_ANSWERED = 1 };

static void child_fatal(void *arg, const char *message)
{
    (void)arg;
    _exit(message[0] ? CHILD_FATAL : CHILD_ANSWERED);
}

static void child_done(struct store_op *op, const struct error *error, struct store_result *result)
{
    (void)op, (void)error, (void)result;
    _exit(CHILD_ANSWERED);
}

static void child_run(const char *directory, int commit_rc, int put_rc, bool broken)
{
    static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};
    struct store_config config = {.data_dir = directory, .limits = &limits, .map_bytes = 1 << 30, .fatal = child_fatal};
    struct store *store;
    struct error error;
    if (store_open(&config, &store, &error)) {
        _exit(CHILD_ANSWERED);
    }
    struct store_op op = op_append("alice", "thread", &hello, 1);
    op.done = child_done;
    fault_set(&commit_fault, commit_rc != 0, commit_rc, false);
    fault_set(&put_fault, put_rc != 0, put_rc, false);
    atomic_store(&environment_is_broken, broken);
    store_run(store, &op);
    sleep(CLIENT_WAIT_SECONDS);
    _exit(0);
}

static void a_commit_whose_outcome_is_unknown_ends_the_process_without_an_answer(void **state)
{
    struct client *client = *state;
    static const struct {
        int commit_rc;
        int put_rc;
        bool broken;
    } rows[] = {
        {EIO, 0, false},           {MDB_PANIC, 0, false}, {EINVAL, 0, false}, {0, EIO, false},
        {0, MDB_CORRUPTED, false}, {ENOSPC, 0, true}, /* no room, met while the meta page was written */
    };
    client_fill(client, "alice", "thread", 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        client_close(client);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            child_run(client_config(client)->data_dir, rows[i].commit_rc, rows[i].put_rc, rows[i].broken);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), CHILD_FATAL);
        client_open(client);
        client_wait_until_stored(client, 1, 1, 1);
    }
}

/* Every kind of change, each with a request_id where one is kept, so that it can be tried again. */
static size_t story_make(struct store_op *ops)
{
    static const struct store_message named = {.message_id = {(const uint8_t *)"m-1", 3},
                                               .content = {(const uint8_t *)"first", 5}};
    static const struct store_message two[] = {{.content = {(const uint8_t *)"a", 1}},
                                               {.message_id = {(const uint8_t *)"m-2", 3}}};
    static const struct store_conversation titled = {.title = {(const uint8_t *)"title", 5},
                                                     .expire_time_us = CLIENT_EPOCH_US * 2};
    const struct store_op story[] = {
        op_with_request(op_create("alice", "c1"), "r-1", 1),
        op_with_request(op_append("alice", "c1", &named, 1), "r-2", 2),
        op_with_request(op_append("alice", "c1", two, 2), "r-3", 3),
        op_with_request(op_edit("alice", "c1", 1, STORE_MASK_CONTENT, &hello), "r-4", 4),
        op_with_request(op_update("alice", "c1", STORE_MASK_TITLE | STORE_MASK_EXPIRE_TIME, &titled), "r-5", 5),
        op_with_request(op_replace("alice", "c1", 1, two, 2), "r-6", 6),
        op_with_request(op_pop("alice", "c1", 1), "r-7", 7),
        op_with_request(op_delete_message("alice", "c1", 4), "r-8", 8),
        op_with_request(op_creating(op_append("alice", "c2", two, 2)), "r-9", 9),
        op_with_request(op_delete("alice", "c2"), "r-10", 10),
        op_with_request(op_undelete("alice", "c2"), "r-11", 11),
        op_creating(op_append("alice", "c3", &named, 1)),
        op_purge("alice", "c3"),
        op_with_request(op_creating(op_append("bob", "c1", two, 2)), "r-12", 12),
        op_forget("bob"),
    };
    memcpy(ops, story, sizeof(story));
    return sizeof(story) / sizeof(story[0]);
}

enum { STORY_MAX = 32 };

/* Everything a store says of alice, as bytes; and nothing in it is out of joint. */
static struct buffer story_end(struct client *client)
{
    struct buffer dump = {0};
    struct store_survey survey;
    struct error error;
    assert_int_equal(store_verify(client_config(client), &survey, &error), 0);
    assert_int_equal(survey.unreadable + survey.mismatches + survey.strays, 0);
    client_reopen(client);
    const struct answer *answers[] = {
        client_run(client, op_get("alice", "c1")),
        client_run(client, op_get("alice", "c2")),
        client_run(client, op_page("alice", "c1", STORE_LATEST, 0, 100)),
        client_run(client, op_page("alice", "c2", STORE_LATEST, 0, 100)),
        client_run(client, op_list("alice", 100, span_of(NULL, 0))),
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        assert_ok(answers[i]);
        buffer_append(&dump, answers[i]->result.records.data, answers[i]->result.records.size);
    }
    const struct answer *events = client_run(client, op_events(NULL, 100, span_of(NULL, 0)));
    assert_ok(events);
    for (size_t i = 0; i < events->count; i++) { /* an event for each change, once */
        uint8_t action = (uint8_t)events->events[i]->action;
        buffer_append(&dump, &action, sizeof(action));
    }
    client_wait_until_stored(client, 1, 2, 3);
    return dump;
}

/* Runs the story on a fresh store, the n-th call that the fault is of failing once. Returns everything alice has, and
 * whether the fault was met. */
static struct buffer story_run(struct fault *fault, int call, bool *ret_met)
{
    struct store_op story[STORY_MAX];
    size_t count = story_make(story);
    struct client *client = client_new();
    size_t refused = 0;
    fault_set(fault, call, MDB_MAP_FULL, false);
    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = client_run(client, story[i]);
        if (answer->reason == ERROR_DISK_FULL) {
            refused++;
            answer = client_run(client, story[i]);
        }
        assert_ok(answer);
    }
    *ret_met = call > 0 && atomic_load(&fault->calls_left) == 0;
    assert_true(refused <= 1);
    faults_clear();
    struct buffer dump = story_end(client);
    client_free(client);
    return dump;
}

/* Returns how many there were of what failed. */
static int story_run_with_each(struct fault *fault)
{
    bool met = true;
    struct buffer wanted = story_run(fault, 0, &met);
    int call = 1;
    for (met = true; met; call++) {
        struct buffer dump = story_run(fault, call, &met);
        assert_true(span_equal(buffer_span(&wanted), buffer_span(&dump)));
        buffer_free(&dump);
    }
    buffer_free(&wanted);
    return call - 1;
}

static void whichever_put_or_commit_fails_the_change_is_whole_or_not_there_at_all(void **state)
{
    (void)state;
    /* The story does so at least that often, or the loop ended for another reason. */
    assert_true(story_run_with_each(&put_fault) > 60);
    assert_true(story_run_with_each(&commit_fault) >= 15);
}

static void whichever_put_or_commit_of_a_fold_fails_nothing_that_waited_is_lost(void **state)
{
    (void)state;
    setenv("CHATLOG_TEST_FOLD_LATE", "1", 1); /* what waits is folded by the changes that need it, in their commits */
    assert_true(story_run_with_each(&put_fault) > 60);
    assert_true(story_run_with_each(&commit_fault) >= 15);
    unsetenv("CHATLOG_TEST_FOLD_LATE");
}

enum { REMOVED_CONVERSATIONS = 800, REMOVED_MESSAGES = 2 * (REMOVED_CONVERSATIONS - 1) + 10 };

static void users_make(struct client *client)
{
    char name[16];
    for (int i = 1; i < REMOVED_CONVERSATIONS; i++) { /* several slices */
        snprintf(name, sizeof(name), "thread %d", i);
        client_fill(client, "alice", name, 2);
    }
    client_fill(client, "alice", "other", 10);
    client_fill(client, "bob", "thread", 1);
}

static void a_removal_that_was_interrupted_goes_on_and_its_receipt_is_the_same(void **state)
{
    struct client *client = *state;
    users_make(client);
    const struct answer *whole = client_run(client, op_forget("alice"));
    assert_ok(whole);
    assert_int_equal(whole->result.receipt.conversations, REMOVED_CONVERSATIONS);
    assert_int_equal(whole->result.receipt.messages, REMOVED_MESSAGES);
    assert_ok(client_run(client, op_forget("bob")));
    /* The same data again; this time commits fail from the second slice on, until the store is closed. */
    users_make(client);
    fault_set(&commit_fault, 3, ENOSPC, true);
    struct answer *cut = client_start(client, op_forget("alice"));
    while (atomic_load(&commit_fault.calls_left) > 1) {
        usleep(HELD_POLL_US);
    }
    assert_refused(client_run(client, op_get("alice", "other")), CONVERSATION_NOT_FOUND);
    client_close(client);
    assert_refused(client_wait(client, cut), SHUTTING_DOWN);
    /* Opening commits once; then the first slice is held up until two operations wait behind it. */
    atomic_store(&commit_held, true);
    fault_set(&commit_fault, 2, ENOSPC, false);
    client_open(client);
    while (atomic_load(&commit_fault.calls_left) > 0) {
        usleep(HELD_POLL_US);
    }
    assert_refused(client_run(client, op_page("alice", "thread 1", STORE_LATEST, 0, 10)), CONVERSATION_NOT_FOUND);
    struct answer *append = client_start(client, op_creating(op_append("alice", "new", &hello, 1)));
    struct answer *rest = client_start(client, op_forget("alice"));
    atomic_store(&commit_held, false);
    assert_refused(client_wait(client, append), PURGE_RUNNING);
    assert_ok(client_wait(client, rest));
    const struct store_receipt *receipt = &rest->result.receipt;
    assert_int_equal(receipt->conversations, REMOVED_CONVERSATIONS);
    assert_int_equal(receipt->messages, REMOVED_MESSAGES);
    assert_int_equal(receipt->content_bytes, whole->result.receipt.content_bytes);
    assert_memory_equal(receipt->digest, whole->result.receipt.digest, sizeof(receipt->digest));
    client_wait_until_stored(client, 1, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fault_test(a_commit_that_finds_no_room_stores_nothing_and_the_next_goes_on),
        fault_test(a_commit_whose_outcome_is_unknown_ends_the_process_without_an_answer),
        fault_test(whichever_put_or_commit_fails_the_change_is_whole_or_not_there_at_all),
        fault_test(whichever_put_or_commit_of_a_fold_fails_nothing_that_waited_is_lost),
        fault_test(a_removal_that_was_interrupted_goes_on_and_its_receipt_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
