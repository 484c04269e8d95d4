/* Users apart: another user's data answers as if it were not there, whatever the IDs look like. Must not know an
 * engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ID_BYTES = CHATLOG_LIMIT_id_bytes };

static const struct store_message bobs = {.message_id = {(const uint8_t *)"id", 2},
                                          .content = {(const uint8_t *)"from bob", 8}};
static const struct store_conversation values = {.title = {(const uint8_t *)"bob was here", 12}};

enum { ATTEMPTS = 14 };

/* What bob may try on a conversation that is alice's. */
static struct store_op attempt_of(size_t i)
{
    const struct store_op attempts[ATTEMPTS] = {
        op_get("bob", "thread"),
        op_page("bob", "thread", STORE_LATEST, 0, 10),
        op_page("bob", "thread", STORE_AROUND, 2, 10),
        op_message("bob", "thread", 1),
        op_message_by_id("bob", "thread", "id"),
        op_update("bob", "thread", STORE_MASK_TITLE, &values),
        op_delete("bob", "thread"),
        op_purge("bob", "thread"),
        op_undelete("bob", "thread"),
        op_append("bob", "thread", &bobs, 1),
        op_replace("bob", "thread", 0, &bobs, 1),
        op_edit("bob", "thread", 1, STORE_MASK_CONTENT, &bobs),
        op_delete_message("bob", "thread", 1),
        op_pop("bob", "thread", 1),
    };
    return op_with_request(attempts[i], "request", 1);
}

static void alice_make(struct client *client)
{
    struct store_message message = message_of("user", "alice's secret");
    message.message_id = span_of_string("id");
    struct store_op append = op_creating(op_append("alice", "thread", &message, 1));
    assert_ok(client_run(client, op_with_request(append, "request", 1)));
    client_fill(client, "alice", "thread", 2);
}

static void what_is_anothers_answers_as_if_it_were_not_there(void **state)
{
    struct client *client = *state;
    const struct answer *absent[ATTEMPTS];
    for (size_t i = 0; i < ATTEMPTS; i++) {
        absent[i] = client_run(client, attempt_of(i));
        assert_refused(absent[i], CONVERSATION_NOT_FOUND);
    }
    alice_make(client);
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    for (size_t i = 0; i < ATTEMPTS; i++) {
        const struct answer *refused = client_run(client, attempt_of(i));
        assert_refused(refused, CONVERSATION_NOT_FOUND);
        assert_string_equal(refused->error.message, absent[i]->error.message);
        assert_null(refused->error.details[0].key);
    }
    const struct answer *after = client_run(client, op_get("alice", "thread"));
    assert_ok(after);
    assert_true(span_equal(before->records[0], after->records[0]));
    assert_int_equal(client_run(client, op_list("bob", 10, span_of(NULL, 0)))->count, 0);
    assert_int_equal(client_run(client, op_users(10, span_of(NULL, 0)))->count, 1);
}

static void two_users_keep_conversations_of_the_same_id_apart(void **state)
{
    struct client *client = *state;
    alice_make(client);
    client_fill(client, "bob", "thread", 3);
    const struct answer *before = client_run(client, op_get("alice", "thread"));
    const struct store_op changes[] = {
        op_update("bob", "thread", STORE_MASK_TITLE, &values),
        op_append("bob", "thread", &bobs, 1),
        op_edit("bob", "thread", 1, STORE_MASK_CONTENT, &bobs),
        op_delete_message("bob", "thread", 1),
        op_pop("bob", "thread", 1),
        op_replace("bob", "thread", 0, &bobs, 1),
        op_delete("bob", "thread"),
        op_undelete("bob", "thread"),
        op_purge("bob", "thread"),
        op_forget("bob"),
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_ok(client_run(client, changes[i]));
        const struct answer *after = client_run(client, op_get("alice", "thread"));
        assert_ok(after);
        assert_true(span_equal(before->records[0], after->records[0]));
    }
    client_wait_until_stored(client, 1, 1, 3);
    assert_seqs(client_run(client, op_page("alice", "thread", STORE_LATEST, 0, 10)), 1, 2, 3);
}

/* A user's one conversation, whose title and one message say whose and which it is. */
static void place_make(struct client *client, const char *user, const char *conversation)
{
    char mark[2 * ID_BYTES + 16];
    snprintf(mark, sizeof(mark), "%s|%s", user, conversation);
    struct store_op create = op_create(user, conversation);
    create.create.title = span_of_string(mark);
    assert_ok(client_run(client, create));
    struct store_message message = message_of("user", mark);
    message.message_id = span_of_string(conversation);
    struct store_op append = op_append(user, conversation, &message, 1);
    assert_ok(client_run(client, op_with_request(append, conversation, 2)));
}

static void assert_place(struct client *client, const char *user, const char *conversation, size_t conversations)
{
    char mark[2 * ID_BYTES + 16];
    snprintf(mark, sizeof(mark), "%s|%s", user, conversation);
    const struct answer *read = client_run(client, op_get(user, conversation));
    assert_ok(read);
    assert_string_equal(read->conversations[0]->title, mark);
    assert_string_equal(read->conversations[0]->conversation_id, conversation);
    assert_int_equal(read->conversations[0]->last_seq, 1);
    const struct answer *message = client_run(client, op_message_by_id(user, conversation, conversation));
    assert_ok(message);
    assert_int_equal(message->messages[0]->content.len, strlen(mark));
    assert_memory_equal(message->messages[0]->content.data, mark, strlen(mark));
    assert_seqs(client_run(client, op_page(user, conversation, STORE_LATEST, 0, 10)), 1);
    const struct answer *list = client_run(client, op_list(user, 1000, span_of(NULL, 0)));
    assert_ok(list);
    assert_int_equal(list->count, conversations);
}

static void ids_that_could_be_cut_at_another_place_stay_apart(void **state)
{
    struct client *client = *state;
    enum { FIRST = 0x20, LAST = 0x7e };
    char longer_user[LAST + 1][8];
    char longer_conversation[LAST + 1][8];
    for (int byte = FIRST; byte <= LAST; byte++) {
        snprintf(longer_user[byte], sizeof(longer_user[byte]), "u%cx", byte);
        snprintf(longer_conversation[byte], sizeof(longer_conversation[byte]), "x%cy", byte);
        place_make(client, "u", longer_conversation[byte]);
        place_make(client, longer_user[byte], "y");
    }
    for (int byte = FIRST; byte <= LAST; byte++) {
        assert_place(client, "u", longer_conversation[byte], LAST - FIRST + 1);
        assert_place(client, longer_user[byte], "y", 1);
    }
    assert_ok(client_run(client, op_forget("u")));
    for (int byte = FIRST; byte <= LAST; byte++) {
        assert_refused(client_run(client, op_get("u", longer_conversation[byte])), CONVERSATION_NOT_FOUND);
        assert_place(client, longer_user[byte], "y", 1);
    }
    client_wait_until_stored(client, LAST - FIRST + 1, LAST - FIRST + 1, LAST - FIRST + 1);
}

static void users_whose_ids_begin_alike_stay_apart(void **state)
{
    struct client *client = *state;
    static const char *const users[] = {"a", "aa", "aaa", "a ",         "a!",         "a~",
                                        "A", "á",  "aá",  "\U0010fffd", "\U0010fffda"};
    enum { USERS = sizeof(users) / sizeof(users[0]) };
    for (size_t i = 0; i < USERS; i++) {
        for (size_t k = 0; k < USERS; k++) {
            place_make(client, users[i], users[k]);
        }
    }
    for (size_t forgotten = 0; forgotten < USERS; forgotten++) {
        const struct answer *receipt = client_run(client, op_forget(users[forgotten]));
        assert_ok(receipt);
        assert_int_equal(receipt->result.receipt.conversations, USERS);
        assert_int_equal(receipt->result.receipt.messages, USERS);
        assert_int_equal(client_run(client, op_list(users[forgotten], 100, span_of(NULL, 0)))->count, 0);
        for (size_t i = forgotten + 1; i < USERS; i++) {
            assert_place(client, users[i], users[forgotten], USERS);
        }
    }
    client_wait_until_stored(client, 0, 0, 0);
}

/* Writes the character in UTF-8, with a NUL. */
static void character_encode(uint32_t point, char *id)
{
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    unsigned more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    *id++ = (char)(leads[more] | point >> (6 * more));
    while (more-- > 0) {
        *id++ = (char)(0x80 | (point >> (6 * more) & 0x3f));
    }
    *id = '\0';
}

/* Every byte that UTF-8 without control characters can hold, in IDs of one character. */
static size_t characters_make(char (*ids)[8], size_t most)
{
    static const uint32_t ranges[][2] = {
        {0x20, 0x7e}, {0xa0, 0xff}, {0x100, 0x7ff}, {0x800, 0xffff}, {0x10000, 0x10ffff}};
    static const uint32_t steps[] = {1, 1, 0x40, 0x800, 0x10000};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint32_t point = ranges[i][0]; point <= ranges[i][1] && count < most; point += steps[i]) {
            if (point < 0xd800 || point > 0xdfff) {
                character_encode(point, ids[count++]);
            }
        }
    }
    return count;
}

static void every_legal_byte_can_be_part_of_an_id(void **state)
{
    struct client *client = *state;
    char ids[300][8];
    size_t count = characters_make(ids, sizeof(ids) / sizeof(ids[0]));
    bool seen[256] = {false};
    for (size_t i = 0; i < count; i++) {
        for (const char *byte = ids[i]; *byte; byte++) {
            seen[(uint8_t)*byte] = true;
        }
        place_make(client, "user", ids[i]);
        place_make(client, ids[i], "thread");
    }
    for (unsigned byte = 0x20; byte <= 0xf4; byte++) {
        bool illegal = byte == 0x7f || byte == 0xc0 || byte == 0xc1;
        assert_int_equal(seen[byte], !illegal);
    }
    client_reopen(client);
    for (size_t i = 0; i < count; i++) {
        assert_place(client, "user", ids[i], count);
        assert_place(client, ids[i], "thread", 1);
        client_release(client);
    }
}

static void the_longest_ids_that_differ_in_one_byte_stay_apart(void **state)
{
    struct client *client = *state;
    char ids[4][ID_BYTES + 1];
    for (size_t i = 0; i < 4; i++) {
        memset(ids[i], 'x', ID_BYTES);
        ids[i][ID_BYTES] = '\0';
    }
    ids[1][ID_BYTES - 1] = 'y';
    ids[2][0] = 'y';
    ids[3][ID_BYTES - 1] = '\0';
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            place_make(client, ids[i], ids[k]);
        }
    }
    client_reopen(client);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            assert_place(client, ids[i], ids[k], 4);
        }
    }
    const struct answer *first = client_run(client, op_list(ids[0], 2, span_of(NULL, 0)));
    assert_ok(first);
    const struct answer *rest = client_run(client, op_list(ids[0], 2, buffer_span(&first->result.next)));
    assert_ok(rest);
    assert_int_equal(first->count + rest->count, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(what_is_anothers_answers_as_if_it_were_not_there),
        store_test(two_users_keep_conversations_of_the_same_id_apart),
        store_test(ids_that_could_be_cut_at_another_place_stay_apart),
        store_test(users_whose_ids_begin_alike_stay_apart),
        store_test(every_legal_byte_can_be_part_of_an_id),
        store_test(the_longest_ids_that_differ_in_one_byte_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
