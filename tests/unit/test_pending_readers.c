/* The index of the journal's entries: readers beside the writer see what was committed, whole. */
#include "store/lmdb/pending.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

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
        pending_push(pending, &entry);
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

/* Removes conversation 1 in a transaction of its own. */
static void *remove_one(void *arg)
{
    struct shared *shared = arg;
    pending_remove(shared->pending, 1);
    pending_commit(shared->pending, 2);
    atomic_store(&shared->done, true);
    return NULL;
}

static void a_removal_is_published_to_nobody_while_the_index_is_held(void **state)
{
    (void)state;
    struct shared shared = {.pending = pending_new(10)};
    struct pending_chain chain;
    pthread_t writer;
    pending_push(shared.pending, &(struct pending_entry){.id = 1, .user_number = 1, .conversation_number = 1});
    pending_commit(shared.pending, 1);
    pending_hold(shared.pending);
    pending_hold(shared.pending);
    assert_int_equal(pthread_create(&writer, NULL, remove_one, &shared), 0);
    for (unsigned i = 0; i < 2 * CHECKS; i++) {
        if (i == CHECKS) {
            pending_let_go(shared.pending); /* the other still holds it */
        }
        pending_chain(shared.pending, 1, false, &chain);
        assert_int_equal(chain.count, 1);
        assert_int_equal(chain.removal_commit, 0);
        assert_false(atomic_load(&shared.done));
    }
    pending_let_go(shared.pending);
    assert_int_equal(pthread_join(writer, NULL), 0);
    pending_chain(shared.pending, 1, false, &chain);
    assert_int_equal(chain.count, 0);
    assert_int_equal(chain.removal_commit, 2);
    pending_free(shared.pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_beside_the_writer_see_whole_transactions),
        cmocka_unit_test(a_removal_is_published_to_nobody_while_the_index_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
