/* Who makes a request: Unix users by the `peer` lines, tokens by their cache, and what a reload of the keys changes. */
#include "auth/peer_map.h"
#include "auth/session.h"
#include "auth/token_cache.h"
#include "auth/token_keys.h"
#include "support/directory.h"
#include "support/made_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { EVERYTHING = SCOPE_READ | SCOPE_WRITE | SCOPE_SERVICE | SCOPE_ADMIN, OWN = 4242 };

static void a_peer_line_names_a_unix_user_and_what_it_may_do(void **state)
{
    (void)state;
    static const char *const good[] = {"1000: service", "bot:admin", "www-data:  user  ann@example.org",
                                       "0: user \xc3\xbc"};
    static const char *const bad[] = {"",
                                      ":",
                                      "1000",
                                      "1000:",
                                      ": service",
                                      "1000: Service",
                                      "1000: services",
                                      "1000: service x",
                                      "1000: user",
                                      "1000: user ",
                                      "1000: user a\tb",
                                      "1000: user \xff",
                                      "a b: service",
                                      "1000 service",
                                      "1000: none",
                                      "a-name-that-is-longer-than-unix-has: service"};
    struct peer_rule rule;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(peer_rule_parse(good[i], &rule));
    }
    assert_string_equal(rule.unix_user, "0");
    assert_string_equal(rule.user, "\xc3\xbc");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (peer_rule_parse(bad[i], &rule)) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
    char longest[256];
    snprintf(longest, sizeof(longest), "%032d: user %0128d", 1, 1);
    assert_true(peer_rule_parse(longest, &rule) && strlen(longest) < PEER_RULE_BYTES);
    snprintf(longest, sizeof(longest), "1: user %0129d", 1);
    assert_false(peer_rule_parse(longest, &rule));
}

static void expect_peer(const struct peer_map *map, uid_t uid, const char *name, unsigned scopes, const char *user)
{
    struct principal *principal = peer_map_find(map, uid);
    assert_non_null(principal);
    assert_string_equal(principal->name, name);
    assert_int_equal(principal->scopes, scopes);
    assert_string_equal(principal->user, user);
    assert_true(principal->known);
    principal_release(principal);
}

static void without_lines_root_and_the_daemons_own_user_may_everything_and_nobody_else_anything(void **state)
{
    (void)state;
    struct peer_map *map;
    struct error error;
    assert_int_equal(peer_map_new(NULL, 0, OWN, &map, &error), 0);
    expect_peer(map, 0, "uid:0", EVERYTHING, "");
    expect_peer(map, OWN, "uid:4242", EVERYTHING, "");
    expect_peer(map, 1000, "uid:1000", 0, "");
    expect_peer(map, (uid_t)-1, "uid:4294967295", 0, "");
    peer_map_free(map);
}

static void lines_map_unix_users_add_up_and_win_over_what_holds_without(void **state)
{
    (void)state;
    static const char *const lines[] = {"1000: service", "1000: admin",    "1001: user ann", "1001: admin",
                                        "root: admin",   "1002: user bob", "daemon: service"};
    struct peer_map *map;
    struct error error;
    assert_int_equal(peer_map_new(lines, 7, OWN, &map, &error), 0);
    expect_peer(map, 1000, "uid:1000", EVERYTHING, "");
    expect_peer(map, 1001, "user:ann", SCOPE_READ | SCOPE_WRITE | SCOPE_ADMIN, "ann");
    expect_peer(map, 1002, "user:bob", SCOPE_READ | SCOPE_WRITE, "bob");
    expect_peer(map, 0, "uid:0", SCOPE_ADMIN, "");
    expect_peer(map, OWN, "uid:4242", EVERYTHING, "");
    expect_peer(map, 1, "uid:1", EVERYTHING & ~SCOPE_ADMIN, "");
    peer_map_free(map);
}

static void lines_that_contradict_or_name_nobody_stop_the_start(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"1000: user ann", "1000: user bob"},
        {"1000: user ann", "1000: service"},
        {"1000: service", "1000: user ann"},
        {"no-such-unix-user: service", "1: admin"},
        {"99999999999999999999: service", "1: admin"},
        {"12x: service", "1: admin"},
        {"1000: user ann", "nonsense"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer_map *map = NULL;
        struct error error = {0};
        assert_int_equal(peer_map_new(cases[i], 2, OWN, &map, &error), -ERROR_STARTUP);
        assert_null(map);
        assert_non_null(strstr(error.message, "peer = "));
    }
}

static void digest_fill(uint8_t digest[TOKEN_DIGEST_BYTES], unsigned number)
{
    memset(digest, 0, TOKEN_DIGEST_BYTES);
    memcpy(digest, &number, sizeof(number));
}

static void the_cache_holds_a_bounded_number_of_tokens_and_frees_the_rest(void **state)
{
    (void)state;
    enum { TOKENS = 5 * TOKEN_CACHE_ENTRIES };
    uint8_t digest[TOKEN_DIGEST_BYTES];
    struct token_cache *cache = token_cache_new();
    struct principal *principal = principal_new(SCOPE_READ, "a", "user", "a");
    assert_true(cache && principal);
    for (unsigned i = 0; i < TOKENS; i++) {
        digest_fill(digest, i);
        token_cache_put(cache, digest, principal, 1000, 0);
        assert_true(atomic_load(&principal->references) <= TOKEN_CACHE_ENTRIES + 1);
    }
    unsigned held = 0;
    for (unsigned i = 0; i < TOKENS; i++) {
        int64_t expires_s;
        digest_fill(digest, i);
        struct principal *found = token_cache_find(cache, digest, 0, &expires_s);
        held += found != NULL;
        assert_true(!found || expires_s == 1000);
        principal_release(found);
        assert_null(token_cache_find(cache, digest, 1000, &expires_s)); /* expired */
    }
    assert_int_equal(held, TOKEN_CACHE_ENTRIES);
    assert_int_equal(atomic_load(&principal->references), TOKEN_CACHE_ENTRIES + 1);
    token_cache_clear(cache);
    assert_int_equal(atomic_load(&principal->references), 1);
    token_cache_free(cache);
    principal_release(principal);
}

static void the_cache_gives_up_the_token_not_used_for_longest(void **state)
{
    (void)state;
    uint8_t digest[TOKEN_DIGEST_BYTES];
    int64_t expires_s;
    struct token_cache *cache = token_cache_new();
    struct principal *principal = principal_new(SCOPE_READ, "a", "user", "a");
    assert_true(cache && principal);
    for (unsigned i = 0; i < 100; i++) { /* all in one place: the first two bytes are the same */
        memset(digest, 7, sizeof(digest));
        digest[31] = (uint8_t)i;
        token_cache_put(cache, digest, principal, 1000, 0);
        memset(digest, 7, sizeof(digest));
        digest[31] = 0; /* used between any two others */
        struct principal *found = token_cache_find(cache, digest, 0, &expires_s);
        assert_non_null(found);
        principal_release(found);
    }
    token_cache_free(cache);
    principal_release(principal);
}

/* An authority with one HS256 key in a file, at a time that the test sets. */
struct fixture {
    char *directory;
    char *path;
    char spec[TOKEN_KEY_SPEC_BYTES];
    const char *specs[1];
    struct made_keys made;
    struct authority *authority;
    struct session session;
};

static _Atomic int64_t clock_s;

static int64_t test_clock(void)
{
    return clock_s * 1000000;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->directory = directory_new();
    fixture->made = made_keys_new("P-256");
    fixture->path = made_file(fixture->directory, "key", fixture->made.secret);
    snprintf(fixture->spec, sizeof(fixture->spec), "h:HS256:%s", fixture->path);
    fixture->specs[0] = fixture->spec;
    const struct authority_config config = {
        .token_keys = fixture->specs, .token_key_count = 1, .audience = "chatlogd", .wall_clock_us = test_clock};
    struct error error;
    clock_s = time(NULL);
    if (authority_new(&config, &fixture->authority, &error)) {
        fail_msg("%s", error.message);
    }
    session_begin(&fixture->session, fixture->authority, NULL);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    session_end(&fixture->session);
    authority_free(fixture->authority);
    directory_remove(fixture->directory);
    free(fixture->path);
    free(fixture);
    return 0;
}

static char *bearer(const struct fixture *fixture, const char *user)
{
    char *authorization = NULL;
    char *token = made_token_for("HS256", "h", user, "history:read", "chatlogd", 60, MADE_HS256, fixture->made.secret);
    assert_true(asprintf(&authorization, "Bearer %s", token) > 0);
    free(token);
    return authorization;
}

/* name: of the principal, or NULL when it must be refused with the reason. */
static void expect_caller(struct session *session, const char *authorization, const char *name,
                          enum error_reason reason)
{
    struct principal *principal = NULL;
    struct error error = {0};
    int rc = session_identify(session, span_of_string(authorization), &principal, &error);
    assert_int_equal(rc, name ? 0 : -(int)reason);
    assert_true((principal != NULL) == (name != NULL));
    if (name) {
        assert_string_equal(principal->name, name);
    }
    principal_release(principal);
}

static void a_request_is_made_by_its_token_or_else_by_the_peer(void **state)
{
    struct fixture *fixture = *state;
    struct session root;
    session_begin(&root, fixture->authority, &(struct session_peer){.uid = 0, .pid = 1});
    char *ann = bearer(fixture, "ann");
    char *bob = bearer(fixture, "bob");
    for (int again = 0; again < 2; again++) {
        expect_caller(&fixture->session, "", "nobody", 0);
        expect_caller(&root, "", "uid:0", 0);
        expect_caller(&fixture->session, ann, "user:ann", 0);
        expect_caller(&fixture->session, ann, "user:ann", 0);
        expect_caller(&fixture->session, bob, "user:bob", 0);
        expect_caller(&root, bob, "user:bob", 0); /* and nothing more, root or not */
    }
    expect_caller(&root, "Bearer x.y.z", NULL, ERROR_TOKEN_INVALID);
    expect_caller(&root, "Bearer ", NULL, ERROR_TOKEN_INVALID);
    expect_caller(&root, "Basic cm9vdDo=", NULL, ERROR_TOKEN_INVALID);
    expect_caller(&root, ann + strlen("Bearer "), NULL, ERROR_TOKEN_INVALID);
    memcpy(ann, "bEARER", 6);
    expect_caller(&root, ann, "user:ann", 0);
    session_end(&root);
    free(ann);
    free(bob);
}

static void a_token_that_held_is_refused_from_when_it_expires(void **state)
{
    struct fixture *fixture = *state;
    struct session other;
    session_begin(&other, fixture->authority, NULL);
    char *ann = bearer(fixture, "ann");
    expect_caller(&fixture->session, ann, "user:ann", 0);
    clock_s += 60 + 29;
    expect_caller(&fixture->session, ann, "user:ann", 0); /* the leeway */
    clock_s += 2;
    expect_caller(&fixture->session, ann, NULL, ERROR_TOKEN_EXPIRED);
    expect_caller(&other, ann, NULL, ERROR_TOKEN_EXPIRED);
    session_end(&other);
    free(ann);
}

static void a_key_that_is_gone_takes_its_tokens_with_it_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    char *ann = bearer(fixture, "ann");
    expect_caller(&fixture->session, ann, "user:ann", 0);
    struct made_keys fresh = made_keys_new("P-256");
    free(made_file(fixture->directory, "key", fresh.secret));
    expect_caller(&fixture->session, ann, "user:ann", 0); /* not read yet */
    assert_int_equal(authority_reload(fixture->authority, &error), 0);
    expect_caller(&fixture->session, ann, NULL, ERROR_TOKEN_INVALID);
    struct session other;
    session_begin(&other, fixture->authority, NULL);
    expect_caller(&other, ann, NULL, ERROR_TOKEN_INVALID);
    session_end(&other);
    free(ann);
}

static void new_keys_that_are_bad_leave_the_old_ones_in_force(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    char *ann = bearer(fixture, "ann");
    char *bob = bearer(fixture, "bob");
    expect_caller(&fixture->session, ann, "user:ann", 0);
    free(made_file(fixture->directory, "key", "short"));
    assert_int_equal(authority_reload(fixture->authority, &error), -ERROR_STARTUP);
    assert_non_null(strstr(error.message, fixture->path));
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(authority_reload(fixture->authority, &error), -ERROR_STARTUP);
    expect_caller(&fixture->session, ann, "user:ann", 0);
    expect_caller(&fixture->session, bob, "user:bob", 0); /* verified only now */
    free(ann);
    free(bob);
}

struct contest {
    struct fixture *fixture;
    const char *authorizations[4];
    atomic_bool over;
};

static void *contest_run(void *arg)
{
    static const char *const names[] = {"user:u0", "user:u1", "user:u2", "user:u3"};
    struct contest *contest = arg;
    for (unsigned i = 0; !contest->over; i++) {
        expect_caller(&contest->fixture->session, contest->authorizations[i % 4], names[i % 4], 0);
    }
    return NULL;
}

static void requests_of_one_connection_on_many_threads_never_get_each_others_principal(void **state)
{
    struct contest contest = {.fixture = *state};
    char *texts[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        char user[8];
        snprintf(user, sizeof(user), "u%d", i);
        contest.authorizations[i] = texts[i] = bearer(contest.fixture, user);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, contest_run, &contest), 0);
    }
    for (int i = 0; i < 50; i++) {
        struct error error;
        assert_int_equal(authority_reload(contest.fixture->authority, &error), 0);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    contest.over = true;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 4; i++) {
        free(texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_line_names_a_unix_user_and_what_it_may_do),
        cmocka_unit_test(without_lines_root_and_the_daemons_own_user_may_everything_and_nobody_else_anything),
        cmocka_unit_test(lines_map_unix_users_add_up_and_win_over_what_holds_without),
        cmocka_unit_test(lines_that_contradict_or_name_nobody_stop_the_start),
        cmocka_unit_test(the_cache_holds_a_bounded_number_of_tokens_and_frees_the_rest),
        cmocka_unit_test(the_cache_gives_up_the_token_not_used_for_longest),
        cmocka_unit_test_setup_teardown(a_request_is_made_by_its_token_or_else_by_the_peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_that_held_is_refused_from_when_it_expires, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_is_gone_takes_its_tokens_with_it_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_keys_that_are_bad_leave_the_old_ones_in_force, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_of_one_connection_on_many_threads_never_get_each_others_principal,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
