/* Many threads at once: no number twice, no gap, nothing half seen, nothing lost when the queue is full. Must not
 * know an engine. cmocka's assertions belong to the main thread: the others only write down what they saw. */
#include "support/store_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 8, APPENDS = 30, BATCH = 3, TEXT_BYTES = 32, TOTAL = THREADS * APPENDS * BATCH };

/* What one writer does: APPENDS batches to one conversation. */
struct writer {
    pthread_t thread;
    struct client *client;
    const char *conversation;
    unsigned number;
    const struct answer *answers[APPENDS];
};

static void writer_text(char *text, unsigned writer, unsigned append, unsigned place)
{
    snprintf(text, TEXT_BYTES, "%u/%u/%u", writer, append, place);
}

static void *writer_run(void *arg)
{
    struct writer *writer = arg;
    for (unsigned i = 0; i < APPENDS; i++) {
        char texts[BATCH][TEXT_BYTES];
        struct store_message messages[BATCH];
        for (unsigned k = 0; k < BATCH; k++) {
            writer_text(texts[k], writer->number, i, k);
            messages[k] = message_of("user", texts[k]);
        }
        struct store_op op = op_creating(op_append("alice", writer->conversation, messages, BATCH));
        writer->answers[i] = client_run(writer->client, op);
    }
    return NULL;
}

static void writers_start(struct writer *writers, struct client *client, const char *const *conversations)
{
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.client = client, .conversation = conversations[i], .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
}

static void writers_join(struct writer *writers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
}

/* Each batch of the writer lies together where its answer said, after the one before. */
static void assert_written(const struct writer *writer, const struct answer *page)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < APPENDS; i++) {
        const struct answer *answer = writer->answers[i];
        assert_ok(answer);
        assert_true(answer->result.first_seq > last);
        last = answer->result.last_seq;
        assert_int_equal(last, answer->result.first_seq + BATCH - 1);
        assert_true(last <= page->count);
        for (unsigned k = 0; k < BATCH; k++) {
            char text[TEXT_BYTES];
            writer_text(text, writer->number, i, k);
            const Chatlog__V1__Message *message = page->messages[answer->result.first_seq + k - 1];
            assert_int_equal(message->content.len, strlen(text));
            assert_memory_equal(message->content.data, text, strlen(text));
        }
    }
}

/* All of the conversation; its sequence numbers are 1..count. */
static const struct answer *whole_conversation(struct client *client, const char *conversation, size_t count)
{
    const struct answer *page = client_run(client, op_page("alice", conversation, STORE_AFTER, 0, 1000));
    assert_ok(page);
    assert_int_equal(page->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(page->messages[i]->seq, i + 1);
        assert_true(i == 0 || page->messages[i]->create_time_us >= page->messages[i - 1]->create_time_us);
    }
    return page;
}

static void threads_that_append_to_one_conversation_share_its_numbers_without_gap(void **state)
{
    struct client *client = *state;
    static const char *const same[THREADS] = {"t", "t", "t", "t", "t", "t", "t", "t"};
    struct writer writers[THREADS];
    writers_start(writers, client, same);
    writers_join(writers);
    const struct answer *page = whole_conversation(client, "t", TOTAL);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_written(&writers[i], page);
    }
    client_wait_until_stored(client, 1, 1, TOTAL);
}

static void threads_that_append_to_their_own_conversations_do_not_disturb_each_other(void **state)
{
    struct client *client = *state;
    static const char *const own[THREADS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct writer writers[THREADS];
    writers_start(writers, client, own);
    writers_join(writers);
    for (unsigned i = 0; i < THREADS; i++) {
        const struct answer *page = whole_conversation(client, own[i], APPENDS * BATCH);
        assert_written(&writers[i], page);
    }
    client_wait_until_stored(client, 1, THREADS, TOTAL);
}

/* Reads "t" again and again until told to stop, but once in any case, and counts what must not be. */
struct reader {
    pthread_t thread;
    struct client *client;
    atomic_bool *stop;
    unsigned reads;
    unsigned holes;     /* a page that is not 1..n */
    unsigned halves;    /* a part of a batch */
    unsigned shrinks;   /* fewer than before */
    unsigned disagrees; /* counts that do not fit the messages */
};

static void page_judge(struct reader *reader, const struct answer *page, size_t *before)
{
    for (size_t i = 0; i < page->count; i++) {
        reader->holes += page->messages[i]->seq != i + 1;
    }
    reader->halves += page->count % BATCH != 0;
    reader->shrinks += page->count < *before;
    reader->disagrees += page->result.last_seq != page->count || page->result.has_more_after;
    *before = page->count;
}

static void *reader_run(void *arg)
{
    struct reader *reader = arg;
    size_t before = 0;
    while (!atomic_load(reader->stop) || reader->reads == 0) {
        const struct answer *page = client_run(reader->client, op_page("alice", "t", STORE_AFTER, 0, 1000));
        if (page->reason == ERROR_NONE_REASON) {
            page_judge(reader, page, &before);
            reader->reads++;
        }
        const struct answer *read = client_run(reader->client, op_get("alice", "t"));
        if (read->reason == ERROR_NONE_REASON) {
            const Chatlog__V1__Conversation *now = read->conversations[0];
            reader->disagrees += now->message_count != now->last_seq || now->last_seq < before;
            reader->disagrees += strcmp(now->etag, read->result.etag) != 0;
        }
    }
    return NULL;
}

static void readers_see_whole_batches_and_only_what_came_before(void **state)
{
    struct client *client = *state;
    static const char *const same[THREADS] = {"t", "t", "t", "t", "t", "t", "t", "t"};
    enum { READERS = 2 };
    struct writer writers[THREADS];
    struct reader readers[READERS];
    atomic_bool stop = false;
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.client = client, .stop = &stop};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]), 0);
    }
    writers_start(writers, client, same);
    writers_join(writers);
    atomic_store(&stop, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].holes, 0);
        assert_int_equal(readers[i].halves, 0);
        assert_int_equal(readers[i].shrinks, 0);
        assert_int_equal(readers[i].disagrees, 0);
    }
    whole_conversation(client, "t", TOTAL);
}

/* Appends only where the conversation is as it was last seen, as a client that must not interleave does. */
struct rival {
    pthread_t thread;
    struct client *client;
    unsigned wins;
    unsigned surprises;
};

static void *rival_run(void *arg)
{
    struct rival *rival = arg;
    const struct store_message message = {.content = span_of_string("mine")};
    uint64_t last_seq = 0;
    while (rival->wins < APPENDS) {
        struct store_op op = op_expecting(op_creating(op_append("alice", "t", &message, 1)), last_seq);
        const struct answer *answer = client_run(rival->client, op);
        if (answer->reason == ERROR_NONE_REASON) {
            rival->surprises += answer->result.first_seq != last_seq + 1;
            rival->wins++;
            last_seq++;
        } else if (answer->reason == ERROR_LAST_SEQ_MISMATCH && answer->error.details[0].value > last_seq) {
            last_seq = answer->error.details[0].value;
        } else {
            rival->surprises++;
            return NULL;
        }
    }
    return NULL;
}

static void of_rivals_that_expect_the_same_last_seq_one_wins(void **state)
{
    struct client *client = *state;
    struct rival rivals[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        rivals[i] = (struct rival){.client = client};
        assert_int_equal(pthread_create(&rivals[i].thread, NULL, rival_run, &rivals[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(rivals[i].thread, NULL);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(rivals[i].surprises, 0);
    }
    whole_conversation(client, "t", THREADS * APPENDS);
}

/* Appends to a user who is being forgotten again and again. */
struct stubborn {
    pthread_t thread;
    struct client *client;
    const char *conversation;
    unsigned stored;
    unsigned surprises;
};

static void *stubborn_run(void *arg)
{
    struct stubborn *stubborn = arg;
    const struct store_message message = {.content = span_of_string("still here")};
    for (unsigned i = 0; i < APPENDS * BATCH; i++) {
        struct store_op op = op_creating(op_append("alice", stubborn->conversation, &message, 1));
        enum error_reason reason = client_run(stubborn->client, op)->reason;
        stubborn->stored += reason == ERROR_NONE_REASON;
        stubborn->surprises += reason != ERROR_NONE_REASON && reason != ERROR_PURGE_RUNNING;
    }
    return NULL;
}

static void every_message_written_while_its_user_is_forgotten_is_in_exactly_one_receipt(void **state)
{
    struct client *client = *state;
    static const char *const names[THREADS] = {"a", "a", "b", "b", "c", "c", "d", "d"};
    struct stubborn writers[THREADS];
    uint64_t received = 0;
    uint64_t stored = 0;
    for (size_t i = 0; i < THREADS; i++) {
        writers[i] = (struct stubborn){.client = client, .conversation = names[i]};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, stubborn_run, &writers[i]), 0);
    }
    for (int i = 0; i < APPENDS; i++) {
        received += client_run(client, op_forget("alice"))->result.receipt.messages;
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].surprises, 0);
        stored += writers[i].stored;
    }
    const struct answer *last = client_run(client, op_forget("alice"));
    assert_ok(last);
    assert_int_equal(received + last->result.receipt.messages, stored);
    assert_true(stored > 0);
    client_wait_until_stored(client, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(threads_that_append_to_one_conversation_share_its_numbers_without_gap),
        store_test(threads_that_append_to_their_own_conversations_do_not_disturb_each_other),
        store_test(readers_see_whole_batches_and_only_what_came_before),
        store_test(of_rivals_that_expect_the_same_last_seq_one_wins),
        store_test(every_message_written_while_its_user_is_forgotten_is_in_exactly_one_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
