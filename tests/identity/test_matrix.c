/* Every method of the daemon's tables with every kind of caller, over TCP, at a real daemon: the right answer to each,
 * and not one byte of what belongs to somebody else. */
#include "base/wire.h"
#include "chatlog.h"
#include "identity/matrix.h"
#include "support/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct daemon *daemon;
    struct made_keys keys;
    struct chatlog *callers[CALLER_COUNT];
    char *key_paths[2];
    unsigned cells;
};

/* What a call brought. */
struct answer {
    char reason[48];
    char message[512];
    struct chatlog_reply reply;
};

static const char *const users[] = {"owner", "other", "owne", "owner2"};
enum { OWNER, OTHER, USERS = 4 };

static void tcp_url(struct daemon *daemon, char ret[64])
{
    static const char before[] = "listening on ";
    char *log = daemon_log(daemon);
    char *line = strstr(log, "listening on tcp://");
    assert_non_null(line);
    snprintf(ret, 64, "%.*s", (int)strcspn(line + strlen(before), " \n"), line + strlen(before));
    free(log);
}

static struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->keys = made_keys_new("P-256");
    char directory[] = "/tmp/chatlog-keys-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char options[2][256];
    fixture->key_paths[0] = made_file(directory, "secret", fixture->keys.secret);
    fixture->key_paths[1] = made_file(directory, "public", fixture->keys.public_key);
    snprintf(options[0], sizeof(options[0]), "--token-key=h:HS256:%s", fixture->key_paths[0]);
    snprintf(options[1], sizeof(options[1]), "--token-key=e:ES256:%s", fixture->key_paths[1]);
    fixture->daemon = daemon_start((const char *const[]){"--listen=tcp://127.0.0.1:0", options[0], options[1], NULL});
    remove(fixture->key_paths[0]); /* read at the start */
    remove(fixture->key_paths[1]);
    remove(directory);
    char url[64];
    tcp_url(fixture->daemon, url);
    for (enum caller caller = 0; caller < CALLER_COUNT; caller++) {
        char *token = matrix_token(caller, &fixture->keys);
        assert_int_equal(chatlog_open(url, &fixture->callers[caller], NULL), 0);
        assert_int_equal(chatlog_set_token(fixture->callers[caller], token, NULL), 0);
        free(token);
    }
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    for (enum caller caller = 0; caller < CALLER_COUNT; caller++) {
        chatlog_close(fixture->callers[caller]);
    }
    assert_int_equal(daemon_stop(fixture->daemon), 0);
    daemon_free(fixture->daemon);
    free(fixture->key_paths[0]);
    free(fixture->key_paths[1]);
    free(fixture);
}

static struct answer call_by(struct chatlog *client, const char *method, struct buffer payload, const char *request_id)
{
    struct answer answer = {.reason = ""};
    struct chatlog_error error = {.reason = ""};
    const struct chatlog_call_options options = {.timeout_ms = 30000, .request_id = request_id};
    if (chatlog_call(client, method, payload.data ? payload.data : (const uint8_t *)"", payload.size, &options,
                     &answer.reply, &error) != 0) {
        snprintf(answer.reason, sizeof(answer.reason), "%s", error.reason);
        snprintf(answer.message, sizeof(answer.message), "%s", error.message);
    }
    buffer_free(&payload);
    return answer;
}

static bool shows(const struct answer *answer, const char *text)
{
    return strstr(answer->message, text) ||
           (answer->reply.payload_length > 0 &&
            memmem(answer->reply.payload, answer->reply.payload_length, text, strlen(text)));
}

/* One cell of the matrix: the reason, and no marker of those whose data the caller has no right to. */
static void expect(struct fixture *fixture, enum caller caller, const struct shape *shape, const char *case_name,
                   struct answer answer, const char *reason)
{
    bool sees_all = caller == CALLER_SERVICE;
    fixture->cells++;
    if (strcmp(answer.reason, reason) != 0) {
        fail_msg("%s by %s, %s: \"%s\" (%s) instead of \"%s\"", shape->method, matrix_caller_names[caller], case_name,
                 answer.reason, answer.message, reason);
    }
    for (size_t i = 0; i < USERS && !sees_all; i++) {
        char marker[64];
        snprintf(marker, sizeof(marker), "%s" MATRIX_MARKER, users[i]);
        const bool own = (i == OWNER && caller <= CALLER_WRITER) || (i == OTHER && caller == CALLER_OTHER) ||
                         (i == 2 && caller == CALLER_PREFIX) || (i == 3 && caller == CALLER_LONGER);
        /* the shorter ID's marker never is the end of the longer one's: the '-' is in between */
        if (!own && shows(&answer, marker)) {
            fail_msg("%s by %s, %s: shows what belongs to %s", shape->method, matrix_caller_names[caller], case_name,
                     users[i]);
        }
    }
    chatlog_reply_free(&answer.reply);
}

static struct answer call_for(struct fixture *fixture, enum caller caller, const struct shape *shape, const char *user,
                              const char *conversation, const struct field *more, const char *request_id)
{
    return call_by(fixture->callers[caller], shape->method,
                   matrix_payload(shape, span_of_string(user), conversation, more), request_id);
}

static void seed_conversation(struct fixture *fixture, const char *user, const char *name)
{
    struct chatlog *service = fixture->callers[CALLER_SERVICE];
    char text[96];
    snprintf(text, sizeof(text), "%s" MATRIX_MARKER, user);
    const struct chatlog_pair pair = {"key", text};
    const struct chatlog_conversation conversation = {
        .conversation_id = name, .title = text, .metadata = &pair, .metadata_count = 1};
    const struct chatlog_message message = {.message_id = text,
                                            .role = "user",
                                            .author = text,
                                            .metadata = &pair,
                                            .metadata_count = 1,
                                            .content = text,
                                            .content_length = strlen(text)};
    assert_int_equal(chatlog_create_conversation(service, user, &conversation, NULL, NULL, NULL), 0);
    assert_int_equal(chatlog_append(service, user, name, &message, 1, NULL, NULL, NULL, NULL), 0);
}

/* Two live conversations and a deleted one, for each user of the list or for nobody but the owner. */
static void seed(struct fixture *fixture, size_t first, size_t count)
{
    struct chatlog *service = fixture->callers[CALLER_SERVICE];
    for (size_t i = first; i < first + count; i++) {
        assert_int_equal(chatlog_forget_user(service, users[i], NULL, NULL, NULL), 0);
        seed_conversation(fixture, users[i], "trip");
        seed_conversation(fixture, users[i], "second");
        seed_conversation(fixture, users[i], "gone");
        assert_int_equal(chatlog_delete_conversation(service, users[i], "gone", NULL, NULL, NULL, NULL), 0);
    }
}

/* Everything of the owner, as bytes. */
static struct buffer owner_state(struct fixture *fixture)
{
    static const struct shape list = {.method = "chatlog.v1.HistoryService/ListConversations"};
    static const struct shape messages = {.method = "chatlog.v1.HistoryService/ListMessages"};
    static const struct field all[] = {{4, .value = 3}, {5, .value = 1}, {0}};
    struct buffer state = {0};
    struct answer answers[] = {call_for(fixture, CALLER_SERVICE, &list, "owner", NULL, all, NULL),
                               call_for(fixture, CALLER_SERVICE, &messages, "owner", "trip", NULL, NULL)};
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(answers[i].reason, "");
        buffer_append(&state, answers[i].reply.payload, answers[i].reply.payload_length);
        chatlog_reply_free(&answers[i].reply);
    }
    assert_true(state.size > 0 && !state.failed);
    return state;
}

static void expect_unchanged(struct fixture *fixture, struct buffer before, const char *method)
{
    struct buffer now = owner_state(fixture);
    if (!span_equal(buffer_span(&before), buffer_span(&now))) {
        fail_msg("%s changed the owner's data", method);
    }
    buffer_free(&before);
    buffer_free(&now);
}

static void every_caller_gets_from_every_method_what_it_has_a_right_to_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    seed(fixture, 0, USERS);
    for (const struct shape *shape = matrix_shapes; shape->method; shape++) {
        const struct method *method = matrix_method(shape);
        struct buffer before = owner_state(fixture);
        for (enum caller caller = 0; caller < CALLER_COUNT; caller++) {
            const char *reason = matrix_expected(caller, method);
            reason = !reason[0] && shape->refusal ? shape->refusal : reason;
            struct answer answer = call_for(fixture, caller, shape, "owner", shape->conversation, NULL, NULL);
            bool reads = !reason[0] && method->scope == SCOPE_READ; /* then what is looked for would be found */
            assert_true(!reads || shows(&answer, "owner" MATRIX_MARKER));
            expect(fixture, caller, shape, "of the owner", answer, reason);
            if (!reason[0] && (method->scope & SCOPE_WRITE)) {
                seed(fixture, OWNER, 1);
                buffer_free(&before);
                before = owner_state(fixture);
            }
        }
        expect_unchanged(fixture, before, shape->method);
    }
}

/* A caller of its own data, with the name of the owner's conversation: it must not make a difference whether the owner
 * has it or nobody. */
static void expect_as_absent(struct fixture *fixture, enum caller caller, const char *user, const struct shape *shape)
{
    const char *foreign = shape->conversation;
    struct answer absent = call_for(fixture, caller, shape, user, "nobody-has-this", NULL, NULL);
    struct answer answer = call_for(fixture, caller, shape, user, foreign, NULL, NULL);
    assert_string_equal(answer.message, absent.message);
    expect(fixture, caller, shape, "of a name that the owner has", answer, absent.reason);
    chatlog_reply_free(&absent.reply);
    assert_int_equal(chatlog_forget_user(fixture->callers[CALLER_SERVICE], user, NULL, NULL, NULL), 0);
}

static void what_belongs_to_another_user_is_answered_like_what_does_not_exist(void **state)
{
    struct fixture *fixture = *state;
    static const enum caller callers[] = {CALLER_OTHER, CALLER_PREFIX, CALLER_LONGER};
    static const char *const parts[] = {"tri", "trip2", "trip\x7f", "t", "Trip"};
    seed(fixture, OWNER, 1);
    for (const struct shape *shape = matrix_shapes; shape->method; shape++) {
        if (!shape->conversation) {
            continue;
        }
        struct buffer before = owner_state(fixture);
        for (size_t i = 0; i < 3; i++) {
            chatlog_forget_user(fixture->callers[CALLER_SERVICE], users[1 + i], NULL, NULL, NULL);
            expect_as_absent(fixture, callers[i], users[1 + i], shape);
        }
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !strstr(shape->method, "Create"); i++) {
            struct answer answer = call_for(fixture, CALLER_OWNER, shape, "owner", parts[i], NULL, NULL);
            expect(fixture, CALLER_OWNER, shape, "of a part of a name", answer,
                   strchr(parts[i], 0x7f) ? "FIELD_INVALID" : "CONVERSATION_NOT_FOUND");
        }
        expect_unchanged(fixture, before, shape->method);
    }
}

static void a_user_id_with_a_nul_reaches_nobody(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum caller caller;
        const char *bytes;
        size_t size;
    } rows[] = {{CALLER_OTHER, "other\0owner", 11},
                {CALLER_OTHER, "owner\0other", 11},
                {CALLER_OWNER, "owner\0", 6},
                {CALLER_SERVICE, "owner\0x", 7}};
    seed(fixture, OWNER, 1);
    for (const struct shape *shape = matrix_shapes; shape->method; shape++) {
        struct buffer before = owner_state(fixture);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !shape->no_user; i++) {
            struct buffer payload =
                matrix_payload(shape, span_of(rows[i].bytes, rows[i].size), shape->conversation, NULL);
            struct answer answer = call_by(fixture->callers[rows[i].caller], shape->method, payload, NULL);
            expect(fixture, rows[i].caller, shape, "with a NUL in user_id", answer, "FIELD_INVALID");
        }
        expect_unchanged(fixture, before, shape->method);
    }
}

static uint32_t field_of(const struct shape *shape, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(matrix_method(shape)->request, name);
    return field ? field->id : 0;
}

/* The token of the second page of a list that its rightful caller asked for. The caller frees it. */
static char *page_token_of(struct fixture *fixture, const struct shape *shape, const char *user)
{
    const struct field one[] = {{field_of(shape, "page_size"), .value = 1}, {0}};
    enum caller caller = shape->no_user ? CALLER_ADMIN : CALLER_SERVICE;
    struct answer answer = call_for(fixture, caller, shape, user, shape->conversation, one, NULL);
    struct span payload = span_of(answer.reply.payload, answer.reply.payload_length);
    struct wire_field field;
    char *token = NULL;
    while (wire_next(&payload, &field) > 0) {
        if (field.number == 2 && field.type == WIRE_BYTES) {
            token = strndup((const char *)field.bytes.data, field.bytes.size);
        }
    }
    if (!token) {
        fail_msg("%s gave no page token: is next_page_token not field 2?", shape->method);
    }
    chatlog_reply_free(&answer.reply);
    return token;
}

static void page_by(struct fixture *fixture, enum caller caller, const struct shape *shape, const char *user,
                    const char *token, const struct field *filter, const char *case_name, const char *reason)
{
    struct field more[3] = {{field_of(shape, "page_token"), .text = token}};
    more[1] = filter ? *filter : (struct field){0};
    struct answer answer = call_for(fixture, caller, shape, user, shape->conversation, more, NULL);
    expect(fixture, caller, shape, case_name, answer, reason);
}

static void expect_own_tokens_only(struct fixture *fixture, const struct shape *shape)
{
    static const struct field show_deleted = {5, .value = 1};
    enum caller rightful = shape->no_user ? CALLER_ADMIN : CALLER_OWNER;
    char *token = page_token_of(fixture, shape, "owner");
    page_by(fixture, rightful, shape, "owner", token, NULL, "its own page token", "");
    if (!shape->no_user) {
        page_by(fixture, CALLER_OTHER, shape, "other", token, NULL, "the owner's page token", "PAGE_TOKEN_INVALID");
        page_by(fixture, CALLER_LONGER, shape, "owner2", token, NULL, "the owner's page token", "PAGE_TOKEN_INVALID");
        page_by(fixture, CALLER_OTHER, shape, "owner", token, NULL, "the owner's page token", "USER_FOREIGN");
        page_by(fixture, CALLER_OWNER, shape, "owner", token, &show_deleted, "a token of other filters",
                "PAGE_TOKEN_INVALID");
    }
    size_t size = strlen(token);
    for (size_t i = 0; i < size; i += 3) {
        char saved = token[i];
        token[i] = saved == '0' ? '1' : '0';
        page_by(fixture, rightful, shape, "owner", token, NULL, "a changed page token", "PAGE_TOKEN_INVALID");
        token[i] = saved;
    }
    for (const struct shape *other = matrix_shapes; other->method; other++) {
        if (other != shape && field_of(other, "page_token")) {
            enum caller caller = other->no_user ? CALLER_ADMIN : CALLER_OWNER;
            page_by(fixture, caller, other, "owner", token, NULL, "another method's page token", "PAGE_TOKEN_INVALID");
        }
    }
    free(token);
}

static void a_page_token_is_good_for_its_list_and_its_owner_only(void **state)
{
    struct fixture *fixture = *state;
    unsigned lists = 0;
    seed(fixture, 0, USERS);
    for (const struct shape *shape = matrix_shapes; shape->method; shape++) {
        if (field_of(shape, "page_token")) {
            expect_own_tokens_only(fixture, shape);
            lists++;
        }
    }
    assert_true(lists >= 2);
}

static void a_request_id_of_another_user_brings_nothing_of_that_user(void **state)
{
    struct fixture *fixture = *state;
    for (const struct shape *shape = matrix_shapes; shape->method; shape++) {
        if (!(matrix_method(shape)->scope & SCOPE_WRITE)) {
            continue;
        }
        seed(fixture, 0, 2);
        struct answer first = call_for(fixture, CALLER_OWNER, shape, "owner", shape->conversation, NULL, "the-id");
        expect(fixture, CALLER_OWNER, shape, "with a request_id", first, "");
        struct answer second = call_for(fixture, CALLER_OTHER, shape, "other", shape->conversation, NULL, "the-id");
        assert_false(second.reply.replayed);
        expect(fixture, CALLER_OTHER, shape, "with the owner's request_id", second, "");
    }
}

static int set_up(void **state)
{
    *state = fixture_new();
    matrix_check_complete();
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    printf("%u cells\n", fixture->cells);
    fixture_free(fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_caller_gets_from_every_method_what_it_has_a_right_to_and_nothing_else),
        cmocka_unit_test(what_belongs_to_another_user_is_answered_like_what_does_not_exist),
        cmocka_unit_test(a_user_id_with_a_nul_reaches_nobody),
        cmocka_unit_test(a_page_token_is_good_for_its_list_and_its_owner_only),
        cmocka_unit_test(a_request_id_of_another_user_brings_nothing_of_that_user),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
