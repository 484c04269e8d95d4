/* Calls with typed messages: request_id, waiting, unpacking. Knows no message in particular. */
#include "unary.h"

#include "client.h"
#include "clock.h"
#include "error.h"
#include "exchange.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

/* A thread that waits. The scheduler's timer keeps the deadline, so the wait itself has none. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    struct chatlog_answer answer;
    struct chatlog_error error; /* code OK: the answer is there */
};

/* The answer with a payload in memory of its own. */
static int keep_answer(const struct chatlog_answer *answer, struct chatlog_answer *ret_answer)
{
    struct chatlog_arena *memory = chatlog_arena_new(SIZE_MAX);
    ProtobufCAllocator *allocator = memory != NULL ? chatlog_arena_allocator(memory) : NULL;
    uint8_t *payload = allocator != NULL ? allocator->alloc(allocator->allocator_data, answer->payload_length) : NULL;
    if (payload == NULL) {
        chatlog_arena_free(memory);
        return -1;
    }
    memcpy(payload, answer->payload, answer->payload_length);
    *ret_answer = *answer;
    ret_answer->memory = memory;
    ret_answer->payload = payload;
    return 0;
}

static void wake(void *arg, const struct chatlog_answer *answer, const struct chatlog_error *error)
{
    struct waiter *waiter = arg;
    pthread_mutex_lock(&waiter->lock);
    if (answer == NULL)
        waiter->error = *error;
    else if (keep_answer(answer, &waiter->answer) != 0)
        chatlog_error_memory(&waiter->error);
    waiter->done = true;
    pthread_cond_signal(&waiter->ended);
    pthread_mutex_unlock(&waiter->lock);
}

int chatlog_unary_wait(struct chatlog *client, const struct chatlog_request *request,
                       const struct chatlog_call_options *options, struct chatlog_answer *ret_answer,
                       struct chatlog_error *error)
{
    if (pthread_equal(pthread_self(), client->scheduler.thread)) /* it would wait for itself */
        return chatlog_error_set(error, CHATLOG_FAILED_PRECONDITION, "BLOCKING_IN_COMPLETION",
                                 "a completion must not make a call that blocks; use one that ends in _async");
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    int code = chatlog_exchange_start(client, request, options, wake, &waiter, error);
    if (code != 0)
        return code;
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        pthread_cond_wait(&waiter.ended, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    pthread_cond_destroy(&waiter.ended);
    pthread_mutex_destroy(&waiter.lock);

    if (waiter.error.code != CHATLOG_OK) {
        if (error != NULL)
            *error = waiter.error;
        return (int)waiter.error.code;
    }
    *ret_answer = waiter.answer;
    return 0;
}

/* The request_id a method is called with: the caller's or a random one for a change, none for others. */
static int choose_request_id(const struct chatlog_method *method, const struct chatlog_call_options *options,
                             char random_id[static CHATLOG_RANDOM_ID_SIZE], const char **ret_id,
                             struct chatlog_error *error)
{
    *ret_id = NULL;
    if (method->kind != METHOD_CHANGE)
        return 0;
    if (options != NULL && options->request_id != NULL) {
        *ret_id = options->request_id;
        return 0;
    }
    if (chatlog_random_id(random_id) != 0)
        return chatlog_error_set(error, CHATLOG_INTERNAL, "CLIENT_RANDOM",
                                 "the system gives no random bytes for a request_id; name one in the options");
    *ret_id = random_id;
    return 0;
}

int chatlog_unary_start(struct chatlog *client, enum chatlog_method_id method, const ProtobufCMessage *request,
                        const struct chatlog_call_options *options, chatlog_exchange_done *done, void *arg,
                        struct chatlog_error *error)
{
    const struct chatlog_method *row = chatlog_method_get(method);
    struct chatlog_request call = {.method = row->name, .message = request};
    char random_id[CHATLOG_RANDOM_ID_SIZE];
    int code = choose_request_id(row, options, random_id, &call.request_id, error);
    return code != 0 ? code : chatlog_exchange_start(client, &call, options, done, arg, error);
}

int chatlog_unary_unpack(enum chatlog_method_id method, const struct chatlog_answer *answer,
                         struct chatlog_result *ret_result, struct chatlog_error *error)
{
    struct chatlog_arena *memory;
    ProtobufCMessage *message;
    int code = chatlog_envelope_unpack(chatlog_method_get(method)->reply, answer->payload, answer->payload_length,
                                       &memory, &message, error);
    if (code == 0)
        *ret_result = (struct chatlog_result){memory, message, answer->replayed};
    return code;
}

int chatlog_unary_call(struct chatlog *client, enum chatlog_method_id method, const ProtobufCMessage *request,
                       const struct chatlog_call_options *options, struct chatlog_result *ret_result,
                       struct chatlog_error *error)
{
    const struct chatlog_method *row = chatlog_method_get(method);
    struct chatlog_request call = {.method = row->name, .message = request};
    char random_id[CHATLOG_RANDOM_ID_SIZE];
    int code = choose_request_id(row, options, random_id, &call.request_id, error);
    struct chatlog_answer answer;
    if (code == 0)
        code = chatlog_unary_wait(client, &call, options, &answer, error);
    if (code != 0)
        return code;
    code = chatlog_unary_unpack(method, &answer, ret_result, error);
    chatlog_arena_free(answer.memory);
    return code;
}
