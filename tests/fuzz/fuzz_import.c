/* The file that `chatlog import` is given: each line is refused with a sentence or is a conversation within the limits,
 * and what `chatlog export` would write of that is read back as the same. */
#include "fuzz/fuzz.h"

#include "cli/exchange.h"
#include "cli/json.h"
#include "cli/line_reader.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 1024, LINES_MAX = 64 };

static bool text_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The line that export writes. The caller frees it. */
static char *line_write(const struct exchange_conversation *read, size_t *ret_size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);
    json_t *line = exchange_write(read->user_id, &read->conversation);
    fuzz_require(out && line);
    json_write_open(out, line);
    fputs(",\"messages\":[", out);
    for (size_t i = 0; i < read->message_count; i++) {
        json_t *message = exchange_write_message(&read->messages[i]);
        fputs(i > 0 ? "," : "", out);
        json_write(out, message);
        json_decref(message);
    }
    fputs("]}", out);
    fuzz_require(fclose(out) == 0 && !memchr(text, '\n', *ret_size));
    json_decref(line);
    return text;
}

static void check_same(const struct exchange_conversation *a, const struct exchange_conversation *b)
{
    const struct chatlog_conversation *first = &a->conversation;
    const struct chatlog_conversation *second = &b->conversation;
    fuzz_require(text_same(a->user_id, b->user_id) && text_same(first->title, second->title));
    fuzz_require(text_same(first->conversation_id, second->conversation_id));
    fuzz_require(first->archived == second->archived && first->expire_time_us == second->expire_time_us);
    fuzz_require(
        exchange_pairs_equal(first->metadata, first->metadata_count, second->metadata, second->metadata_count));
    fuzz_require(a->message_count == b->message_count);
    for (size_t i = 0; i < a->message_count; i++) {
        fuzz_require(exchange_content_equal(&a->messages[i], &b->messages[i]));
        fuzz_require(exchange_labels_equal(&a->messages[i], &b->messages[i]));
    }
}

static void check_line(const struct line *line)
{
    struct exchange_conversation read;
    struct exchange_conversation again;
    struct exchange_problem problem = {.text = ""};
    if (exchange_read(line->data, line->length, MESSAGE_BYTES, &read, &problem) < 0) {
        fuzz_require(problem.text[0] && memchr(problem.text, 0, sizeof(problem.text)));
        return;
    }
    for (size_t i = 0; i < read.message_count; i++) {
        fuzz_require(read.messages[i].content_length <= MESSAGE_BYTES && read.messages[i].content_type);
    }
    size_t size;
    char *text = line_write(&read, &size);
    fuzz_require(exchange_read(text, size, SIZE_MAX, &again, &problem) == 0);
    check_same(&read, &again);
    exchange_free(&again);
    exchange_free(&read);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int file = memfd_create("import", MFD_CLOEXEC);
    fuzz_require(file >= 0 && write(file, data, size) == (ssize_t)size && lseek(file, 0, SEEK_SET) == 0);
    struct line_reader reader = line_reader_new(file);
    struct line line = {.data = NULL};
    size_t taken = 0;
    for (unsigned i = 0; i < LINES_MAX && line_reader_next(&reader, &line) == LINE_READ; i++) {
        taken += line.length + 1;
        fuzz_require(taken <= size + 1 &&
                     memcmp(data + taken - line.length - 1, line.data ? line.data : "", line.length) == 0);
        check_line(&line);
    }
    line_reader_free(&reader);
    free(line.data);
    close(file);
    return 0;
}
