/* The configuration file: any bytes are either refused with a sentence, or taken; and what was taken, printed as a
 * file, is taken again and prints the same. */
#include "config.h"
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Returns 0 with *ret_config filled, or -1. */
static int load(const void *data, size_t size, struct config *ret_config)
{
    char path[64];
    struct config_error error = {.exit_status = 0};
    enum config_action action;
    int file = memfd_create("config", MFD_CLOEXEC);
    fuzz_require(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    int rc = config_load(3, (const char *const[]){"chatlogd", "--config", path}, ret_config, &action, &error);
    close(file);
    if (rc) {
        fuzz_require(error.exit_status != 0 && error.message[0] && !strchr(error.message, '\n'));
    } else {
        fuzz_require(ret_config->data_dir[0] && ret_config->url_count >= 1 && ret_config->url_count <= CONFIG_URLS_MAX);
        fuzz_require(ret_config->peer_count <= CONFIG_PEERS_MAX);
        fuzz_require(ret_config->token_key_count <= CONFIG_TOKEN_KEYS_MAX && ret_config->audience_count == 1);
    }
    return rc;
}

static char *print(const struct config *config, size_t *ret_size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);
    fuzz_require(out != NULL);
    config_print(config, out);
    fuzz_require(fclose(out) == 0);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct config again;
    if (load(data, size, &config)) {
        return 0;
    }
    size_t first_size;
    size_t second_size;
    char *first = print(&config, &first_size);
    fuzz_require(load(first, first_size, &again) == 0);
    char *second = print(&again, &second_size);
    fuzz_require(first_size == second_size && memcmp(first, second, first_size) == 0);
    free(first);
    free(second);
    return 0;
}
