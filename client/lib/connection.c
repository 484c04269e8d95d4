/* The connection to the daemon: the REQ socket, its options and its dialer. Knows nothing of calls. */
#include "connection.h"

#include "chatlog_limits.h"
#include "clock.h"
#include "error.h"
#include "memory.h"

#include <assert.h>
#include <nng/protocol/reqrep0/req.h>
#include <string.h>
#include <sys/un.h>

enum {
    RECONNECT_MIN_MS = 20,
    RECONNECT_MAX_MS = 1000,

    /* nng 1.5.2 gives up dialling for ever when a peer closes the connection during the handshake (EPIPE becomes
     * NNG_ECLOSED, nng issue 1518), and its reconnect timer stands still when the wall clock is set back. So a dialer
     * that has brought nothing for this long is replaced. */
    REDIAL_AFTER_US = 3 * 1000000,
};

/* The largest reply: the messages of one, and what is around them. nng would take any length a peer announces. */
#define REPLY_BYTES_MAX ((size_t)CHATLOG_CAP_request_bytes + CHATLOG_MIB)

static void pipe_changed(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)pipe;
    struct chatlog_connection *connection = arg;
    if (event == NNG_PIPE_EV_ADD_PRE) {
        atomic_fetch_add(&connection->pipes, 1);
        return;
    }
    atomic_store(&connection->down_since_us, chatlog_clock_us());
    atomic_fetch_sub(&connection->pipes, 1);
}

static int check_url(const char *url, struct chatlog_error *error)
{
    size_t path_max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    bool ipc = strncmp(url, "ipc://", 6) == 0;
    if (!ipc && strncmp(url, "tcp://", 6) != 0)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "URL_INVALID",
                                 "\"%.200s\" is not a URL of the form ipc:///path or tcp://host:port", url);
    if (ipc && (url[6] == '\0' || strlen(url + 6) > path_max))
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "URL_INVALID",
                                 "the path of an ipc:// URL must have 1 to %zu bytes", path_max);
    return 0;
}

static int nng_failed(struct chatlog_error *error, const char *url, int result)
{
    switch (result) {
    case NNG_ENOMEM:
        return chatlog_error_memory(error);
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
    case NNG_ENOTSUP:
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "URL_INVALID", "\"%.200s\" cannot be used: %s", url,
                                 nng_strerror(result));
    default:
        return chatlog_error_set(error, CHATLOG_INTERNAL, "CLIENT_DEFECT", "nng: %s", nng_strerror(result));
    }
}

/* On failure no dialer is left. */
static int dial(struct chatlog_connection *connection)
{
    nng_dialer dialer;
    int result = nng_dialer_create(&dialer, connection->socket, connection->url);
    if (result != 0)
        return result;
    if ((result = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS)) != 0 ||
        (result = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS)) != 0 ||
        (result = nng_dialer_set_size(dialer, NNG_OPT_RECVMAXSZ, REPLY_BYTES_MAX)) != 0 ||
        (result = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK)) != 0) {
        nng_dialer_close(dialer);
        return result;
    }
    connection->dialer = dialer;
    return 0;
}

static int configure(struct chatlog_connection *connection)
{
    nng_socket socket = connection->socket;
    int result;
    /* Resending is ours: nng's own would send a change again that carries no request_id. */
    if ((result = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) != 0 ||
        (result = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, pipe_changed, connection)) != 0 ||
        (result = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, pipe_changed, connection)) != 0)
        return result;
    return dial(connection);
}

int chatlog_connection_open(struct chatlog_connection *connection, const char *url, struct chatlog_error *error)
{
    int code = check_url(url, error);
    if (code != 0)
        return code;
    size_t size = strlen(url) + 1;
    char *copy = chatlog_memory_get(size);
    if (copy == NULL)
        return chatlog_error_memory(error);
    memcpy(copy, url, size);

    connection->url = copy;
    atomic_init(&connection->pipes, 0);
    atomic_init(&connection->down_since_us, chatlog_clock_us());
    int result = nng_req0_open(&connection->socket);
    if (result == 0) {
        result = configure(connection);
        if (result == 0)
            return 0;
        nng_close(connection->socket);
    }
    code = nng_failed(error, url, result);
    chatlog_memory_free(copy);
    return code;
}

bool chatlog_connection_up(struct chatlog_connection *connection)
{
    return atomic_load(&connection->pipes) > 0;
}

int64_t chatlog_connection_redial_time(struct chatlog_connection *connection)
{
    if (chatlog_connection_up(connection))
        return INT64_MAX;
    return atomic_load(&connection->down_since_us) + REDIAL_AFTER_US;
}

void chatlog_connection_redial(struct chatlog_connection *connection)
{
    nng_dialer_close(connection->dialer); /* one that is gone already does no harm: ids are not used again soon */
    atomic_store(&connection->down_since_us, chatlog_clock_us());
    dial(connection); /* without memory for it, the next redial tries again */
}

void chatlog_connection_close(struct chatlog_connection *connection)
{
    nng_close(connection->socket);
    chatlog_memory_free(connection->url);
}
