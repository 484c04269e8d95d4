/* Stored records are the contract's messages: what the store writes, generated code reads, and back. */
#include "store/lmdb/entries.h"
#include "store/record.h"

#include "base/wire.h"
#include "chatlog/v1/audit_event.pb-c.h"
#include "chatlog/v1/conversation.pb-c.h"
#include "chatlog/v1/message.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct store_pair pairs[] = {
    {{(const uint8_t *)"lang", 4}, {(const uint8_t *)"fr", 2}},
    {{(const uint8_t *)"empty", 5}, {NULL, 0}},
};

static struct conversation_record conversation_full(void)
{
    return (struct conversation_record){
        .conversation_id = span_of_string("c1"),
        .title = span_of_string("Réservation"),
        .metadata = {.pairs = pairs, .count = 2},
        .archived = true,
        .expire_time_us = 1800000000000000,
        .revision = 12345678901234567890u,
        .create_time_us = 1,
        .update_time_us = 2,
        .activity_time_us = 3,
        .delete_time_us = 4,
        .purge_time_us = INT64_MAX,
        .message_count = 5,
        .last_seq = 6,
        .content_bytes = UINT64_MAX,
    };
}

static struct message_record message_full(void)
{
    return (struct message_record){
        .seq = 9999999999,
        .create_time_us = 1700000000000000,
        .update_time_us = 1700000000000001,
        .revision = UINT32_MAX,
        .content_size = 5,
        .message_id = span_of_string("m-9"),
        .role = span_of_string("tool"),
        .content_type = span_of_string("application/json"),
        .author = span_of_string("model-7"),
        .token_count = 17,
        .sent_time_us = -1,
        .metadata = {.pairs = pairs, .count = 2},
        .content = span_of("{\0\xff\"}", 5),
    };
}

static struct event_record event_full(void)
{
    return (struct event_record){
        .time_us = 1700000000000000,
        .action = STORE_ACTION_FORGET_USER_END,
        .principal = span_of_string("operator"),
        .user = span_of_string("ann"),
        .conversation = span_of_string("c1"),
        .first_seq = 1,
        .last_seq = UINT64_MAX,
        .request_id = span_of_string("r-1"),
        .commit_id = 2,
        .conversations = 3,
        .messages = 4,
        .content_bytes = 5,
        .digest = span_of_string("00ff"),
        .from_layout = 6,
        .to_layout = UINT32_MAX,
    };
}

static void a_stored_event_is_the_contracts_event(void **state)
{
    (void)state;
    struct event_record record = event_full();
    struct buffer out = {0};
    record_put_event(&out, &record);
    Chatlog__V1__AuditEvent *read = chatlog__v1__audit_event__unpack(NULL, out.size, out.data);
    assert_non_null(read);
    assert_int_equal(read->base.n_unknown_fields, 0);
    assert_true(read->time_us == 1700000000000000);
    assert_int_equal(read->action, CHATLOG__V1__AUDIT_ACTION__AUDIT_ACTION_FORGET_USER_END);
    assert_string_equal(read->principal, "operator");
    assert_string_equal(read->user_id, "ann");
    assert_string_equal(read->conversation_id, "c1");
    assert_true(read->first_seq == 1 && read->last_seq == UINT64_MAX);
    assert_string_equal(read->request_id, "r-1");
    assert_true(read->commit_id == 2 && read->conversations == 3 && read->messages == 4 && read->content_bytes == 5);
    assert_string_equal(read->digest, "00ff");
    assert_true(read->from_layout == 6 && read->to_layout == UINT32_MAX);
    chatlog__v1__audit_event__free_unpacked(read, NULL);
    buffer_free(&out);
}

static void damaged_events_are_refused(void **state)
{
    (void)state;
    struct event_record record = event_full(), read;
    struct buffer out = {0};
    record_put_event(&out, &record);
    assert_int_equal(record_get_event(buffer_span(&out), &read), 0);
    assert_true(span_equal(read.digest, record.digest) && read.to_layout == record.to_layout);
    assert_int_equal(record_get_event(span_of(out.data, out.size - 1), &read), -1);
    assert_int_equal(record_get_event(span_of("", 0), &read), -1);                 /* no action */
    assert_int_equal(record_get_event(span_of("\x08\x01", 2), &read), -1);         /* no action */
    assert_int_equal(record_get_event(span_of("\x10\x02\x10\x02", 4), &read), -1); /* twice */
    assert_int_equal(record_get_event(span_of("\x80\x02\x01", 3), &read), -1);     /* a field there is not */
    char id[CHATLOG_CAP_id_bytes + 1];
    memset(id, 'x', sizeof(id));
    record.user = span_of(id, sizeof(id));
    buffer_clear(&out);
    record_put_event(&out, &record);
    assert_int_equal(record_get_event(buffer_span(&out), &read), -1);
    buffer_free(&out);
}

static void a_stored_conversation_is_the_contracts_conversation(void **state)
{
    (void)state;
    struct conversation_record record = conversation_full();
    struct buffer out = {0};
    record_put_conversation(&out, &record);
    Chatlog__V1__Conversation *read = chatlog__v1__conversation__unpack(NULL, out.size, out.data);
    assert_non_null(read);
    assert_int_equal(read->base.n_unknown_fields, 0);
    assert_string_equal(read->conversation_id, "c1");
    assert_string_equal(read->title, "Réservation");
    assert_int_equal(read->n_metadata, 2);
    assert_string_equal(read->metadata[0]->key, "lang");
    assert_string_equal(read->metadata[0]->value, "fr");
    assert_string_equal(read->metadata[1]->key, "empty");
    assert_string_equal(read->metadata[1]->value, "");
    assert_true(read->archived);
    assert_true(read->expire_time_us == record.expire_time_us);
    assert_string_equal(read->etag, "12345678901234567890");
    assert_true(read->create_time_us == 1 && read->update_time_us == 2 && read->activity_time_us == 3);
    assert_true(read->delete_time_us == 4 && read->purge_time_us == INT64_MAX);
    assert_true(read->message_count == 5 && read->last_seq == 6 && read->content_bytes == UINT64_MAX);
    chatlog__v1__conversation__free_unpacked(read, NULL);
    buffer_free(&out);
}

static void a_stored_message_is_the_contracts_message(void **state)
{
    (void)state;
    struct message_record record = message_full();
    struct buffer out = {0};
    record_put_message(&out, &record);
    Chatlog__V1__Message *read = chatlog__v1__message__unpack(NULL, out.size, out.data);
    assert_non_null(read);
    assert_int_equal(read->base.n_unknown_fields, 0);
    assert_true(read->seq == 9999999999 && read->revision == UINT32_MAX && read->content_size == 5);
    assert_true(read->create_time_us == 1700000000000000 && read->update_time_us == 1700000000000001);
    assert_string_equal(read->message_id, "m-9");
    assert_string_equal(read->role, "tool");
    assert_string_equal(read->content_type, "application/json");
    assert_string_equal(read->author, "model-7");
    assert_int_equal(read->token_count, 17);
    assert_true(read->sent_time_us == -1);
    assert_int_equal(read->n_metadata, 2);
    assert_int_equal(read->content.len, 5);
    assert_memory_equal(read->content.data, record.content.data, 5);
    chatlog__v1__message__free_unpacked(read, NULL);
    buffer_free(&out);
}

/* A record with every field set has every field of the descriptor: none was forgotten when the contract grew. */
static void assert_all_fields(struct span bytes, const ProtobufCMessageDescriptor *descriptor)
{
    struct wire_field field;
    unsigned seen = 0;
    uint32_t last = 0;
    while (wire_next(&bytes, &field) == 1) {
        assert_non_null(protobuf_c_message_descriptor_get_field(descriptor, field.number));
        assert_true(field.number >= last);
        seen += field.number != last;
        last = field.number;
    }
    assert_int_equal(seen, descriptor->n_fields);
}

static void no_field_of_the_contract_is_left_out(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct conversation_record conversation = conversation_full();
    record_put_conversation(&out, &conversation);
    assert_all_fields(buffer_span(&out), &chatlog__v1__conversation__descriptor);
    buffer_clear(&out);
    struct message_record message = message_full();
    record_put_message(&out, &message);
    assert_all_fields(buffer_span(&out), &chatlog__v1__message__descriptor);
    buffer_clear(&out);
    struct event_record event = event_full();
    record_put_event(&out, &event);
    assert_all_fields(buffer_span(&out), &chatlog__v1__audit_event__descriptor);
    buffer_free(&out);
}

static void a_decoded_record_is_written_again_byte_for_byte(void **state)
{
    (void)state;
    struct buffer first = {0}, second = {0};
    struct conversation_record conversation = conversation_full(), conversation_read;
    record_put_conversation(&first, &conversation);
    assert_int_equal(record_get_conversation(buffer_span(&first), &conversation_read), 0);
    record_put_conversation(&second, &conversation_read);
    assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
    buffer_clear(&first);
    buffer_clear(&second);
    struct message_record message = message_full(), message_read;
    record_put_message(&first, &message);
    assert_true(first.size <= record_message_bound(&message));
    assert_int_equal(record_get_message(buffer_span(&first), &message_read), 0);
    assert_true(message_read.sent_time_us == -1 && message_read.content_size == 5);
    record_put_message(&second, &message_read);
    assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
    assert_true(first.size <= record_message_bound(&message_read));
    buffer_free(&first);
    buffer_free(&second);
}

static void the_smallest_records_are_written_and_read(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct message_record message = {.seq = 1, .revision = 1}, read;
    record_put_message(&out, &message);
    assert_int_equal(out.size, 4);
    assert_int_equal(record_get_message(buffer_span(&out), &read), 0);
    assert_true(read.seq == 1 && read.revision == 1 && read.content.size == 0);
    assert_int_equal(record_basic_view(buffer_span(&out)).size, out.size);
    buffer_free(&out);
}

static void the_basic_view_is_the_message_without_content_and_metadata(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct message_record message = message_full();
    record_put_message(&out, &message);
    struct span basic = record_basic_view(buffer_span(&out));
    Chatlog__V1__Message *read = chatlog__v1__message__unpack(NULL, basic.size, basic.data);
    assert_non_null(read);
    assert_int_equal(read->content.len, 0);
    assert_int_equal(read->n_metadata, 0);
    assert_true(read->content_size == 5 && read->sent_time_us == -1);
    assert_string_equal(read->author, "model-7");
    chatlog__v1__message__free_unpacked(read, NULL);
    buffer_free(&out);
}

static void a_message_cut_short_is_refused(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct message_record message = message_full(), read;
    record_put_message(&out, &message);
    struct wire_field field = {0};
    struct span rest = buffer_span(&out);
    while (field.number != 5) { /* content_size: from here on it is known how the message must end */
        assert_int_equal(wire_next(&rest, &field), 1);
    }
    for (size_t size = out.size - rest.size; size < out.size; size++) {
        uint8_t *copy = malloc(size); /* so that reading on past the cut is found */
        assert_non_null(copy);
        memcpy(copy, out.data, size);
        assert_int_equal(record_get_message(span_of(copy, size), &read), -1);
        free(copy);
    }
    buffer_free(&out);
}

struct damage {
    const char *why;
    const char *bytes;
    size_t size;
};

#define DAMAGE(why, literal)                                                                                           \
    {                                                                                                                  \
        why, literal, sizeof(literal) - 1                                                                              \
    }

static void damaged_messages_are_refused(void **state)
{
    (void)state;
    static const struct damage rows[] = {
        DAMAGE("nothing", ""),
        DAMAGE("no seq", "\x20\x01"),
        DAMAGE("no revision", "\x08\x01"),
        DAMAGE("a field that is not there", "\x08\x01\x20\x01\x70\x01"),
        DAMAGE("fields out of order", "\x20\x01\x08\x01"),
        DAMAGE("a field twice", "\x08\x01\x08\x01\x20\x01"),
        DAMAGE("a number where text belongs", "\x08\x01\x20\x01\x38\x01"),
        DAMAGE("text where a number belongs", "\x0a\x01x\x20\x01"),
        DAMAGE("a revision over 32 bits", "\x08\x01\x20\xff\xff\xff\xff\x1f"),
        DAMAGE("content without its size", "\x08\x01\x20\x01\x6a\x01x"),
        DAMAGE("content of another size", "\x08\x01\x20\x01\x28\x02\x6a\x01x"),
        DAMAGE("metadata that is no pair", "\x08\x01\x20\x01\x62\x01x"),
        DAMAGE("metadata without a value", "\x08\x01\x20\x01\x62\x03\x0a\x01k"),
        DAMAGE("metadata with more than a pair", "\x08\x01\x20\x01\x62\x08\x0a\x01k\x12\x00\x12\x01v"),
        DAMAGE("a length past the end", "\x08\x01\x20\x01\x3a\x05x"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message_record read;
        if (record_get_message(span_of(rows[i].bytes, rows[i].size), &read) != -1) {
            fail_msg("accepted: %s", rows[i].why);
        }
    }
}

static void a_message_id_too_long_for_a_key_is_refused(void **state)
{
    (void)state;
    uint8_t id[CHATLOG_CAP_id_bytes + 1];
    memset(id, 'x', sizeof(id));
    struct buffer out = {0};
    struct message_record message = {.seq = 1, .revision = 1, .message_id = span_of(id, sizeof(id) - 1)}, read;
    record_put_message(&out, &message);
    assert_int_equal(record_get_message(buffer_span(&out), &read), 0);
    buffer_clear(&out);
    message.message_id.size++;
    record_put_message(&out, &message);
    assert_int_equal(record_get_message(buffer_span(&out), &read), -1);
    buffer_free(&out);
}

static void damaged_conversations_are_refused(void **state)
{
    (void)state;
    static const struct damage rows[] = {
        DAMAGE("nothing", ""),
        DAMAGE("no ID", "\x32\x01\x31"),
        DAMAGE("no etag", "\x0a\x01x"),
        DAMAGE("an etag that is no number", "\x0a\x01x\x32\x01x"),
        DAMAGE("an etag of 0", "\x0a\x01x\x32\x01\x30"),
        DAMAGE("an etag with a leading zero", "\x0a\x01x\x32\x02\x30\x31"),
        DAMAGE("an etag over 64 bits", "\x0a\x01x\x32\x14"
                                       "18446744073709551616"),
        DAMAGE("a truth value of 2", "\x0a\x01x\x20\x02\x32\x01\x31"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conversation_record read;
        if (record_get_conversation(span_of(rows[i].bytes, rows[i].size), &read) != -1) {
            fail_msg("accepted: %s", rows[i].why);
        }
    }
}

static void a_conversation_is_gone_from_the_earlier_of_its_two_times(void **state)
{
    (void)state;
    struct conversation_record record = {0};
    assert_int_equal(record_gone_time(&record), 0);
    record.expire_time_us = 20;
    assert_int_equal(record_gone_time(&record), 20);
    record.purge_time_us = 10;
    assert_int_equal(record_gone_time(&record), 10);
    record.expire_time_us = 0;
    assert_int_equal(record_gone_time(&record), 10);
}

static void index_entries_come_back_as_they_were_put(void **state)
{
    (void)state;
    struct buffer out = {0};
    for (int bits = 0; bits < 8; bits++) {
        const struct recency_entry entry = {
            .archived = bits & 1, .deleted = bits & 2, .gone_time_us = bits & 4 ? INT64_MAX : 0};
        struct recency_entry read;
        buffer_clear(&out);
        entry_put_recency(&out, &entry);
        assert_true(out.size > 0);
        assert_int_equal(entry_get_recency(buffer_span(&out), &read), 0);
        assert_true(read.archived == entry.archived && read.deleted == entry.deleted);
        assert_true(read.gone_time_us == entry.gone_time_us);
    }
    const struct purge_entry purge = {1, 2, 3, UINT64_MAX, 5, 1, {{1, 0, 0}, {2, UINT64_MAX, 7}}, 9};
    struct purge_entry purge_read;
    buffer_clear(&out);
    entry_put_purge(&out, &purge);
    assert_int_equal(entry_get_purge(buffer_span(&out), &purge_read), 0);
    struct buffer again = {0};
    entry_put_purge(&again, &purge_read);
    assert_true(again.size > 0 && span_equal(buffer_span(&again), buffer_span(&out)));
    buffer_free(&again);
    assert_true(purge_read.content_bytes == purge.content_bytes && purge_read.digest_high == purge.digest_high);
    const struct stats_entry stats = {0, 7, UINT64_MAX, 9};
    struct stats_entry stats_read;
    buffer_clear(&out);
    entry_put_stats(&out, &stats);
    assert_int_equal(entry_get_stats(buffer_span(&out), &stats_read), 0);
    assert_memory_equal(&stats, &stats_read, sizeof(stats));
    buffer_free(&out);
}

static struct migration_entry migration_full(void)
{
    struct migration_entry entry = {
        .from = 1,
        .to = 2,
        .state = 3,
        .attempts = 4,
        .split = true,
        .split_seq = 5,
        .split_user_number = 6,
        .split_conversation_number = UINT64_MAX,
        .messages_total = 8,
        .messages_moved = 9,
        .conversations_total = 10,
        .conversations_moved = 11,
        .quarantined = 12,
        .source_digest = {13, UINT64_MAX},
        .target_digest = {15, 16},
        .started_us = 1700000000000000,
        .last_error = "the disk is full",
    };
    key_add_id(&entry.split_user, span_of_string("ann"));
    key_add_id(&entry.split_conversation, span_of_string("c1"));
    return entry;
}

static void a_migration_comes_back_whole_and_no_flipped_bit_passes(void **state)
{
    (void)state;
    const struct migration_entry none = {0};
    const struct migration_entry full = migration_full();
    const struct migration_entry *const entries[] = {&none, &full};
    struct buffer out = {0};
    struct migration_entry read;
    for (size_t i = 0; i < 2; i++) {
        buffer_clear(&out);
        buffer_append(&out, "before", 6); /* the sum is over what was put, wherever it stands */
        entry_put_migration(&out, entries[i]);
        struct span bytes = span_of(out.data + 6, out.size - 6);
        assert_int_equal(entry_get_migration(bytes, &read), 0);
        struct buffer again = {0}; /* bytes, because structs have gaps */
        entry_put_migration(&again, &read);
        assert_true(span_equal(buffer_span(&again), bytes));
        buffer_free(&again);
        assert_true(read.target_digest[1] == entries[i]->target_digest[1] && read.split == entries[i]->split);
        for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
            out.data[6 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(entry_get_migration(bytes, &read), -1);
            out.data[6 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t size = 0; size < bytes.size; size++) {
            assert_int_equal(entry_get_migration(span_of(bytes.data, size), &read), -1);
        }
    }
    buffer_free(&out);
}

static void numbers_given_out_come_back_and_no_flipped_bit_passes(void **state)
{
    (void)state;
    const struct numbers_entry numbers = {UINT64_MAX, 300};
    struct numbers_entry read;
    struct buffer out = {0};
    entry_put_numbers(&out, &numbers);
    assert_int_equal(entry_get_numbers(buffer_span(&out), &read), 0);
    assert_memory_equal(&numbers, &read, sizeof(read));
    for (size_t bit = 0; bit < 8 * out.size; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(entry_get_numbers(buffer_span(&out), &read), -1);
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_free(&out);
}

static void a_remembered_answer_comes_back_behind_the_field_that_is_asked_for(void **state)
{
    (void)state;
    const struct store_op op = {.request_hash = {0x0102030405060708, UINT64_MAX}};
    struct store_result answer = {.etag = "17", .first_seq = 3, .last_seq = 5, .create_time_us = 1700000000000000};
    wire_put_element(&answer.records, 1, span_of_string("one"));
    wire_put_element(&answer.records, 1, span_of_string(""));
    struct buffer out = {0};
    entry_put_request(&out, &op, &answer);
    uint64_t hash[2];
    assert_int_equal(entry_get_request_hash(buffer_span(&out), hash), 0);
    assert_memory_equal(hash, op.request_hash, sizeof(hash));
    struct store_result read = {0};
    assert_int_equal(entry_get_request(buffer_span(&out), 9, &read), 0);
    assert_true(read.replayed && read.first_seq == 3 && read.last_seq == 5);
    assert_true(read.create_time_us == 1700000000000000);
    assert_string_equal(read.etag, "17");
    struct buffer wanted = {0};
    wire_put_element(&wanted, 9, span_of_string("one"));
    wire_put_element(&wanted, 9, span_of_string(""));
    assert_true(span_equal(buffer_span(&wanted), buffer_span(&read.records)));
    buffer_free(&wanted);
    buffer_free(&answer.records);
    buffer_free(&read.records);
    buffer_free(&out);
}

static void damaged_index_entries_are_refused(void **state)
{
    (void)state;
    struct recency_entry recency;
    struct purge_entry purge;
    struct stats_entry stats;
    struct store_result result = {0};
    uint64_t hash[2];
    assert_int_equal(entry_get_recency(span_of("", 0), &recency), -1);
    assert_int_equal(entry_get_recency(span_of("\x08\x03", 2), &recency), -1);
    assert_int_equal(entry_get_recency(span_of("\x08\x01\x10\x02", 4), &recency), -1);
    assert_int_equal(entry_get_recency(span_of("\x08\x01\x20\x02", 4), &recency), -1);
    assert_int_equal(entry_get_purge(span_of("\x08\x01", 2), &purge), -1);
    assert_int_equal(entry_get_stats(span_of("\x0a\x01x", 3), &stats), -1);
    assert_int_equal(entry_get_request_hash(span_of("fifteen bytes..", 15), hash), -1);
    assert_int_equal(entry_get_request(span_of("fifteen bytes..", 15), 1, &result), -1);
    assert_int_equal(entry_get_request(span_of("sixteen bytes ..\x08", 17), 1, &result), -1);
    assert_int_equal(entry_get_request(span_of("sixteen bytes ..\x30\x01", 18), 1, &result), -1);
    assert_int_equal(entry_get_request(span_of("sixteen bytes ..\x22\x18"
                                               "123456789012345678901234",
                                               42),
                                       1, &result),
                     -1);
    buffer_free(&result.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stored_conversation_is_the_contracts_conversation),
        cmocka_unit_test(a_stored_message_is_the_contracts_message),
        cmocka_unit_test(a_stored_event_is_the_contracts_event),
        cmocka_unit_test(damaged_events_are_refused),
        cmocka_unit_test(no_field_of_the_contract_is_left_out),
        cmocka_unit_test(a_decoded_record_is_written_again_byte_for_byte),
        cmocka_unit_test(the_smallest_records_are_written_and_read),
        cmocka_unit_test(the_basic_view_is_the_message_without_content_and_metadata),
        cmocka_unit_test(a_message_cut_short_is_refused),
        cmocka_unit_test(damaged_messages_are_refused),
        cmocka_unit_test(a_message_id_too_long_for_a_key_is_refused),
        cmocka_unit_test(damaged_conversations_are_refused),
        cmocka_unit_test(a_conversation_is_gone_from_the_earlier_of_its_two_times),
        cmocka_unit_test(index_entries_come_back_as_they_were_put),
        cmocka_unit_test(a_migration_comes_back_whole_and_no_flipped_bit_passes),
        cmocka_unit_test(numbers_given_out_come_back_and_no_flipped_bit_passes),
        cmocka_unit_test(a_remembered_answer_comes_back_behind_the_field_that_is_asked_for),
        cmocka_unit_test(damaged_index_entries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
