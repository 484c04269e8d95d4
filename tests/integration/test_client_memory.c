/* No allocation failure crashes libchatlog, loses memory or goes unreported: for every kind of call the n-th allocation
 * fails, for n = 1, 2, ... until the call succeeds. The functions of client/lib/memory.h are defined here, so the
 * static library takes these instead of its own. */
#include "client_fixture.h"

#include <semaphore.h>
#include <stdatomic.h>

void *chatlog_memory_get(size_t size);
void chatlog_memory_free(void *memory);

static atomic_int countdown; /* the allocation that brings it to 0 fails */
static atomic_int pieces;    /* taken and not freed */

void *chatlog_memory_get(size_t size)
{
    if (atomic_fetch_sub(&countdown, 1) == 1)
        return NULL;
    atomic_fetch_add(&pieces, 1);
    void *memory = malloc(size);
    assert_non_null(memory);
    memset(memory, 0xA5, size);
    return memory;
}

void chatlog_memory_free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&pieces, 1);
    free(memory);
}

enum { LARGE_BYTES = 200000 }; /* more than is read into the connection's own buffer */

/* Answers every method with fields of the types it has. */
static void answer(void *arg, const struct fake_request *request, struct fake_reply *reply)
{
    (void)arg;
    struct fake_bytes item = {0};
    struct fake_bytes pair = {0};
    struct fake_bytes payload = {0};
    fake_put_text(&pair, 1, "k");
    fake_put_text(&pair, 2, "v");
    const char *method = strchr(request->method, '/');
    if (strcmp(method, "/AppendMessages") == 0) {
        reply_appended(reply, 1);
    } else if (strstr(method, "Message") != NULL) {
        fake_put_varint(&item, 1, 1);
        fake_put_bytes(&item, 12, pair.data, pair.length);
        fake_put_text(&item, 13, "content");
        fake_put_bytes(&payload, 1, item.data, item.length);
    } else if (strstr(method, "Conversation") != NULL) {
        fake_put_text(&item, 1, "c1");
        fake_put_bytes(&item, 3, pair.data, pair.length);
        fake_put_bytes(&payload, 1, item.data, item.length);
    } else if (strcmp(method, "/ForgetUser") == 0) {
        fake_put_text(&payload, 4, "00112233445566778899aabbccddeeff");
    } else if (strcmp(method, "/GetServerInfo") == 0) {
        fake_put_text(&payload, 1, "0.1.0");
        fake_put_varint(&payload, 5, 1);
        fake_put_text(&item, 1, "message_bytes");
        fake_put_bytes(&payload, 7, item.data, item.length);
    } else if (strcmp(method, "/GetStats") == 0) {
        fake_put_text(&item, 1, "m");
        fake_put_bytes(&payload, 16, item.data, item.length);
    } else if (strcmp(method, "/ListUsers") == 0) {
        fake_put_text(&payload, 1, "alice");
    } else if (strcmp(method, "/Large") == 0) {
        static const uint8_t zeros[LARGE_BYTES];
        fake_put_bytes(&payload, 1, zeros, sizeof zeros);
    } else {
        fake_put_varint(&payload, 1, 1);
    }
    if (payload.length > 0)
        fake_reply_ok(reply, &payload);
    fake_bytes_free(&item);
    fake_bytes_free(&pair);
    fake_bytes_free(&payload);
}

/* ---- One call of each kind: returns its code, frees its result ----------------------------------------------------
 */

static const struct chatlog_pair pairs[] = {{"a", "1"}, {"b", "2"}};
static const struct chatlog_conversation conversation = {
    .conversation_id = "c1", .title = "t", .metadata = pairs, .metadata_count = 2};
static const struct chatlog_message messages[] = {
    {.role = "user", .content = "one", .content_length = 3, .metadata = pairs, .metadata_count = 2},
    {.role = "user", .content = "two", .content_length = 3, .seq = 1},
};

static int create(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_conversation got = {0};
    int code = chatlog_create_conversation(client, "u", &conversation, NULL, &got, error);
    chatlog_conversation_free(&got);
    return code;
}

static int get(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_conversation got = {0};
    int code = chatlog_get_conversation(client, "u", "c1", NULL, &got, error);
    chatlog_conversation_free(&got);
    return code;
}

static int update(struct chatlog *client, struct chatlog_error *error)
{
    return chatlog_update_conversation(client, "u", &conversation, CHATLOG_FIELD_METADATA, "e", NULL, NULL, error);
}

static int delete (struct chatlog *client, struct chatlog_error *error)
{
    return chatlog_delete_conversation(client, "u", "c1", NULL, NULL, NULL, error);
}

static int purge(struct chatlog *client, struct chatlog_error *error)
{
    return chatlog_purge_conversation(client, "u", "c1", NULL, NULL, error);
}

static int undelete(struct chatlog *client, struct chatlog_error *error)
{
    return chatlog_undelete_conversation(client, "u", "c1", NULL, NULL, error);
}

static int list(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_conversations page = {0};
    int code = chatlog_list_conversations(client, "u", NULL, NULL, &page, error);
    chatlog_conversations_free(&page);
    return code;
}

static int append(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_append_result result;
    return chatlog_append(client, "u", "c1", messages, 2, NULL, NULL, &result, error);
}

static int list_messages(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_messages page = {0};
    int code = chatlog_list_messages(client, "u", "c1", NULL, NULL, &page, error);
    chatlog_messages_free(&page);
    return code;
}

static int get_message(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_message message = {0};
    int code = chatlog_get_message(client, "u", "c1", 1, NULL, NULL, &message, error);
    chatlog_message_free(&message);
    return code;
}

static int update_message(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_message message = {0};
    int code = chatlog_update_message(client, "u", "c1", &messages[1], CHATLOG_FIELD_CONTENT, 0, NULL, &message, error);
    chatlog_message_free(&message);
    return code;
}

static int delete_message(struct chatlog *client, struct chatlog_error *error)
{
    return chatlog_delete_message(client, "u", "c1", 1, NULL, error);
}

static int pop(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_messages page = {0};
    int code = chatlog_pop_messages(client, "u", "c1", 1, false, 0, NULL, &page, error);
    chatlog_messages_free(&page);
    return code;
}

static int forget(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_receipt receipt;
    return chatlog_forget_user(client, "u", NULL, &receipt, error);
}

static int info(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_server_info got = {0};
    int code = chatlog_get_server_info(client, NULL, &got, error);
    chatlog_server_info_free(&got);
    return code;
}

static int stats(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_stats got = {0};
    int code = chatlog_get_stats(client, NULL, &got, error);
    chatlog_stats_free(&got);
    return code;
}

static int users(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_users page = {0};
    int code = chatlog_list_users(client, 0, NULL, NULL, &page, error);
    chatlog_users_free(&page);
    return code;
}

static int health(struct chatlog *client, struct chatlog_error *error)
{
    bool serving;
    return chatlog_check_health(client, NULL, &serving, error);
}

static int call(struct chatlog *client, struct chatlog_error *error)
{
    struct chatlog_reply reply = {0};
    int code = chatlog_call(client, "test.Service/Other", "payload", 7, NULL, &reply, error);
    chatlog_reply_free(&reply);
    return code;
}

/* ---- Completions ---------------------------------------------------------------------------------------------------
 */

struct pending {
    sem_t ended;
    int code;
    struct chatlog_error *error;
};

static void append_ended(void *arg, int code, const struct chatlog_append_result *result,
                         const struct chatlog_error *error)
{
    (void)result;
    struct pending *pending = arg;
    pending->code = code;
    if (error != NULL)
        *pending->error = *error;
    sem_post(&pending->ended);
}

static void call_ended(void *arg, int code, const struct chatlog_reply *reply, const struct chatlog_error *error)
{
    (void)reply;
    append_ended(arg, code, NULL, error);
}

static int append_async(struct chatlog *client, struct chatlog_error *error)
{
    struct pending pending = {.error = error};
    sem_init(&pending.ended, 0, 0);
    int code = chatlog_append_async(client, "u", "c1", messages, 2, NULL, NULL, append_ended, &pending, error);
    if (code == 0) {
        sem_wait(&pending.ended);
        code = pending.code;
    }
    sem_destroy(&pending.ended);
    return code;
}

static int call_method_async(struct chatlog *client, const char *method, struct chatlog_error *error)
{
    struct pending pending = {.error = error};
    sem_init(&pending.ended, 0, 0);
    int code = chatlog_call_async(client, method, "payload", 7, NULL, call_ended, &pending, error);
    if (code == 0) {
        sem_wait(&pending.ended);
        code = pending.code;
    }
    sem_destroy(&pending.ended);
    return code;
}

static int call_async(struct chatlog *client, struct chatlog_error *error)
{
    return call_method_async(client, "test.Service/Other", error);
}

static int call_async_large(struct chatlog *client, struct chatlog_error *error)
{
    return call_method_async(client, "test.Service/Large", error);
}

/* ---- The loop ------------------------------------------------------------------------------------------------------
 */

/* The thread of the client frees its last pieces after the call has returned. */
static bool settles_at(int wanted)
{
    for (int i = 0; i < 5000 && atomic_load(&pieces) != wanted; i++)
        sleep_milliseconds(1);
    return atomic_load(&pieces) == wanted;
}

static void fail_each_allocation_of(const char *name, int (*make)(struct chatlog *, struct chatlog_error *))
{
    atomic_store(&countdown, 0);
    struct fixture fixture = fixture_start(answer, NULL);
    assert_int_equal(make(fixture.client, &fixture.error), CHATLOG_OK);
    int before = 2; /* the client and its URL */
    assert_true(settles_at(before));
    int failures = 0;
    for (int n = 1;; n++) {
        struct chatlog_error error = {0};
        atomic_store(&countdown, n);
        int code = make(fixture.client, &error);
        bool failed = atomic_load(&countdown) <= 0;
        atomic_store(&countdown, 0);
        if (!settles_at(before))
            fail_msg("%s: allocation %d failed and %d pieces were lost", name, n, atomic_load(&pieces) - before);
        if (!failed) {
            assert_int_equal(code, CHATLOG_OK);
            break;
        }
        failures++;
        if (code != CHATLOG_RESOURCE_EXHAUSTED || strcmp(error.reason, "CLIENT_MEMORY") != 0)
            fail_msg("%s: allocation %d failed and the call ended with %d %s", name, n, code, error.reason);
    }
    assert_true(failures >= 3); /* of a call without waiting: its completion, its request, the call itself */
    fixture_end(&fixture);
    assert_int_equal(atomic_load(&pieces), 0);
}

static void every_call_survives_the_failure_of_each_of_its_allocations(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*make)(struct chatlog *, struct chatlog_error *);
    } calls[] = {
        {"create", create},
        {"get", get},
        {"update", update},
        {"delete", delete},
        {"purge", purge},
        {"undelete", undelete},
        {"list", list},
        {"append", append},
        {"list_messages", list_messages},
        {"get_message", get_message},
        {"update_message", update_message},
        {"delete_message", delete_message},
        {"pop", pop},
        {"forget", forget},
        {"info", info},
        {"stats", stats},
        {"users", users},
        {"health", health},
        {"call", call},
        {"append_async", append_async},
        {"call_async", call_async},
        {"call_async_large", call_async_large},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        fail_each_allocation_of(calls[i].name, calls[i].make);
}

static void opening_survives_the_failure_of_each_of_its_allocations(void **state)
{
    (void)state;
    int failures = 0;
    for (int n = 1;; n++) {
        struct chatlog *client = NULL;
        struct chatlog_error error = {0};
        atomic_store(&countdown, n);
        int code = chatlog_open("ipc:///nowhere", &client, &error);
        bool failed = atomic_load(&countdown) <= 0;
        atomic_store(&countdown, 0);
        chatlog_close(client);
        assert_int_equal(atomic_load(&pieces), 0);
        if (!failed) {
            assert_int_equal(code, CHATLOG_OK);
            break;
        }
        failures++;
        assert_int_equal(code, CHATLOG_RESOURCE_EXHAUSTED);
        assert_string_equal(error.reason, "CLIENT_MEMORY");
    }
    assert_int_equal(failures, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_survives_the_failure_of_each_of_its_allocations),
        cmocka_unit_test(opening_survives_the_failure_of_each_of_its_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
