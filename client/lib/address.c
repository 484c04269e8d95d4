/* Taking a URL apart. Knows no connection. */
#include "address.h"

#include "error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int parse_ipc(const char *path, struct chatlog_address *address, struct chatlog_error *error)
{
    size_t size = sizeof address->path.sun_path;
    if (path[0] == '\0' || strlen(path) >= size)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "URL_INVALID",
                                 "the path of an ipc:// URL must have 1 to %zu bytes", size - 1);
    address->ipc = true;
    address->path.sun_family = AF_UNIX;
    strcpy(address->path.sun_path, path);
    return 0;
}

static bool valid_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits >= 1 && digits <= 5 && text[digits] == '\0' && atoi(text) >= 1 && atoi(text) <= 65535;
}

static bool valid_host(const char *host, size_t length, bool brackets)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t allowed = strspn(host, letters);
    if (brackets) /* an IPv6 address, perhaps with a zone */
        allowed = strcspn(host, "]/ ");
    return length >= 1 && length < sizeof((struct chatlog_address *)NULL)->host && allowed >= length;
}

static int parse_tcp(const char *text, struct chatlog_address *address, struct chatlog_error *error)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    bool brackets = length >= 2 && host[0] == '[' && host[length - 1] == ']';
    if (brackets) {
        host++;
        length -= 2;
    }
    if (colon == NULL || !valid_port(colon + 1) || !valid_host(host, length, brackets))
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "URL_INVALID",
                                 "\"tcp://%.200s\" is not of the form tcp://host:port, with a port from 1 to 65535",
                                 text);
    memcpy(address->host, host, length);
    strcpy(address->port, colon + 1);
    return 0;
}

int chatlog_address_parse(const char *url, struct chatlog_address *ret_address, struct chatlog_error *error)
{
    assert(url != NULL);
    struct chatlog_address address = {0};
    int code;
    if (strncmp(url, "ipc://", 6) == 0)
        code = parse_ipc(url + 6, &address, error);
    else if (strncmp(url, "tcp://", 6) == 0)
        code = parse_tcp(url + 6, &address, error);
    else
        code = chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "URL_INVALID",
                                 "\"%.200s\" is not a URL of the form ipc:///path or tcp://host:port", url);
    if (code == 0)
        *ret_address = address;
    return code;
}
