/* Opening and closing a client, and calls of any method by its name. Knows no message. */
#include "client.h"

#include "error.h"
#include "memory.h"
#include "unary.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct chatlog *client_new(const char *url)
{
    size_t size = strlen(url) + 1;
    struct chatlog *client = chatlog_memory_get(sizeof *client);
    char *copy = chatlog_memory_get(size);
    if (client == NULL || copy == NULL) {
        chatlog_memory_free(client);
        chatlog_memory_free(copy);
        return NULL;
    }
    client->url = memcpy(copy, url, size);
    client->authorization[0] = '\0';
    pthread_mutex_init(&client->token_lock, NULL);
    return client;
}

static void client_free(struct chatlog *client)
{
    explicit_bzero(client->authorization, sizeof client->authorization);
    pthread_mutex_destroy(&client->token_lock);
    chatlog_memory_free(client->url);
    chatlog_memory_free(client);
}

int chatlog_open(const char *url, struct chatlog **ret_client, struct chatlog_error *error)
{
    struct chatlog_address address;
    int code = CHATLOG_REQUIRE(error, {ret_client, "ret_client"});
    if (url == NULL)
        url = CHATLOG_DEFAULT_URL;
    if (code == 0)
        code = chatlog_address_parse(url, &address, error);
    if (code != 0)
        return code;
    struct chatlog *client = client_new(url);
    if (client == NULL)
        return chatlog_error_memory(error);
    code = chatlog_scheduler_start(&client->scheduler, &address, error);
    if (code != 0) {
        client_free(client);
        return code;
    }
    *ret_client = client;
    return 0;
}

struct chatlog *chatlog_close(struct chatlog *client)
{
    if (client == NULL)
        return NULL;
    assert(!pthread_equal(pthread_self(), client->scheduler.thread)); /* not in a completion */
    chatlog_scheduler_stop(&client->scheduler);
    client_free(client);
    return NULL;
}

/* NULL: nothing but what can stand in a header of HTTP, as any token does. */
static const char *token_fault(const char *token)
{
    size_t length = strnlen(token, CHATLOG_LIMIT_token_bytes + 1);
    if (length > CHATLOG_LIMIT_token_bytes)
        return "the token is too long: at most 4,096 bytes are allowed";
    for (size_t i = 0; i < length; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return "the token has blanks, control or other characters that no token has";
    return NULL;
}

int chatlog_set_token(struct chatlog *client, const char *token, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {client, "client"});
    if (code != 0)
        return code;
    if (token == NULL)
        token = "";
    const char *fault = token_fault(token);
    if (fault != NULL)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_INVALID", "%s", fault);
    pthread_mutex_lock(&client->token_lock);
    explicit_bzero(client->authorization, sizeof client->authorization);
    if (token[0] != '\0')
        snprintf(client->authorization, sizeof client->authorization, CHATLOG_TOKEN_SCHEME "%s", token);
    pthread_mutex_unlock(&client->token_lock);
    return 0;
}

int chatlog_wait_ready(struct chatlog *client, uint32_t timeout_ms, struct chatlog_error *error)
{
    struct chatlog_error why;
    bool serving;
    int code = chatlog_check_health(client, &(struct chatlog_call_options){.timeout_ms = timeout_ms}, &serving, &why);
    if (code == 0)
        return 0;
    if (code == CHATLOG_DEADLINE_EXCEEDED)
        code = chatlog_error_set(&why, CHATLOG_UNAVAILABLE, "SERVER_UNREACHABLE",
                                 "chatlogd at %.300s has not answered a health check in time", client->url);
    if (error != NULL)
        *error = why;
    return code;
}

/* ---- Any method ------------------------------------------------------------------------------------------------ */

static int make_request(struct chatlog *client, const char *method, const void *payload, size_t payload_length,
                        const struct chatlog_call_options *options, struct chatlog_request *ret_request,
                        struct chatlog_error *error)
{
    int code =
        CHATLOG_REQUIRE(error, {client, "client"}, {method, "method"}, {payload_length == 0 ? "" : payload, "payload"});
    if (code == 0)
        *ret_request = (struct chatlog_request){
            .method = method,
            .payload = payload,
            .payload_length = payload_length,
            .request_id = options != NULL ? options->request_id : NULL,
        };
    return code;
}

static struct chatlog_reply reply_of(const struct chatlog_answer *answer)
{
    return (struct chatlog_reply){
        .payload = answer->payload,
        .payload_length = answer->payload_length,
        .replayed = answer->replayed,
        .memory = answer->memory,
    };
}

int chatlog_call(struct chatlog *client, const char *method, const void *payload, size_t payload_length,
                 const struct chatlog_call_options *options, struct chatlog_reply *ret_reply,
                 struct chatlog_error *error)
{
    struct chatlog_request request;
    struct chatlog_answer answer;
    int code = CHATLOG_REQUIRE(error, {ret_reply, "ret_reply"});
    if (code == 0)
        code = make_request(client, method, payload, payload_length, options, &request, error);
    if (code == 0)
        code = chatlog_unary_wait(client, &request, options, &answer, error);
    if (code == 0)
        *ret_reply = reply_of(&answer);
    return code;
}

void chatlog_reply_free(struct chatlog_reply *reply)
{
    if (reply == NULL)
        return;
    chatlog_arena_free(reply->memory);
    *reply = (struct chatlog_reply){0};
}

struct completion {
    chatlog_call_done *done;
    void *arg;
};

static void complete(void *arg, const struct chatlog_answer *answer, const struct chatlog_error *error)
{
    struct completion completion = *(struct completion *)arg;
    chatlog_memory_free(arg);
    if (answer == NULL) {
        completion.done(completion.arg, (int)error->code, NULL, error);
        return;
    }
    struct chatlog_reply reply = reply_of(answer);
    completion.done(completion.arg, CHATLOG_OK, &reply, NULL);
    chatlog_arena_free(answer->memory);
}

int chatlog_call_async(struct chatlog *client, const char *method, const void *payload, size_t payload_length,
                       const struct chatlog_call_options *options, chatlog_call_done *done, void *arg,
                       struct chatlog_error *error)
{
    struct chatlog_request request;
    int code = done != NULL
                   ? 0
                   : chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_REQUIRED", "done must not be NULL");
    if (code == 0)
        code = make_request(client, method, payload, payload_length, options, &request, error);
    if (code != 0)
        return code;
    struct completion *completion = chatlog_memory_get(sizeof *completion);
    if (completion == NULL)
        return chatlog_error_memory(error);
    *completion = (struct completion){done, arg};
    code = chatlog_exchange_start(client, &request, options, complete, completion, error);
    if (code != 0)
        chatlog_memory_free(completion);
    return code;
}
