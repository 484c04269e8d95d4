/* chatlog_fault_flip FILE CONVERSATIONS TRIALS SEED DIRECTORY: in each trial one bit of a copy of the data file is
 * wrong, and everything is read as a daemon would. No message may come back as something else than was stored. Prints
 * "trials T wrong W missing M reported R found F ended E harmless H", each trial counted once, by the worst:
 *
 *   wrong     a message came back as another
 *   missing   a message or conversation was not there, and nothing says so
 *   reported  a read, or the opening, was refused with a reason
 *   found     reads were well, the store's own check is not
 *   ended     the process crashed or did not come to an end
 *   harmless  the bit does not matter */
#include "fault/story.h"
#include "fault/workers.h"
#include "store/maintenance.h"
#include "support/history.h"
#include "support/store_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 512,
    PAGE = 1000,
    MESSAGES_MAX = 1 << 16,
    SINGLES = 16, /* messages that are read one by one as well */
    TRIAL_SECONDS = 10,
};

enum outcome { HARMLESS, FOUND, REPORTED, MISSING, WRONG, OUTCOME_COUNT };

/* A message as it was stored: every byte of its record, as one number. */
struct stored {
    uint32_t conversation;
    uint64_t seq;
    uint64_t digest;
};

struct job {
    uint8_t *file;
    size_t file_size;
    uint32_t conversations;
    size_t trials;
    uint64_t seed;
    const char *directory;
    struct stored *stored; /* by conversation and seq */
    size_t stored_count;
    size_t *outcomes; /* shared */
};

static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};

static uint64_t record_digest(struct span record)
{
    return story_digest_add(0, 0, record.data, record.size);
}

static void names_write(uint32_t conversation, char user[STORY_ID_BYTES], char name[STORY_ID_BYTES])
{
    story_user(conversation, user);
    story_conversation(conversation, name);
}

static void image_write(const struct job *job, uint64_t bit, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t byte = job->file[bit / 8] ^ (uint8_t)(1 << bit % 8);
    if (fd < 0 || write(fd, job->file, job->file_size) != (ssize_t)job->file_size ||
        pwrite(fd, &byte, 1, (off_t)(bit / 8)) != 1) {
        perror(path);
        exit(WORKERS_DEFECT);
    }
    close(fd);
}

static void stored_read(struct job *job, const char *directory)
{
    struct client *client = client_new_in(directory);
    job->stored = calloc(MESSAGES_MAX, sizeof(*job->stored));
    for (uint32_t i = 0; i < job->conversations; i++) {
        char user[STORY_ID_BYTES];
        char name[STORY_ID_BYTES];
        names_write(i, user, name);
        const struct answer *page = client_run(client, op_page(user, name, STORE_AFTER, 0, PAGE));
        for (size_t j = 0; j < page->count && job->stored_count < MESSAGES_MAX; j++) {
            job->stored[job->stored_count++] =
                (struct stored){i, page->messages[j]->seq, record_digest(page->records[j])};
        }
        client_release(client);
    }
    client_free(client);
}

static enum outcome worse(enum outcome a, enum outcome b)
{
    return a > b ? a : b;
}

/* Reads conversation i, whose messages begin at stored[*at]. */
static enum outcome conversation_read(const struct job *job, struct client *client, uint32_t conversation, size_t *at)
{
    char user[STORY_ID_BYTES];
    char name[STORY_ID_BYTES];
    enum outcome outcome = HARMLESS;
    names_write(conversation, user, name);
    const struct answer *page = client_run(client, op_page(user, name, STORE_AFTER, 0, PAGE));
    size_t found = 0;
    bool there = page->reason == ERROR_NONE_REASON;
    for (; *at < job->stored_count && job->stored[*at].conversation == conversation; (*at)++) {
        const struct stored *stored = &job->stored[*at];
        if (there && found < page->count && page->messages[found]->seq == stored->seq) {
            outcome = worse(outcome, record_digest(page->records[found]) == stored->digest ? HARMLESS : WRONG);
            found++;
        } else if (there || page->reason == ERROR_CONVERSATION_NOT_FOUND) {
            outcome = worse(outcome, MISSING);
        } else {
            outcome = worse(outcome, REPORTED);
        }
    }
    if (there && found < page->count) {
        outcome = WRONG; /* a message that is none of those */
    }
    client_release(client);
    return outcome;
}

static enum outcome single_read(struct client *client, const struct stored *stored)
{
    char user[STORY_ID_BYTES];
    char name[STORY_ID_BYTES];
    enum outcome outcome = REPORTED;
    names_write(stored->conversation, user, name);
    const struct answer *answer = client_run(client, op_message(user, name, stored->seq));
    if (answer->reason == ERROR_NONE_REASON) {
        outcome = record_digest(answer->records[0]) == stored->digest ? HARMLESS : WRONG;
    } else if (answer->reason == ERROR_MESSAGE_NOT_FOUND || answer->reason == ERROR_CONVERSATION_NOT_FOUND) {
        outcome = MISSING;
    }
    client_release(client);
    return outcome;
}

static enum outcome check_run(const char *directory)
{
    const struct store_config config = {.data_dir = directory, .limits = &limits, .map_bytes = 1 << 30};
    struct store_survey survey;
    struct error error;
    bool sound =
        store_verify(&config, &survey, &error) == 0 && survey.unreadable + survey.mismatches + survey.strays == 0;
    return sound ? HARMLESS : FOUND;
}

static void store_fatal(void *arg, const char *message)
{
    (void)arg, (void)message;
    abort();
}

static bool store_opens(const char *directory)
{
    const struct store_config config = {.data_dir = directory,
                                        .limits = &limits,
                                        .map_bytes = 1 << 30,
                                        .migrate = STORE_MIGRATE_HOLD,
                                        .fatal = store_fatal};
    struct store *store;
    struct error error;
    if (store_open(&config, &store, &error)) {
        return false;
    }
    store_close(store);
    return true;
}

static enum outcome trial_run(const struct job *job, const char *directory, uint64_t random)
{
    if (!store_opens(directory)) {
        return REPORTED;
    }
    enum outcome outcome = HARMLESS;
    size_t at = 0;
    struct client *client = client_new_in(directory);
    for (uint32_t i = 0; i < job->conversations; i++) {
        outcome = worse(outcome, conversation_read(job, client, i, &at));
    }
    for (size_t i = 0; i < SINGLES; i++) {
        outcome = worse(outcome, single_read(client, &job->stored[history_random(random + i) % job->stored_count]));
    }
    client_free(client);
    enum outcome check = check_run(directory);
    if (outcome == MISSING && check == FOUND) {
        return FOUND; /* the store knows that something is wrong */
    }
    return worse(outcome, check);
}

static void trials_go(const void *arg, unsigned worker, size_t first, size_t *current)
{
    const struct job *job = arg;
    char directory[PATH_BYTES];
    char path[PATH_BYTES + 16];
    snprintf(directory, sizeof(directory), "%s/flip-%u", job->directory, worker);
    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    mkdir(directory, 0700);
    for (size_t trial = first > worker ? first : worker; trial < job->trials; trial++) {
        if (trial % WORKERS_COUNT != worker) {
            continue;
        }
        uint64_t random = history_random(job->seed ^ history_random(trial));
        *current = trial;
        alarm(TRIAL_SECONDS);
        image_write(job, random % (job->file_size * 8), path);
        enum outcome outcome = trial_run(job, directory, random);
        if (outcome >= MISSING) {
            fprintf(stderr, "trial %zu, bit %ju of the file: %s\n", trial, (uintmax_t)(random % (job->file_size * 8)),
                    outcome == WRONG ? "wrong" : "missing");
        }
        __atomic_fetch_add(&job->outcomes[outcome], 1, __ATOMIC_SEQ_CST);
    }
}

static bool file_take(struct job *job, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        return false;
    }
    job->file_size = (size_t)status.st_size;
    job->file = malloc(job->file_size);
    bool taken = job->file && read(fd, job->file, job->file_size) == status.st_size;
    close(fd);
    return taken;
}

/* Reads the file as it was written. */
static void truth_take(struct job *job)
{
    char directory[PATH_BYTES];
    char path[PATH_BYTES + 16];
    snprintf(directory, sizeof(directory), "%s/truth", job->directory);
    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    mkdir(directory, 0700);
    image_write(job, 0, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, job->file, 1, 0) != 1) {
        exit(WORKERS_DEFECT);
    }
    close(fd);
    stored_read(job, directory);
}

int main(int count, char **arguments)
{
    struct job job = {0};
    if (count != 6 || !file_take(&job, arguments[1])) {
        fprintf(stderr, "usage: chatlog_fault_flip FILE CONVERSATIONS TRIALS SEED DIRECTORY\n");
        return 64;
    }
    job.conversations = (uint32_t)strtoul(arguments[2], NULL, 10);
    job.trials = strtoul(arguments[3], NULL, 10);
    job.seed = strtoull(arguments[4], NULL, 10);
    job.directory = arguments[5];
    job.outcomes = workers_share(OUTCOME_COUNT * sizeof(*job.outcomes));
    truth_take(&job);
    if (job.stored_count == 0) {
        return WORKERS_DEFECT;
    }
    size_t ended = workers_run(trials_go, &job, job.trials);
    printf("trials %zu wrong %zu missing %zu reported %zu found %zu ended %zu harmless %zu messages %zu\n", job.trials,
           job.outcomes[WRONG], job.outcomes[MISSING], job.outcomes[REPORTED], job.outcomes[FOUND], ended,
           job.outcomes[HARMLESS], job.stored_count);
    free(job.file);
    free(job.stored);
    return 0;
}
