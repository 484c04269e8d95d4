/* The index of the journal's entries, against a model that keeps every entry in a list. */
#include "store/lmdb/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

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
    bool swept[CONVERSATIONS]; /* the sweep has found it */
    bool late[CONVERSATIONS];  /* began to wait after the sweep began */
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
        bool begins = view_newest(view, conversation_number) == NULL;
        model->late[conversation_number] = model->late[conversation_number] || begins;
        pending_push(model->pending, &entry);
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
        for (uint64_t number = 0; number < CONVERSATIONS; number++) { /* what waits again may do so behind the sweep */
            bool again = view_newest(&model->committed, number) && !view_newest(&model->writer, number);
            model->late[number] = model->late[number] || again;
        }
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

/* The sweep has ended: it has found all that waited since it began. */
static void model_begin_sweep(struct model *model)
{
    uint64_t begun_id;
    size_t waiting = 0;
    assert_int_equal(pending_sweep_ahead(model->pending, &begun_id), 0);
    for (uint64_t number = 0; number < CONVERSATIONS; number++) {
        bool waits = view_newest(&model->writer, number) != NULL;
        assert_true(!waits || model->swept[number] || model->late[number]);
        waiting += waits;
        model->swept[number] = model->late[number] = false;
    }
    pending_begin_sweep(model->pending);
    assert_int_equal(pending_sweep_ahead(model->pending, &begun_id), waiting);
    if (model->writer.next_id > FIRST_ID) {
        assert_int_equal(begun_id, model->writer.next_id);
    }
}

/* As folding does: what the sweep finds goes. */
static void model_fold(struct model *model, uint32_t conversations)
{
    uint64_t begun_id;
    size_t ahead = pending_sweep_ahead(model->pending, &begun_id);
    struct pending_place expected[PENDING_SWEEP_MAX], found[PENDING_SWEEP_MAX];
    size_t looked = pending_look_ahead(model->pending, NULL, conversations, expected);
    size_t count = pending_sweep(model->pending, conversations, found);
    assert_int_equal(count, ahead < conversations ? ahead : conversations);
    assert_int_equal(pending_sweep_ahead(model->pending, &begun_id), ahead - count);
    assert_int_equal(looked, count);
    assert_memory_equal(expected, found, count * sizeof(found[0]));
    for (size_t i = 0; i < count; i++) {
        uint64_t number = found[i].conversation_number;
        assert_non_null(view_newest(&model->writer, number)); /* nothing that was removed meanwhile */
        assert_int_equal(found[i].user_number, number % USERS);
        assert_false(model->swept[number]); /* once in a sweep, whatever comes meanwhile */
        model->swept[number] = true;
        model_remove(model, number);
        assert_false(pending_is_ahead(model->pending, found[i]));
    }
    if (count < conversations) {
        model_begin_sweep(model);
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

static void a_sweep_goes_by_user_and_then_by_conversation(void **state)
{
    (void)state;
    enum { COUNT = 200, ENTRIES_MAX = 1000 };
    struct pending *pending = pending_new(ENTRIES_MAX);
    uint64_t seed = 7, begun_id;
    struct pending_place last = {0};
    for (uint64_t id = 1; id <= COUNT; id++) {
        const struct pending_entry entry = {
            .id = id, .user_number = 1 + random_below(&seed, 9), .conversation_number = id * 7919 % COUNT};
        pending_push(pending, &entry);
    }
    pending_commit(pending, 1);
    pending_begin_sweep(pending);
    assert_int_equal(pending_sweep_ahead(pending, &begun_id), COUNT);
    assert_int_equal(begun_id, COUNT + 1);
    for (size_t found = 0, count, most = 1; found < COUNT; found += count, most = most % PENDING_SWEEP_MAX + 1) {
        struct pending_place places[PENDING_SWEEP_MAX], expected[PENDING_SWEEP_MAX];
        assert_int_equal(pending_look_ahead(pending, found > 0 ? &last : NULL, most, expected),
                         most < COUNT - found ? most : COUNT - found);
        count = pending_sweep(pending, most, places);
        assert_int_equal(count, most < COUNT - found ? most : COUNT - found);
        assert_memory_equal(places, expected, count * sizeof(places[0]));
        for (size_t i = 0; i < count; last = places[i++]) {
            assert_true((found == 0 && i == 0) || places[i].user_number > last.user_number ||
                        (places[i].user_number == last.user_number &&
                         places[i].conversation_number > last.conversation_number));
        }
    }
    assert_int_equal(pending_sweep(pending, 1, &last), 0);
    pending_free(pending);
}

static void a_rollback_in_a_sweep_leaves_what_it_found_to_the_next(void **state)
{
    (void)state;
    struct pending *pending = pending_new(10);
    struct pending_place place;
    uint64_t begun_id;
    for (uint64_t id = 1; id <= 3; id++) {
        const struct pending_entry entry = {.id = id, .user_number = id, .conversation_number = id};
        pending_push(pending, &entry);
    }
    pending_commit(pending, 1);
    pending_begin_sweep(pending);
    assert_int_equal(pending_sweep(pending, 1, &place), 1);
    pending_remove(pending, place.conversation_number);
    assert_int_equal(pending_sweep(pending, 1, &place), 1);
    pending_remove(pending, place.conversation_number);
    pending_rollback(pending);
    assert_int_equal(pending_sweep_ahead(pending, &begun_id), 1);
    assert_int_equal(pending_sweep(pending, 1, &place), 1);
    assert_int_equal(place.conversation_number, 3);
    assert_int_equal(pending_sweep(pending, 1, &place), 0);
    const struct pending_entry undone = {.id = 4, .user_number = 4, .conversation_number = 4};
    pending_push(pending, &undone);
    pending_begin_sweep(pending);
    pending_rollback(pending);
    assert_int_equal(pending_sweep_ahead(pending, &begun_id), 3);
    assert_int_equal(begun_id, 4); /* the next to come, again */
    pending_free(pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_goes_by_user_and_then_by_conversation),
        cmocka_unit_test(a_rollback_in_a_sweep_leaves_what_it_found_to_the_next),
        cmocka_unit_test(it_holds_what_was_pushed_and_not_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
