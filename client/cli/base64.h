/* Base64 of RFC 4648, section 4, with padding. */
#ifndef CLI_BASE64_H
#define CLI_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Without the NUL that base64_encode puts at the end. */
size_t base64_encoded_length(size_t length);

/* Fills text, which has base64_encoded_length(length) + 1 bytes. */
void base64_encode(const void *data, size_t length, char *text);

/* Fills data, which has length / 4 * 3 bytes. False unless text is exactly what base64_encode makes of some data. */
bool base64_decode(const char *text, size_t length, void *data, size_t *ret_length);

#endif
