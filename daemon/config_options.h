/* The option table, and values as text: parsed, formatted, and what is allowed in words. Private to config*.c. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "config.h"

#include <stdbool.h>
#include <stddef.h>

enum config_kind {
    CONFIG_PATH,
    CONFIG_LIST,
    CONFIG_SIZE,
    CONFIG_DURATION,
    CONFIG_MILLISECONDS,
    CONFIG_NUMBER,
    CONFIG_WORD
};

enum {
    CONFIG_NAME_BYTES = 40,
    CONFIG_MEANING_BYTES = 160,
    CONFIG_TEXT_BYTES = 160, /* of a value or a range as text, paths and lists aside */
};

struct word;
struct list;

struct config_option {
    char name[CONFIG_NAME_BYTES]; /* "data-dir" */
    enum config_kind kind;
    size_t offset;    /* in struct config */
    uint64_t minimum; /* of numbers */
    uint64_t maximum;
    char meaning[CONFIG_MEANING_BYTES];
    const struct word *words; /* of CONFIG_WORD */
    const struct list *list;  /* of CONFIG_LIST */
};

/* The options one after the other; NULL after the last. Fills *ret_option. */
bool config_option_at(size_t index, struct config_option *ret_option);
bool config_option_find(const char *name, struct config_option *ret_option);

struct config config_defaults(void);

/* Sets the option to the value (lists: adds it). False when it is not allowed; then `why` says what is. */
bool config_option_set(const struct config_option *option, const char *value, struct config *config,
                       char why[CONFIG_TEXT_BYTES]);

/* "a size from 1 to 64M; K, M, G and T are powers of 1024" */
void config_option_range(const struct config_option *option, char range[CONFIG_TEXT_BYTES]);

/* "4M", "30d". Not for CONFIG_PATH and CONFIG_LIST. */
void config_option_format(const struct config_option *option, const struct config *config,
                          char text[CONFIG_TEXT_BYTES]);

/* config_lists.c: options that may be given several times. at: entry `index`, NULL behind the last. add: as
 * config_option_set. */
extern const struct list config_urls, config_peers, config_token_keys, config_audience, config_metrics_urls;
const char *config_list_at(const struct list *list, const struct config *config, size_t index);
void config_list_clear(const struct list *list, struct config *config);
bool config_list_add(const struct list *list, const char *text, struct config *config, char why[CONFIG_TEXT_BYTES]);
void config_list_range(const struct list *list, char range[CONFIG_TEXT_BYTES]);

/* Reads a file into *config. Returns 0, or -1 with *error filled (config_file.c). */
int config_file_load(const char *path, struct config *config, struct config_error *error);

#endif
