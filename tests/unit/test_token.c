/* Which tokens hold: everything that a token can have wrong is refused, with a sentence that says what. */
#include "auth/token.h"
#include "support/directory.h"
#include "support/made_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1700000000)

struct fixture {
    char *directory;
    struct made_keys made;
    char *secret_path;
    char *public_path;
    struct token_keys *keys; /* h: HS256, e: ES256 */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->directory = directory_new();
    fixture->made = made_keys_new("P-256");
    fixture->secret_path = made_file(fixture->directory, "secret", fixture->made.secret);
    fixture->public_path = made_file(fixture->directory, "public", fixture->made.public_key);
    char specs[2][TOKEN_KEY_SPEC_BYTES];
    snprintf(specs[0], sizeof(specs[0]), "h:HS256:%s", fixture->secret_path);
    snprintf(specs[1], sizeof(specs[1]), "e:ES256:%s", fixture->public_path);
    struct error error;
    if (token_keys_load((const char *const[]){specs[0], specs[1]}, 2, &fixture->keys, &error)) {
        fail_msg("%s", error.message);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    token_keys_free(fixture->keys);
    free(fixture->secret_path);
    free(fixture->public_path);
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

static int verify(const struct fixture *fixture, const char *token, struct token_claims *claims, struct error *error)
{
    return token_verify(fixture->keys, "chatlogd", span_of_string(token), NOW, claims, error);
}

static void expect_taken(const struct fixture *fixture, char *token, const char *subject, unsigned scopes,
                         int64_t expires_s)
{
    struct token_claims claims = {0};
    struct error error;
    if (verify(fixture, token, &claims, &error)) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(claims.subject, subject);
    assert_int_equal(claims.scopes, scopes);
    assert_int_equal(claims.expires_s, expires_s);
    free(token);
}

/* Takes the token. told: what the sentence must say. */
static void expect_refused(const struct fixture *fixture, char *token, enum error_reason reason, const char *told)
{
    struct token_claims claims = {.subject = "untouched"};
    struct error error = {0};
    int rc = verify(fixture, token, &claims, &error);
    if (rc != -(int)reason || !strstr(error.message, told)) {
        fail_msg("%s: rc %d, \"%s\", expected \"%s\"", token, rc, error.message, told);
    }
    assert_string_equal(claims.subject, "untouched");
    if (strlen(token) > 40) {
        assert_null(strstr(error.message, token));
    }
    free(token);
}

#define HS   "{\"alg\":\"HS256\",\"kid\":\"h\"}"
#define ES   "{\"alg\":\"ES256\",\"kid\":\"e\"}"
#define GOOD "\"aud\":\"chatlogd\",\"exp\":1700000060"
#define ANN  "{\"sub\":\"ann\",\"scope\":\"history:read\"," GOOD "}"

static void a_token_of_each_algorithm_holds_with_what_it_says(void **state)
{
    struct fixture *fixture = *state;
    const char *secret = fixture->made.secret;
    expect_taken(fixture, made_token(HS, ANN, MADE_HS256, secret), "ann", SCOPE_READ, NOW + 90);
    expect_taken(fixture, made_token(ES, ANN, MADE_ES256, fixture->made.private_key), "ann", SCOPE_READ, NOW + 90);
    static const struct {
        const char *claims;
        const char *subject;
        unsigned scopes;
    } rows[] = {
        {"{\"sub\":\"a\",\"scope\":\"history:write other history:read\"," GOOD "}", "a", SCOPE_READ | SCOPE_WRITE},
        {"{\"scope\":\"service\"," GOOD "}", "", SCOPE_SERVICE | SCOPE_READ | SCOPE_WRITE},
        {"{\"sub\":\"\",\"scope\":\"admin\"," GOOD "}", "", SCOPE_ADMIN},
        {"{\"sub\":\"bot\",\"scope\":\"admin service\"," GOOD "}", "bot",
         SCOPE_SERVICE | SCOPE_READ | SCOPE_WRITE | SCOPE_ADMIN},
        {"{\"sub\":\"\xc3\xbc \\u00e9\",\"scope\":\"history:read\"," GOOD "}", "\xc3\xbc \xc3\xa9", SCOPE_READ},
        {"{\"sub\":\"a\",\"scope\":\"history:read\",\"exp\":1700000060,\"aud\":[1,\"x\",\"chatlogd\"]}", "a",
         SCOPE_READ},
        {"{\"sub\":\"a\",\"scope\":\"history:read\",\"exp\":1700000060.5,\"aud\":\"chatlogd\"}", "a", SCOPE_READ},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_taken(fixture, made_token(HS, rows[i].claims, MADE_HS256, secret), rows[i].subject, rows[i].scopes,
                     NOW + 90);
    }
}

static void claims_that_do_not_hold_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *claims;
        enum error_reason reason;
        const char *told;
    } rows[] = {
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"aud\":\"chatlogd\",\"exp\":1699999970}", ERROR_TOKEN_EXPIRED, "expired"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"aud\":\"chatlogd\"}", ERROR_TOKEN_INVALID, "exp (needed)"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"aud\":\"chatlogd\",\"exp\":\"1700000060\"}", ERROR_TOKEN_INVALID, "exp"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"aud\":\"chatlogd\",\"exp\":-1}", ERROR_TOKEN_INVALID, "exp"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"aud\":\"chatlogd\",\"exp\":1e300}", ERROR_TOKEN_INVALID, "exp"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"nbf\":1700000031," GOOD "}", ERROR_TOKEN_INVALID, "nbf"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"nbf\":true," GOOD "}", ERROR_TOKEN_INVALID, "nbf"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"exp\":1700000060}", ERROR_TOKEN_INVALID, "aud"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"exp\":1700000060,\"aud\":\"chatlogd2\"}", ERROR_TOKEN_INVALID, "aud"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"exp\":1700000060,\"aud\":[]}", ERROR_TOKEN_INVALID, "aud"},
        {"{\"sub\":\"a\",\"scope\":\"admin\",\"exp\":1700000060,\"aud\":[[\"chatlogd\"]]}", ERROR_TOKEN_INVALID, "aud"},
        {"{\"sub\":\"a\"," GOOD "}", ERROR_TOKEN_INVALID, "scope"},
        {"{\"sub\":\"a\",\"scope\":[\"admin\"]," GOOD "}", ERROR_TOKEN_INVALID, "scope"},
        {"{\"sub\":\"a\",\"scope\":\"history:readwrite xadmin Admin\"," GOOD "}", ERROR_TOKEN_INVALID, "scope"},
        {"{\"scope\":\"history:read\"," GOOD "}", ERROR_TOKEN_INVALID, "sub"},
        {"{\"sub\":\"\",\"scope\":\"history:write\"," GOOD "}", ERROR_TOKEN_INVALID, "sub"},
        {"{\"sub\":5,\"scope\":\"service\"," GOOD "}", ERROR_TOKEN_INVALID, "sub"},
        {"{\"sub\":\"a\\nb\",\"scope\":\"service\"," GOOD "}", ERROR_TOKEN_INVALID, "sub"},
        {"{\"sub\":\"a\\u0000b\",\"scope\":\"service\"," GOOD "}", ERROR_TOKEN_INVALID, "no JSON Web Token"},
        {"[]", ERROR_TOKEN_INVALID, ""},
        {"{", ERROR_TOKEN_INVALID, ""},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(fixture, made_token(HS, rows[i].claims, MADE_HS256, fixture->made.secret), rows[i].reason,
                       rows[i].told);
    }
}

static void clocks_may_differ_by_the_leeway_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    const char *secret = fixture->made.secret;
    expect_taken(fixture,
                 made_token(HS, "{\"sub\":\"a\",\"scope\":\"admin\",\"aud\":\"chatlogd\",\"exp\":1699999971}",
                            MADE_HS256, secret),
                 "a", SCOPE_ADMIN, NOW + 1);
    expect_taken(fixture,
                 made_token(HS, "{\"sub\":\"a\",\"scope\":\"admin\",\"nbf\":1700000030," GOOD "}", MADE_HS256, secret),
                 "a", SCOPE_ADMIN, NOW + 90);
}

static void a_header_that_is_not_of_a_key_here_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct made_keys *made = &fixture->made;
    struct made_keys other = made_keys_new("P-256");
    const struct {
        const char *header;
        enum made_signature signature;
        const char *key;
        const char *told;
    } rows[] = {
        {HS, MADE_HS256, other.secret, "signature"},
        {ES, MADE_ES256, other.private_key, "signature"},
        {"{\"alg\":\"HS256\",\"kid\":\"nobody's\"}", MADE_HS256, made->secret, "kid"},
        {"{\"alg\":\"HS256\"}", MADE_HS256, made->secret, "no kid"},
        {"{\"alg\":\"HS256\",\"kid\":7}", MADE_HS256, made->secret, "no kid"},
        /* alg none in every spelling, with and without a signature */
        {"{\"alg\":\"none\",\"kid\":\"h\"}", MADE_NONE, "", "three parts"},
        {"{\"alg\":\"none\",\"kid\":\"h\"}", MADE_HS256, made->secret, "alg"},
        {"{\"alg\":\"NONE\",\"kid\":\"h\"}", MADE_HS256, made->secret, "alg"},
        {"{\"kid\":\"h\"}", MADE_HS256, made->secret, "alg"},
        /* the public key taken for a secret, and the other way round */
        {"{\"alg\":\"HS256\",\"kid\":\"e\"}", MADE_HS256, made->public_key, "alg is not the one"},
        {"{\"alg\":\"ES256\",\"kid\":\"h\"}", MADE_ES256, made->private_key, "alg is not the one"},
        {"{\"alg\":\"HS384\",\"kid\":\"h\"}", MADE_HS256, made->secret, "alg"},
        {"{\"alg\":\"RS256\",\"kid\":\"e\"}", MADE_ES256, made->private_key, "alg"},
        {"{\"alg\":\"hs256\",\"kid\":\"h\"}", MADE_HS256, made->secret, "alg"},
        {"{\"alg\":\"HS256\",\"kid\":\"h\",\"crit\":[\"b64\"]}", MADE_HS256, made->secret, "crit"},
        {"{\"alg\":\"HS256\",\"kid\":\"h\",\"typ\":\"JWE\"}", MADE_HS256, made->secret, ""},
        {"\"HS256\"", MADE_HS256, made->secret, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(fixture, made_token(rows[i].header, ANN, rows[i].signature, rows[i].key), ERROR_TOKEN_INVALID,
                       rows[i].told);
    }
}

static void what_is_not_the_one_spelling_of_a_token_is_refused(void **state)
{
    static const char *const rows[] = {"",        ".",      "..",      "...",    "a",
                                       "a.b",     "a.b.",   "a..c",    ".b.c",   "a.b.c.d",
                                       "a b.c.d", "a.b.c=", "a.b.c\n", "a.b+.c", "a.b.c\xc3\xbc"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(fixture, strdup(rows[i]), ERROR_TOKEN_INVALID, "three parts");
    }
    /* A good one, changed in any one place, or with more behind it. */
    char *good = made_token(HS, ANN, MADE_HS256, fixture->made.secret);
    size_t size = strlen(good);
    for (size_t i = 0; i < size; i++) {
        struct token_claims claims;
        struct error error;
        char *changed = strdup(good);
        assert_non_null(changed);
        changed[i] = changed[i] == 'A' ? 'Q' : 'A'; /* differ in bits that count in every place */
        assert_int_not_equal(verify(fixture, changed, &claims, &error), 0);
        free(changed);
    }
    char *longer = malloc(size + 2);
    assert_non_null(longer);
    snprintf(longer, size + 2, "%sA", good);
    expect_refused(fixture, longer, ERROR_TOKEN_INVALID, "signature");
    free(good);
}

static void a_token_over_the_limit_is_refused_however_well_signed(void **state)
{
    struct fixture *fixture = *state;
    char claims[CHATLOG_LIMIT_token_bytes];
    unsigned taken = 0;
    unsigned refused = 0;
    for (int padding = 2850; padding < 2950; padding++) {
        snprintf(claims, sizeof(claims), "{\"sub\":\"a\",\"scope\":\"admin\",\"x\":\"%0*d\"," GOOD "}", padding, 0);
        char *token = made_token(HS, claims, MADE_HS256, fixture->made.secret);
        if (strlen(token) <= CHATLOG_LIMIT_token_bytes) {
            expect_taken(fixture, token, "a", SCOPE_ADMIN, NOW + 90);
            taken++;
        } else {
            expect_refused(fixture, token, ERROR_TOKEN_INVALID, "4096");
            refused++;
        }
    }
    assert_true(taken > 0 && refused > 0);
}

static void expect_key(const char *spec, const char *told)
{
    struct token_keys *keys = NULL;
    struct error error = {0};
    int rc = token_keys_load(&spec, 1, &keys, &error);
    if ((rc == 0) != (told == NULL) || (told && !strstr(error.message, told))) {
        fail_msg("%s: rc %d, \"%s\"", spec, rc, error.message);
    }
    token_keys_free(keys);
}

static void a_file_that_is_no_good_key_is_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct made_keys other = made_keys_new("P-384");
    char line[MADE_SECRET_BYTES + 2];
    snprintf(line, sizeof(line), "%.31s\n", fixture->made.secret);
    const struct {
        const char *algorithm;
        const char *text;
        const char *told; /* NULL: it is good */
    } rows[] = {
        {"HS256", fixture->made.secret, NULL},
        {"HS256", line, "at least 32 bytes"},
        {"HS256", "", "at least 32 bytes"},
        {"ES256", fixture->made.public_key, NULL},
        {"ES256", fixture->made.private_key, "no public key"},
        {"ES256", other.public_key, "P-256"},
        {"ES256", fixture->made.secret, "no public key"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char spec[TOKEN_KEY_SPEC_BYTES];
        char *path = made_file(fixture->directory, "key", rows[i].text);
        snprintf(spec, sizeof(spec), "k:%s:%s", rows[i].algorithm, path);
        expect_key(spec, rows[i].told);
        if (rows[i].told) {
            free(path);
            continue;
        }
        assert_int_equal(chmod(path, 0604), 0); /* everybody may know a public key, nobody a secret */
        expect_key(spec, strstr(spec, "HS256") ? "chmod o-r" : NULL);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    expect_key("k:HS256:/no/such/file", "No such file");
    expect_key("k:HS256:/dev/zero", "at most 16 KiB");
    expect_key("k:HS256:/", "at most 16 KiB");
    const char *const twice[] = {"k:ES256:/a", "k:ES256:/a"};
    struct token_keys *keys = NULL;
    struct error error;
    assert_int_equal(token_keys_load(twice, 2, &keys, &error), -ERROR_STARTUP);
    assert_null(keys);
}

static void the_line_end_of_a_secret_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    char line[MADE_SECRET_BYTES + 2];
    char spec[TOKEN_KEY_SPEC_BYTES];
    struct token_keys *keys;
    struct token_claims claims;
    struct error error;
    snprintf(line, sizeof(line), "%s\n", fixture->made.secret);
    char *path = made_file(fixture->directory, "line", line);
    snprintf(spec, sizeof(spec), "h:HS256:%s", path);
    assert_int_equal(token_keys_load((const char *const[]){spec}, 1, &keys, &error), 0);
    char *token = made_token(HS, ANN, MADE_HS256, fixture->made.secret);
    assert_int_equal(token_verify(keys, "chatlogd", span_of_string(token), NOW, &claims, &error), 0);
    token_keys_free(keys);
    free(token);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_of_each_algorithm_holds_with_what_it_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(claims_that_do_not_hold_are_refused_with_the_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clocks_may_differ_by_the_leeway_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_header_that_is_not_of_a_key_here_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_the_one_spelling_of_a_token_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_over_the_limit_is_refused_however_well_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_good_key_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_line_end_of_a_secret_does_not_count, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
