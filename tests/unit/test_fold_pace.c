/* How much is folded beside appends: the journal never fills up, no commit folds many, and a sweep is long. */
#include "store/lmdb/fold_pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    ENTRIES_MAX = 20000,
    COMMIT_APPENDS = 50,
    COMMITS = 3000,
    USER_CONVERSATIONS = 10,
};

/* Appends, and folding beside them. */
struct load {
    struct pending *pending;
    struct fold_pace pace;
    uint64_t (*next)(struct load *load); /* the conversation of the next append */
    uint64_t seed;
    uint64_t conversations;
    uint64_t appends;
    uint64_t commits;
    uint64_t at_home; /* of them: the journal had no room */
    size_t folded;
    size_t folded_most; /* beside one commit */
};

static uint64_t anyone(struct load *load)
{
    load->seed = load->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (load->seed >> 33) % load->conversations;
}

static uint64_t somebody_new(struct load *load)
{
    return load->appends;
}

static uint64_t somebody_new_below_all_others(struct load *load)
{
    return UINT32_MAX - load->appends;
}

/* First few, then many others, then the few again. */
static uint64_t few_and_many_in_turns(struct load *load)
{
    uint64_t many = anyone(load);
    return load->appends / ENTRIES_MAX % 2 == 0 ? many % 700 : many;
}

static double fill_of(struct pending *pending)
{
    uint64_t oldest;
    return (double)pending_span(pending, &oldest) / ENTRIES_MAX;
}

/* As folding does: what waits of it goes, and a mark comes. */
static void conversation_fold(struct load *load, uint64_t number)
{
    (void)pending_skip(load->pending, pending_next_id(load->pending)); /* without room it goes without a mark */
    pending_remove(load->pending, number);
}

/* As the store does: what has no room in the journal goes home at once, with what waits of its conversation. */
static void append(struct load *load)
{
    uint64_t number = load->next(load);
    struct pending_entry entry = {.id = pending_next_id(load->pending),
                                  .user_number = number / USER_CONVERSATIONS,
                                  .conversation_number = number};
    struct pending_chain chain;
    pending_chain(load->pending, number, true, &chain);
    if (pending_has_room(load->pending, &entry)) {
        pending_push(load->pending, &entry);
    } else {
        load->at_home += chain.count < PENDING_CHAIN_MAX;
        conversation_fold(load, number);
    }
    load->appends++;
}

static void commit_run(struct load *load, unsigned appends)
{
    struct pending_place place;
    for (unsigned i = 0; i < appends; i++) {
        append(load);
    }
    size_t due = fold_pace_due(&load->pace, load->pending, fill_of(load->pending));
    for (size_t i = 0; i < due; i++) {
        assert_int_equal(pending_sweep(load->pending, 1, &place), 1);
        conversation_fold(load, place.conversation_number);
    }
    pending_commit(load->pending, ++load->commits);
    load->folded += due;
    load->folded_most = due > load->folded_most ? due : load->folded_most;
}

static struct load load_run(uint64_t (*next)(struct load *), uint64_t conversations)
{
    struct load load = {.pending = pending_new(ENTRIES_MAX), .next = next, .seed = 3, .conversations = conversations};
    assert_non_null(load.pending);
    for (unsigned i = 0; i < COMMITS; i++) {
        commit_run(&load, COMMIT_APPENDS);
    }
    load.pending = pending_free(load.pending);
    return load;
}

static void a_conversation_is_folded_when_many_of_its_appends_wait(void **state)
{
    (void)state;
    struct load load = load_run(anyone, 2000);
    assert_int_equal(load.at_home, 0);
    assert_true(load.appends / load.folded >= 6);
    assert_true(load.folded_most <= COMMIT_APPENDS / 2);
}

static void what_is_appended_once_is_folded_evenly(void **state)
{
    (void)state;
    struct load above = load_run(somebody_new, 0);
    assert_int_equal(above.at_home, 0);
    assert_true(above.folded_most <= 2 * COMMIT_APPENDS);
    struct load between = load_run(anyone, 1000 * 1000);
    assert_int_equal(between.at_home, 0);
    assert_true(between.folded_most <= 3 * COMMIT_APPENDS);
}

static void the_journal_has_room_while_appends_go_elsewhere(void **state)
{
    (void)state;
    struct load load = load_run(few_and_many_in_turns, 100 * 1000);
    assert_int_equal(load.at_home, 0);
    assert_true(load.folded_most <= 3 * COMMIT_APPENDS);
}

/* The worst there is: a sweep finds nothing that came since it began. */
static void little_goes_home_at_once_when_all_appends_are_behind_the_sweep(void **state)
{
    (void)state;
    struct load load = load_run(somebody_new_below_all_others, 0);
    assert_true(load.at_home > 0);
    assert_true(load.at_home <= load.appends / 50);
}

static void nothing_is_folded_beside_the_first_appends(void **state)
{
    (void)state;
    struct load load = {.pending = pending_new(ENTRIES_MAX), .next = anyone, .seed = 3, .conversations = 2000};
    for (unsigned appends = 0; appends < ENTRIES_MAX / 5; appends += COMMIT_APPENDS) {
        commit_run(&load, COMMIT_APPENDS);
    }
    assert_int_equal(load.folded, 0);
    pending_free(load.pending);
}

static void all_that_is_left_is_due_when_the_journal_is_over_full(void **state)
{
    (void)state;
    struct load load = {.pending = pending_new(ENTRIES_MAX), .next = somebody_new};
    for (unsigned i = 0; i < 10; i++) {
        commit_run(&load, COMMIT_APPENDS);
    }
    assert_int_equal(load.folded, 0);
    assert_int_equal(fold_pace_due(&load.pace, load.pending, 1.5), 10 * COMMIT_APPENDS);
    pending_free(load.pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_is_folded_when_many_of_its_appends_wait),
        cmocka_unit_test(what_is_appended_once_is_folded_evenly),
        cmocka_unit_test(the_journal_has_room_while_appends_go_elsewhere),
        cmocka_unit_test(little_goes_home_at_once_when_all_appends_are_behind_the_sweep),
        cmocka_unit_test(nothing_is_folded_beside_the_first_appends),
        cmocka_unit_test(all_that_is_left_is_due_when_the_journal_is_over_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
