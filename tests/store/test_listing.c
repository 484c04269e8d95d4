/* Lists: a user's conversations by latest activity, and the users; pages, filters, tokens that others move under,
 * and tokens that nobody made. Must not know an engine. */
#include "support/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NAME_BYTES = 32, MANY = 10000, MANY_PAGE = 1000, IN_FLIGHT = 1000 };

static struct span nothing(void)
{
    return span_of(NULL, 0);
}

/* The whole list, page by page: calls `seen` for each conversation, and `between` after each page. Fails the test
 * when pages do not end. */
struct walk {
    struct store_op op;
    void (*seen)(void *arg, const Chatlog__V1__Conversation *conversation);
    void (*between)(void *arg);
    void *arg;
    size_t most_pages;
};

static void walk_run(struct client *client, struct walk walk)
{
    struct span after = nothing();
    for (size_t page = 0; page < walk.most_pages; page++) {
        walk.op.list.after = after;
        const struct answer *answer = client_run(client, walk.op);
        assert_ok(answer);
        assert_true(answer->count <= walk.op.list.page_size);
        for (size_t i = 0; i < answer->count; i++) {
            walk.seen(walk.arg, answer->conversations[i]);
        }
        after = buffer_span(&answer->result.next);
        if (after.size == 0) {
            return;
        }
        if (walk.between) {
            walk.between(walk.arg);
        }
    }
    fail_msg("the list does not end after %zu pages", walk.most_pages);
}

/* Collects the IDs in the order in which they came, with a space behind each. */
struct names {
    char text[2048];
};

static void names_add(void *arg, const Chatlog__V1__Conversation *conversation)
{
    struct names *names = arg;
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof(names->text) - used, "%s ", conversation->conversation_id);
}

static void assert_lists(struct client *client, struct store_op op, const char *expected)
{
    static const size_t page_sizes[] = {1, 2, 3, 1000};
    for (size_t i = 0; i < sizeof(page_sizes) / sizeof(page_sizes[0]); i++) {
        struct names names = {""};
        op.list.page_size = page_sizes[i];
        walk_run(client, (struct walk){.op = op, .seen = names_add, .arg = &names, .most_pages = 100});
        assert_string_equal(names.text, expected);
    }
}

static void a_user_without_conversations_has_an_empty_list(void **state)
{
    struct client *client = *state;
    client_fill(client, "bob", "thread", 1);
    const struct answer *list = client_run(client, op_list("alice", 10, nothing()));
    assert_ok(list);
    assert_int_equal(list->count, 0);
    assert_int_equal(list->result.next.size, 0);
}

static void conversations_are_listed_by_their_latest_activity(void **state)
{
    struct client *client = *state;
    static const char *const order[] = {"a", "b", "c", "a", "d", "b", "e"};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        clock_advance(CLOCK_SECOND_US);
        client_fill(client, "alice", order[i], 1);
        client_fill(client, "bob", order[i], 1);
    }
    assert_lists(client, op_list("alice", 1, nothing()), "e b d a c ");
    const struct store_conversation values = {.title = span_of_string("renamed")};
    clock_advance(CLOCK_SECOND_US);
    assert_ok(client_run(client, op_update("alice", "c", STORE_MASK_TITLE, &values)));
    assert_ok(client_run(client, op_pop("alice", "a", 1)));
    assert_lists(client, op_list("alice", 1, nothing()), "e b d a c ");
    assert_ok(client_run(client, op_create("alice", "f")));
    client_reopen(client);
    assert_lists(client, op_list("alice", 1, nothing()), "f e b d a c ");
}

static void a_listed_conversation_is_the_one_that_is_read(void **state)
{
    struct client *client = *state;
    const struct store_pair label = {span_of_string("k"), span_of_string("v")};
    struct store_op create = op_create("alice", "thread");
    create.create.title = span_of_string("title");
    create.create.metadata = &label;
    create.create.metadata_count = 1;
    assert_ok(client_run(client, create));
    client_fill(client, "alice", "thread", 3);
    const struct answer *read = client_run(client, op_get("alice", "thread"));
    const struct answer *list = client_run(client, op_list("alice", 10, nothing()));
    assert_ok(list);
    assert_int_equal(list->count, 1);
    assert_true(span_equal(list->records[0], read->records[0]));
}

static void filters_choose_archived_and_deleted_conversations(void **state)
{
    struct client *client = *state;
    static const char *const names[] = {"plain", "archived", "deleted", "both"};
    for (size_t i = 0; i < 4; i++) {
        clock_advance(CLOCK_SECOND_US);
        struct store_op create = op_create("alice", names[i]);
        create.create.archived = i % 2 == 1;
        assert_ok(client_run(client, create));
        if (i >= 2) {
            assert_ok(client_run(client, op_delete("alice", names[i])));
        }
    }
    static const struct {
        enum store_archived archived;
        bool show_deleted;
        const char *expected;
    } rows[] = {
        {STORE_ARCHIVED_EXCLUDE, false, "plain "},
        {STORE_ARCHIVED_ONLY, false, "archived "},
        {STORE_ARCHIVED_INCLUDE, false, "archived plain "},
        {STORE_ARCHIVED_EXCLUDE, true, "deleted plain "},
        {STORE_ARCHIVED_ONLY, true, "both archived "},
        {STORE_ARCHIVED_INCLUDE, true, "both deleted archived plain "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_op list = op_list("alice", 1, nothing());
        list.list.archived = rows[i].archived;
        list.list.show_deleted = rows[i].show_deleted;
        assert_lists(client, list, rows[i].expected);
    }
}

/* Rows are read ahead by 64 and less: pages of about that size, and filters that leave little of them. */
static void a_long_list_is_whole_in_pages_of_any_size(void **state)
{
    enum { CONVERSATIONS = 200 };
    static const size_t page_sizes[] = {7, 63, 64, 65, 100, 129, 200};
    struct client *client = *state;
    struct names expected[2] = {{""}, {""}};
    for (int i = 0; i < CONVERSATIONS; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "c%d", (CONVERSATIONS - i) * 7 % CONVERSATIONS);
        struct store_op create = op_create("alice", name);
        create.create.archived = i % 5 == 0;
        clock_advance(-CLOCK_SECOND_US);
        assert_ok(client_run(client, create));
        Chatlog__V1__Conversation conversation = {.conversation_id = name};
        names_add(&expected[create.create.archived], &conversation);
    }
    for (size_t i = 0; i < sizeof(page_sizes) / sizeof(page_sizes[0]); i++) {
        for (int archived = 0; archived < 2; archived++) {
            struct names names = {""};
            struct store_op list = op_list("alice", page_sizes[i], nothing());
            list.list.archived = archived ? STORE_ARCHIVED_ONLY : STORE_ARCHIVED_EXCLUDE;
            walk_run(client, (struct walk){.op = list, .seen = names_add, .arg = &names, .most_pages = CONVERSATIONS});
            assert_string_equal(names.text, expected[archived].text);
        }
    }
}

static void an_expired_conversation_is_not_listed(void **state)
{
    struct client *client = *state;
    struct store_op create = op_create("alice", "short");
    create.create.expire_time_us = CLIENT_EPOCH_US + CLOCK_SECOND_US;
    assert_ok(client_run(client, create));
    assert_ok(client_run(client, op_create("alice", "long")));
    clock_advance(CLOCK_SECOND_US);
    struct store_op list = op_list("alice", 1, nothing());
    list.list.show_deleted = true;
    assert_lists(client, list, "long ");
}

static void a_page_token_keeps_its_place_when_conversations_before_it_move_or_go(void **state)
{
    struct client *client = *state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < 6; i++) {
        clock_advance(CLOCK_SECOND_US);
        client_fill(client, "alice", names[i], 1);
    }
    const struct answer *page = client_run(client, op_list("alice", 2, nothing()));
    assert_ok(page);
    assert_string_equal(page->conversations[0]->conversation_id, "f");
    assert_string_equal(page->conversations[1]->conversation_id, "e");
    clock_advance(CLOCK_SECOND_US);
    client_fill(client, "alice", "e", 1);
    client_fill(client, "alice", "new", 1);
    assert_ok(client_run(client, op_purge("alice", "f")));
    assert_ok(client_run(client, op_purge("alice", "d")));
    client_reopen(client);
    const struct answer *rest = client_run(client, op_list("alice", 10, buffer_span(&page->result.next)));
    assert_ok(rest);
    assert_int_equal(rest->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(rest->conversations[i]->conversation_id, names[2 - i]);
    }
    assert_int_equal(rest->result.next.size, 0);
}

static void a_page_ends_before_it_passes_the_limit_of_a_reply(void **state)
{
    struct client *client = *state;
    enum { REPLY = 2000, TITLE = 600, COUNT = 12 };
    char title[TITLE];
    static const char names[COUNT][2] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    client_close(client);
    client_limits(client)->request_bytes = REPLY;
    memset(title, 't', sizeof(title));
    client_open(client);
    for (size_t i = 0; i < COUNT; i++) {
        struct store_op create = op_create("alice", names[i]);
        create.create.title = span_of(title, sizeof(title));
        clock_advance(CLOCK_SECOND_US);
        assert_ok(client_run(client, create));
    }
    assert_lists(client, op_list("alice", 1, nothing()), "l k j i h g f e d c b a ");
    const struct answer *page = client_run(client, op_list("alice", 1000, nothing()));
    assert_ok(page);
    assert_int_equal(page->count, REPLY / (TITLE + 50));
    assert_true(page->result.records.size <= REPLY);
}

/* A walk through MANY conversations of which every tenth is appended to between the pages. */
struct crowd {
    struct client *client;
    char (*names)[NAME_BYTES];
    unsigned *seen;
    size_t moved; /* how many names were appended to so far */
};

static void crowd_seen(void *arg, const Chatlog__V1__Conversation *conversation)
{
    struct crowd *crowd = arg;
    size_t number = strtoul(conversation->conversation_id + strlen("conversation "), NULL, 10);
    assert_true(number < MANY);
    assert_string_equal(conversation->conversation_id, crowd->names[number]);
    crowd->seen[number]++;
}

static const struct store_message crowd_message = {.content = {(const uint8_t *)"hello", 5}};

static void crowd_move(void *arg)
{
    struct crowd *crowd = arg;
    clock_advance(CLOCK_SECOND_US);
    struct answer *answers[MANY / 100];
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++, crowd->moved += 10) {
        const char *name = crowd->names[crowd->moved % MANY];
        answers[i] = client_start(crowd->client, op_append("alice", name, &crowd_message, 1));
    }
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        assert_ok(client_wait(crowd->client, answers[i]));
    }
}

static void crowd_make(struct crowd *crowd)
{
    for (size_t i = 0; i < MANY; i++) {
        snprintf(crowd->names[i], NAME_BYTES, "conversation %zu", i);
        client_start(crowd->client, op_creating(op_append("alice", crowd->names[i], &crowd_message, 1)));
        if (i % IN_FLIGHT == IN_FLIGHT - 1) {
            client_wait_all(crowd->client);
            client_release(crowd->client);
            clock_advance(1);
        }
    }
    client_wait_until_stored(crowd->client, 1, MANY, MANY);
}

static void among_ten_thousand_conversations_none_that_stays_is_missed_or_comes_twice(void **state)
{
    struct crowd crowd = {
        .client = *state,
        .names = calloc(MANY, NAME_BYTES),
        .seen = calloc(MANY, sizeof(unsigned)),
    };
    assert_true(crowd.names && crowd.seen);
    crowd_make(&crowd);
    struct store_op op = op_list("alice", MANY_PAGE, nothing());
    walk_run(crowd.client, (struct walk){.op = op, .seen = crowd_seen, .arg = &crowd, .most_pages = MANY});
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(crowd.seen[i], 1);
        crowd.seen[i] = 0;
    }
    struct walk moving = {.op = op, .seen = crowd_seen, .between = crowd_move, .arg = &crowd, .most_pages = MANY};
    walk_run(crowd.client, moving);
    assert_true(crowd.moved > 0);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(crowd.seen[i] == 1 || (i % 10 == 0 && i < crowd.moved));
    }
    free(crowd.names);
    free(crowd.seen);
}

static void users_are_listed_in_the_order_of_their_bytes(void **state)
{
    struct client *client = *state;
    static const char *const sorted[] = {" ", "!", "0", "A", "a", "a b", "aa", "ab", "b", "~", "é", "日本", "😀"};
    enum { USERS = sizeof(sorted) / sizeof(sorted[0]) };
    for (size_t i = 0; i < USERS; i++) {
        assert_ok(client_run(client, op_create(sorted[(i * 5) % USERS], "thread")));
        assert_ok(client_run(client, op_create(sorted[(i * 5) % USERS], "thread 2")));
    }
    for (size_t page_size = 1; page_size <= USERS + 1; page_size++) {
        struct span after = nothing();
        size_t seen = 0;
        do {
            const struct answer *page = client_run(client, op_users(page_size, after));
            assert_ok(page);
            assert_true(page->count <= page_size && seen + page->count <= USERS);
            for (size_t i = 0; i < page->count; i++) {
                assert_true(span_equal(page->records[i], span_of_string(sorted[seen++])));
            }
            assert_true(page->count > 0 || page->result.next.size == 0);
            after = buffer_span(&page->result.next);
        } while (after.size > 0);
        assert_int_equal(seen, USERS);
    }
}

static void a_user_is_listed_as_long_as_there_is_a_conversation(void **state)
{
    struct client *client = *state;
    client_fill(client, "alice", "thread", 1);
    client_fill(client, "bob", "thread", 1);
    assert_ok(client_run(client, op_delete("alice", "thread")));
    assert_int_equal(client_run(client, op_users(10, nothing()))->count, 2);
    assert_ok(client_run(client, op_purge("alice", "thread")));
    client_wait_until_stored(client, 1, 1, 1);
    const struct answer *users = client_run(client, op_users(10, nothing()));
    assert_ok(users);
    assert_int_equal(users->count, 1);
    assert_true(span_equal(users->records[0], span_of_string("bob")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_user_without_conversations_has_an_empty_list),
        store_test(conversations_are_listed_by_their_latest_activity),
        store_test(a_listed_conversation_is_the_one_that_is_read),
        store_test(filters_choose_archived_and_deleted_conversations),
        store_test(a_long_list_is_whole_in_pages_of_any_size),
        store_test(an_expired_conversation_is_not_listed),
        store_test(a_page_token_keeps_its_place_when_conversations_before_it_move_or_go),
        store_test(a_page_ends_before_it_passes_the_limit_of_a_reply),
        store_test(among_ten_thousand_conversations_none_that_stays_is_missed_or_comes_twice),
        store_test(users_are_listed_in_the_order_of_their_bytes),
        store_test(a_user_is_listed_as_long_as_there_is_a_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
