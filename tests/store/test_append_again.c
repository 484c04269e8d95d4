/* A conversation that is appended to again and again goes on as it would after a restart, whatever else was done with
 * it in between: each story runs on two stores, one of which is opened anew before every step. Must not know an engine.
 */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NAME_BYTES = 32, STEPS_MAX = 400, BEFORE = 5, LARGE_BYTES = 100 * 1000, MANY_REQUESTS = 300, POLL_US = 1000 };

/* What an answer said. */
struct said {
    int reason;
    bool replayed;
    uint64_t first_seq;
    uint64_t last_seq;
    int64_t create_time_us;
    char etag[sizeof(((struct store_result *)NULL)->etag)];
};

struct story {
    struct client *client;
    bool restarts;
    char user[NAME_BYTES];
    struct said said[STEPS_MAX];
    size_t count;
};

static const struct store_conversation archived = {.archived = true};
static const struct store_conversation expiring = {.expire_time_us = CLIENT_EPOCH_US + CLIENT_RETENTION_US};

static void tell(struct story *story, struct store_op op)
{
    if (story->restarts) {
        client_reopen(story->client);
    }
    clock_advance(CLOCK_MILLISECOND_US);
    const struct answer *answer = client_run_patiently(story->client, op);
    struct said *said = &story->said[story->count++];
    assert_true(story->count <= STEPS_MAX);
    memset(said, 0, sizeof(*said));
    said->reason = (int)answer->reason;
    if (answer->reason == 0) {
        said->replayed = answer->result.replayed;
        said->first_seq = answer->result.first_seq;
        said->last_seq = answer->result.last_seq;
        said->create_time_us = answer->result.create_time_us;
        memcpy(said->etag, answer->result.etag, sizeof(said->etag));
    }
}

static struct store_op append_op(const struct story *story, const char *request, const struct store_message *message)
{
    struct store_op op = op_creating(op_append(story->user, "thread", message, 1));
    return request ? op_with_request(op, request, 1) : op;
}

static const struct store_message hello = {.content = {(const uint8_t *)"hello", 5}};

/* What else is done with alice's thread. */
static void between(struct story *story, size_t row)
{
    static const uint8_t bytes[LARGE_BYTES];
    static const struct store_message large = {.content = {bytes, sizeof(bytes)}};
    static const struct store_message named = {.message_id = {(const uint8_t *)"m-1", 3}};
    struct store_op other = append_op(story, "r-1", &hello);
    const char *user = story->user;
    other.request_hash[0]++;
    const struct store_op ops[] = {
        op_create(user, "other"),
        op_update(user, "thread", STORE_MASK_ARCHIVED, &archived),
        op_update(user, "thread", STORE_MASK_EXPIRE_TIME, &expiring),
        op_edit(user, "thread", 2, STORE_MASK_CONTENT, &hello),
        op_delete_message(user, "thread", 2),
        op_pop(user, "thread", 2),
        op_replace(user, "thread", 1, &hello, 1),
        op_delete(user, "thread"),
        op_purge(user, "thread"),
        op_forget(user),
        append_op(story, "r-large", &large),
        append_op(story, "r-named", &named),
        append_op(story, "r-1", &hello), /* again */
        other,                           /* another change under a request_id that was used */
        op_expecting(append_op(story, "r-expecting", &hello), 1),
        op_expecting(append_op(story, "r-expected", &hello), BEFORE + 1),
    };
    if (row < sizeof(ops) / sizeof(ops[0])) {
        tell(story, ops[row]);
    }
}

enum { BETWEEN = 17 };

static void thread_tell(struct story *story, size_t row)
{
    char request[NAME_BYTES];
    snprintf(story->user, sizeof(story->user), "user-%zu", row);
    tell(story, append_op(story, "r-0", &hello));
    for (size_t i = 1; i <= BEFORE; i++) {
        snprintf(request, sizeof(request), "r-%zu", i);
        tell(story, append_op(story, i % 2 ? request : NULL, &hello));
    }
    between(story, row);
    for (size_t i = 0; i <= BEFORE + 3; i++) { /* some again, some new */
        snprintf(request, sizeof(request), "r-%zu", i);
        tell(story, append_op(story, request, &hello));
    }
    struct store_op not_creating = op_append(story->user, "thread", &hello, 1);
    tell(story, not_creating);
    between(story, row);
    tell(story, not_creating);
    tell(story, append_op(story, "r-end", &hello));
    tell(story, append_op(story, "r-end", &hello));
}

static void said_compare(const struct story *a, const struct story *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->said[i].reason, b->said[i].reason);
        assert_int_equal(a->said[i].replayed, b->said[i].replayed);
        assert_int_equal(a->said[i].first_seq, b->said[i].first_seq);
        assert_int_equal(a->said[i].last_seq, b->said[i].last_seq);
        assert_int_equal(a->said[i].create_time_us, b->said[i].create_time_us);
        assert_string_equal(a->said[i].etag, b->said[i].etag);
    }
}

static void run_both(struct client *client, void (*story)(struct story *story, size_t row), size_t row)
{
    static struct story stories[2];
    for (size_t i = 0; i < 2; i++) {
        memset(&stories[i], 0, sizeof(stories[i]));
        stories[i].restarts = i == 1;
        stories[i].client = i == 0 ? client : client_new();
        clock_set(CLIENT_EPOCH_US);
        story(&stories[i], row);
    }
    said_compare(&stories[0], &stories[1]);
    client_free(stories[1].client);
}

static void a_conversation_goes_on_as_after_a_restart_whatever_was_done_in_between(void **state)
{
    for (size_t row = 0; row < BETWEEN; row++) {
        run_both(*state, thread_tell, row);
    }
}

static void a_conversation_whose_time_is_over_is_not_appended_to(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 3);
    assert_ok(client_run(client, op_update("alice", "thread", STORE_MASK_EXPIRE_TIME, &expiring)));
    for (int i = 0; i < 3; i++) {
        assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
    }
    clock_set(expiring.expire_time_us + CLOCK_SECOND_US);
    assert_refused(client_run(client, op_append("alice", "thread", &hello, 1)), CONVERSATION_NOT_FOUND);
}

/* Until nothing waits in the journal, unless it is to stay there. */
static void wait_until_home(struct client *client)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (!client_config(client)->fold_late && client_run(client, op_stats())->result.stats.journal_entries > 0) {
        assert_true(clock_monotonic_us() < end);
        usleep(POLL_US);
    }
}

static void a_conversation_that_was_forgotten_or_removed_in_its_time_is_not_appended_to(void **state)
{
    struct client *client = *state;
    for (int i = 0; i < 2; i++) {
        clock_set(CLIENT_EPOCH_US);
        client_fill(client, "alice", "thread", 1);
        for (int k = 0; k < 3; k++) {
            assert_ok(client_run(client, op_append("alice", "thread", &hello, 1)));
        }
        wait_until_home(client);
        if (i == 0) {
            assert_ok(client_run(client, op_forget("alice")));
        } else {
            assert_ok(client_run(client, op_delete("alice", "thread")));
            clock_advance(CLIENT_RETENTION_US + CLOCK_SECOND_US);
        }
        client_wait_until_stored(client, 0, 0, 0);
        assert_refused(client_run(client, op_append("alice", "thread", &hello, 1)), CONVERSATION_NOT_FOUND);
        const struct answer *created = client_run(client, op_creating(op_append("alice", "thread", &hello, 1)));
        assert_ok(created);
        assert_int_equal(created->result.first_seq, 1);
        assert_ok(client_run_patiently(client, op_forget("alice")));
        client_wait_until_stored(client, 0, 0, 0);
    }
}

static void many_tell(struct story *story, size_t row)
{
    char request[NAME_BYTES];
    bool restarts = story->restarts;
    story->restarts = false; /* only where it is asked again */
    snprintf(story->user, sizeof(story->user), "user-%zu", row);
    for (size_t i = 0; i < MANY_REQUESTS; i++) {
        snprintf(request, sizeof(request), "request-%zu", i);
        tell(story, append_op(story, request, &hello));
    }
    story->restarts = restarts;
    for (size_t i = 0; i < MANY_REQUESTS; i += 10) {
        snprintf(request, sizeof(request), "request-%zu", i);
        tell(story, append_op(story, request, &hello));
        assert_true(story->said[story->count - 1].replayed);
        tell(story, append_op(story, NULL, &hello));
    }
}

static void a_request_is_known_again_however_many_there_were(void **state)
{
    run_both(*state, many_tell, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_conversation_goes_on_as_after_a_restart_whatever_was_done_in_between),
        store_test(a_conversation_whose_time_is_over_is_not_appended_to),
        store_test(a_conversation_that_was_forgotten_or_removed_in_its_time_is_not_appended_to),
        store_test(a_request_is_known_again_however_many_there_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
