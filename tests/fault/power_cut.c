/* chatlog_fault_power_cut RECORD SEED CONVERSATIONS IMAGES DIRECTORY [birth]: builds at least so many states that a
 * power cut may have left of a recorded run (load.c told CONVERSATIONS stories of SEED), opens each as a daemon does,
 * and reads everything. Each change that was answered before the cut must be there, the one after it wholly or not, and
 * the store must find nothing wrong with itself and go on.
 *
 * A quarter of the images is the harshest of its place: none of what was not synced. Prints
 * "images I answers A bad B unborn U refused R events E": E moments are there; U images are from before the first
 * answer, R of them do not open. With "birth" all images are. */
#include "fault/disk_image.h"
#include "fault/story.h"
#include "fault/workers.h"
#include "store/maintenance.h"
#include "support/history.h"
#include "support/store_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ANSWER_HEAD_BYTES = 13, /* frame type and length, SP request id */
    REFUSED_FIELD = 0x08,   /* Response.code comes first, and is left out when it is OK */
    GO_ON_EVERY = 8,        /* of these images one is written to */
    PATH_BYTES = 512,
    CHILD_BAD = 3,
    BAD_MAX = 20,
};

/* Shared by the processes. */
struct tally {
    size_t images;
    size_t unborn;
    size_t refused;
    size_t answers;
    size_t events; /* of the record */
    size_t first_answer;
};

struct job {
    const char *record;
    uint64_t seed;
    uint32_t conversations;
    size_t images;
    const char *directory;
    bool birth;
    struct tally *tally;
};

/* What was answered until a point of the record. */
struct truth {
    struct story *stories;
    size_t answers;
};

static const struct limits limits = {CHATLOG_LIMITS(LIMITS_VALUE)};

static void answer_take_in(const struct job *job, struct truth *truth, const struct disk_event *event)
{
    uint32_t conversation;
    uint32_t done;
    if (event->size <= ANSWER_HEAD_BYTES || event->bytes[0] != 1 || event->bytes[ANSWER_HEAD_BYTES] == REFUSED_FIELD) {
        return;
    }
    const uint8_t *id = event->bytes + ANSWER_HEAD_BYTES - 4;
    uint32_t number = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    story_number_parse(number & INT32_MAX, &conversation, &done);
    if (conversation >= job->conversations) {
        return; /* a read */
    }
    struct story *story = &truth->stories[conversation];
    if (story->done + 1 != done) {
        fprintf(stderr, "the record answers change %" PRIu32 " of conversation %" PRIu32 " after %" PRIu64 "\n", done,
                conversation, story->done);
        exit(WORKERS_DEFECT);
    }
    story_advance(story);
    truth->answers++;
}

static bool conversation_fits(struct client *client, const struct story *story)
{
    char user[STORY_ID_BYTES];
    char name[STORY_ID_BYTES];
    uint64_t digest = 0;
    struct story next = *story;
    story_user(story->conversation, user);
    story_conversation(story->conversation, name);
    const struct answer *page = client_run(client, op_page(user, name, STORE_LATEST, 0, 1000));
    if (page->reason == ERROR_NONE_REASON) {
        for (size_t i = 0; i < page->count; i++) {
            const Chatlog__V1__Message *message = page->messages[i];
            digest = story_digest_add(digest, message->seq, message->content.data, message->content.len);
        }
        digest = story_digest_end(digest, page->result.last_seq);
    } else if (page->reason != ERROR_CONVERSATION_NOT_FOUND) {
        return false;
    }
    client_release(client);
    story_advance(&next);
    return digest == story_digest(story) || digest == story_digest(&next);
}

static bool store_is_sound(const char *directory)
{
    const struct store_config config = {.data_dir = directory, .limits = &limits, .map_bytes = 1 << 30};
    struct store_survey survey;
    struct error error = {0};
    if (store_verify(&config, &survey, &error)) {
        fprintf(stderr, "verify: %s\n", error.message);
        return false;
    }
    if (survey.finding_count > 0) {
        fprintf(stderr, "verify: %s\n", survey.findings[0]);
    }
    return survey.unreadable + survey.mismatches + survey.strays == 0;
}

static bool store_goes_on(struct client *client)
{
    const struct store_message message = message_of("user", "after the power cut");
    const struct answer *answer = client_run(client, op_creating(op_append("somebody", "else", &message, 1)));
    bool ok = answer->reason == ERROR_NONE_REASON;
    client_release(client);
    return ok;
}

static void store_fatal(void *arg, const char *message)
{
    (void)arg;
    fprintf(stderr, "%s\n", message);
    abort();
}

/* Opens what the cut left. Whatever is wrong with it ends this process. */
static void image_check(const struct job *job, const struct truth *truth, const char *directory, size_t image)
{
    struct store *store;
    struct error error;
    const struct store_config probe = {
        .data_dir = directory, .limits = &limits, .map_bytes = 1 << 30, .fatal = store_fatal};
    if (truth->answers == 0) { /* perhaps from before the first commit */
        __atomic_fetch_add(&job->tally->unborn, 1, __ATOMIC_SEQ_CST);
        if (store_open(&probe, &store, &error)) {
            __atomic_fetch_add(&job->tally->refused, 1, __ATOMIC_SEQ_CST);
            return;
        }
        store_close(store);
    }
    if (!store_is_sound(directory)) {
        exit(CHILD_BAD);
    }
    struct client *client = client_new_in(directory);
    for (uint32_t i = 0; i < job->conversations; i++) {
        if (!conversation_fits(client, &truth->stories[i])) {
            fprintf(stderr, "image %zu: conversation %" PRIu32 " is not as it was after %" PRIu64 " answers\n", image,
                    i, truth->stories[i].done);
            exit(CHILD_BAD);
        }
    }
    bool goes_on = image % GO_ON_EVERY != 0 || store_goes_on(client);
    client_close(client);
    client_free(client);
    if (!goes_on || (image % GO_ON_EVERY == 0 && !store_is_sound(directory))) {
        fprintf(stderr, "image %zu: the store does not go on\n", image);
        exit(CHILD_BAD);
    }
}

static struct truth truth_new(const struct job *job)
{
    struct truth truth = {.stories = calloc(job->conversations, sizeof(*truth.stories))};
    if (!truth.stories) {
        exit(WORKERS_DEFECT);
    }
    for (uint32_t i = 0; i < job->conversations; i++) {
        truth.stories[i] = story_new(job->seed, i);
    }
    return truth;
}

static void record_survey(const struct job *job)
{
    struct disk disk = disk_open(job->record);
    struct truth truth = truth_new(job);
    while (disk.played < disk.event_count) {
        const struct disk_event *event = disk_play(&disk);
        if (event->kind == IOFAULT_ANSWER) {
            answer_take_in(job, &truth, event);
            job->tally->first_answer = truth.answers == 0 ? disk.played : job->tally->first_answer;
        }
    }
    job->tally->answers = truth.answers;
    job->tally->events = disk.event_count;
    free(truth.stories);
    disk_close(&disk);
}

/* Images are spread evenly over the record, so that those of one place share what was played. */
static void images_check(const void *arg, unsigned worker, size_t first, size_t *current)
{
    const struct job *job = arg;
    size_t events = job->birth ? job->tally->first_answer : job->tally->events;
    char directory[PATH_BYTES];
    struct disk disk = disk_open(job->record);
    struct truth truth = truth_new(job);
    snprintf(directory, sizeof(directory), "%s/image-%u", job->directory, worker);
    mkdir(directory, 0700);
    for (size_t image = worker; image < job->images; image += WORKERS_COUNT) {
        size_t end = (image / DISK_CUT_COUNT * DISK_CUT_COUNT + DISK_CUT_COUNT) * events / job->images;
        while (disk.played < end && disk.played < events) {
            const struct disk_event *event = disk_play(&disk);
            if (event->kind == IOFAULT_ANSWER) {
                answer_take_in(job, &truth, event);
            }
        }
        if (image < first) {
            continue;
        }
        *current = image;
        disk_cut_write(&disk, (enum disk_cut)(image % DISK_CUT_COUNT), history_random(job->seed + image), directory);
        image_check(job, &truth, directory, image);
        __atomic_fetch_add(&job->tally->images, 1, __ATOMIC_SEQ_CST);
    }
    free(truth.stories);
    disk_close(&disk);
}

int main(int count, char **arguments)
{
    if (count != 6 && (count != 7 || strcmp(arguments[6], "birth") != 0)) {
        fprintf(stderr, "usage: chatlog_fault_power_cut RECORD SEED CONVERSATIONS IMAGES DIRECTORY [birth]\n");
        return 64;
    }
    struct job job = {
        .record = arguments[1],
        .seed = strtoull(arguments[2], NULL, 10),
        .conversations = (uint32_t)strtoul(arguments[3], NULL, 10),
        .images = strtoul(arguments[4], NULL, 10),
        .directory = arguments[5],
        .birth = count == 7,
        .tally = workers_share(sizeof(*job.tally)),
    };
    if (job.conversations > STORY_CONVERSATIONS_MAX) {
        return WORKERS_DEFECT;
    }
    record_survey(&job);
    if (!job.birth && job.images < DISK_CUT_COUNT * job.tally->events) {
        job.images = DISK_CUT_COUNT * job.tally->events;
    }
    size_t bad = workers_run(images_check, &job, BAD_MAX);
    printf("images %zu answers %zu bad %zu unborn %zu refused %zu events %zu\n", job.tally->images + bad,
           job.tally->answers, bad, job.tally->unborn, job.tally->refused, job.tally->events);
    return 0;
}
