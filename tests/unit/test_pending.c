/* The index of the journal's entries, against a model that keeps every entry in a list, its limits, and readers beside
 * the writer. */
#include "store/lmdb/pending.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MODEL_MOST = 600, CONVERSATIONS = 40, USERS = 5, FIRST_ID = 1000 };

/* Every entry there is, oldest first. A conversation's user is its number modulo USERS. */
struct view {
    struct pending_entry entries[MODEL_MOST];
    size_t count;
    uint64_t next_id;
    uint64_t removal_commit;
};

struct model {
    struct pending *pending;
    struct view committed;
    struct view writer;
    uint64_t commit_id;
    uint64_t seed;
    bool removing;
};

static uint32_t random_below(uint64_t *seed, uint32_t end)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % end);
}

static struct pending_entry entry_of(uint64_t id, uint64_t conversation_number)
{
    return (struct pending_entry){
        .id = id,
        .user_number = conversation_number % USERS,
        .conversation_number = conversation_number,
        .activity_us = (int64_t)id,
        .request_tag = (uint32_t)id * 7,
        .bytes = 100,
    };
}

static void assert_chain(struct model *model, const struct view *view, uint64_t conversation_number, bool writer)
{
    struct pending_chain chain;
    size_t found = 0;
    bool has_ids = false;
    pending_chain(model->pending, conversation_number, writer, &chain);
    for (size_t i = view->count; i-- > 0;) {
        const struct pending_entry *entry = &view->entries[i];
        if (entry->conversation_number == conversation_number) {
            assert_true(found < chain.count);
            assert_int_equal(chain.ids[found], entry->id);
            assert_int_equal(chain.tags[found], entry->request_tag);
            has_ids = has_ids || entry->has_ids;
            found++;
        }
    }
    assert_int_equal(chain.count, found);
    assert_int_equal(chain.has_ids, has_ids);
    assert_int_equal(chain.removal_commit, view->removal_commit);
}

/* The newest entry of the conversation, or NULL. */
static const struct pending_entry *view_newest(const struct view *view, uint64_t conversation_number)
{
    for (size_t i = view->count; i-- > 0;) {
        if (view->entries[i].conversation_number == conversation_number) {
            return &view->entries[i];
        }
    }
    return NULL;
}

static void assert_user(struct model *model, const struct view *view, uint64_t user_number, bool writer)
{
    struct pending_user user;
    size_t wanted = 0;
    pending_user(model->pending, user_number, writer, &user);
    for (uint64_t number = user_number; number < CONVERSATIONS; number += USERS) {
        wanted += user_number < USERS && view_newest(view, number) != NULL;
    }
    assert_int_equal(user.count, wanted);
    assert_int_equal(user.removal_commit, view->removal_commit);
    for (size_t i = 0; i < user.count; i++) {
        const struct pending_conversation *conversation = &user.conversations[i];
        const struct pending_entry *newest = view_newest(view, conversation->conversation_number);
        assert_non_null(newest);
        assert_int_equal(conversation->conversation_number % USERS, user_number);
        assert_int_equal(conversation->activity_us, newest->activity_us);
        if (i > 0) {
            const struct pending_conversation *before = conversation - 1;
            assert_true(before->activity_us > conversation->activity_us ||
                        (before->activity_us == conversation->activity_us &&
                         before->conversation_number < conversation->conversation_number));
        }
    }
}

/* The oldest number that may be in use: it must be told from all that come. */
static uint64_t model_front(const struct model *model)
{
    return model->committed.count > 0 ? model->committed.entries[0].id : model->committed.next_id;
}

static void assert_same(struct model *model)
{
    for (uint64_t number = 0; number < CONVERSATIONS; number++) {
        assert_chain(model, &model->committed, number, false);
        assert_chain(model, &model->writer, number, true);
    }
    for (uint64_t number = 0; number <= USERS; number++) {
        assert_user(model, &model->committed, number, false);
        assert_user(model, &model->writer, number, true);
    }
    const struct view *committed = &model->committed;
    uint64_t oldest = model_front(model);
    uint64_t oldest_id;
    assert_int_equal(pending_span(model->pending, &oldest_id), committed->next_id - oldest);
    if (committed->next_id > FIRST_ID) {
        assert_int_equal(oldest_id, oldest);
    }
    if (model->writer.next_id > FIRST_ID) {
        assert_int_equal(pending_next_id(model->pending), model->writer.next_id);
    }
    struct pending_entry entry;
    assert_int_equal(pending_oldest(model->pending, &entry), model->writer.count > 0);
    if (model->writer.count > 0) {
        const struct pending_entry *wanted = &model->writer.entries[0];
        assert_int_equal(entry.id, wanted->id);
        assert_int_equal(entry.conversation_number, wanted->conversation_number);
        assert_int_equal(entry.user_number, wanted->user_number);
    }
}

static void model_push(struct model *model, uint64_t conversation_number, size_t entries_max)
{
    struct view *view = &model->writer;
    struct pending_entry entry = entry_of(view->next_id, conversation_number);
    entry.has_ids = random_below(&model->seed, 4) == 0;
    entry.activity_us = random_below(&model->seed, 20);
    bool room = view->next_id - model_front(model) < entries_max;
    assert_int_equal(pending_has_room(model->pending, &entry), room);
    if (room) {
        assert_int_equal(pending_push(model->pending, &entry), 0);
        view->entries[view->count++] = entry;
        view->next_id++;
    }
}

static void model_remove(struct model *model, uint64_t conversation_number)
{
    struct view *view = &model->writer;
    size_t left = 0;
    pending_remove(model->pending, conversation_number);
    for (size_t i = 0; i < view->count; i++) {
        if (view->entries[i].conversation_number == conversation_number) {
            model->removing = true;
        } else {
            view->entries[left++] = view->entries[i];
        }
    }
    view->count = left;
}

static void model_end(struct model *model, bool commit)
{
    if (commit) {
        pending_commit(model->pending, ++model->commit_id);
        if (model->removing) {
            model->writer.removal_commit = model->commit_id;
        }
        model->committed = model->writer;
    } else {
        pending_rollback(model->pending);
        model->writer = model->committed;
    }
    model->removing = false;
}

/* Without any entry, what is skipped stays skipped. */
static void model_skip(struct model *model, uint32_t numbers, size_t entries_max)
{
    uint64_t front = model_front(model);
    uint64_t id = model->writer.next_id + numbers - 1;
    bool empty = front == model->writer.next_id;
    if (pending_skip(model->pending, id)) {
        assert_true(!empty && id - front >= entries_max);
        return;
    }
    model->writer.next_id = id + 1;
    if (empty) {
        model->committed.next_id = id + 1;
    }
}

/* As folding does: the conversations of the oldest entries go. */
static void model_fold(struct model *model, uint32_t conversations)
{
    struct pending_entry oldest;
    while (conversations-- > 0 && pending_oldest(model->pending, &oldest)) {
        model_remove(model, oldest.conversation_number);
    }
}

static void model_run(uint64_t seed, size_t entries_max, unsigned steps)
{
    static struct model model; /* too large for a stack */
    model = (struct model){.pending = pending_new(entries_max), .seed = seed};
    assert_non_null(model.pending);
    model.committed.next_id = model.writer.next_id = FIRST_ID;
    uint32_t conversations = 1 + random_below(&model.seed, CONVERSATIONS);
    for (unsigned i = 0; i < steps; i++) {
        uint64_t number = random_below(&model.seed, conversations);
        uint32_t choice = random_below(&model.seed, 100);
        if (choice < 70) {
            model_push(&model, number, entries_max);
        } else if (choice < 80) {
            model_remove(&model, number);
        } else if (choice < 83) {
            model_fold(&model, 1 + random_below(&model.seed, 8));
        } else if (choice < 86) {
            model_skip(&model, 1 + random_below(&model.seed, 5), entries_max);
        } else if (choice < 95) {
            model_end(&model, true);
        } else {
            model_end(&model, false);
        }
        if (i % 7 == 0 || choice >= 70) {
            assert_same(&model);
        }
    }
    model.pending = pending_free(model.pending);
}

static void it_holds_what_was_pushed_and_not_removed(void **state)
{
    (void)state;
    static const size_t entries_max[] = {1, 2, 3, 10, 64, 200, 513};
    for (uint64_t seed = 0; seed < 70; seed++) {
        model_run(seed, entries_max[seed % (sizeof(entries_max) / sizeof(entries_max[0]))], 1500);
    }
}

static void push(struct pending *pending, uint64_t id, uint64_t user_number, uint64_t conversation_number,
                 uint32_t bytes)
{
    struct pending_entry entry = entry_of(id, conversation_number);
    entry.user_number = user_number;
    entry.bytes = bytes;
    assert_true(pending_has_room(pending, &entry));
    assert_int_equal(pending_push(pending, &entry), 0);
}

static bool has_room(struct pending *pending, uint64_t user_number, uint64_t conversation_number, uint32_t bytes)
{
    struct pending_entry entry = {
        .user_number = user_number, .conversation_number = conversation_number, .bytes = bytes};
    return pending_has_room(pending, &entry);
}

static void a_conversation_has_room_for_so_many_entries(void **state)
{
    (void)state;
    struct pending *pending = pending_new(1000);
    struct pending_chain chain;
    uint64_t id = 1;
    for (; id <= PENDING_CHAIN_MAX; id++) {
        push(pending, id, 1, 1, 1);
    }
    assert_false(has_room(pending, 1, 1, 1));
    assert_true(has_room(pending, 1, 2, 1));
    pending_commit(pending, 1);
    assert_false(has_room(pending, 1, 1, 1));
    pending_chain(pending, 1, false, &chain);
    assert_int_equal(chain.count, PENDING_CHAIN_MAX);
    assert_int_equal(chain.ids[PENDING_CHAIN_MAX - 1], 1);

    pending_remove(pending, 1);
    push(pending, id++, 1, 1, 1); /* at once */
    pending_chain(pending, 1, true, &chain);
    assert_int_equal(chain.count, 1);
    pending_chain(pending, 1, false, &chain);
    assert_int_equal(chain.count, PENDING_CHAIN_MAX);
    pending_rollback(pending);
    assert_false(has_room(pending, 1, 1, 1));
    pending_free(pending);
}

static void a_conversation_has_room_for_so_many_bytes(void **state)
{
    (void)state;
    struct pending *pending = pending_new(1000);
    assert_false(has_room(pending, 1, 1, PENDING_CHAIN_BYTES + 1));
    assert_false(has_room(pending, 1, 1, UINT32_MAX));
    push(pending, 1, 1, 1, PENDING_CHAIN_BYTES);
    assert_false(has_room(pending, 1, 1, 1));
    assert_true(has_room(pending, 1, 1, 0));
    push(pending, 2, 1, 2, PENDING_CHAIN_BYTES - 10);
    assert_true(has_room(pending, 1, 2, 10));
    assert_false(has_room(pending, 1, 2, 11));
    pending_commit(pending, 1);
    pending_remove(pending, 1);
    assert_true(has_room(pending, 1, 1, PENDING_CHAIN_BYTES));
    pending_free(pending);
}

static void a_user_has_room_for_so_many_conversations(void **state)
{
    (void)state;
    struct pending *pending = pending_new(2000);
    struct pending_user user;
    uint64_t id = 1;
    for (; id <= PENDING_USER_MAX; id++) {
        push(pending, id, 1, id, 1);
    }
    assert_false(has_room(pending, 1, id, 1));
    assert_true(has_room(pending, 1, 5, 1));
    assert_true(has_room(pending, 2, id, 1));
    pending_commit(pending, 1);
    pending_remove(pending, 7);
    push(pending, id++, 1, 1000, 1); /* at once */
    assert_false(has_room(pending, 1, 1001, 1));
    pending_user(pending, 1, false, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    pending_rollback(pending);
    assert_false(has_room(pending, 1, 1001, 1));
    id--;
    for (uint64_t number = 1; number <= PENDING_USER_MAX; number++) { /* all of them for others, in one transaction */
        pending_remove(pending, number);
        push(pending, id++, 1, 1000 + number, 1);
    }
    assert_false(has_room(pending, 1, 5000, 1));
    pending_user(pending, 1, false, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    assert_int_equal(user.conversations[0].conversation_number, PENDING_USER_MAX);
    pending_user(pending, 1, true, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    assert_int_equal(user.conversations[0].conversation_number, 1000 + PENDING_USER_MAX);
    pending_commit(pending, 2);
    pending_user(pending, 1, false, &user);
    assert_int_equal(user.count, PENDING_USER_MAX);
    assert_int_equal(user.conversations[PENDING_USER_MAX - 1].conversation_number, 1001);
    pending_free(pending);
}

static void the_oldest_entry_holds_the_room_of_all_behind_it_until_it_is_gone(void **state)
{
    (void)state;
    struct pending *pending = pending_new(4);
    uint64_t oldest;
    assert_int_equal(pending_span(pending, &oldest), 0);
    assert_int_equal(oldest, 0);
    for (uint64_t id = 11; id <= 14; id++) {
        push(pending, id, 1, id, 1);
    }
    pending_commit(pending, 1);
    pending_remove(pending, 12);
    pending_remove(pending, 13);
    pending_remove(pending, 14);
    pending_commit(pending, 2);
    assert_false(has_room(pending, 1, 15, 1));
    assert_int_equal(pending_span(pending, &oldest), 4);
    assert_int_equal(oldest, 11);
    pending_remove(pending, 11);
    assert_false(has_room(pending, 1, 15, 1)); /* not before the commit */
    pending_commit(pending, 3);
    assert_int_equal(pending_span(pending, &oldest), 0);
    assert_int_equal(oldest, 15);
    push(pending, 15, 1, 15, 1);
    pending_commit(pending, 4);
    assert_int_equal(pending_span(pending, &oldest), 1);
    pending_free(pending);
}

static void numbers_can_be_skipped_but_not_without_end(void **state)
{
    (void)state;
    struct pending *pending = pending_new(8);
    uint64_t oldest;
    assert_int_equal(pending_next_id(pending), 1);
    assert_int_equal(pending_skip(pending, UINT64_C(1) << 40), 0);
    uint64_t first = pending_next_id(pending);
    assert_int_equal(first, (UINT64_C(1) << 40) + 1);
    push(pending, first, 1, 1, 1);
    assert_int_equal(pending_skip(pending, first + 1), 0);
    assert_int_equal(pending_skip(pending, first + 1000), -1);
    assert_int_equal(pending_next_id(pending), first + 2);
    push(pending, first + 2, 1, 1, 1);
    pending_commit(pending, 1);
    struct pending_chain chain;
    pending_chain(pending, 1, false, &chain);
    assert_int_equal(chain.count, 2);
    assert_int_equal(chain.ids[1], first);
    pending_remove(pending, 1);
    assert_int_equal(pending_skip(pending, first + 3), 0);
    pending_commit(pending, 2);
    assert_int_equal(pending_span(pending, &oldest), 0);
    assert_int_equal(oldest, first + 4);
    pending_free(pending);
}

static void a_tag_is_never_none_and_tells_ids_apart(void **state)
{
    (void)state;
    assert_int_not_equal(pending_tag(NULL, 0), 0);
    assert_int_not_equal(pending_tag((const uint8_t *)"r-1", 3), pending_tag((const uint8_t *)"r-2", 3));
    assert_int_equal(pending_tag((const uint8_t *)"r-1", 3), pending_tag((const uint8_t *)"r-12", 3));
}

/* Each transaction of the writer below pushes one entry to every conversation, in order, and now and then removes all
 * of them first: so whoever reads sees how many transactions there were since. */
enum { SHARED_CONVERSATIONS = 6, CHECKS = 100000, ROUNDS_KEPT = 20, READERS = 2, UNDONE = -1 };

struct shared {
    struct pending *pending;
    atomic_uint_fast64_t committed; /* rounds that are */
    atomic_uint_fast64_t checks;    /* of readers */
    atomic_bool done;
};

struct reader {
    struct shared *shared;
    const char *fault;
};

/* Round r pushes the ids r * SHARED_CONVERSATIONS + conversation number. */
static uint64_t round_of(uint64_t id)
{
    return id / SHARED_CONVERSATIONS;
}

/* What is wrong with the conversation as a reader sees it, or NULL. *seen: the latest round it saw. */
static const char *chain_fault(struct shared *shared, uint64_t number, uint64_t *seen)
{
    struct pending_chain chain;
    uint64_t committed = atomic_load(&shared->committed);
    pending_chain(shared->pending, number, false, &chain);
    uint64_t newest = chain.count > 0 ? round_of(chain.ids[0]) : 0;
    if (newest < committed || newest < *seen) {
        return "a committed round was not seen";
    }
    *seen = newest;
    for (size_t i = 0; i < chain.count; i++) {
        if (chain.ids[i] != (newest - i) * SHARED_CONVERSATIONS + number || chain.tags[i] != (uint32_t)chain.ids[i]) {
            return "the chain is not what was pushed";
        }
    }
    return chain.count == 0 || chain.count == (newest - 1) % ROUNDS_KEPT + 1 ? NULL : "a part of a round was seen";
}

static const char *user_fault(struct shared *shared, uint64_t seen)
{
    struct pending_user user;
    pending_user(shared->pending, 1, false, &user);
    for (size_t i = 0; i < user.count; i++) {
        if (user.conversations[i].activity_us == UNDONE) {
            return "what was undone was seen";
        }
        if (user.conversations[i].activity_us != user.conversations[0].activity_us) {
            return "a part of a round was seen in a list";
        }
    }
    return seen == 0 || user.count == SHARED_CONVERSATIONS ? NULL : "the list is not whole";
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    uint64_t seen = 0;
    for (uint64_t i = 0; !reader->fault && !atomic_load(&reader->shared->done); i++) {
        reader->fault = chain_fault(reader->shared, i % SHARED_CONVERSATIONS, &seen);
        reader->fault = reader->fault ? reader->fault : user_fault(reader->shared, seen);
        atomic_fetch_add(&reader->shared->checks, reader->fault ? CHECKS : 1);
    }
    return NULL;
}

static void round_push(struct pending *pending, uint64_t round, int64_t activity_us)
{
    if ((round - 1) % ROUNDS_KEPT == 0) {
        for (uint64_t number = 0; number < SHARED_CONVERSATIONS; number++) {
            pending_remove(pending, number);
        }
    }
    for (uint64_t number = 0; number < SHARED_CONVERSATIONS; number++) {
        const struct pending_entry entry = {
            .id = round * SHARED_CONVERSATIONS + number,
            .user_number = 1,
            .conversation_number = number,
            .activity_us = activity_us,
            .request_tag = (uint32_t)(round * SHARED_CONVERSATIONS + number),
            .bytes = 1,
        };
        assert_int_equal(pending_push(pending, &entry), 0);
    }
}

static void readers_beside_the_writer_see_whole_transactions(void **state)
{
    (void)state;
    struct shared shared = {.pending = pending_new((size_t)3 * ROUNDS_KEPT * SHARED_CONVERSATIONS)};
    struct reader readers[READERS];
    pthread_t threads[READERS];
    assert_non_null(shared.pending);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.shared = &shared};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (uint64_t round = 1; atomic_load(&shared.checks) < CHECKS; round++) {
        if (round % 3 == 0) {
            round_push(shared.pending, round, UNDONE);
            pending_rollback(shared.pending);
        }
        round_push(shared.pending, round, (int64_t)round);
        pending_commit(shared.pending, round);
        atomic_store(&shared.committed, round);
    }
    atomic_store(&shared.done, true);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (readers[i].fault) {
            fail_msg("%s", readers[i].fault);
        }
    }
    pending_free(shared.pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_was_pushed_and_not_removed),
        cmocka_unit_test(a_conversation_has_room_for_so_many_entries),
        cmocka_unit_test(a_conversation_has_room_for_so_many_bytes),
        cmocka_unit_test(a_user_has_room_for_so_many_conversations),
        cmocka_unit_test(the_oldest_entry_holds_the_room_of_all_behind_it_until_it_is_gone),
        cmocka_unit_test(numbers_can_be_skipped_but_not_without_end),
        cmocka_unit_test(a_tag_is_never_none_and_tells_ids_apart),
        cmocka_unit_test(readers_beside_the_writer_see_whole_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
