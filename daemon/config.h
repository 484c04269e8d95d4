/* What an operator can set: one table of options for the command line, the configuration file, --help and
 * --print-config. Knows nothing of what the values are used for. */
#ifndef CONFIG_H
#define CONFIG_H

#include "auth/peer_map.h"
#include "auth/token_keys.h"
#include "base/limits.h"
#include "base/log.h"
#include "server_url.h"

#include <stdio.h>

/* Defaults that `chatlogd migrate` takes too. */
#define CONFIG_MAP_BYTES_DEFAULT    (UINT64_C(1) << 40)
#define CONFIG_DISK_RESERVE_DEFAULT (UINT64_C(64) << 20)

enum {
    CONFIG_PATH_BYTES = 1024, /* of data-dir and backup-dir, with the NUL */
    CONFIG_URLS_MAX = 16,
    CONFIG_PEERS_MAX = 64,
    CONFIG_TOKEN_KEYS_MAX = 16,
    CONFIG_METRICS_URLS_MAX = 1,
};

/* What to do with data in an older key layout. */
enum config_migrate { CONFIG_MIGRATE_AUTO, CONFIG_MIGRATE_HOLD, CONFIG_MIGRATE_REFUSE };

struct config {
    char data_dir[CONFIG_PATH_BYTES];
    char backup_dir[CONFIG_PATH_BYTES]; /* empty: none */
    char urls[CONFIG_URLS_MAX][SERVER_URL_BYTES];
    size_t url_count; /* at least 1 */
    char peers[CONFIG_PEERS_MAX][PEER_RULE_BYTES];
    size_t peer_count;
    char token_keys[CONFIG_TOKEN_KEYS_MAX][TOKEN_KEY_SPEC_BYTES];
    size_t token_key_count;
    char audience[1][PRINCIPAL_USER_BYTES];
    size_t audience_count; /* 1 */
    char metrics_urls[CONFIG_METRICS_URLS_MAX][SERVER_URL_BYTES];
    size_t metrics_url_count; /* 0: no metrics */
    uint64_t map_bytes;
    uint64_t disk_reserve_bytes;
    uint64_t deleted_retention_s;
    uint64_t audit_retention_s;
    uint64_t scrub_interval_s; /* 0: never */
    enum config_migrate migrate;
    enum log_level log_level;
    enum log_format log_format;
    uint64_t slow_request_ms;
    struct limits limits;
};

enum config_action { CONFIG_RUN, CONFIG_PRINT, CONFIG_HELP, CONFIG_VERSION };

struct config_error {
    int exit_status;   /* EX_USAGE for the command line, EX_CONFIG for the file */
    char message[768]; /* one line: where, what was wrong, what is allowed */
};

/* Reads the command line and the file it names; the command line wins. Returns 0 with *ret_config and *ret_action set
 * (with CONFIG_HELP and CONFIG_VERSION only the action), or -1 with *error filled. */
int config_load(int argc, const char *const *argv, struct config *ret_config, enum config_action *ret_action,
                struct config_error *error);

/* The configuration as a file that config_load accepts, each option under a comment on its meaning and range. */
void config_print(const struct config *config, FILE *out);

/* Every option with its meaning, range and default. */
void config_help(FILE *out);

#endif
