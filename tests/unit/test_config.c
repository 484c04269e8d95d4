/* The option table: what the command line and the configuration file may say, and what is answered to the rest. */
#include "config.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

enum { WORDS_MAX = 8, TEXT_BYTES = 65536 };

/* A configuration file of its own for each test. */
struct fixture {
    char *directory;
    char path[256];
};

static int fixture_new(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->directory = directory_new();
    snprintf(fixture->path, sizeof(fixture->path), "%s/chatlogd.conf", fixture->directory);
    *state = fixture;
    return 0;
}

static int fixture_free(void **state)
{
    struct fixture *fixture = *state;
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

static void file_write(const struct fixture *fixture, const char *text, size_t size)
{
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* words: what follows "chatlogd", ends in NULL. */
static int load(const char *const *words, struct config *config, enum config_action *action, struct config_error *error)
{
    const char *argv[WORDS_MAX + 2] = {"chatlogd"};
    int argc = 1;
    while (words[argc - 1]) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    return config_load(argc, argv, config, action, error);
}

static struct config load_valid(const char *const *words)
{
    struct config config;
    struct config_error error = {0};
    enum config_action action = CONFIG_PRINT;
    if (load(words, &config, &action, &error)) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(action, CONFIG_RUN);
    return config;
}

static struct config load_file(const struct fixture *fixture, const char *text)
{
    file_write(fixture, text, strlen(text));
    return load_valid((const char *const[]){"--config", fixture->path, NULL});
}

static void without_options_the_documented_defaults_hold(void **state)
{
    (void)state;
    struct config config = load_valid((const char *const[]){"--data-dir", "/var/lib/chatlogd", NULL});
    struct limits limits = LIMITS_DEFAULT;
    assert_string_equal(config.data_dir, "/var/lib/chatlogd");
    assert_int_equal(config.url_count, 1);
    assert_string_equal(config.urls[0], "ipc:///run/chatlogd/chatlogd.sock");
    assert_int_equal(config.map_bytes, UINT64_C(1) << 40);
    assert_int_equal(config.disk_reserve_bytes, 64 << 20);
    assert_int_equal(config.deleted_retention_s, 30 * 86400);
    assert_int_equal(config.audit_retention_s, 90 * 86400);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config.log_format, LOG_TEXT);
    assert_int_equal(config.slow_request_ms, 1000);
    assert_int_equal(config.metrics_url_count, 0);
    assert_memory_equal(&config.limits, &limits, sizeof(limits));
}

static void a_value_may_follow_a_blank_or_an_equals_sign(void **state)
{
    (void)state;
    struct config config = load_valid((const char *const[]){"--data-dir=/a=b", "--log-level", "debug", NULL});
    assert_string_equal(config.data_dir, "/a=b");
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
}

static void sizes_and_durations_take_their_units(void **state)
{
    (void)state;
    struct config config = load_valid((const char *const[]){
        "--data-dir=/d", "--map-size=2T", "--disk-reserve=17M", "--deleted-retention=36h", "--audit-retention=365d",
        "--message-bytes=100", "--queue-bytes=1G", "--slow-request=250ms", NULL});
    assert_int_equal(config.slow_request_ms, 250);
    assert_int_equal(config.map_bytes, UINT64_C(2) << 40);
    assert_int_equal(config.disk_reserve_bytes, 17 << 20);
    assert_int_equal(config.deleted_retention_s, 36 * 3600);
    assert_int_equal(config.audit_retention_s, 365 * 86400);
    assert_int_equal(config.limits.message_bytes, 100);
    assert_int_equal(config.limits.queue_bytes, 1 << 30);
}

static void every_limit_with_a_cap_above_its_default_is_an_option_up_to_the_cap(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t value;
        uint64_t cap;
    } rows[] = {
#define ROW(name, value, cap, meaning) {#name, (value), (cap)},
        CHATLOG_LIMITS(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct config config;
        struct config_error error;
        enum config_action action;
        char word[64];
        snprintf(word, sizeof(word), "--%s=%ju", rows[i].name, (uintmax_t)rows[i].cap + 1);
        for (char *byte = word; *byte; byte++) {
            *byte = *byte == '_' ? '-' : *byte;
        }
        assert_int_equal(load((const char *const[]){"--data-dir=/d", word, NULL}, &config, &action, &error), -1);
        bool told_range = strstr(error.message, " from 1 to ") != NULL;
        bool told_unknown = strstr(error.message, "there is no option") != NULL;
        assert_true(rows[i].cap > rows[i].value ? told_range : told_unknown);
    }
}

static void several_listen_options_replace_the_default_one(void **state)
{
    (void)state;
    struct config config = load_valid(
        (const char *const[]){"--data-dir=/d", "--listen=ipc:///a.sock", "--listen=tcp://127.0.0.1:7311", NULL});
    assert_int_equal(config.url_count, 2);
    assert_string_equal(config.urls[0], "ipc:///a.sock");
    assert_string_equal(config.urls[1], "tcp://127.0.0.1:7311");
}

static void a_file_sets_the_same_options_by_the_same_names(void **state)
{
    struct config config = load_file(*state, "# comment\n; comment\n\n[chatlogd]\n"
                                             "data-dir = /srv/data ; not a comment\r\n"
                                             "listen = ipc:///a.sock\nlisten=tcp://[::1]:1\n"
                                             "log-level=error\n  connections = 5\n");
    assert_string_equal(config.data_dir, "/srv/data ; not a comment");
    assert_int_equal(config.url_count, 2);
    assert_string_equal(config.urls[1], "tcp://[::1]:1");
    assert_int_equal(config.log_level, LOG_LEVEL_ERROR);
    assert_int_equal(config.limits.connections, 5);
}

static void the_command_line_wins_over_the_file_wherever_it_stands(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] = "[chatlogd]\ndata-dir = /file\nlisten = ipc:///file.sock\nconnections = 5\n";
    file_write(fixture, text, strlen(text));
    struct config config = load_valid(
        (const char *const[]){"--data-dir=/line", "--listen=ipc:///line.sock", "--config", fixture->path, NULL});
    assert_string_equal(config.data_dir, "/line");
    assert_int_equal(config.url_count, 1);
    assert_string_equal(config.urls[0], "ipc:///line.sock");
    assert_int_equal(config.limits.connections, 5);
}

static void who_may_do_what_is_said_in_lines_that_may_be_repeated(void **state)
{
    struct config config = load_file(*state, "[chatlogd]\ndata-dir = /d\npeer = 1000: service\npeer = bot: user ann\n"
                                             "token-key = a:HS256:/run/a\ntoken-key = b:ES256:/run/b.pem\n"
                                             "token-audience = app\nlisten = tcp://0.0.0.0:7311\n");
    assert_int_equal(config.peer_count, 2);
    assert_string_equal(config.peers[1], "bot: user ann");
    assert_int_equal(config.token_key_count, 2);
    assert_string_equal(config.token_keys[0], "a:HS256:/run/a");
    assert_string_equal(config.audience[0], "app");
    config = load_valid((const char *const[]){"--data-dir=/d", NULL});
    assert_int_equal(config.peer_count + config.token_key_count, 0);
    assert_string_equal(config.audience[0], "chatlogd");
}

static void on_the_command_line_the_last_value_counts(void **state)
{
    (void)state;
    struct config config =
        load_valid((const char *const[]){"--data-dir=/d", "--connections=5", "--connections=6", NULL});
    assert_int_equal(config.limits.connections, 6);
}

static void help_and_version_need_no_valid_settings(void **state)
{
    (void)state;
    struct config config;
    struct config_error error;
    enum config_action action = CONFIG_RUN;
    assert_int_equal(load((const char *const[]){"--help", NULL}, &config, &action, &error), 0);
    assert_int_equal(action, CONFIG_HELP);
    assert_int_equal(load((const char *const[]){"--version", "--print-config", NULL}, &config, &action, &error), 0);
    assert_int_equal(action, CONFIG_VERSION);
}

/* What is wrong on a command line, and a part of what the user is told. */
static const struct usage_case {
    const char *words[WORDS_MAX];
    const char *told;
} usage_cases[] = {
    {{NULL}, "data-dir is not set"},
    {{"--data-dir"}, "--data-dir needs a value"},
    {{"data"}, "\"data\" is not an option"},
    {{"-h"}, "\"-h\" is not an option"},
    {{"--"}, "is not an option"},
    {{"--=x"}, "is not an option"},
    {{"--date-dir=/d"}, "there is no option --date-dir"},
    {{"--a-name-that-is-longer-than-any-option-there-is=1"}, "there is no option --a-name-that"},
    {{"--id-bytes=64"}, "there is no option --id-bytes"},
    {{"--message_bytes=64"}, "there is no option --message_bytes"},
    {{"--print-config=yes"}, "--print-config takes no value"},
    {{"--config"}, "--config needs a value"},
    {{"--data-dir="}, "a path of at most"},
    {{"--data-dir=/a\nb"}, "a path of at most"},
    {{"--data-dir= /a"}, "a path of at most"},
    {{"--data-dir=/d", "--connections=0"}, "--connections 0: allowed is a number from 1 to 60000"},
    {{"--data-dir=/d", "--connections=60001"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections=-1"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections=+1"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections= 1"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections=1K"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections=0x10"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections="}, "from 1 to 60000"},
    {{"--data-dir=/d", "--connections=99999999999999999999"}, "from 1 to 60000"},
    {{"--data-dir=/d", "--message-bytes=65M"}, "a size from 1 to 64M"},
    {{"--data-dir=/d", "--message-bytes=4m"}, "a size from 1 to 64M"},
    {{"--data-dir=/d", "--message-bytes=M"}, "a size from 1 to 64M"},
    {{"--data-dir=/d", "--message-bytes=4MB"}, "a size from 1 to 64M"},
    {{"--data-dir=/d", "--map-size=99999999T"}, "a size from 16M to 64T"},
    {{"--data-dir=/d", "--deleted-retention=30"}, "a duration from 1s to 36500d; s, m, h or d must follow"},
    {{"--data-dir=/d", "--deleted-retention=0d"}, "a duration from 1s"},
    {{"--data-dir=/d", "--audit-retention=0s"}, "a duration from 1s to 36500d"},
    {{"--data-dir=/d", "--log-level=loud"}, "--log-level loud: allowed is error, warning, info or debug"},
    {{"--data-dir=/d", "--listen=/run/x.sock"}, "a URL begins with ipc:// or tcp://"},
    {{"--data-dir=/d", "--listen=tcp://0.0.0.0:7311"}, "listen = tcp://0.0.0.0:7311: other machines can reach it"},
    {{"--data-dir=/d", "--peer=ann"}, "--peer ann: allowed is UNIX-USER: service, UNIX-USER: admin or"},
    {{"--data-dir=/d", "--peer=1000: root"}, "--peer 1000: root: allowed is UNIX-USER: service"},
    {{"--data-dir=/d", "--token-key=a:HS512:/k"}, "allowed is KID:HS256:/FILE or KID:ES256:/FILE; at most 16"},
    {{"--data-dir=/d", "--token-key=a:HS256:k"}, "allowed is KID:HS256:/FILE"},
    {{"--data-dir=/d", "--token-key=a b:HS256:/k"}, "allowed is KID:HS256:/FILE"},
    {{"--data-dir=/d", "--token-key=:HS256:/k"}, "allowed is KID:HS256:/FILE"},
    {{"--data-dir=/d", "--token-key=a:HS256:/a\nb"}, "allowed is KID:HS256:/FILE"},
    {{"--data-dir=/d", "--token-audience="}, "allowed is a text of 1 to 128 bytes"},
    {{"--data-dir=/d", "--token-audience=a", "--token-audience=b"}, "at most 1"},
    {{"--data-dir=/d", "--message-bytes=8M"}, "request-bytes must be at least message-bytes + 128K"},
    {{"--data-dir=/d", "--request-bytes=64M"}, "queue-bytes must be at least twice request-bytes"},
    {{"--data-dir=/d", "--connection-requests=2000"}, "requests must be at least connection-requests"},
};

static void a_wrong_command_line_is_told_with_what_is_allowed_and_status_64(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(usage_cases) / sizeof(*usage_cases); i++) {
        struct config config;
        struct config_error error = {0};
        enum config_action action;
        if (load(usage_cases[i].words, &config, &action, &error) != -1 || error.exit_status != EX_USAGE ||
            !strstr(error.message, usage_cases[i].told)) {
            fail_msg("case %zu: status %d, \"%s\", expected \"%s\"", i, error.exit_status, error.message,
                     usage_cases[i].told);
        }
    }
}

static void more_listen_urls_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    const char *argv[CONFIG_URLS_MAX + 3] = {"chatlogd", "--data-dir=/d"};
    struct config config;
    struct config_error error;
    enum config_action action;
    for (int i = 0; i < CONFIG_URLS_MAX + 1; i++) {
        argv[2 + i] = "--listen=ipc:///a.sock";
    }
    assert_int_equal(config_load(CONFIG_URLS_MAX + 2, argv, &config, &action, &error), 0);
    assert_int_equal(config.url_count, CONFIG_URLS_MAX);
    assert_int_equal(config_load(CONFIG_URLS_MAX + 3, argv, &config, &action, &error), -1);
    assert_non_null(strstr(error.message, "at most 16"));
}

/* What is wrong in a file: its text, the line that is blamed and a part of what the user is told. */
static const struct file_case {
    const char *text;
    const char *told;
} file_cases[] = {
    {"data-dir = /d\n", ":1: data-dir: settings belong under [chatlogd]"},
    {"[chatlogd]\n[other]\ndata-dir = /d\n", ":3: data-dir: settings belong under [chatlogd]"},
    {"[chatlogd]\ndata-dir = /d\n\nconections = 5\n", ":4: conections: there is no such option"},
    {"[chatlogd]\nconfig = /etc/x\n", ":2: config: there is no such option"},
    {"[chatlogd]\nconnections = 5 # five\n", ":2: connections = 5 # five: allowed is a number from 1 to 60000"},
    {"[chatlogd]\nconnections = 5\nconnections = 6\n", ":3: connections: it is set twice"},
    {"[chatlogd]\ndata-dir\n", ":2: neither [chatlogd] nor"},
    {"[chatlogd\ndata-dir = /d\n", ":1: neither [chatlogd] nor"},
    {"[chatlogd]\nlisten = tcp://192.168.0.1:1\n", "data-dir is not set"},
    {"[chatlogd]\ndata-dir = /d\nlisten = tcp://192.168.0.1:1\n", "so token-key must be set too"},
    {"[chatlogd]\npeer = 1000 service\n", ":2: peer = 1000 service: allowed is UNIX-USER: service"},
    {"[chatlogd]\ntoken-key = a:none:/k\n", ":2: token-key = a:none:/k: allowed is KID:HS256"},
    {"[chatlogd]\ndata-dir =\n", ":2: data-dir = : allowed is a path"},
    {"[chatlogd]\nlog-level = info\n", "data-dir is not set"},
    {"", "data-dir is not set"},
    {"[chatlogd]\ndata-dir = /d\nmessage-bytes = 8M\n", "request-bytes must be at least"},
};

static void a_wrong_file_is_told_with_file_and_line_and_status_78(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(file_cases) / sizeof(*file_cases); i++) {
        struct config config;
        struct config_error error = {0};
        enum config_action action;
        file_write(fixture, file_cases[i].text, strlen(file_cases[i].text));
        if (load((const char *const[]){"--config", fixture->path, NULL}, &config, &action, &error) != -1 ||
            error.exit_status != EX_CONFIG || !strstr(error.message, file_cases[i].told) ||
            strncmp(error.message, fixture->path, strlen(fixture->path)) != 0) {
            fail_msg("case %zu: status %d, \"%s\", expected \"%s\"", i, error.exit_status, error.message,
                     file_cases[i].told);
        }
    }
}

static void expect_file_error(const char *path, const char *told)
{
    struct config config;
    struct config_error error = {0};
    enum config_action action;
    assert_int_equal(load((const char *const[]){"--config", path, NULL}, &config, &action, &error), -1);
    assert_int_equal(error.exit_status, EX_CONFIG);
    if (!strstr(error.message, told)) {
        fail_msg("\"%s\", expected \"%s\"", error.message, told);
    }
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    struct fixture *fixture = *state;
    expect_file_error(fixture->path, "No such file");
    expect_file_error(fixture->directory, "Is a directory");
    expect_file_error("/dev/zero", ":1: a NUL byte");
}

static void a_line_too_long_or_with_a_nul_byte_is_refused_not_cut(void **state)
{
    struct fixture *fixture = *state;
    static const char head[] = "[chatlogd]\ndata-dir = /";
    char text[4096];
    memset(text, 'a', sizeof(text));
    memcpy(text, head, strlen(head));
    file_write(fixture, text, sizeof(text));
    expect_file_error(fixture->path, ":2: the line is too long");
    static const char nul[] = "[chatlogd]\ndata-dir = /a\0b\n";
    file_write(fixture, nul, sizeof(nul) - 1);
    expect_file_error(fixture->path, ":2: a NUL byte");
}

static void the_longest_path_is_taken_whole_from_a_file(void **state)
{
    struct fixture *fixture = *state;
    char path[CONFIG_PATH_BYTES + 1];
    char text[2 * CONFIG_PATH_BYTES];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[CONFIG_PATH_BYTES - 1] = '\0';
    snprintf(text, sizeof(text), "[chatlogd]\ndata-dir = %s\n", path);
    struct config config = load_file(fixture, text);
    assert_string_equal(config.data_dir, path);
    path[CONFIG_PATH_BYTES - 1] = 'a';
    path[CONFIG_PATH_BYTES] = '\0';
    snprintf(text, sizeof(text), "[chatlogd]\ndata-dir = %s\n", path);
    file_write(fixture, text, strlen(text));
    expect_file_error(fixture->path, ":2: data-dir");
}

static size_t print_to(const struct config *config, char *text)
{
    FILE *out = fmemopen(text, TEXT_BYTES, "w");
    assert_non_null(out);
    config_print(config, out);
    long size = ftell(out);
    assert_int_equal(fclose(out), 0);
    assert_true(size > 0 && size < TEXT_BYTES);
    return (size_t)size;
}

static void a_printed_configuration_is_a_file_that_says_the_same(void **state)
{
    struct fixture *fixture = *state;
    static char first[TEXT_BYTES], second[TEXT_BYTES];
    struct config config = load_valid((const char *const[]){
        "--data-dir=/a ;b #c=d", "--listen=ipc:///x.sock", "--listen=tcp://127.0.0.1:0", "--deleted-retention=90m",
        "--message-bytes=12345", "--peer=1: user a b", "--token-key=k:HS256:/a ;b", NULL});
    size_t size = print_to(&config, first);
    file_write(fixture, first, size);
    struct config again = load_valid((const char *const[]){"--config", fixture->path, NULL});
    print_to(&again, second);
    assert_string_equal(first, second);
    assert_string_equal(again.data_dir, "/a ;b #c=d");
    assert_int_equal(again.url_count, 2);
    assert_int_equal(again.deleted_retention_s, 90 * 60);
    assert_memory_equal(&again.limits, &config.limits, sizeof(config.limits));
    assert_non_null(strstr(first, "message-bytes = 12345\n"));
    assert_non_null(strstr(first, "deleted-retention = 90m\n"));
}

static void help_names_every_option_of_the_printed_configuration(void **state)
{
    (void)state;
    static char printed[TEXT_BYTES], help[TEXT_BYTES];
    struct config config = load_valid((const char *const[]){"--data-dir=/d", NULL});
    print_to(&config, printed);
    FILE *out = fmemopen(help, sizeof(help), "w");
    assert_non_null(out);
    config_help(out);
    assert_int_equal(fclose(out), 0);
    size_t options = 0;
    char *rest = printed;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char name[64];
        if (sscanf(line, "%40[a-z-] =", name + 2) == 1) {
            memcpy(name, "--", 2);
            options++;
            assert_non_null(strstr(help, name));
        }
    }
    assert_true(options >= 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_the_documented_defaults_hold),
        cmocka_unit_test(a_value_may_follow_a_blank_or_an_equals_sign),
        cmocka_unit_test(sizes_and_durations_take_their_units),
        cmocka_unit_test(every_limit_with_a_cap_above_its_default_is_an_option_up_to_the_cap),
        cmocka_unit_test(several_listen_options_replace_the_default_one),
        cmocka_unit_test_setup_teardown(a_file_sets_the_same_options_by_the_same_names, fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(the_command_line_wins_over_the_file_wherever_it_stands, fixture_new,
                                        fixture_free),
        cmocka_unit_test_setup_teardown(who_may_do_what_is_said_in_lines_that_may_be_repeated, fixture_new,
                                        fixture_free),
        cmocka_unit_test(on_the_command_line_the_last_value_counts),
        cmocka_unit_test(help_and_version_need_no_valid_settings),
        cmocka_unit_test(a_wrong_command_line_is_told_with_what_is_allowed_and_status_64),
        cmocka_unit_test(more_listen_urls_than_there_is_room_for_are_refused),
        cmocka_unit_test_setup_teardown(a_wrong_file_is_told_with_file_and_line_and_status_78, fixture_new,
                                        fixture_free),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_told, fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(a_line_too_long_or_with_a_nul_byte_is_refused_not_cut, fixture_new,
                                        fixture_free),
        cmocka_unit_test_setup_teardown(the_longest_path_is_taken_whole_from_a_file, fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(a_printed_configuration_is_a_file_that_says_the_same, fixture_new,
                                        fixture_free),
        cmocka_unit_test(help_names_every_option_of_the_printed_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
