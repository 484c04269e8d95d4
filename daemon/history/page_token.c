#include "history/page_token.h"

#include "base/wire.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

enum { CODE_BYTES = 16 }; /* of HMAC-SHA-256, cut */

/* What the code is over, each part with its length or of a fixed size, so that no two lists give the same bytes. */
static bool code_make(const struct call *call, unsigned filters, struct span position, uint8_t ret_code[CODE_BYTES])
{
    struct buffer input = {0};
    uint8_t code[EVP_MAX_MD_SIZE];
    const char *list = call->request->descriptor->name;
    buffer_append(&input, &filters, sizeof(filters));
    buffer_append(&input, list, strlen(list) + 1);
    buffer_append(&input, &call->op.user.size, sizeof(call->op.user.size));
    buffer_append(&input, call->op.user.data, call->op.user.size);
    buffer_append(&input, position.data, position.size);
    bool made = !input.failed &&
                HMAC(EVP_sha256(), call->service->page_key, PAGE_KEY_BYTES, input.data, input.size, code, NULL) != NULL;
    if (made) {
        memcpy(ret_code, code, CODE_BYTES);
    }
    buffer_free(&input);
    return made;
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

void page_token_put(struct call *call, uint32_t field, unsigned filters, struct span position)
{
    struct buffer *out = &call->payload;
    uint8_t code[CODE_BYTES];
    if (position.size == 0) {
        return;
    }
    if (!code_make(call, filters, position, code)) {
        out->failed = true;
        return;
    }
    wire_put_header(out, field, 2 * (sizeof(code) + position.size));
    hex_put(out, code, sizeof(code));
    hex_put(out, position.data, position.size);
}

int page_token_open(struct call *call, const char *token, unsigned filters, struct span *ret_position)
{
    size_t size = strlen(token);
    if (size == 0) {
        *ret_position = span_of(NULL, 0);
        return 0;
    }
    if (size % 2 == 0 && size / 2 > CODE_BYTES) {
        uint8_t code[CODE_BYTES];
        uint8_t *bytes = arena_alloc(&call->arena, size / 2);
        struct span position = span_of(bytes + CODE_BYTES, size / 2 - CODE_BYTES);
        bool taken = bytes && hex_take(token, size / 2, bytes);
        if (!bytes || (taken && !code_make(call, filters, position, code))) {
            return error_set(&call->error, ERROR_MEMORY_SHORT, "no memory to read the page token");
        }
        if (taken && CRYPTO_memcmp(code, bytes, CODE_BYTES) == 0) {
            *ret_position = position;
            return 0;
        }
    }
    return error_set(&call->error, ERROR_PAGE_TOKEN_INVALID,
                     "page_token is not one that this list gave out; begin again without one");
}
