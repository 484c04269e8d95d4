/* `after` of a list is hostile input: whatever its bytes, the answer is a refusal or a page of the asker's own
 * conversations. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CONVERSATIONS = 5, TOKEN_MAX = CHATLOG_LIMIT_page_token_bytes, RANDOM_TOKENS = 3000 };

/* Five conversations for each of three users; alice's have the title "alice's". */
static void users_make(struct client *client)
{
    static const char *const users[] = {"alice", "alicf", "bob"};
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        for (int k = 0; k < CONVERSATIONS; k++) {
            char name[16];
            snprintf(name, sizeof(name), "thread %d", k);
            struct store_op create = op_create(users[i], name);
            create.create.title = span_of_string(users[i]);
            clock_advance(CLOCK_SECOND_US);
            assert_ok(client_run(client, create));
        }
    }
}

/* Alice asks with these bytes and gets nothing but her own. */
static void assert_harmless(struct client *client, struct span after)
{
    const struct answer *page = client_run(client, op_list("alice", 3, after));
    if (page->reason != ERROR_NONE_REASON) {
        assert_refused(page, PAGE_TOKEN_INVALID);
    }
    assert_true(page->count <= 3);
    for (size_t i = 0; i < page->count; i++) {
        assert_string_equal(page->conversations[i]->title, "alice");
    }
    const struct answer *users = client_run(client, op_users(3, after));
    if (users->reason != ERROR_NONE_REASON) {
        assert_refused(users, PAGE_TOKEN_INVALID);
    }
    for (size_t i = 0; i < users->count; i++) {
        assert_true(span_equal(users->records[i], span_of_string("alice")) ||
                    span_equal(users->records[i], span_of_string("alicf")) ||
                    span_equal(users->records[i], span_of_string("bob")));
    }
}

static uint32_t random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void random_bytes_are_harmless(void **state)
{
    struct client *client = *state;
    users_make(client);
    uint32_t seed = 20260101;
    uint8_t bytes[TOKEN_MAX];
    for (int i = 0; i < RANDOM_TOKENS; i++) {
        size_t size = random_next(&seed) % (i % 10 == 0 ? TOKEN_MAX : 40) + 1;
        for (size_t k = 0; k < size; k++) {
            bytes[k] = (uint8_t)random_next(&seed);
        }
        assert_harmless(client, span_of(bytes, size));
        client_release(client);
    }
}

static void runs_of_one_byte_are_harmless(void **state)
{
    struct client *client = *state;
    static const size_t sizes[] = {1, 2, 7, 8, 9, 16, 17, 20, 129, 255, 256, 257, 510, 511, 512, TOKEN_MAX};
    users_make(client);
    uint8_t bytes[TOKEN_MAX];
    for (unsigned byte = 0; byte <= UINT8_MAX; byte += 3) {
        memset(bytes, (int)byte, sizeof(bytes));
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            assert_harmless(client, span_of(bytes, sizes[i]));
        }
        client_release(client);
    }
}

/* Tries every cut, every single changed bit and some lengthenings of a token. */
static void token_bend(struct client *client, struct span token)
{
    uint8_t bytes[TOKEN_MAX + 1];
    assert_true(token.size > 0 && token.size <= TOKEN_MAX / 2);
    memcpy(bytes, token.data, token.size);
    for (size_t size = 1; size < token.size; size++) {
        assert_harmless(client, span_of(bytes, size));
    }
    for (size_t bit = 0; bit < 8 * token.size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_harmless(client, span_of(bytes, token.size));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    static const uint8_t tails[] = {0, '0', '9', 0x7f, 0xff};
    for (size_t i = 0; i < sizeof(tails); i++) {
        memset(bytes + token.size, tails[i], TOKEN_MAX - token.size);
        assert_harmless(client, span_of(bytes, token.size + 1));
        assert_harmless(client, span_of(bytes, TOKEN_MAX));
    }
}

static void a_bent_token_is_harmless(void **state)
{
    struct client *client = *state;
    users_make(client);
    const struct answer *page = client_run(client, op_list("alice", 2, span_of(NULL, 0)));
    const struct answer *users = client_run(client, op_users(2, span_of(NULL, 0)));
    assert_ok(page);
    assert_ok(users);
    token_bend(client, buffer_span(&page->result.next));
    token_bend(client, buffer_span(&users->result.next));
}

static void a_token_of_another_user_shows_nothing_of_his(void **state)
{
    struct client *client = *state;
    static const char *const others[] = {"alicf", "bob"};
    users_make(client);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        for (size_t size = 1; size < CONVERSATIONS; size++) {
            const struct answer *page = client_run(client, op_list(others[i], size, span_of(NULL, 0)));
            assert_ok(page);
            assert_true(page->result.next.size > 0);
            assert_harmless(client, buffer_span(&page->result.next));
        }
    }
}

static void an_unbent_token_still_continues_the_list(void **state)
{
    struct client *client = *state;
    users_make(client);
    assert_harmless(client, span_of_string("nonsense"));
    const struct answer *page = client_run(client, op_list("alice", 2, span_of(NULL, 0)));
    assert_ok(page);
    const struct answer *rest = client_run(client, op_list("alice", 10, buffer_span(&page->result.next)));
    assert_ok(rest);
    assert_int_equal(rest->count, CONVERSATIONS - 2);
    assert_string_equal(rest->conversations[0]->conversation_id, "thread 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(random_bytes_are_harmless),
        store_test(runs_of_one_byte_are_harmless),
        store_test(a_bent_token_is_harmless),
        store_test(a_token_of_another_user_shows_nothing_of_his),
        store_test(an_unbent_token_still_continues_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
