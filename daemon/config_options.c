/* The option table and its values as text. Knows neither the command line nor files. */
#include "config_options.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define DAY UINT64_C(86400)

enum { MINUTE = 60, HOUR = 60 * MINUTE, SECOND_MS = 1000 };

struct unit {
    char suffix[3];
    uint64_t factor;
};

/* Largest first: a value is printed in the first that divides it. The empty suffix is last. */
static const struct unit size_units[] = {{"T", TIB}, {"G", GIB}, {"M", MIB}, {"K", KIB}, {"", 1}};
static const struct unit duration_units[] = {{"d", DAY}, {"h", HOUR}, {"m", MINUTE}, {"s", 1}};
static const struct unit millisecond_units[] = {{"m", MINUTE *SECOND_MS}, {"s", SECOND_MS}, {"ms", 1}};
static const struct unit number_units[] = {{"", 1}};

static const struct kind {
    const char *article;
    const char *help;
    const struct unit *units;
    size_t unit_count;
} kinds[] = {
    [CONFIG_SIZE] = {"a size", "K, M, G and T are powers of 1024", size_units,
                     sizeof(size_units) / sizeof(*size_units)},
    [CONFIG_DURATION] = {"a duration", "s, m, h or d must follow", duration_units,
                         sizeof(duration_units) / sizeof(*duration_units)},
    [CONFIG_MILLISECONDS] = {"a duration", "ms, s or m must follow", millisecond_units,
                             sizeof(millisecond_units) / sizeof(*millisecond_units)},
    [CONFIG_NUMBER] = {"a number", NULL, number_units, 1},
};

/* Words a setting is one of. */
static const struct word {
    const char *name; /* NULL: the last */
    int value;
} levels[] = {{"error", LOG_LEVEL_ERROR},
              {"warning", LOG_LEVEL_WARNING},
              {"info", LOG_LEVEL_INFO},
              {"debug", LOG_LEVEL_DEBUG},
              {NULL, 0}},
  formats[] = {{"text", LOG_TEXT}, {"json", LOG_JSON}, {NULL, 0}},
  migrations[] = {
      {"auto", CONFIG_MIGRATE_AUTO}, {"hold", CONFIG_MIGRATE_HOLD}, {"refuse", CONFIG_MIGRATE_REFUSE}, {NULL, 0}};

static_assert(sizeof(enum log_level) == sizeof(int) && sizeof(enum config_migrate) == sizeof(int),
              "a word is kept as an int");

static const struct config_option fixed_options[] = {
    {"data-dir", CONFIG_PATH, offsetof(struct config, data_dir), 0, 0,
     "The directory of the data. Must be given. One daemon at a time may use it.", NULL, NULL},
    {"backup-dir", CONFIG_PATH, offsetof(struct config, backup_dir), 0, 0,
     "The directory that backups are made in. Not given: no backups. Best on another disk.", NULL, NULL},
    {"listen", CONFIG_LIST, 0, 0, 0,
     "Where clients connect; may be repeated. A socket file gets mode 0660: its owner and group may connect.", NULL,
     &config_urls},
    {"peer", CONFIG_LIST, 0, 0, 0,
     "What a Unix user at a local socket may do; may be repeated. root and the daemon's own user are service and "
     "admin.",
     NULL, &config_peers},
    {"token-key", CONFIG_LIST, 0, 0, 0,
     "A key that tokens are signed with; may be repeated; read again on SIGHUP. ES256: a public key (P-256, PEM).",
     NULL, &config_token_keys},
    {"token-audience", CONFIG_LIST, 0, 0, 0, "The aud that tokens must have.", NULL, &config_audience},
    {"metrics-listen", CONFIG_LIST, 0, 0, 0,
     "Where Prometheus reads /metrics, and probes /healthz and /readyz, over HTTP: a socket file (mode 0660) or a "
     "loopback address.",
     NULL, &config_metrics_urls},
    {"map-size", CONFIG_SIZE, offsetof(struct config, map_bytes), 16 * MIB, 64 * TIB,
     "The largest size the data file may reach. Costs address space only, not disk or memory.", NULL, NULL},
    {"disk-reserve", CONFIG_SIZE, offsetof(struct config, disk_reserve_bytes), 16 * MIB, 1 * TIB,
     "Changes that need room are refused while the disk has less than this free.", NULL, NULL},
    {"deleted-retention", CONFIG_DURATION, offsetof(struct config, deleted_retention_s), 1, 36500 * DAY,
     "How long a deleted conversation can be undeleted before it is removed for good.", NULL, NULL},
    {"audit-retention", CONFIG_DURATION, offsetof(struct config, audit_retention_s), 1, 36500 * DAY,
     "How long the audit trail keeps an event; it is removed within a minute or two after that.", NULL, NULL},
    {"scrub-interval", CONFIG_DURATION, offsetof(struct config, scrub_interval_s), 0, 36500 * DAY,
     "How often all that is stored is looked at for damage, with little haste; 0s: never.", NULL, NULL},
    {"migrate", CONFIG_WORD, offsetof(struct config, migrate), 0, 0,
     "Data in an older key layout: is moved while it is served, is served as it is, or the start fails.", migrations,
     NULL},
    {"log-level", CONFIG_WORD, offsetof(struct config, log_level), 0, 0, "Lines of lower weight are left out.", levels,
     NULL},
    {"log-format", CONFIG_WORD, offsetof(struct config, log_format), 0, 0,
     "Of lines on standard error; when that is systemd's journal, it gets fields instead.", formats, NULL},
    {"slow-request", CONFIG_MILLISECONDS, offsetof(struct config, slow_request_ms), 1, 10 * MINUTE *SECOND_MS,
     "A request that takes as long is counted, and told in the log, at most one line a second.", NULL, NULL},
};

enum { FIXED_COUNT = sizeof(fixed_options) / sizeof(*fixed_options) };

static const struct limit_row {
    const char *name; /* with '_' */
    uint64_t value;
    uint64_t cap;
    size_t offset;
    const char *meaning;
} limit_rows[] = {
#define LIMIT_ROW(name, value, cap, meaning) {#name, (value), (cap), offsetof(struct config, limits.name), meaning},
    CHATLOG_LIMITS(LIMIT_ROW)
#undef LIMIT_ROW
};

enum { LIMIT_COUNT = sizeof(limit_rows) / sizeof(*limit_rows) };

static struct config_option limit_option(const struct limit_row *row)
{
    struct config_option option = {.offset = row->offset, .minimum = 1, .maximum = row->cap};
    size_t length = strlen(row->name);
    assert(length < sizeof(option.name));
    for (size_t i = 0; i < length; i++) {
        option.name[i] = row->name[i] == '_' ? '-' : row->name[i];
    }
    const char *unit = strrchr(option.name, '-');
    option.kind = unit && strcmp(unit, "-bytes") == 0 ? CONFIG_SIZE : CONFIG_NUMBER;
    snprintf(option.meaning, sizeof(option.meaning), "Limit: %s.", row->meaning);
    return option;
}

bool config_option_at(size_t index, struct config_option *ret_option)
{
    if (index < FIXED_COUNT) {
        *ret_option = fixed_options[index];
        return true;
    }
    size_t skip = index - FIXED_COUNT;
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        bool settable = limit_rows[i].cap > limit_rows[i].value;
        if (settable && skip-- == 0) {
            *ret_option = limit_option(&limit_rows[i]);
            return true;
        }
    }
    return false;
}

bool config_option_find(const char *name, struct config_option *ret_option)
{
    struct config_option option;
    for (size_t i = 0; config_option_at(i, &option); i++) {
        if (strcmp(option.name, name) == 0) {
            *ret_option = option;
            return true;
        }
    }
    return false;
}

struct config config_defaults(void)
{
    return (struct config){.urls = {"ipc:///run/chatlogd/chatlogd.sock"},
                           .url_count = 1,
                           .audience = {"chatlogd"},
                           .audience_count = 1,
                           .map_bytes = CONFIG_MAP_BYTES_DEFAULT,
                           .disk_reserve_bytes = CONFIG_DISK_RESERVE_DEFAULT,
                           .deleted_retention_s = 30 * DAY,
                           .audit_retention_s = 90 * DAY,
                           .scrub_interval_s = 7 * DAY,
                           .log_level = LOG_LEVEL_INFO,
                           .slow_request_ms = SECOND_MS,
                           .limits = LIMITS_DEFAULT};
}

static uint64_t *number_of(const struct config_option *option, struct config *config)
{
    return (uint64_t *)(void *)((char *)config + option->offset);
}

static uint64_t number_get(const struct config_option *option, const struct config *config)
{
    uint64_t number;
    memcpy(&number, (const char *)config + option->offset, sizeof(number));
    return number;
}

static void number_format(const struct kind *kind, uint64_t number, char *text, size_t size)
{
    size_t i = 0;
    while (i + 1 < kind->unit_count && (number < kind->units[i].factor || number % kind->units[i].factor != 0)) {
        i++;
    }
    snprintf(text, size, "%" PRIu64 "%s", number / kind->units[i].factor, kind->units[i].suffix);
}

/* Digits and one unit, nothing else; false also when it does not fit 64 bits. */
static bool number_parse(const struct kind *kind, const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *byte = text;
    for (; *byte >= '0' && *byte <= '9'; byte++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*byte - '0'), &number)) {
            return false;
        }
    }
    for (size_t i = 0; byte > text && i < kind->unit_count; i++) {
        if (strcmp(byte, kind->units[i].suffix) == 0) {
            return !__builtin_mul_overflow(number, kind->units[i].factor, ret_number);
        }
    }
    return false;
}

/* "error, warning, info or debug" */
static void words_list(const struct word *words, char text[CONFIG_TEXT_BYTES])
{
    size_t length = 0;
    for (size_t i = 0; words[i].name; i++) {
        const char *comma = i == 0 ? "" : words[i + 1].name ? ", " : " or ";
        length += (size_t)snprintf(text + length, CONFIG_TEXT_BYTES - length, "%s%s", comma, words[i].name);
    }
}

void config_option_range(const struct config_option *option, char range[CONFIG_TEXT_BYTES])
{
    char minimum[32], maximum[32];
    switch (option->kind) {
    case CONFIG_PATH:
        snprintf(range, CONFIG_TEXT_BYTES, "a path of at most %d bytes", CONFIG_PATH_BYTES - 1);
        return;
    case CONFIG_LIST:
        config_list_range(option->list, range);
        return;
    case CONFIG_WORD:
        words_list(option->words, range);
        return;
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_MILLISECONDS:
    case CONFIG_NUMBER:
        break;
    }
    const struct kind *kind = &kinds[option->kind];
    number_format(kind, option->minimum, minimum, sizeof(minimum));
    number_format(kind, option->maximum, maximum, sizeof(maximum));
    snprintf(range, CONFIG_TEXT_BYTES, "%s from %s to %s%s%s", kind->article, minimum, maximum, kind->help ? "; " : "",
             kind->help ? kind->help : "");
}

void config_option_format(const struct config_option *option, const struct config *config, char text[CONFIG_TEXT_BYTES])
{
    assert(option->kind != CONFIG_PATH && option->kind != CONFIG_LIST);
    if (option->kind != CONFIG_WORD) {
        number_format(&kinds[option->kind], number_get(option, config), text, CONFIG_TEXT_BYTES);
        return;
    }
    int value;
    memcpy(&value, (const char *)config + option->offset, sizeof(value));
    for (const struct word *word = option->words; word->name; word++) {
        if (word->value == value) {
            snprintf(text, CONFIG_TEXT_BYTES, "%s", word->name);
        }
    }
}

/* What an INI file cannot carry unchanged is not taken from the command line either. */
static bool path_valid(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f) {
            return false;
        }
    }
    return length > 0 && length < CONFIG_PATH_BYTES && path[0] != ' ' && path[length - 1] != ' ';
}

static bool word_set(const struct config_option *option, const char *name, struct config *config)
{
    for (const struct word *word = option->words; word->name; word++) {
        if (strcmp(word->name, name) == 0) {
            memcpy((char *)config + option->offset, &word->value, sizeof(word->value));
            return true;
        }
    }
    return false;
}

static bool number_set(const struct config_option *option, const char *value, struct config *config)
{
    uint64_t number;
    if (!number_parse(&kinds[option->kind], value, &number) || number < option->minimum || number > option->maximum) {
        return false;
    }
    *number_of(option, config) = number;
    return true;
}

bool config_option_set(const struct config_option *option, const char *value, struct config *config,
                       char why[CONFIG_TEXT_BYTES])
{
    char range[CONFIG_TEXT_BYTES];
    config_option_range(option, range);
    snprintf(why, CONFIG_TEXT_BYTES, "allowed is %.*s", CONFIG_TEXT_BYTES - 16, range);
    switch (option->kind) {
    case CONFIG_PATH:
        if (path_valid(value)) {
            memcpy((char *)config + option->offset, value, strlen(value) + 1);
            return true;
        }
        return false;
    case CONFIG_LIST:
        return config_list_add(option->list, value, config, why);
    case CONFIG_WORD:
        return word_set(option, value, config);
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_MILLISECONDS:
    case CONFIG_NUMBER:
        return number_set(option, value, config);
    }
    return false;
}
