/* The options that may be given several times: what one entry may be, and where they are kept. */
#include "config_options.h"

#include "auth/peer_map.h"
#include "auth/token_keys.h"

#include <string.h>

struct list {
    size_t entries; /* offset in struct config of an array of char[entry_bytes] */
    size_t entry_bytes;
    size_t count; /* offset of the size_t that counts them */
    size_t most;
    bool (*valid)(const char *text, char why[CONFIG_TEXT_BYTES]);
    const char *allowed;
};

static bool url_valid(const char *url, char why[CONFIG_TEXT_BYTES])
{
    struct error error;
    if (server_url_check(url, &error)) {
        snprintf(why, CONFIG_TEXT_BYTES, "%.*s", CONFIG_TEXT_BYTES - 1, error.message);
        return false;
    }
    return true;
}

/* No token is asked for there: other machines must not reach it. */
static bool metrics_url_valid(const char *url, char why[CONFIG_TEXT_BYTES])
{
    struct error error;
    return server_url_check(url, &error) == 0 ? server_url_is_local(url) : url_valid(url, why);
}

static bool peer_valid(const char *text, char why[CONFIG_TEXT_BYTES])
{
    (void)why;
    struct peer_rule rule;
    return peer_rule_parse(text, &rule);
}

static bool token_key_valid(const char *text, char why[CONFIG_TEXT_BYTES])
{
    (void)why;
    struct token_key_spec spec;
    return token_key_spec_parse(text, &spec);
}

static bool audience_valid(const char *text, char why[CONFIG_TEXT_BYTES])
{
    (void)why;
    return principal_id_valid(text);
}

const struct list config_urls = {offsetof(struct config, urls),
                                 SERVER_URL_BYTES,
                                 offsetof(struct config, url_count),
                                 CONFIG_URLS_MAX,
                                 url_valid,
                                 "ipc:///PATH, tcp://IPV4:PORT or tcp://[IPV6]:PORT"};
const struct list config_metrics_urls = {offsetof(struct config, metrics_urls),
                                         SERVER_URL_BYTES,
                                         offsetof(struct config, metrics_url_count),
                                         CONFIG_METRICS_URLS_MAX,
                                         metrics_url_valid,
                                         "ipc:///PATH, tcp://127.0.0.1:PORT or tcp://[::1]:PORT"};
const struct list config_peers = {offsetof(struct config, peers),
                                  PEER_RULE_BYTES,
                                  offsetof(struct config, peer_count),
                                  CONFIG_PEERS_MAX,
                                  peer_valid,
                                  "UNIX-USER: service, UNIX-USER: admin or UNIX-USER: user USER"};
const struct list config_token_keys = {offsetof(struct config, token_keys),
                                       TOKEN_KEY_SPEC_BYTES,
                                       offsetof(struct config, token_key_count),
                                       CONFIG_TOKEN_KEYS_MAX,
                                       token_key_valid,
                                       "KID:HS256:/FILE or KID:ES256:/FILE"};
const struct list config_audience = {
    offsetof(struct config, audience), PRINCIPAL_USER_BYTES, offsetof(struct config, audience_count), 1, audience_valid,
    "a text of 1 to 128 bytes"};

static size_t *count_of(const struct list *list, struct config *config)
{
    return (size_t *)(void *)((char *)config + list->count);
}

void config_list_clear(const struct list *list, struct config *config)
{
    *count_of(list, config) = 0;
}

const char *config_list_at(const struct list *list, const struct config *config, size_t index)
{
    size_t count;
    memcpy(&count, (const char *)config + list->count, sizeof(count));
    return index < count ? (const char *)config + list->entries + index * list->entry_bytes : NULL;
}

void config_list_range(const struct list *list, char range[CONFIG_TEXT_BYTES])
{
    snprintf(range, CONFIG_TEXT_BYTES, "%s; at most %zu", list->allowed, list->most);
}

/* What an INI file cannot carry unchanged is not taken from the command line either. */
static bool line_valid(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return length > 0 && text[0] != ' ' && text[length - 1] != ' ';
}

bool config_list_add(const struct list *list, const char *text, struct config *config, char why[CONFIG_TEXT_BYTES])
{
    size_t *count = count_of(list, config);
    size_t length = strlen(text);
    if (!list->valid(text, why) || !line_valid(text) || length >= list->entry_bytes || *count == list->most) {
        return false;
    }
    memcpy((char *)config + list->entries + *count * list->entry_bytes, text, length + 1);
    ++*count;
    return true;
}
