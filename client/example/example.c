/* Stores a question and its answer in chatlogd, then reads the conversation back. */
#include <chatlog.h>
#include <stdio.h>
#include <string.h>

static int say(struct chatlog *client, const char *role, const char *text, struct chatlog_error *error)
{
    struct chatlog_message message = {.role = role, .content = text, .content_length = strlen(text)};
    struct chatlog_append_options options = {.create_if_missing = true};
    return chatlog_append(client, "alice", "trip", &message, 1, &options, NULL, NULL, error);
}

int main(int argc, char **argv)
{
    struct chatlog_error error;
    struct chatlog *client = NULL;
    struct chatlog_messages page = {0};
    int code = chatlog_open(argc > 1 ? argv[1] : CHATLOG_DEFAULT_URL, &client, &error);
    if (code == 0)
        code = say(client, "user", "When does the ferry leave?", &error);
    if (code == 0)
        code = say(client, "assistant", "At 9:40 from pier 2.", &error);
    if (code == 0)
        code = chatlog_list_messages(client, "alice", "trip", NULL, NULL, &page, &error); /* the newest 50 */
    for (size_t i = 0; i < page.count; i++)
        printf("%s: %s\n", page.items[i].role, (const char *)page.items[i].content);
    if (code != 0)
        fprintf(stderr, "%s: %s\n", chatlog_code_name(code), error.message);
    chatlog_messages_free(&page);
    chatlog_close(client);
    return code == 0 ? 0 : 1;
}
