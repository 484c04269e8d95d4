/* Start and stop, in order. Everything that can be wrong at the start ends here with a sentence and an exit status. */
#include "auth/authority.h"
#include "auth/secret_file.h"
#include "base/log.h"
#include "config.h"
#include "maintenance_command.h"
#include "metrics/metrics_http.h"
#include "migrate_command.h"
#include "rpc/rpc.h"
#include "server.h"
#include "store/store.h"
#include "supervisor.h"
#include "token_reload.h"

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    DRAIN_MS = 10000,
    CONNECTIONS_ALARM_S = 20, /* to drain and close the connections */
    STORE_ALARM_S = 60,       /* to finish the changes that are queued */
    LAST_ALARM_S = 5,
    /* Free memory each of malloc's arenas (one for a busy thread) keeps. With the library's 128 KiB, answers of 16 KiB
     * make it give pages back to the kernel and fault them in again all the time. */
    KEPT_BYTES = 4 * 1024 * 1024,
    OTHER_FILES = 1024, /* of the process besides connections: data, nng, handshakes under way */
};

/* Page tokens stay good after a restart. */
static const char page_key_name[] = "page_token.key";

struct parts {
    const char *urls[CONFIG_URLS_MAX]; /* the config's */
    struct authority *authority;
    const char *peers[CONFIG_PEERS_MAX]; /* the config's texts, as the authority takes them */
    const char *token_keys[CONFIG_TOKEN_KEYS_MAX];
    struct store *store;
    struct rpc *rpc;
    struct server *server;
    struct supervisor *supervisor;
    struct metrics *metrics; /* NULL: not wanted */
};

static void __attribute__((noreturn)) late_end(const char *line, int status)
{
    ssize_t rc = write(STDERR_FILENO, line, strlen(line));
    (void)rc;
    _exit(status);
}

/* nng is known to wait for ever now and then when it closes (nng #1543, #1813). What was acknowledged is on disk:
 * ending is safe. */
static void connections_late(int signal)
{
    (void)signal;
    late_end("chatlogd: the connections do not close; ending without them\n", EX_OK);
}

static void store_late(int signal)
{
    (void)signal;
    late_end("chatlogd: the store does not close; ending, what was acknowledged is on disk\n", EX_TEMPFAIL);
}

/* A page of the data file's map that is not there to be read. */
static void data_unreadable(int signal)
{
    (void)signal;
    late_end(
        "chatlogd: a part of the data file cannot be read: it is cut short, or its disk fails. Nothing was changed; "
        "restore a backup, or see what chatlogd salvage can read\n",
        EX_IOERR);
}

static void alarm_set(void (*late)(int signal), unsigned seconds)
{
    struct sigaction action = {.sa_handler = late};
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}

static void store_fatal(void *arg, const char *message)
{
    const struct log *log = arg;
    log_event(log, LOG_LEVEL_ERROR, WRITE_FAILED, "%s; ending at once, without answering", message);
    _exit(EX_IOERR);
}

static void store_event(void *arg, enum store_event event, const char *line)
{
    static const struct {
        enum log_event event;
        enum log_level level;
    } rows[] = {
        [STORE_EVENT_PROGRESS] = {LOG_EVENT_NONE, LOG_LEVEL_INFO},
        [STORE_EVENT_MIGRATION_BEGIN] = {LOG_EVENT_MIGRATION_BEGIN, LOG_LEVEL_INFO},
        [STORE_EVENT_MIGRATION_END] = {LOG_EVENT_MIGRATION_END, LOG_LEVEL_INFO},
        [STORE_EVENT_MIGRATION_PAUSE] = {LOG_EVENT_MIGRATION_PAUSE, LOG_LEVEL_WARNING},
        [STORE_EVENT_MIGRATION_RESUME] = {LOG_EVENT_MIGRATION_RESUME, LOG_LEVEL_INFO},
        [STORE_EVENT_MIGRATION_HALT] = {LOG_EVENT_MIGRATION_HALT, LOG_LEVEL_ERROR},
        [STORE_EVENT_DISK_FULL] = {LOG_EVENT_DISK_FULL, LOG_LEVEL_WARNING},
        [STORE_EVENT_DISK_ROOM] = {LOG_EVENT_DISK_ROOM, LOG_LEVEL_INFO},
    };
    const struct log_note note = {.event = rows[event].event};
    log_write(arg, rows[event].level, &note, "%s", line);
}

/* Every connection is a file. */
static bool files_raise(uint64_t connections, const struct log *log)
{
    struct rlimit files;
    rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted) {
        return true;
    }
    if (files.rlim_max < wanted) {
        log_error(log,
                  "connections = %" PRIu64 " needs %ju open files, and the hard limit is %ju: lower connections, or "
                  "raise the limit (LimitNOFILE of systemd, ulimit -Hn)",
                  connections, (uintmax_t)wanted, (uintmax_t)files.rlim_max);
        return false;
    }
    files.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

static int authority_start(const struct config *config, struct counters *counters, const struct log *log,
                           struct parts *parts, struct error *error)
{
    for (size_t i = 0; i < config->peer_count; i++) {
        parts->peers[i] = config->peers[i];
    }
    for (size_t i = 0; i < config->token_key_count; i++) {
        parts->token_keys[i] = config->token_keys[i];
    }
    const struct authority_config authority_config = {.peers = parts->peers,
                                                      .peer_count = config->peer_count,
                                                      .token_keys = parts->token_keys,
                                                      .token_key_count = config->token_key_count,
                                                      .audience = config->audience[0],
                                                      .counters = counters};
    for (size_t i = 0; i < config->url_count && config->token_key_count == 0; i++) {
        if (!server_url_path(config->urls[i])) {
            log_warning(log, "%s answers health checks only: TCP needs tokens, and no token-key is set",
                        config->urls[i]);
        }
    }
    return authority_new(&authority_config, &parts->authority, error);
}

static int metrics_open(const struct config *config, const struct counters *counters, const struct log *log,
                        struct parts *parts, struct error *error)
{
    const struct metrics_config metrics_config = {.url = config->metrics_urls[0],
                                                  .store = parts->store,
                                                  .rpc = parts->rpc,
                                                  .server = parts->server,
                                                  .counters = counters,
                                                  .log = log,
                                                  .version = CHATLOGD_VERSION};
    return config->metrics_url_count > 0 ? metrics_start(&metrics_config, &parts->metrics, error) : 0;
}

static int parts_start(const struct config *config, struct counters *counters, struct log *log, struct parts *parts,
                       struct error *error)
{
    for (size_t i = 0; i < config->url_count; i++) {
        parts->urls[i] = config->urls[i];
    }
    static const enum store_migrate migrate[] = {[CONFIG_MIGRATE_AUTO] = STORE_MIGRATE_AUTO,
                                                 [CONFIG_MIGRATE_HOLD] = STORE_MIGRATE_HOLD,
                                                 [CONFIG_MIGRATE_REFUSE] = STORE_MIGRATE_REFUSE};
    struct store_config store_config = {.data_dir = config->data_dir,
                                        .limits = &config->limits,
                                        .map_bytes = config->map_bytes,
                                        .disk_reserve_bytes = config->disk_reserve_bytes,
                                        .deleted_retention_us = (int64_t)config->deleted_retention_s * 1000000,
                                        .audit_retention_us = (int64_t)config->audit_retention_s * 1000000,
                                        .migrate = migrate[config->migrate],
                                        .backup_dir = config->backup_dir[0] ? config->backup_dir : NULL,
                                        .scrub_interval_us = (int64_t)config->scrub_interval_s * 1000000,
                                        .event = store_event,
                                        .event_arg = log,
                                        .fatal = store_fatal,
                                        .fatal_arg = log};
    uint8_t page_key[SECRET_FILE_BYTES];
    int rc = authority_start(config, counters, log, parts, error);
    if (!rc) {
        rc = store_open(&store_config, &parts->store, error);
    }
    if (!rc) {
        rc = secret_file_open(config->data_dir, page_key_name, page_key, error);
    }
    if (rc) {
        return rc;
    }
    struct rpc_config rpc_config = {.store = parts->store,
                                    .limits = &config->limits,
                                    .counters = counters,
                                    .log = log,
                                    .version = CHATLOGD_VERSION,
                                    .nng_version = server_nng_version(),
                                    .page_key = page_key,
                                    .slow_us = (int64_t)config->slow_request_ms * 1000};
    parts->rpc = rpc_new(&rpc_config);
    if (!parts->rpc) {
        return error_set(error, ERROR_STARTUP, "memory is too short to start");
    }
    struct server_config server_config = {.urls = parts->urls,
                                          .url_count = config->url_count,
                                          .limits = &config->limits,
                                          .counters = counters,
                                          .rpc = parts->rpc,
                                          .authority = parts->authority,
                                          .log = log};
    rc = server_start(&server_config, &parts->server, error);
    if (rc) {
        return rc;
    }
    rc = metrics_open(config, counters, log, parts, error);
    if (rc) {
        return rc;
    }
    struct supervisor_config supervisor_config = {
        .store = parts->store, .urls = parts->urls, .url_count = config->url_count, .log = log};
    return supervisor_start(&supervisor_config, &parts->supervisor, error);
}

/* In the order in which nothing is lost: refuse what is new, answer what is under way, finish what is queued. The
 * metrics go first: they look into all the others. */
static void parts_stop(struct parts *parts)
{
    alarm_set(connections_late, CONNECTIONS_ALARM_S);
    parts->supervisor = supervisor_stop(parts->supervisor);
    if (parts->metrics) {
        parts->metrics = metrics_stop(parts->metrics);
    }
    if (parts->store) {
        store_end_jobs(parts->store); /* their answers are not worth waiting for */
    }
    if (parts->server) {
        rpc_stop(parts->rpc);
        parts->server = server_stop(parts->server, DRAIN_MS);
    }
    alarm_set(store_late, STORE_ALARM_S);
    if (parts->store) {
        parts->store = store_close(parts->store);
    }
    if (parts->rpc) {
        parts->rpc = rpc_free(parts->rpc);
    }
    parts->authority = authority_free(parts->authority);
    alarm_set(connections_late, LAST_ALARM_S); /* exit() runs code of the libraries too */
}

static int signals_block(sigset_t *ret_signals)
{
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGTERM);
    sigaddset(ret_signals, SIGINT);
    sigaddset(ret_signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    return pthread_sigmask(SIG_BLOCK, ret_signals, NULL); /* before any thread is made: they inherit it */
}

/* Returns the signal that ends the daemon. Connections live on over SIGHUP: what they may do is decided anew with each
 * request. */
static int signals_serve(const sigset_t *signals, const struct parts *parts, const struct log *log, size_t key_count)
{
    const struct token_reload reload = {
        .authority = parts->authority, .store = parts->store, .log = log, .key_count = key_count};
    for (;;) {
        siginfo_t signal;
        int number = sigwaitinfo(signals, &signal);
        if (number == SIGHUP) {
            supervisor_reload_begin(parts->supervisor);
            token_reload(&reload, &signal);
            supervisor_reload_end(parts->supervisor);
        } else if (number > 0) {
            return number;
        }
    }
}

static int daemon_run(const struct config *config)
{
    struct log log = log_new(config->log_level, config->log_format);
    struct counters counters = {0};
    struct parts parts = {0};
    struct error error;
    sigset_t signals;
    umask(0077);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    if (signals_block(&signals) || !files_raise(config->limits.connections, &log)) {
        return EX_CONFIG;
    }
    log_event(&log, LOG_LEVEL_INFO, START, "chatlogd %s starts with nng %s on %s", CHATLOGD_VERSION,
              server_nng_version(), config->data_dir);
    if (parts_start(config, &counters, &log, &parts, &error)) {
        log_event(&log, LOG_LEVEL_ERROR, START_FAILED, "cannot start: %s", error.message);
        parts_stop(&parts);
        return EX_CONFIG;
    }
    struct store_info info = store_describe(parts.store);
    log_event(&log, LOG_LEVEL_INFO, READY, "chatlogd %s ready: layout %u, LMDB %s, %zu listeners, first %s",
              CHATLOGD_VERSION, info.layout, info.engine_version, config->url_count, config->urls[0]);
    int signal_number = signals_serve(&signals, &parts, &log, config->token_key_count);
    log_event(&log, LOG_LEVEL_INFO, STOP, "stopping: %s", strsignal(signal_number));
    parts_stop(&parts);
    log_event(&log, LOG_LEVEL_INFO, STOPPED, "stopped");
    return EX_OK;
}

/* A configuration that was cut short by a full disk must not look complete. */
static int output_end(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? EX_OK : EX_IOERR;
}

int main(int argc, char **argv)
{
    struct config config;
    struct config_error error;
    enum config_action action;
    sigaction(SIGBUS, &(struct sigaction){.sa_handler = data_unreadable}, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
    if (argc > 1 && strcmp(argv[1], "migrate") == 0) {
        return migrate_command(argc - 1, (const char *const *)argv + 1);
    }
    if (argc > 1 && maintenance_is_command(argv[1])) {
        return maintenance_command(argc - 1, (const char *const *)argv + 1);
    }
    if (config_load(argc, (const char *const *)argv, &config, &action, &error)) {
        fprintf(stderr, "chatlogd: %s\n", error.message);
        return error.exit_status;
    }
    switch (action) {
    case CONFIG_HELP:
        config_help(stdout);
        return output_end();
    case CONFIG_VERSION:
        printf("chatlogd %s\n", CHATLOGD_VERSION);
        return output_end();
    case CONFIG_PRINT:
        config_print(&config, stdout);
        return output_end();
    case CONFIG_RUN:
        break;
    }
    return daemon_run(&config);
}
