/* Commands about conversations as wholes. */
#include "chatlog_limits.h"
#include "cli/commands.h"
#include "cli/memory.h"

#include <stdlib.h>
#include <string.h>

/* Shows one page and keeps the token of the next in *token; "" after the last. Returns 0 or the exit code. */
static int conversations_page(const struct session *session, struct chatlog_conversation_query *query, char **token)
{
    struct chatlog_conversations page;
    struct chatlog_error error;
    query->page_token = *token;
    if (chatlog_list_conversations(session->client, session_operand(session, 0), query, &session->call, &page,
                                   &error) != 0) {
        return session_fail(session, &error);
    }
    for (size_t i = 0; i < page.count; i++) {
        session->printer->conversation(session->out, &page.items[i]);
    }
    free(*token);
    *token = memory_need(strdup(page.next_page_token));
    chatlog_conversations_free(&page);
    return 0;
}

int command_conversations(struct session *session)
{
    struct chatlog_conversation_query query = {
        .page_size = CHATLOG_LIMIT_append_messages,
        .archived = session->options->archived ? CHATLOG_ARCHIVED_INCLUDE : CHATLOG_ARCHIVED_EXCLUDE,
        .show_deleted = session->options->deleted,
    };
    char *token = NULL;
    int code;
    do {
        code = conversations_page(session, &query, &token);
    } while (code == 0 && *token && !ferror(session->out));
    free(token);
    return code;
}

/* Shows the conversation that a change returned, or reports the error. Returns the exit code. */
static int conversation_show(const struct session *session, int code, const char *change,
                             struct chatlog_conversation *conversation, const struct chatlog_error *error)
{
    if (code != 0) {
        return session_fail(session, error);
    }
    session->printer->changed(session->out, change, conversation);
    chatlog_conversation_free(conversation);
    return EXIT_SUCCESS;
}

int command_rename(struct session *session)
{
    struct chatlog_conversation change = {.conversation_id = session_operand(session, 1),
                                          .title = session_operand(session, 2)};
    struct chatlog_conversation conversation;
    struct chatlog_error error;
    int code = chatlog_update_conversation(session->client, session_operand(session, 0), &change, CHATLOG_FIELD_TITLE,
                                           NULL, &session->call, &conversation, &error);
    return conversation_show(session, code, "renamed", &conversation, &error);
}

int command_delete(struct session *session)
{
    struct chatlog_conversation conversation;
    struct chatlog_error error;
    int code = chatlog_delete_conversation(session->client, session_operand(session, 0), session_operand(session, 1),
                                           NULL, &session->call, &conversation, &error);
    return conversation_show(session, code, "deleted", &conversation, &error);
}

int command_undelete(struct session *session)
{
    struct chatlog_conversation conversation;
    struct chatlog_error error;
    int code = chatlog_undelete_conversation(session->client, session_operand(session, 0), session_operand(session, 1),
                                             &session->call, &conversation, &error);
    return conversation_show(session, code, "undeleted", &conversation, &error);
}

int command_purge(struct session *session)
{
    struct chatlog_error error;
    if (chatlog_purge_conversation(session->client, session_operand(session, 0), session_operand(session, 1), NULL,
                                   &session->call, &error) != 0) {
        return session_fail(session, &error);
    }
    session->printer->purged(session->out, session_operand(session, 0), session_operand(session, 1));
    return EXIT_SUCCESS;
}
