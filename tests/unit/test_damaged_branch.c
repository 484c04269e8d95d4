/* Keys of LMDB's branch pages are wrong: searches come to the wrong leaf. What is not found for that is told, by the
 * read or by store_verify. */
#include "store/maintenance.h"
#include "support/history.h"
#include "support/store_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MESSAGES = 300,
    TEXT_BYTES = 2400,
    WORD_BYTES = 16,
    PATH_BYTES = 256,
    POLL_US = 1000,
    PAGE_BYTES = 4096,
    PAGE_HEADER_BYTES = 16,
    PAGE_FLAGS = 10,
    PAGE_LOWER = 12, /* where the offsets of the nodes end */
    IS_BRANCH = 1,
    NODE_KEY_SIZE = 6,
    NODE_KEY = 8,
    BYTES_HARMED = 8, /* of a key, at its end: the seq of a message */
};

/* The bytes of the data file. */
struct file_copy {
    uint8_t *bytes;
    size_t size;
};

struct tally {
    unsigned refused;
    unsigned found; /* nothing was refused, something was missing, and store_verify tells */
    unsigned harmless;
};

static unsigned number_at(const uint8_t *bytes)
{
    return bytes[0] | (unsigned)bytes[1] << 8;
}

/* Words that cannot be compressed, so that each message is a run. */
static struct store_message text_message(uint64_t seq, char text[TEXT_BYTES + 1])
{
    for (size_t i = 0; i < TEXT_BYTES / WORD_BYTES; i++) {
        uint64_t word = history_random(seq * TEXT_BYTES + i);
        snprintf(text + i * WORD_BYTES, WORD_BYTES + 1, "%016llx", (unsigned long long)word);
    }
    return message_of("user", text);
}

static int setup(void **state)
{
    char text[TEXT_BYTES + 1];
    unsetenv("CHATLOG_TEST_LAYOUT");
    unsetenv("CHATLOG_TEST_FOLD_LATE");
    client_setup(state);
    struct client *client = *state;
    for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
        struct store_message message = text_message(seq, text);
        assert_ok(client_run(client, op_creating(op_append("alice", "thread", &message, 1))));
    }
    while (client_run(client, op_stats())->result.stats.journal_entries > 0) {
        usleep(POLL_US);
    }
    client_release(client);
    client_close(client);
    return 0;
}

static int file_open(struct client *client)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/data.mdb", client_config(client)->data_dir);
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    return file;
}

static struct file_copy file_copy_take(struct client *client)
{
    struct stat status;
    int file = file_open(client);
    assert_int_equal(fstat(file, &status), 0);
    struct file_copy copy = {.bytes = malloc((size_t)status.st_size), .size = (size_t)status.st_size};
    assert_non_null(copy.bytes);
    assert_int_equal(pread(file, copy.bytes, copy.size, 0), copy.size);
    close(file);
    return copy;
}

static void file_copy_put(struct client *client, const struct file_copy *copy)
{
    int file = file_open(client);
    assert_int_equal(pwrite(file, copy->bytes, copy->size, 0), copy->size);
    assert_int_equal(ftruncate(file, (off_t)copy->size), 0);
    close(file);
}

/* Reads the message by itself and in a page; adds what was refused and what was missing. */
static void message_read(struct client *client, uint64_t seq, unsigned *refused, unsigned *missing)
{
    char text[TEXT_BYTES + 1];
    struct store_message stored = text_message(seq, text);
    const struct store_op reads[] = {op_message("alice", "thread", seq),
                                     op_page("alice", "thread", STORE_AFTER, seq - 1, 1)};
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        const struct answer *answer = client_run(client, reads[i]);
        if (answer->reason == ERROR_NONE_REASON && answer->count > 0 && answer->messages[0]->seq == seq) {
            assert_int_equal(answer->messages[0]->content.len, stored.content.size);
            assert_memory_equal(answer->messages[0]->content.data, stored.content.data, stored.content.size);
        } else {
            *refused += answer->reason == ERROR_RECORD_DAMAGED;
            *missing += answer->reason != ERROR_RECORD_DAMAGED;
        }
        client_release(client);
    }
}

static bool verify_finds(struct client *client)
{
    struct store_survey survey;
    struct error error;
    return store_verify(client_config(client), &survey, &error) != 0 ||
           survey.unreadable + survey.mismatches + survey.strays > 0;
}

static void trial_run(struct client *client, const struct file_copy *copy, struct tally *tally)
{
    unsigned refused = 0, missing = 0;
    file_copy_put(client, copy);
    bool finds = verify_finds(client);
    client_open(client);
    for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
        message_read(client, seq, &refused, &missing);
    }
    client_close(client);
    assert_true(finds || refused + missing == 0);
    tally->refused += refused > 0;
    tally->found += refused == 0 && missing > 0;
    tally->harmless += refused + missing == 0;
}

/* Flips a bit in each of the last bytes of each key that the page has. */
static void page_harm(struct client *client, const struct file_copy *copy, uint8_t *page, struct tally *tally)
{
    unsigned lower = number_at(page + PAGE_LOWER);
    for (unsigned slot = PAGE_HEADER_BYTES; slot < lower; slot += 2) {
        uint8_t *node = page + number_at(page + slot);
        unsigned key_size = number_at(node + NODE_KEY_SIZE);
        for (unsigned i = 1; i <= BYTES_HARMED && i <= key_size; i++) {
            uint8_t *byte = &node[NODE_KEY + key_size - i];
            *byte ^= 0x10;
            trial_run(client, copy, tally);
            *byte ^= 0x10;
        }
    }
}

static void what_a_damaged_branch_page_hides_is_told(void **state)
{
    struct client *client = *state;
    struct tally tally = {0};
    struct file_copy copy = file_copy_take(client);
    for (size_t at = 2 * PAGE_BYTES; at + PAGE_BYTES <= copy.size; at += PAGE_BYTES) {
        uint8_t *page = copy.bytes + at;
        if (number_at(page + PAGE_FLAGS) == IS_BRANCH) {
            page_harm(client, &copy, page, &tally);
        }
    }
    print_message("%u refused, %u found, %u harmless\n", tally.refused, tally.found, tally.harmless);
    assert_true(tally.refused > 0 && tally.found > 0);
    file_copy_put(client, &copy);
    assert_false(verify_finds(client));
    free(copy.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_damaged_branch_page_hides_is_told, setup, client_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
