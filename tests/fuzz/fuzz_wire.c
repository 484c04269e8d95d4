/* base/wire: no bytes lead it out of its input, and what it reads it can write. */
#include "base/wire.h"
#include "fuzz/fuzz.h"

static void put(struct buffer *out, const struct wire_field *field)
{
    if (field->type == WIRE_BYTES) {
        wire_put_element(out, field->number, field->bytes);
        fuzz_require(out->size == wire_element_size(field->number, field->bytes.size));
    } else if (field->type == WIRE_VARINT) {
        wire_put_uint(out, field->number, field->value);
    }
}

/* A field written and read again is the same field. */
static void check_round_trip(const struct wire_field *field)
{
    struct buffer out = {0};
    put(&out, field);
    fuzz_require(!out.failed);
    if (out.size > 0) {
        struct span input = buffer_span(&out);
        struct wire_field again;
        fuzz_require(wire_next(&input, &again) == 1 && input.size == 0);
        fuzz_require(again.number == field->number && again.type == field->type && again.value == field->value);
        fuzz_require(span_equal(again.bytes, field->bytes));
    }
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_of(data, size);
    for (;;) {
        struct span before = input;
        struct wire_field field;
        int found = wire_next(&input, &field);
        if (found <= 0) {
            fuzz_require(found == 0 ? before.size == 0 : span_equal(before, input));
            return 0;
        }
        fuzz_require(field.number > 0 && field.whole.data == before.data);
        fuzz_require(field.whole.size + input.size == before.size && input.size < before.size);
        fuzz_require(field.type != WIRE_BYTES || fuzz_lies_in(field.bytes, field.whole));
        check_round_trip(&field);
    }
}
