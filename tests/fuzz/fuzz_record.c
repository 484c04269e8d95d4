/* store/record: bytes of a damaged data file are refused or read; what is read can be written and read again. The first
 * byte chooses the kind of record. */
#include "fuzz/fuzz.h"
#include "store/record.h"

static void check_message(struct span bytes)
{
    struct message_record record;
    if (record_get_message(bytes, &record)) {
        return;
    }
    fuzz_require(fuzz_lies_in(record.content, bytes) && fuzz_lies_in(record.message_id, bytes));
    fuzz_require(fuzz_lies_in(record.metadata.raw, bytes) && fuzz_lies_in(record_basic_view(bytes), bytes));

    struct buffer first = {0};
    struct buffer second = {0};
    record_put_message(&first, &record);
    fuzz_require(!first.failed && first.size <= record_message_bound(&record));
    struct message_record again;
    fuzz_require(record_get_message(buffer_span(&first), &again) == 0);
    record_put_message(&second, &again);
    fuzz_require(span_equal(buffer_span(&first), buffer_span(&second)));
    fuzz_require(span_equal(record.content, again.content) && record.seq == again.seq);
    buffer_free(&first);
    buffer_free(&second);
}

static void check_conversation(struct span bytes)
{
    struct conversation_record record;
    if (record_get_conversation(bytes, &record)) {
        return;
    }
    fuzz_require(fuzz_lies_in(record.title, bytes) && fuzz_lies_in(record.metadata.raw, bytes));

    struct buffer first = {0};
    struct buffer second = {0};
    record_put_conversation(&first, &record);
    struct conversation_record again;
    fuzz_require(!first.failed && record_get_conversation(buffer_span(&first), &again) == 0);
    record_put_conversation(&second, &again);
    fuzz_require(span_equal(buffer_span(&first), buffer_span(&second)));
    fuzz_require(record_gone_time(&record) == record_gone_time(&again) && record.revision == again.revision);
    buffer_free(&first);
    buffer_free(&second);
}

static void check_event(struct span bytes)
{
    struct event_record record;
    if (record_get_event(bytes, &record)) {
        return;
    }
    fuzz_require(fuzz_lies_in(record.user, bytes) && fuzz_lies_in(record.principal, bytes));

    struct buffer first = {0};
    struct buffer second = {0};
    record_put_event(&first, &record);
    struct event_record again;
    fuzz_require(!first.failed && record_get_event(buffer_span(&first), &again) == 0);
    record_put_event(&second, &again);
    fuzz_require(span_equal(buffer_span(&first), buffer_span(&second)));
    fuzz_require(record.time_us == again.time_us && span_equal(record.digest, again.digest));
    buffer_free(&first);
    buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct span bytes) = {check_message, check_conversation, check_event};
    if (size > 0) {
        checks[data[0] % 3](span_of(data + 1, size - 1));
    }
    return 0;
}
