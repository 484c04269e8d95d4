/* chatlog_fault_flip MODE FROM CONVERSATIONS TRIALS SEED DIRECTORY: in each trial a copy of a data file, or of a backup
 * that is then restored, is harmed, and everything is read as a daemon would. FROM is the directory it is in. MODE:
 *
 *   bit       one bit of the data file is wrong
 *   cut       the data file ends too soon
 *   backup    one bit of the backup is wrong, in every eighth trial one of its manifest
 *   summed    one bit of the backup's data file is wrong, and the manifest has the sum of the wrong file
 *
 * No message may come back as something else than was stored. Prints
 * "trials T wrong W missing M reported R found F ended E harmless H", each trial counted once, by the worst:
 *
 *   wrong     a message came back as another
 *   missing   a message or conversation was not there, and nothing says so
 *   reported  a read, the opening or the restoring was refused with a reason
 *   found     reads were well, the store's own check is not
 *   ended     the process crashed or did not come to an end
 *   harmless  the bit does not matter */
#include "fault/story.h"
#include "fault/workers.h"
#include "store/maintenance.h"
#include "support/directory.h"
#include "support/history.h"
#include "support/store_client.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    PATH_BYTES = 512,
    PAGE = 1000,
    MESSAGES_MAX = 1 << 16,
    SINGLES = 16, /* messages that are read one by one as well */
    TRIAL_SECONDS = 10,
    MANIFEST_EVERY = 8,
    SUM_DIGITS = 16,
};

enum mode { BIT, CUT, BACKUP, SUMMED, MODE_COUNT };
static const char *const mode_names[MODE_COUNT] = {"bit", "cut", "backup", "summed"};

enum outcome { HARMLESS, FOUND, REPORTED, MISSING, WRONG, OUTCOME_COUNT };

/* A message as it was stored: every byte of its record, as one number. */
struct stored {
    uint32_t conversation;
    uint64_t seq;
    uint64_t digest;
};

struct bytes {
    uint8_t *data;
    size_t size;
};

struct job {
    enum mode mode;
    struct bytes file;
    struct bytes manifest; /* of a backup */
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

static void file_write(const char *directory, const char *name, const void *data, size_t size)
{
    char path[PATH_BYTES + 16];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        perror(path);
        exit(WORKERS_DEFECT);
    }
    close(fd);
}

/* An empty one. */
static void directory_make(const char *path)
{
    directory_remove(strdup(path));
    if (mkdir(path, 0700)) {
        perror(path);
        exit(WORKERS_DEFECT);
    }
}

static void bit_flip(struct bytes bytes, uint64_t bit)
{
    bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Writes a sound manifest with the sum of the file as it is now. */
static void manifest_sum(const struct job *job, const char *backup)
{
    char sum[SUM_DIGITS + 1];
    json_t *json = json_loadb((const char *)job->manifest.data, job->manifest.size, 0, NULL);
    snprintf(sum, sizeof(sum), "%016" PRIx64, XXH3_64bits(job->file.data, job->file.size));
    json_object_del(json, "manifest_xxh3_64"); /* which is of all the others, in order and without spaces */
    json_object_set_new(json, "xxh3_64", json_string(sum));
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) {
        exit(WORKERS_DEFECT);
    }
    snprintf(sum, sizeof(sum), "%016" PRIx64, XXH3_64bits(text, strlen(text)));
    free(text);
    json_object_set_new(json, "manifest_xxh3_64", json_string(sum));
    text = json_dumps(json, 0);
    file_write(backup, "manifest.json", text, strlen(text));
    free(text);
    json_decref(json);
}

static bool backup_restores(const char *backup, const char *directory)
{
    const struct store_config config = {.data_dir = directory, .limits = &limits, .map_bytes = 1 << 30};
    struct store_backup told;
    struct error error;
    return store_restore(&config, backup, &told, &error) == 0;
}

/* Harms a copy in the directory. Returns false when it was refused. */
static bool image_make(const struct job *job, size_t trial, uint64_t random, const char *directory)
{
    bool in_manifest = job->mode == BACKUP && trial % MANIFEST_EVERY == 0;
    struct bytes harmed = in_manifest ? job->manifest : job->file;
    uint64_t bit = random % (harmed.size * 8);
    size_t size = job->mode == CUT ? random % job->file.size : job->file.size;
    char backup[PATH_BYTES];
    snprintf(backup, sizeof(backup), "%s-backup", directory);
    directory_make(directory);
    if (job->mode != CUT) {
        bit_flip(harmed, bit);
    }
    bool made = true;
    if (job->mode == BIT || job->mode == CUT) {
        file_write(directory, "data.mdb", job->file.data, size);
    } else {
        directory_make(backup);
        file_write(backup, "data.mdb", job->file.data, size);
        if (job->mode == SUMMED) {
            manifest_sum(job, backup);
        } else {
            file_write(backup, "manifest.json", job->manifest.data, job->manifest.size);
        }
        made = backup_restores(backup, directory);
    }
    if (job->mode != CUT) {
        bit_flip(harmed, bit);
    }
    return made;
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
    static const char *const words[] = {[WRONG] = "wrong", [MISSING] = "missing"};
    const struct job *job = arg;
    char directory[PATH_BYTES - 16];
    snprintf(directory, sizeof(directory), "%s/flip-%u", job->directory, worker);
    for (size_t trial = first > worker ? first : worker; trial < job->trials; trial++) {
        if (trial % WORKERS_COUNT != worker) {
            continue;
        }
        uint64_t random = history_random(job->seed ^ history_random(trial));
        *current = trial;
        alarm(TRIAL_SECONDS);
        bool made = image_make(job, trial, random, directory);
        enum outcome outcome = made ? trial_run(job, directory, random) : REPORTED;
        if (outcome >= MISSING) {
            fprintf(stderr, "trial %zu, random %ju: %s\n", trial, (uintmax_t)random, words[outcome]);
        }
        __atomic_fetch_add(&job->outcomes[outcome], 1, __ATOMIC_SEQ_CST);
    }
}

static bool file_take(const char *directory, const char *name, struct bytes *ret)
{
    char path[PATH_BYTES];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        return false;
    }
    ret->size = (size_t)status.st_size;
    ret->data = calloc(1, ret->size + 1);
    bool taken = ret->data && read(fd, ret->data, ret->size) == status.st_size;
    close(fd);
    return taken;
}

/* Reads the file as it was written. */
static void truth_take(struct job *job)
{
    char directory[PATH_BYTES];
    snprintf(directory, sizeof(directory), "%s/truth", job->directory);
    directory_make(directory);
    file_write(directory, "data.mdb", job->file.data, job->file.size);
    stored_read(job, directory);
}

static bool arguments_take(struct job *job, char **arguments)
{
    while (job->mode < MODE_COUNT && strcmp(mode_names[job->mode], arguments[1]) != 0) {
        job->mode++;
    }
    job->conversations = (uint32_t)strtoul(arguments[3], NULL, 10);
    job->trials = strtoul(arguments[4], NULL, 10);
    job->seed = strtoull(arguments[5], NULL, 10);
    job->directory = arguments[6];
    bool is_backup = job->mode == BACKUP || job->mode == SUMMED;
    return job->mode < MODE_COUNT && file_take(arguments[2], "data.mdb", &job->file) &&
           (!is_backup || file_take(arguments[2], "manifest.json", &job->manifest));
}

int main(int count, char **arguments)
{
    struct job job = {0};
    if (count != 7 || !arguments_take(&job, arguments)) {
        fprintf(stderr, "usage: chatlog_fault_flip MODE FROM CONVERSATIONS TRIALS SEED DIRECTORY\n");
        return 64;
    }
    job.outcomes = workers_share(OUTCOME_COUNT * sizeof(*job.outcomes));
    truth_take(&job);
    if (job.stored_count == 0) {
        return WORKERS_DEFECT;
    }
    size_t ended = workers_run(trials_go, &job, job.trials);
    printf("trials %zu wrong %zu missing %zu reported %zu found %zu ended %zu harmless %zu messages %zu\n", job.trials,
           job.outcomes[WRONG], job.outcomes[MISSING], job.outcomes[REPORTED], job.outcomes[FOUND], ended,
           job.outcomes[HARMLESS], job.stored_count);
    free(job.file.data);
    free(job.manifest.data);
    free(job.stored);
    return 0;
}
