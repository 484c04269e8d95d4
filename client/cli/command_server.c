/* Commands about the daemon itself, and about a user as a whole. */
#include "chatlog_limits.h"
#include "cli/commands.h"
#include "cli/report.h"

#include <stdlib.h>
#include <time.h>

enum { WATCH_SECONDS = 2 };

const char *forget_check(const struct options *options)
{
    return options->yes ? NULL : "this removes everything of the user for good; add --yes to do it";
}

/* What takes long is waited for as long as the daemon allows. */
static struct chatlog_call_options patient(const struct session *session)
{
    struct chatlog_call_options call = session->call;
    call.timeout_ms = call.timeout_ms ? call.timeout_ms : CHATLOG_LIMIT_timeout_ms;
    return call;
}

int command_forget(struct session *session)
{
    const char *user_id = session_operand(session, 0);
    struct chatlog_call_options call = patient(session); /* the answer comes when the last record is gone */
    struct chatlog_receipt receipt;
    struct chatlog_error error;
    if (chatlog_forget_user(session->client, user_id, &call, &receipt, &error) != 0) {
        return session_fail(session, &error);
    }
    session->printer->receipt(session->out, user_id, &receipt);
    return EXIT_SUCCESS;
}

int command_info(struct session *session)
{
    struct chatlog_migration migration = {0};
    struct chatlog_server_info info;
    struct chatlog_error error;
    /* The migration first: one that is over by then shows in the layout that is asked for next. */
    int code = chatlog_get_migration(session->client, &session->call, &migration, &error);
    if (code != 0 && code != CHATLOG_UNIMPLEMENTED) {
        return session_fail(session, &error);
    }
    int failed = chatlog_get_server_info(session->client, &session->call, &info, &error);
    if (!failed) {
        session->printer->info(session->out, &info, code == 0 ? &migration : NULL);
        chatlog_server_info_free(&info);
    }
    chatlog_migration_free(&migration);
    return failed ? session_fail(session, &error) : EXIT_SUCCESS;
}

const char *stats_check(const struct options *options)
{
    return options->count.given && !options->watch.given ? "--count needs --watch" : NULL;
}

static int stats_show(struct session *session)
{
    struct chatlog_stats stats;
    struct chatlog_error error;
    if (chatlog_get_stats(session->client, &session->call, &stats, &error) != 0) {
        return session_fail(session, &error);
    }
    session->printer->stats(session->out, &stats);
    chatlog_stats_free(&stats);
    return EXIT_SUCCESS;
}

int command_stats(struct session *session)
{
    const struct options *options = session->options;
    uint64_t times = !options->watch.given ? 1 : options->count.given ? options->count.value : UINT64_MAX;
    const struct timespec pause = {.tv_sec = options->watch.value > 0 ? (time_t)options->watch.value : WATCH_SECONDS};
    int code = stats_show(session);
    for (uint64_t i = 1; i < times && code == EXIT_SUCCESS && fflush(session->out) == 0; i++) {
        nanosleep(&pause, NULL);
        if (options->output == OUTPUT_TEXT) {
            fputc('\n', session->out);
        }
        code = stats_show(session);
    }
    return code;
}

int command_backup(struct session *session)
{
    const char *name = session_operand(session, 0);
    struct chatlog_call_options call = patient(session);
    struct chatlog_backup backup;
    struct chatlog_error error;
    if (chatlog_make_backup(session->client, name, &call, &backup, &error) != 0) {
        return session_fail(session, &error);
    }
    session->printer->backup(session->out, name, &backup);
    return backup.findings == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_verify(struct session *session)
{
    struct chatlog_call_options call = patient(session);
    struct chatlog_verification verification;
    struct chatlog_error error;
    if (chatlog_verify(session->client, &call, &verification, &error) != 0) {
        return session_fail(session, &error);
    }
    session->printer->verification(session->out, &verification);
    bool sound = verification_findings(&verification) == 0;
    chatlog_verification_free(&verification);
    return sound ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_health(struct session *session)
{
    bool serving;
    struct chatlog_error error;
    if (chatlog_check_health(session->client, &session->call, &serving, &error) != 0) {
        return session_fail(session, &error);
    }
    session->printer->health(session->out, serving);
    if (!serving) {
        report_failure("UNAVAILABLE", "NOT_SERVING",
                       "The daemon answers, but it is stopping or takes no changes (is its disk full?).\n"
                       "  Its log says more.");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
