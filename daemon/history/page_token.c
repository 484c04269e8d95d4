#include "history/page_token.h"

#include "base/wire.h"

#include <xxhash.h>

enum { BINDING_BYTES = 8 };

static uint64_t binding_of(const struct page_query *query)
{
    return XXH3_64bits_withSeed(query->user.data, query->user.size, query->filters);
}

static void hex_put(struct buffer *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *text = buffer_extend(out, 2 * size);
    for (size_t i = 0; text && i < size; i++) {
        text[2 * i] = (uint8_t)digits[bytes[i] >> 4];
        text[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_take(const char *text, size_t size, uint8_t *bytes)
{
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void page_token_put(struct buffer *out, uint32_t field, const struct page_query *query, struct span position)
{
    if (position.size == 0) {
        return;
    }
    uint64_t binding = binding_of(query);
    uint8_t bytes[BINDING_BYTES];
    memcpy(bytes, &binding, sizeof(bytes));
    wire_put_header(out, field, 2 * (sizeof(bytes) + position.size));
    hex_put(out, bytes, sizeof(bytes));
    hex_put(out, position.data, position.size);
}

int page_token_open(const struct page_query *query, const char *token, struct arena *arena, struct span *ret_position,
                    struct error *error)
{
    size_t size = strlen(token);
    if (size == 0) {
        *ret_position = span_of(NULL, 0);
        return 0;
    }
    uint64_t binding = binding_of(query);
    if (size % 2 == 0 && size / 2 > BINDING_BYTES) {
        uint8_t *bytes = arena_alloc(arena, size / 2);
        if (!bytes) {
            return error_set(error, ERROR_MEMORY_SHORT, "no memory to read the page token");
        }
        if (hex_take(token, size / 2, bytes) && memcmp(bytes, &binding, BINDING_BYTES) == 0) {
            *ret_position = span_of(bytes + BINDING_BYTES, size / 2 - BINDING_BYTES);
            return 0;
        }
    }
    return error_set(error, ERROR_PAGE_TOKEN_INVALID,
                     "page_token is not one that this list gave out; begin again without one");
}
