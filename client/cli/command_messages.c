/* Commands about the messages of one conversation: log, append, pop. */
#include "chatlog_limits.h"
#include "cli/commands.h"
#include "cli/memory.h"
#include "cli/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG_COUNT = 50, PAGE = CHATLOG_LIMIT_append_messages };

/* The messages to show: those above `after`, at most count of them. */
struct range {
    uint64_t after;
    uint64_t count;
};

static int page_read(const struct session *session, const struct chatlog_message_query *query,
                     struct chatlog_messages *ret_page)
{
    struct chatlog_error error;
    if (chatlog_list_messages(session->client, session_operand(session, 0), session_operand(session, 1), query,
                              &session->call, ret_page, &error) != 0) {
        return session_fail(session, &error);
    }
    return 0;
}

static uint32_t page_limit(uint64_t count)
{
    return count < PAGE ? (uint32_t)count : PAGE;
}

/* Walks back from the query's anchor over range->count messages without their content, to find where to begin: what
 * is shown may be larger than memory, so it is then read forward. */
static int range_find(const struct session *session, struct chatlog_message_query query, struct range *range)
{
    uint64_t found = 0;
    uint64_t first_seq = 0;
    bool more = true;
    query.basic = true;
    while (more && found < range->count) {
        struct chatlog_messages page;
        query.limit = page_limit(range->count - found);
        int code = page_read(session, &query, &page);
        if (code != 0) {
            return code;
        }
        more = page.has_more_before && page.count > 0 && query.anchor != CHATLOG_AROUND;
        found += page.count;
        first_seq = page.count > 0 ? page.items[0].seq : first_seq;
        query.anchor = query.anchor == CHATLOG_AROUND ? CHATLOG_AROUND : CHATLOG_BEFORE;
        query.seq = first_seq;
        chatlog_messages_free(&page);
    }
    *range = (struct range){.after = found > 0 ? first_seq - 1 : 0, .count = found};
    return 0;
}

static int range_show(const struct session *session, struct range range)
{
    struct chatlog_message_query query = {.anchor = CHATLOG_AFTER, .seq = range.after};
    bool more = true;
    while (more && range.count > 0 && !ferror(session->out)) {
        struct chatlog_messages page;
        query.limit = page_limit(range.count);
        int code = page_read(session, &query, &page);
        if (code != 0) {
            return code;
        }
        for (size_t i = 0; i < page.count; i++) {
            session->printer->message(session->out, &page.items[i]);
        }
        more = page.has_more_after && page.count > 0;
        range.count -= page.count;
        query.seq = page.count > 0 ? page.items[page.count - 1].seq : query.seq;
        chatlog_messages_free(&page);
    }
    return EXIT_SUCCESS;
}

const char *log_check(const struct options *options)
{
    if (options->before.given + options->after.given + options->around.given > 1) {
        return "only one of --before, --after and --around can be given";
    }
    return options->around.given && options->count.value > PAGE ? "with --around, -n takes at most 1000" : NULL;
}

int command_log(struct session *session)
{
    const struct options *options = session->options;
    struct range range = {.after = options->after.value,
                          .count = options->count.given ? options->count.value : LOG_COUNT};
    if (!options->after.given) {
        struct chatlog_message_query query = {
            .anchor = options->before.given   ? CHATLOG_BEFORE
                      : options->around.given ? CHATLOG_AROUND
                                              : CHATLOG_LATEST,
            .seq = options->before.given ? options->before.value : options->around.value,
        };
        int code = range_find(session, query, &range);
        if (code != 0) {
            return code;
        }
    }
    return range_show(session, range);
}

const char *append_check(const struct options *options)
{
    return options->role ? NULL : "--role is needed: who speaks (user, assistant, system, ...)";
}

/* Reads all of standard input. Returns 0, or the exit code after it has reported why not. */
static int input_read(char **ret_text, size_t *ret_length)
{
    enum { MOST = CHATLOG_CAP_message_bytes, STEP = 64 * 1024 };
    char *text = NULL;
    size_t length = 0;
    size_t capacity = 0;
    for (;;) {
        if (length == capacity) {
            capacity = capacity ? capacity * 2 : STEP;
            text = memory_resize(text, capacity);
        }
        ssize_t count = read(STDIN_FILENO, text + length, capacity - length);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            report_failure("UNAVAILABLE", "FILE_UNREADABLE", "Standard input could not be read: %s.", strerror(errno));
            break;
        }
        length += (size_t)count;
        if (length > MOST) {
            report_failure("INVALID_ARGUMENT", "REQUEST_TOO_LARGE", "A message has at most %d bytes.", (int)MOST);
            break;
        }
        if (count == 0) {
            *ret_text = text;
            *ret_length = length;
            return 0;
        }
    }
    free(text);
    return EXIT_FAILURE;
}

int command_append(struct session *session)
{
    const struct options *options = session->options;
    const char *operand = session_operand(session, 2);
    bool from_input = options->operand_count < 3 || strcmp(operand, "-") == 0;
    char *input = NULL;
    size_t length = strlen(operand);
    int code = from_input ? input_read(&input, &length) : 0;
    if (code != 0) {
        return code;
    }
    struct chatlog_message message = {
        .role = options->role, .content = from_input ? input : operand, .content_length = length};
    struct chatlog_append_options append = {
        .create_if_missing = true,
        .check_last_seq = options->expected_last_seq.given,
        .expected_last_seq = options->expected_last_seq.value,
    };
    struct chatlog_call_options call = session->call;
    call.request_id = options->request_id;
    struct chatlog_append_result result;
    struct chatlog_error error;
    code = chatlog_append(session->client, session_operand(session, 0), session_operand(session, 1), &message, 1,
                          &append, &call, &result, &error);
    free(input);
    if (code != 0) {
        return session_fail(session, &error);
    }
    session->printer->appended(session->out, &result);
    return EXIT_SUCCESS;
}

int command_pop(struct session *session)
{
    const struct options *options = session->options;
    struct chatlog_messages page;
    struct chatlog_error error;
    if (chatlog_pop_messages(session->client, session_operand(session, 0), session_operand(session, 1),
                             options->count.given ? (uint32_t)options->count.value : 1, false, 0, &session->call, &page,
                             &error) != 0) {
        return session_fail(session, &error);
    }
    for (size_t i = 0; i < page.count; i++) {
        session->printer->message(session->out, &page.items[i]);
    }
    chatlog_messages_free(&page);
    return EXIT_SUCCESS;
}
