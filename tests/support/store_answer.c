/* Copies, decodes and judges answers. Must not know an engine. answer_take may run on any thread, so it does not use
 * cmocka, whose assertions belong to the main thread. */
#include "support/store_answer.h"

#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum record_kind { RECORD_NONE, RECORD_CONVERSATION, RECORD_MESSAGE, RECORD_USER, RECORD_EVENT };

static const enum record_kind record_kinds[STORE_VERB_COUNT] = {
    [STORE_GET_CONVERSATION] = RECORD_CONVERSATION,
    [STORE_LIST_CONVERSATIONS] = RECORD_CONVERSATION,
    [STORE_GET_MESSAGE] = RECORD_MESSAGE,
    [STORE_LIST_MESSAGES] = RECORD_MESSAGE,
    [STORE_LIST_USERS] = RECORD_USER,
    [STORE_LIST_EVENTS] = RECORD_EVENT,
    [STORE_CREATE_CONVERSATION] = RECORD_CONVERSATION,
    [STORE_UPDATE_CONVERSATION] = RECORD_CONVERSATION,
    [STORE_DELETE_CONVERSATION] = RECORD_CONVERSATION,
    [STORE_UNDELETE_CONVERSATION] = RECORD_CONVERSATION,
    [STORE_UPDATE_MESSAGE] = RECORD_MESSAGE,
    [STORE_POP_MESSAGES] = RECORD_MESSAGE,
};

static void demand(bool holds, const struct answer *answer, const char *what)
{
    if (!holds) {
        fprintf(stderr, "the store broke store.h: verb %d: %s\n", (int)answer->op.verb, what);
        abort();
    }
}

static void *memory(size_t count, size_t size)
{
    void *bytes = calloc(count + 1, size);
    if (!bytes) {
        abort();
    }
    return bytes;
}

static struct buffer buffer_copy(const struct buffer *from)
{
    struct buffer copy = {0};
    buffer_append(&copy, from->data, from->size);
    if (copy.failed) {
        abort();
    }
    return copy;
}

static void records_split(struct answer *answer)
{
    struct span input = buffer_span(&answer->result.records);
    struct span rest = input;
    struct wire_field field;
    size_t count = 0;
    while (wire_next(&rest, &field) > 0) {
        count++;
    }
    demand(rest.size == 0, answer, "records are not well formed");
    answer->records = memory(count, sizeof(*answer->records));
    while (wire_next(&input, &field) > 0) {
        demand(field.number == answer->op.record_field && field.type == WIRE_BYTES, answer,
               "a record is not behind record_field");
        answer->records[answer->count++] = field.bytes;
    }
}

static void records_decode(struct answer *answer)
{
    enum record_kind kind = record_kinds[answer->op.verb];
    demand(answer->count == 0 || kind != RECORD_NONE, answer, "records where there are none");
    answer->conversations = memory(answer->count, sizeof(*answer->conversations));
    answer->messages = memory(answer->count, sizeof(*answer->messages));
    answer->events = memory(answer->count, sizeof(*answer->events));
    for (size_t i = 0; i < answer->count; i++) {
        struct span record = answer->records[i];
        if (kind == RECORD_CONVERSATION) {
            answer->conversations[i] = chatlog__v1__conversation__unpack(NULL, record.size, record.data);
            demand(answer->conversations[i], answer, "a record is not a Conversation");
        } else if (kind == RECORD_MESSAGE) {
            answer->messages[i] = chatlog__v1__message__unpack(NULL, record.size, record.data);
            demand(answer->messages[i], answer, "a record is not a Message");
        } else if (kind == RECORD_EVENT) {
            answer->events[i] = chatlog__v1__audit_event__unpack(NULL, record.size, record.data);
            demand(answer->events[i] && answer->events[i]->base.n_unknown_fields == 0, answer,
                   "a record is not an AuditEvent");
        }
    }
}

void answer_take(struct answer *answer, const struct error *error, const struct store_result *result)
{
    demand(!error != !result, answer, "exactly one of error and result is given");
    if (error) {
        demand(error->reason > ERROR_NONE_REASON && error->reason < ERROR_REASON_COUNT, answer, "an unknown reason");
        demand(error->message[0] != '\0', answer, "an error without a sentence");
        answer->reason = error->reason;
        answer->error = *error;
        return;
    }
    demand(!result->records.failed && !result->next.failed, answer, "success with a failed buffer");
    demand(memchr(result->etag, '\0', sizeof(result->etag)), answer, "an etag without its NUL");
    answer->result = *result;
    answer->result.records = buffer_copy(&result->records);
    answer->result.next = buffer_copy(&result->next);
    records_split(answer);
    records_decode(answer);
}

void answer_clear(struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        chatlog__v1__conversation__free_unpacked(answer->conversations[i], NULL);
        chatlog__v1__message__free_unpacked(answer->messages[i], NULL);
        chatlog__v1__audit_event__free_unpacked(answer->events[i], NULL);
    }
    free(answer->records);
    free(answer->conversations);
    free(answer->messages);
    free(answer->events);
    buffer_free(&answer->result.records);
    buffer_free(&answer->result.next);
}

const char *conversation_label(const Chatlog__V1__Conversation *conversation, const char *key)
{
    for (size_t i = 0; i < conversation->n_metadata; i++) {
        if (strcmp(conversation->metadata[i]->key, key) == 0) {
            return conversation->metadata[i]->value;
        }
    }
    return NULL;
}

const char *message_label(const Chatlog__V1__Message *message, const char *key)
{
    for (size_t i = 0; i < message->n_metadata; i++) {
        if (strcmp(message->metadata[i]->key, key) == 0) {
            return message->metadata[i]->value;
        }
    }
    return NULL;
}

uint64_t answer_detail(const struct answer *answer, const char *key)
{
    for (size_t i = 0; i < sizeof(answer->error.details) / sizeof(answer->error.details[0]); i++) {
        if (answer->error.details[i].key && strcmp(answer->error.details[i].key, key) == 0) {
            return answer->error.details[i].value;
        }
    }
    fail_msg("the error has no detail %s", key);
    return 0;
}

void answer_expect(const struct answer *answer, enum error_reason reason, const char *file, int line)
{
    if (answer->reason != reason) {
        print_error("verb %d was answered %s (%s), not %s\n", (int)answer->op.verb,
                    answer->reason ? error_reason_name(answer->reason) : "OK", answer->error.message,
                    reason ? error_reason_name(reason) : "OK");
        _fail(file, line);
    }
}

void answer_expect_replay(const struct answer *first, const struct answer *again, const char *file, int line)
{
    answer_expect(first, ERROR_NONE_REASON, file, line);
    answer_expect(again, ERROR_NONE_REASON, file, line);
    const struct store_result *a = &first->result;
    const struct store_result *b = &again->result;
    if (a->replayed || !b->replayed) {
        print_error("verb %d: replayed is %d, then %d\n", (int)again->op.verb, a->replayed, b->replayed);
        _fail(file, line);
    }
    if (!span_equal(buffer_span(&a->records), buffer_span(&b->records)) || strcmp(a->etag, b->etag) != 0 ||
        a->first_seq != b->first_seq || a->last_seq != b->last_seq || a->create_time_us != b->create_time_us) {
        print_error("verb %d: the replayed answer is not the first one\n", (int)again->op.verb);
        _fail(file, line);
    }
}

void answer_expect_seqs(const struct answer *answer, size_t count, const uint64_t *seqs, const char *file, int line)
{
    answer_expect(answer, ERROR_NONE_REASON, file, line);
    bool equal = answer->count == count;
    for (size_t i = 0; equal && i < count; i++) {
        equal = answer->messages[i]->seq == seqs[i];
    }
    if (!equal) {
        print_error("expected %zu messages, got %zu:", count, answer->count);
        for (size_t i = 0; i < answer->count; i++) {
            print_error(" %llu", (unsigned long long)answer->messages[i]->seq);
        }
        print_error("\n");
        _fail(file, line);
    }
}
