/* chatlog_golden: fills a daemon with the adversarial golden data, and dumps what a daemon holds.
 *
 *   chatlog_golden fill URL            prints each change that has a request ID, as dump takes them
 *   chatlog_golden dump URL [REQUESTS] prints the dump (support/dump.h) with replays of REQUESTS, a file
 *
 * Speaks the public contract alone, so that it works with every daemon there was and will be. */
#include "golden/fill.h"
#include "support/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_TIMEOUT_MS = 60000 };

static void client_call(void *arg, const char *method, struct span payload, struct span request_id,
                        struct dump_answer *ret)
{
    struct chatlog_reply reply;
    struct chatlog_error error;
    char name[256];
    snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(request_id));
    const struct chatlog_call_options options = {.timeout_ms = CALL_TIMEOUT_MS,
                                                 .request_id = request_id.size > 0 ? name : NULL};
    if (chatlog_call(arg, method, payload.data, payload.size, &options, &reply, &error)) {
        ret->code = error.code;
        snprintf(ret->reason, sizeof(ret->reason), "%s", error.reason);
        return;
    }
    ret->payload = malloc(reply.payload_length + 1);
    if (!ret->payload) {
        abort();
    }
    memcpy(ret->payload, reply.payload, reply.payload_length);
    ret->size = reply.payload_length;
    ret->replayed = reply.replayed;
    chatlog_reply_free(&reply);
}

static char *file_read(const char *path, size_t *ret_size)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    FILE *memory = open_memstream(&text, &size);
    if (!file || !memory) {
        perror(path);
        exit(1);
    }
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file)) {
        fputc(byte, memory);
    }
    fclose(file);
    fclose(memory);
    *ret_size = size;
    return text;
}

int main(int count, char **arguments)
{
    struct chatlog *client;
    struct chatlog_error error;
    if (count < 3 || count > 4 || (strcmp(arguments[1], "fill") != 0 && strcmp(arguments[1], "dump") != 0)) {
        fprintf(stderr, "usage: chatlog_golden fill URL | dump URL [REQUESTS]\n");
        return 64;
    }
    if (chatlog_open(arguments[2], &client, &error) || chatlog_wait_ready(client, CALL_TIMEOUT_MS, &error)) {
        fprintf(stderr, "chatlog_golden: %s\n", error.message);
        return 1;
    }
    if (strcmp(arguments[1], "fill") == 0) {
        fill_adversarial(client, stdout);
    } else {
        size_t size = 0;
        char *requests = count == 4 ? file_read(arguments[3], &size) : NULL;
        dump_write(stdout, span_of(requests, size), client_call, client);
        free(requests);
    }
    chatlog_close(client);
    return fflush(stdout) || ferror(stdout);
}
