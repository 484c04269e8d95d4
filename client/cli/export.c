/* The command `export`: every conversation of one user or of all, one line each. Memory holds the ids of one user's
 * conversations and one page of messages. */
#include "chatlog_limits.h"
#include "cli/commands.h"
#include "cli/exchange.h"
#include "cli/json.h"

#include <stdlib.h>
#include <string.h>

static bool export_is_gone(const struct chatlog_error *error)
{
    return strcmp(error->reason, "CONVERSATION_NOT_FOUND") == 0 || strcmp(error->reason, "CONVERSATION_DELETED") == 0;
}

static bool export_cannot_write(const struct session *session)
{
    return ferror(session->out) != 0; /* main says so */
}

static void export_page(FILE *out, const struct chatlog_messages *page, bool first)
{
    for (size_t i = 0; i < page->count; i++) {
        json_t *message = exchange_write_message(&page->items[i]);
        if (!first || i > 0) {
            fputc(',', out);
        }
        json_write(out, message);
        json_decref(message);
    }
}

/* Writes a conversation, page by page. One that went away before its first page is left out; later, its line cannot be
 * taken back, and stays incomplete so that no import takes it for the whole. */
static int export_conversation(const struct session *session, const char *user_id, const char *conversation_id)
{
    struct chatlog_message_query query = {.anchor = CHATLOG_AFTER, .limit = CHATLOG_LIMIT_append_messages};
    struct chatlog_conversation conversation;
    struct chatlog_error error;
    if (chatlog_get_conversation(session->client, user_id, conversation_id, &session->call, &conversation, &error) !=
        0) {
        return export_is_gone(&error) ? 0 : session_fail(session, &error);
    }
    json_t *line = exchange_write(user_id, &conversation);
    bool deleted = conversation.delete_time_us != 0;
    bool more = !deleted;
    int code = 0;
    chatlog_conversation_free(&conversation);
    while (more && code == 0 && !export_cannot_write(session)) {
        struct chatlog_messages page;
        bool first = query.seq == 0;
        if (chatlog_list_messages(session->client, user_id, conversation_id, &query, &session->call, &page, &error) !=
            0) {
            code = first && export_is_gone(&error) ? 0 : session_fail(session, &error);
            fputs(first ? "" : "\n", session->out);
            break;
        }
        if (first) {
            json_write_open(session->out, line);
            fputs(",\"messages\":[", session->out);
        }
        export_page(session->out, &page, first);
        more = page.has_more_after && page.count > 0;
        fputs(more ? "" : "]}\n", session->out);
        query.seq = page.count > 0 ? page.items[page.count - 1].seq : query.seq;
        chatlog_messages_free(&page);
    }
    json_decref(line);
    return code;
}

/* Adds the ids of one page to the set. False when the page reaches back to what an earlier round has seen. */
static bool ids_add(json_t *ids, const struct chatlog_conversations *page, int64_t seen_us)
{
    bool further = true;
    for (size_t i = 0; i < page->count && further; i++) {
        further = page->items[i].activity_time_us >= seen_us;
        json_put(ids, page->items[i].conversation_id, json_true());
    }
    return further;
}

/* One round through the list, from the latest activity to seen_us. *ret_pages is how many pages it took, *ret_newest_us
 * the latest activity. Returns 0 or the exit code. */
static int ids_round(const struct session *session, const char *user_id, int64_t seen_us, json_t *ids,
                     size_t *ret_pages, int64_t *ret_newest_us)
{
    struct chatlog_conversation_query query = {.page_size = CHATLOG_LIMIT_append_messages,
                                               .archived = CHATLOG_ARCHIVED_INCLUDE};
    struct chatlog_conversations page = {.items = NULL};
    int64_t newest_us = seen_us;
    size_t pages = 0;
    bool further = true;
    while (further) {
        struct chatlog_conversations next;
        struct chatlog_error error;
        int code = chatlog_list_conversations(session->client, user_id, &query, &session->call, &next, &error);
        if (pages > 0) {
            chatlog_conversations_free(&page);
        }
        if (code != 0) {
            return session_fail(session, &error);
        }
        page = next;
        if (page.count > 0 && page.items[0].activity_time_us > newest_us) {
            newest_us = page.items[0].activity_time_us;
        }
        pages++;
        further = ids_add(ids, &page, seen_us) && *page.next_page_token;
        query.page_token = page.next_page_token;
    }
    chatlog_conversations_free(&page);
    *ret_pages = pages;
    *ret_newest_us = newest_us;
    return 0;
}

/* Collects the ids of a user's conversations. One that gets a message while the list is paged moves to its head and
 * could be missed; so the head is read again, down to where the round before began, until it fits on one page, which
 * is a snapshot. */
static int ids_collect(const struct session *session, const char *user_id, json_t *ids)
{
    int64_t seen_us = INT64_MIN;
    size_t pages = 0;
    do {
        int code = ids_round(session, user_id, seen_us, ids, &pages, &seen_us);
        if (code != 0) {
            return code;
        }
    } while (pages > 1);
    return 0;
}

static int export_user(const struct session *session, const char *user_id)
{
    json_t *ids = memory_need(json_object());
    int code = ids_collect(session, user_id, ids);
    for (void *at = json_object_iter(ids); at && code == 0 && !export_cannot_write(session);
         at = json_object_iter_next(ids, at)) {
        code = export_conversation(session, user_id, json_object_iter_key(at));
    }
    json_decref(ids);
    return code;
}

static int export_users(const struct session *session)
{
    char *token = NULL;
    int code = 0;
    bool more = true;
    while (more && code == 0) {
        struct chatlog_users page;
        struct chatlog_error error;
        if (chatlog_list_users(session->client, CHATLOG_LIMIT_append_messages, token, &session->call, &page, &error) !=
            0) {
            code = session_fail(session, &error);
            break;
        }
        for (size_t i = 0; i < page.count && code == 0 && !export_cannot_write(session); i++) {
            code = export_user(session, page.user_ids[i]);
        }
        free(token);
        token = memory_need(strdup(page.next_page_token));
        more = *token && !export_cannot_write(session);
        chatlog_users_free(&page);
    }
    free(token);
    return code;
}

int command_export(struct session *session)
{
    const char *user_id = session->options->user;
    return user_id ? export_user(session, user_id) : export_users(session);
}
