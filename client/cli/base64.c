/* Base64, strict: what is decoded encodes to the same text again. */
#include "cli/base64.h"

#include <stdint.h>
#include <string.h>

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_length(size_t length)
{
    return (length + 2) / 3 * 4;
}

void base64_encode(const void *data, size_t length, char *text)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)bytes[i + 2] : 0;
        *text++ = base64_alphabet[bits >> 18 & 63];
        *text++ = base64_alphabet[bits >> 12 & 63];
        *text++ = left > 1 ? base64_alphabet[bits >> 6 & 63] : '=';
        *text++ = left > 2 ? base64_alphabet[bits & 63] : '=';
    }
    *text = '\0';
}

/* The value of a letter, or -1. */
static int base64_value(char letter)
{
    const char *found = letter ? strchr(base64_alphabet, letter) : NULL;
    return found ? (int)(found - base64_alphabet) : -1;
}

/* Decodes one group of four. Returns the bytes it holds, or 0 when it is not well formed. */
static size_t base64_group(const char *text, bool last, uint8_t bytes[3])
{
    size_t letters = 4;
    while (last && letters > 2 && text[letters - 1] == '=') {
        letters--;
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < letters ? base64_value(text[i]) : 0;
        if (value < 0) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)value;
    }
    size_t count = letters - 1;
    if ((bits & ((1u << (8 * (3 - count))) - 1)) != 0) {
        return 0; /* bits that belong to no byte */
    }
    for (size_t i = 0; i < 3; i++) {
        bytes[i] = (uint8_t)(bits >> (16 - 8 * i));
    }
    return count;
}

bool base64_decode(const char *text, size_t length, void *data, size_t *ret_length)
{
    uint8_t *out = data;
    size_t written = 0;
    if (length % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < length; i += 4) {
        uint8_t bytes[3];
        size_t count = base64_group(text + i, i + 4 == length, bytes);
        if (count == 0) {
            return false;
        }
        memcpy(out + written, bytes, count);
        written += count;
    }
    *ret_length = written;
    return true;
}
