/* The command about the audit trail. */
#include "chatlog_limits.h"
#include "cli/commands.h"
#include "cli/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COUNT_DEFAULT = 50, SECOND_US = 1000000 };

/* "2025-11-22", "2025-11-22T08:40:00" with or without fraction and Z, as time_text writes it; from 1970 on. */
static bool time_parse(const char *text, int64_t *ret_us)
{
    struct tm tm = {0};
    int64_t fraction = 0;
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest && *rest == 'T') {
        rest = strptime(rest, "T%H:%M:%S", &tm);
        if (rest && *rest == '.') {
            int64_t digit = SECOND_US / 10;
            for (rest++; *rest >= '0' && *rest <= '9' && digit > 0; rest++, digit /= 10) {
                fraction += (*rest - '0') * digit;
            }
        }
        rest += rest && *rest == 'Z';
    }
    int64_t seconds = rest && *rest == '\0' ? (int64_t)timegm(&tm) : -1;
    if (seconds < 0 || seconds > INT64_C(9000000000)) { /* what the daemon takes as a time, in the year 2255 */
        return false;
    }
    *ret_us = seconds * SECOND_US + fraction;
    return true;
}

const char *audit_check(const struct options *options)
{
    int64_t time_us;
    if (options->since && !time_parse(options->since, &time_us)) {
        return "--since takes a time like 2025-11-22 or 2025-11-22T08:40:00Z, in UTC";
    }
    if (options->until && !time_parse(options->until, &time_us)) {
        return "--until takes a time like 2025-11-22 or 2025-11-22T08:40:00Z, in UTC";
    }
    return NULL;
}

/* Shows one page and keeps the token of the next in *token; "" after the last. Returns 0 or the exit code. */
static int events_page(const struct session *session, struct chatlog_audit_query *query, uint64_t *left, char **token)
{
    struct chatlog_audit_events page;
    struct chatlog_error error;
    query->page_token = *token;
    query->page_size =
        *left < CHATLOG_LIMIT_append_messages ? (uint32_t)*left : (uint32_t)CHATLOG_LIMIT_append_messages;
    if (chatlog_list_audit_events(session->client, query, &session->call, &page, &error) != 0) {
        return session_fail(session, &error);
    }
    for (size_t i = 0; i < page.count; i++) {
        session->printer->event(session->out, &page.items[i]);
    }
    *left -= page.count < *left ? page.count : *left;
    free(*token);
    *token = memory_need(strdup(page.next_page_token));
    chatlog_audit_events_free(&page);
    return 0;
}

int command_audit(struct session *session)
{
    const struct options *options = session->options;
    struct chatlog_audit_query query = {.user_id = options->user};
    uint64_t left = options->count.given ? options->count.value : COUNT_DEFAULT;
    char *token = NULL;
    int code;
    if (options->since) {
        time_parse(options->since, &query.since_time_us);
    }
    if (options->until) {
        time_parse(options->until, &query.until_time_us);
    }
    do {
        code = events_page(session, &query, &left, &token);
    } while (code == 0 && left > 0 && *token && !ferror(session->out));
    free(token);
    return code;
}
