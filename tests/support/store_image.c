#include "support/store_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES_MAX = 1000, PAGE = 7, MESSAGE_PAGE = 400, LONG_ID = 128, POLL_US = 1000, PATH_BYTES = 256 };

static void image_add(struct buffer *image, const struct answer *answer)
{
    char line[96];
    int size = snprintf(line, sizeof(line), "%d %zu %llu %d%d|", (int)answer->reason, answer->count,
                        (unsigned long long)(answer->reason ? 0 : answer->result.last_seq),
                        answer->reason ? 0 : answer->result.has_more_before,
                        answer->reason ? 0 : answer->result.has_more_after);
    buffer_append(image, line, (size_t)size);
    for (size_t i = 0; i < answer->count; i++) {
        buffer_append(image, answer->records[i].data, answer->records[i].size);
    }
}

static _Noreturn void image_end(const char *what)
{
    fprintf(stderr, "%s does not end\n", what);
    abort();
}

static void messages_add(struct buffer *image, struct client *client, const char *user, const char *conversation)
{
    uint64_t seq = 0;
    for (size_t i = 0; i < PAGES_MAX; i++) {
        const struct answer *page = client_run(client, op_page(user, conversation, STORE_AFTER, seq, MESSAGE_PAGE));
        image_add(image, page);
        if (page->reason || page->count == 0) {
            image_add(image, client_run(client, op_page(user, conversation, STORE_LATEST, 0, 3)));
            image_add(image, client_run(client, op_page(user, conversation, STORE_AROUND, seq / 2, 5)));
            return;
        }
        const Chatlog__V1__Message *first = page->messages[0];
        image_add(image, client_run(client, op_message(user, conversation, first->seq)));
        if (first->message_id[0]) {
            image_add(image, client_run(client, op_message_by_id(user, conversation, first->message_id)));
        }
        seq = page->messages[page->count - 1]->seq;
    }
    image_end("a conversation");
}

static void user_add(struct buffer *image, struct client *client, const char *user)
{
    struct span after = span_of(NULL, 0);
    for (size_t i = 0; i < PAGES_MAX; i++) {
        struct store_op op = op_list(user, PAGE, after);
        op.list.archived = STORE_ARCHIVED_INCLUDE;
        op.list.show_deleted = true;
        const struct answer *page = client_run(client, op);
        image_add(image, page);
        for (size_t k = 0; k < page->count; k++) {
            const char *name = page->conversations[k]->conversation_id;
            image_add(image, client_run(client, op_get(user, name)));
            messages_add(image, client, user, name);
        }
        if (page->reason || page->result.next.size == 0) {
            return;
        }
        after = buffer_span(&page->result.next);
    }
    image_end("a user");
}

struct buffer image_take(struct client *client)
{
    struct buffer image = {0};
    struct span after = span_of(NULL, 0);
    for (size_t i = 0; i < PAGES_MAX; i++) {
        const struct answer *page = client_run(client, op_users(PAGE, after));
        for (size_t k = 0; k < page->count; k++) {
            char user[LONG_ID + 1];
            snprintf(user, sizeof(user), "%.*s", SPAN_FORMAT(page->records[k]));
            buffer_append(&image, user, strlen(user) + 1);
            user_add(&image, client, user);
        }
        if (page->result.next.size == 0) {
            return image;
        }
        after = buffer_span(&page->result.next);
    }
    image_end("the list of users");
}

void image_expect(struct client *client, const struct buffer *wanted, const char *what)
{
    struct buffer image = image_take(client);
    size_t same = 0;
    while (same < image.size && same < wanted->size && image.data[same] == wanted->data[same]) {
        same++;
    }
    if (image.size != wanted->size || same != image.size) {
        fail_msg("%s: the content differs at byte %zu of %zu: \"%.*s\"", what, same, wanted->size,
                 (int)(image.size - same > 60 ? 60 : image.size - same), (const char *)image.data + same);
    }
    buffer_free(&image);
}

static struct store_message named(const char *id, const char *content)
{
    struct store_message message = message_of("user", content);
    message.message_id = span_of_string(id);
    return message;
}

static void requests_run(struct client *client, bool again)
{
    struct store_message two[] = {named("m-1", "first"), named("m-2", "second")};
    const struct store_op ops[] = {
        op_with_request(op_creating(op_append("ann", "requests", two, 2)), "r-append", 1),
        op_with_request(op_pop("ann", "requests", 1), "r-pop", 2),
        op_with_request(op_delete("ann", "requests"), "r-delete", 3),
        op_with_request(op_undelete("ann", "requests"), "r-undelete", 4),
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        const struct answer *answer = client_run(client, ops[i]);
        assert_ok(answer);
        assert_true(answer->result.replayed == again);
    }
}

void image_replay(struct client *client)
{
    requests_run(client, true);
}

static void long_fill(struct client *client, const char *user, const char *conversation, size_t messages)
{
    for (size_t i = 0; i < messages;) {
        char ids[100][24];
        struct store_message batch[100];
        size_t count = 0;
        for (; count < 100 && i < messages; count++, i++) {
            snprintf(ids[count], sizeof(ids[count]), "id %zu", (i * 7919) % messages);
            batch[count] = i % 2 ? named(ids[count], ids[count]) : message_of("assistant", ids[count]);
        }
        assert_ok(client_run(client, op_creating(op_append(user, conversation, batch, count))));
        clock_advance(CLOCK_SECOND_US);
    }
}

void image_fill(struct client *client, size_t messages)
{
    static const char *const users[] = {"a", "ann", "ann b", "anna", "b", "\xc3\xa9t\xc3\xa9", "zz"};
    static const char *const names[] = {"c", "c ", "cc", "c1", "~", "\xf0\x9f\x98\x80"};
    char long_id[LONG_ID + 1];
    memset(long_id, 'x', LONG_ID);
    long_id[LONG_ID] = '\0';
    struct store_message three[] = {named(long_id, "long"), named("m-2", ""), message_of("user", "three")};
    struct store_conversation values = {.title = span_of_string("title"), .archived = true};
    struct store_conversation expiring = {.expire_time_us = clock_now() + INT64_C(86400) * CLOCK_SECOND_US};
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        for (size_t k = 0; k <= i && k < sizeof(names) / sizeof(names[0]); k++) {
            assert_ok(client_run(client, op_creating(op_append(users[i], names[k], three, 3))));
            clock_advance(CLOCK_SECOND_US);
        }
    }
    assert_ok(client_run(client, op_create("ann", "empty")));
    assert_ok(client_run(client, op_creating(op_append(long_id, long_id, three, 3))));
    assert_ok(client_run(client, op_update("anna", "c", STORE_MASK_TITLE | STORE_MASK_ARCHIVED, &values)));
    assert_ok(client_run(client, op_update("anna", "cc", STORE_MASK_EXPIRE_TIME, &expiring)));
    assert_ok(client_run(client, op_delete("b", "c ")));
    assert_ok(client_run(client, op_delete_message("b", "cc", 2)));
    assert_ok(client_run(client, op_edit("b", "c", 1, STORE_MASK_CONTENT, &three[2])));
    assert_ok(client_run(client, op_replace("zz", "c", 1, three + 1, 2)));
    assert_ok(client_run(client, op_pop("zz", "cc", 3)));
    requests_run(client, false);
    long_fill(client, "ann", "long", messages);
    client_fill(client, "user", "plain", messages / 2 + 1);
    client_release(client);
}

void image_begin_old(struct client *client, uint32_t layout)
{
    char path[PATH_BYTES];
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    client_close(client);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", client_config(client)->data_dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    client_config(client)->create_layout = layout;
    client_config(client)->migrate = STORE_MIGRATE_HOLD;
    client_open(client);
    assert_int_equal(store_describe(client_store(client)).layout, layout);
}

void image_migrate(struct client *client, size_t slice_records)
{
    client_config(client)->migrate = STORE_MIGRATE_AUTO;
    client_config(client)->migrate_slice_records = slice_records;
    client_open(client);
}

struct store_migration image_wait_migrated(struct client *client)
{
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    struct store_migration migration;
    for (;;) {
        store_migration(client_store(client), &migration);
        if (migration.state == STORE_MIGRATION_NONE) {
            return migration;
        }
        if (migration.state == STORE_MIGRATION_HALTED || clock_monotonic_us() > end) {
            fail_msg("the migration does not end: state %d, %llu of %llu messages: %s", (int)migration.state,
                     (unsigned long long)migration.messages_moved, (unsigned long long)migration.messages_total,
                     migration.last_error);
        }
        usleep(POLL_US);
    }
}

void image_wait_moving(struct client *client)
{
    struct store_migration migration = {0};
    int64_t end = clock_monotonic_us() + CLIENT_WAIT_SECONDS * (int64_t)CLOCK_SECOND_US;
    while (migration.messages_moved == 0 && migration.conversations_moved == 0) {
        store_migration(client_store(client), &migration);
        assert_true(clock_monotonic_us() < end);
    }
}
