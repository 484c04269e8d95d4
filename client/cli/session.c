/* The connection to the daemon: which one, and whether it is there. */
#include "cli/session.h"

#include "chatlog_limits.h"
#include "cli/report.h"
#include "cli/token_file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READY_TIMEOUT_MS = 2000, MILLISECONDS = 1000 };

static int session_unreachable(const struct session *session, const struct chatlog_error *error)
{
    static const char scheme[] = "ipc://";
    const char *hint = "`systemctl status chatlogd` tells. Name another daemon with --server URL or CHATLOG_SERVER.";
    if (strncmp(session->url, scheme, strlen(scheme)) == 0 && access(session->url + strlen(scheme), R_OK | W_OK) != 0 &&
        errno == EACCES) {
        hint = "You may not open its socket: that is for its group (chatlog) only. `id` lists your groups; root adds "
               "you\n  with `usermod --append --groups chatlog USER`, which counts from your next login on.";
    }
    report_failure(chatlog_code_name((int)error->code), error->reason, "%s\n  %s", error->message, hint);
    return EXIT_UNREACHABLE;
}

static int token_refuse(const char *place, const char *why)
{
    report_failure("INVALID_ARGUMENT", "TOKEN_UNUSABLE", "The token in %s: %s", place, why);
    return EXIT_USAGE;
}

/* Returns 0, or the exit code after it has reported why not. */
static int session_token(struct session *session)
{
    const char *path = session->options->token_file;
    const char *token = getenv("CHATLOG_TOKEN");
    char *text = NULL;
    size_t size;
    if (path && !(text = token_file_read(path, CHATLOG_LIMIT_token_bytes, &size))) {
        return token_refuse(path, strerror(errno));
    }
    if (path && (size == 0 || strlen(text) != size)) {
        free(text);
        return token_refuse(path, size == 0 ? "the file is empty" : "the file has a NUL byte");
    }
    struct chatlog_error error;
    int code = chatlog_set_token(session->client, text ? text : token, &error);
    if (text) {
        explicit_bzero(text, size);
    }
    free(text);
    return code == 0 ? 0 : token_refuse(path ? path : "CHATLOG_TOKEN", error.message);
}

int session_open(struct session *session)
{
    assert(session->options && !session->client);
    const struct options *options = session->options;
    const char *environment = getenv("CHATLOG_SERVER");
    session->url = options->server                 ? options->server
                   : (environment && *environment) ? environment
                                                   : CHATLOG_DEFAULT_URL;
    session->call.timeout_ms = (uint32_t)options->timeout.value * MILLISECONDS;
    struct chatlog_error error;
    if (chatlog_open(session->url, &session->client, &error) != 0) {
        report_call(&error);
        return error.code == CHATLOG_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
    }
    int code = session_token(session);
    if (code != 0) {
        return code;
    }
    uint32_t wait_ms = READY_TIMEOUT_MS;
    if (session->call.timeout_ms > 0 && session->call.timeout_ms < wait_ms) {
        wait_ms = session->call.timeout_ms;
    }
    if (chatlog_wait_ready(session->client, wait_ms, &error) != 0) {
        return error.code == CHATLOG_UNAVAILABLE ? session_unreachable(session, &error) : report_call(&error);
    }
    return 0;
}

void session_close(struct session *session)
{
    session->client = chatlog_close(session->client);
}

/* When no answer came, whether the daemon is still there decides the exit code. */
int session_fail(const struct session *session, const struct chatlog_error *error)
{
    int code = report_call(error);
    bool unanswered = error->code == CHATLOG_UNAVAILABLE || error->code == CHATLOG_DEADLINE_EXCEEDED;
    struct chatlog_error ready;
    if (unanswered && chatlog_wait_ready(session->client, READY_TIMEOUT_MS, &ready) == CHATLOG_UNAVAILABLE) {
        return session_unreachable(session, &ready);
    }
    return code;
}

const char *session_operand(const struct session *session, size_t i)
{
    return i < session->options->operand_count ? session->options->operands[i] : "";
}
