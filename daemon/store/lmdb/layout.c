#include "store/lmdb/layout.h"

#include "base/crc32c.h"

#include <endian.h>

/* All there are, in order. */
static const struct layout *const layouts[] = {&layout_1, &layout_2, &layout_3};
enum { LAYOUT_COUNT = sizeof(layouts) / sizeof(layouts[0]) };

const struct layout *layout_of(uint32_t number)
{
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        if (layouts[i]->number == number) {
            return layouts[i];
        }
    }
    return NULL;
}

bool layout_shares_tables(const struct layout *layout, const struct layout *other)
{
    return layout->tables[KIND_HEAD] == other->tables[KIND_HEAD];
}

const struct layout *layout_newest(void)
{
    return layouts[LAYOUT_COUNT - 1];
}

void seal_add(struct span key, struct buffer *value)
{
    if (value->failed) {
        return;
    }
    uint32_t sum = crc32c_add(crc32c_add(0, key), buffer_span(value));
    uint8_t bytes[LAYOUT_SEAL_BYTES];
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(sum >> 8 * i);
    }
    buffer_append(value, bytes, sizeof(bytes));
}

int seal_open(struct span key, struct span *value)
{
    if (value->size < LAYOUT_SEAL_BYTES) {
        return -1;
    }
    struct span inner = span_of(value->data, value->size - LAYOUT_SEAL_BYTES);
    uint32_t sum;
    memcpy(&sum, inner.data + inner.size, sizeof(sum));
    if (le32toh(sum) != crc32c_add(crc32c_add(0, key), inner)) {
        return -1;
    }
    *value = inner;
    return 0;
}

void layout_seal(const struct layout *layout, struct span key, struct buffer *value)
{
    if (layout->sealed) {
        seal_add(key, value);
    }
}

int layout_open(const struct layout *layout, struct span key, struct span *value)
{
    return layout->sealed ? seal_open(key, value) : 0;
}
