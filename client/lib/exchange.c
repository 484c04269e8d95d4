/* One call's way: what an attempt's end means, whether there is a next attempt, and how the call ends. Knows neither
 * slots nor sockets. */
#include "exchange.h"

#include "chatlog_limits.h"
#include "client.h"
#include "clock.h"
#include "error.h"
#include "memory.h"
#include "methods.h"

#include <assert.h>
#include <string.h>

enum {
    TIMEOUT_DEFAULT_MS = 30000,
    BACKOFF_MIN_MS = 20,
    BACKOFF_DOUBLINGS = 6, /* up to 1,280 ms */
    /* A request above the server's limit is answered by a closed connection, which other calls share: one above the
     * default limit is not tried more often than this. */
    LARGE_REQUEST_LOSSES = 3,
};

_Static_assert(sizeof((struct chatlog_exchange *)NULL)->request_id == CHATLOG_LIMIT_id_bytes + 1, "an ID and its NUL");

static const char *url_of(const struct chatlog_exchange *exchange)
{
    return exchange->client->url;
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

static void exchange_free(struct chatlog_exchange *exchange)
{
    chatlog_memory_free(exchange->envelope);
    chatlog_memory_free(exchange);
}

static void succeed(struct chatlog_exchange *exchange, const struct chatlog_answer *answer)
{
    chatlog_scheduler_release(&exchange->client->scheduler, exchange->envelope_length);
    exchange->done(exchange->arg, answer, NULL);
    exchange_free(exchange);
}

static void fail(struct chatlog_exchange *exchange, const struct chatlog_error *error)
{
    chatlog_scheduler_release(&exchange->client->scheduler, exchange->envelope_length);
    exchange->done(exchange->arg, NULL, error);
    exchange_free(exchange);
}

static void set_no_answer(const struct chatlog_exchange *exchange, struct chatlog_error *error)
{
    if (!exchange->change)
        chatlog_error_set(error, CHATLOG_DEADLINE_EXCEEDED, "NO_ANSWER",
                          "no answer from chatlogd at %.200s in time (%u ms)", url_of(exchange), exchange->timeout_ms);
    else if (exchange->request_id[0] == '\0')
        chatlog_error_set(error, CHATLOG_DEADLINE_EXCEEDED, "NO_ANSWER",
                          "no answer from chatlogd at %.200s in time (%u ms); the change may have been made",
                          url_of(exchange), exchange->timeout_ms);
    else
        chatlog_error_set(error, CHATLOG_DEADLINE_EXCEEDED, "NO_ANSWER",
                          "no answer from chatlogd at %.200s in time (%u ms); the change may have been made: a retry "
                          "with the same request_id tells (%s)",
                          url_of(exchange), exchange->timeout_ms, exchange->request_id);
}

static void set_unreachable(const struct chatlog_exchange *exchange, int why, struct chatlog_error *error)
{
    char text[64];
    if (why == 0)
        chatlog_error_set(error, CHATLOG_UNAVAILABLE, "SERVER_UNREACHABLE",
                          "no chatlogd answers at %.300s; is it running?", url_of(exchange));
    else
        chatlog_error_set(error, CHATLOG_UNAVAILABLE, "SERVER_UNREACHABLE",
                          "no chatlogd answers at %.300s (%s); is it running?", url_of(exchange),
                          strerror_r(why, text, sizeof text));
}

void chatlog_exchange_expire(struct chatlog_exchange *exchange)
{
    struct chatlog_error error;
    int why;
    if (exchange->unanswered)
        set_no_answer(exchange, &error);
    else if (exchange->last.code != CHATLOG_OK)
        error = exchange->last;
    else if (!chatlog_scheduler_connected(&exchange->client->scheduler, &why))
        set_unreachable(exchange, why, &error);
    else
        chatlog_error_set(&error, CHATLOG_DEADLINE_EXCEEDED, "NOT_SENT",
                          "the request could not be sent in time (%u ms); nothing was done", exchange->timeout_ms);
    fail(exchange, &error);
}

void chatlog_exchange_cancel(struct chatlog_exchange *exchange)
{
    struct chatlog_error error;
    chatlog_error_set(&error, CHATLOG_CANCELLED, "CLIENT_CLOSED", "the client was closed before the answer came%s",
                      exchange->change && exchange->unanswered ? "; the change may have been made" : "");
    fail(exchange, &error);
}

/* ---- The next attempt ------------------------------------------------------------------------------------------- */

static uint32_t backoff_ms(const struct chatlog_exchange *exchange)
{
    unsigned doublings = exchange->attempts < BACKOFF_DOUBLINGS ? exchange->attempts : BACKOFF_DOUBLINGS;
    uint32_t half = (uint32_t)BACKOFF_MIN_MS << doublings >> 1;
    return half / 2 + chatlog_random_below(half);
}

/* Ends the call instead when a retry would come too late. */
static void retry(struct chatlog_exchange *exchange, uint32_t server_delay_ms)
{
    int64_t delay_ms = backoff_ms(exchange);
    if (delay_ms < server_delay_ms)
        delay_ms = (int64_t)server_delay_ms + chatlog_random_below(server_delay_ms / 4 + 1);
    exchange->retry_us = chatlog_clock_us() + delay_ms * 1000;
    if (exchange->retry_us >= exchange->deadline_us) {
        chatlog_exchange_expire(exchange);
        return;
    }
    chatlog_scheduler_delay(&exchange->client->scheduler, exchange);
}

/* ---- What an attempt's end means -------------------------------------------------------------------------------- */

void chatlog_exchange_lost(struct chatlog_exchange *exchange, bool sent)
{
    if (sent) {
        exchange->unanswered = true;
        exchange->losses++;
    }
    struct chatlog_error error;
    if (sent && !exchange->repeatable) {
        chatlog_error_set(&error, CHATLOG_UNAVAILABLE, "CONNECTION_LOST",
                          "the connection to chatlogd at %.200s broke before the answer; the change may have been made",
                          url_of(exchange));
        fail(exchange, &error);
        return;
    }
    if (exchange->losses >= LARGE_REQUEST_LOSSES && exchange->envelope_length > CHATLOG_LIMIT_request_bytes) {
        chatlog_error_set(&error, CHATLOG_UNAVAILABLE, "CONNECTION_LOST",
                          "chatlogd at %.200s closes the connection when it gets this request of %zu bytes; its limit "
                          "request_bytes may be lower",
                          url_of(exchange), exchange->envelope_length);
        fail(exchange, &error);
        return;
    }
    retry(exchange, 0);
}

/* True when the answer says nothing about an earlier attempt that may have made the change. */
static bool undecided(const struct chatlog_exchange *exchange, enum chatlog_code code)
{
    return exchange->change && exchange->unanswered &&
           (code == CHATLOG_UNAVAILABLE || code == CHATLOG_RESOURCE_EXHAUSTED || code == CHATLOG_DEADLINE_EXCEEDED);
}

static void refused(struct chatlog_exchange *exchange, const struct chatlog_error *error)
{
    if (exchange->repeatable && (error->code == CHATLOG_UNAVAILABLE || error->retry_delay_ms > 0)) {
        exchange->last = *error;
        retry(exchange, error->retry_delay_ms);
        return;
    }
    struct chatlog_error no_answer;
    if (undecided(exchange, error->code)) {
        set_no_answer(exchange, &no_answer);
        error = &no_answer;
    }
    fail(exchange, error);
}

void chatlog_exchange_answer(struct chatlog_exchange *exchange, const uint8_t *body, size_t length)
{
    struct chatlog_answer answer;
    struct chatlog_error error;
    int code = body != NULL ? chatlog_envelope_decode(body, length, &answer, &error) : chatlog_error_memory(&error);
    if (code == 0)
        succeed(exchange, &answer);
    else
        refused(exchange, &error);
}

/* ---- The beginning ---------------------------------------------------------------------------------------------- */

static int check_options(const struct chatlog_call_options *options, struct chatlog_error *error)
{
    if (options == NULL)
        return 0;
    if (options->timeout_ms > CHATLOG_LIMIT_timeout_ms)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_INVALID",
                                 "timeout_ms is %u; it must be at most %u", options->timeout_ms,
                                 (unsigned)CHATLOG_LIMIT_timeout_ms);
    if (options->request_id == NULL)
        return 0;
    size_t length = strnlen(options->request_id, CHATLOG_LIMIT_id_bytes + 1);
    if (length == 0 || length > CHATLOG_LIMIT_id_bytes)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_INVALID", "request_id must have 1 to %u bytes",
                                 (unsigned)CHATLOG_LIMIT_id_bytes);
    return 0;
}

/* An exchange that owns the envelope. */
static struct chatlog_exchange *exchange_new(struct chatlog *client, const struct chatlog_request *request,
                                             const struct chatlog_call_options *options, uint8_t *envelope,
                                             size_t envelope_length)
{
    struct chatlog_exchange *exchange = chatlog_memory_get(sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    const struct chatlog_method *method = chatlog_method_find(request->method);
    bool change = method == NULL || method->kind != METHOD_READ;
    uint32_t timeout_ms = options != NULL && options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    *exchange = (struct chatlog_exchange){
        .client = client,
        .envelope = envelope,
        .envelope_length = envelope_length,
        .timeout_ms = timeout_ms,
        .deadline_us = chatlog_clock_us() + (int64_t)timeout_ms * 1000,
        .change = change,
        .repeatable = !change || request->request_id != NULL || (method != NULL && method->kind == METHOD_REPEATABLE),
    };
    if (request->request_id != NULL)
        chatlog_error_copy(exchange->request_id, sizeof exchange->request_id, request->request_id);
    return exchange;
}

/* Owns the envelope; what it has reserved stays reserved when it succeeds. */
static int submit(struct chatlog *client, struct chatlog_exchange *exchange, struct chatlog_error *error)
{
    if (chatlog_scheduler_submit(&client->scheduler, exchange))
        return 0;
    exchange_free(exchange);
    return chatlog_error_set(error, CHATLOG_CANCELLED, "CLIENT_CLOSED", "the client is being closed");
}

/* With the token that the client has now. */
static int encode(struct chatlog *client, const struct chatlog_request *request, uint8_t **ret_envelope,
                  size_t *ret_length, struct chatlog_error *error)
{
    char authorization[CHATLOG_AUTHORIZATION_SIZE];
    struct chatlog_request authorized = *request;
    authorized.authorization = authorization;
    pthread_mutex_lock(&client->token_lock);
    strcpy(authorization, client->authorization); /* of the same size */
    pthread_mutex_unlock(&client->token_lock);
    return chatlog_envelope_encode(&authorized, ret_envelope, ret_length, error);
}

int chatlog_exchange_start(struct chatlog *client, const struct chatlog_request *request,
                           const struct chatlog_call_options *options, chatlog_exchange_done *done, void *arg,
                           struct chatlog_error *error)
{
    uint8_t *envelope;
    size_t length;
    int code = check_options(options, error);
    if (code == 0)
        code = encode(client, request, &envelope, &length, error);
    if (code != 0)
        return code;
    if (!chatlog_scheduler_reserve(&client->scheduler, length)) {
        chatlog_memory_free(envelope);
        return chatlog_error_set(error, CHATLOG_RESOURCE_EXHAUSTED, "TOO_MANY_CALLS",
                                 "%d calls or %zu bytes of requests are under way already on this client",
                                 CHATLOG_CALLS_MAX, CHATLOG_CALL_BYTES_MAX);
    }
    struct chatlog_exchange *exchange = exchange_new(client, request, options, envelope, length);
    if (exchange == NULL) {
        chatlog_memory_free(envelope);
        code = chatlog_error_memory(error);
    } else {
        exchange->done = done;
        exchange->arg = arg;
        code = submit(client, exchange, error);
    }
    if (code != 0)
        chatlog_scheduler_release(&client->scheduler, length);
    return code;
}
