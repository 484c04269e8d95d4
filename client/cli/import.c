/* The command `import`: a file's lines go to workers, which share the connection so that the daemon can commit their
 * changes together. Memory holds at most one line per worker, and of long lines fewer (IMPORT_BYTES). Lines of one
 * conversation are stored in the order of the file. */
#include "chatlog_limits.h"
#include "cli/commands.h"
#include "cli/import_conversation.h"
#include "cli/line_reader.h"
#include "cli/report.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    IMPORT_WORKERS = 16,
    IMPORT_BYTES = LINE_READER_BYTES, /* of all lines being worked on, unless a single one is longer */
    CHUNK_BYTES = 4 * CHATLOG_MIB,
    KEPT_LINE_BYTES = 1 * CHATLOG_MIB, /* the most memory a worker keeps from one line to the next */
    PROGRESS_MS = 200,
};

enum worker_state { WORKER_IDLE, WORKER_READING, WORKER_STORING };

struct importer;

struct worker {
    struct importer *importer;
    pthread_t thread;
    bool started;
    struct line line;

    /* Under importer->lock. */
    enum worker_state state;
    uint64_t number;                            /* of the line, from 1 */
    const struct exchange_conversation *parsed; /* while WORKER_STORING */
};

struct importer {
    const struct session *session;
    struct import_limits limits;
    pthread_mutex_t input; /* one worker reads at a time; taken before lock */
    struct line_reader reader;
    uint64_t lines_read;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a worker's state, or ended */
    struct worker workers[IMPORT_WORKERS];
    size_t bytes; /* of the lines being worked on */
    bool ended;   /* no further line is read */
    bool stopped; /* nor stored */
    int exit_code;
    struct import_counts counts;
    bool progress;
    struct timespec begun;
    double progress_seconds; /* when progress was last shown */
};

static double importer_seconds(const struct importer *importer)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - importer->begun.tv_sec) + (double)(now.tv_nsec - importer->begun.tv_nsec) / 1e9;
}

/* Under lock. */
static void progress_clear(const struct importer *importer)
{
    if (importer->progress) {
        fputs("\r\033[K", stderr);
    }
}

/* Under lock. */
static void progress_show(struct importer *importer)
{
    double seconds = importer_seconds(importer);
    if (!importer->progress || seconds - importer->progress_seconds < PROGRESS_MS / 1000.0) {
        return;
    }
    const struct import_counts *counts = &importer->counts;
    importer->progress_seconds = seconds;
    fprintf(stderr, "\r\033[K%llu conversations, %llu messages (%llu already present), %.0f messages/s",
            (unsigned long long)counts->conversations, (unsigned long long)counts->messages,
            (unsigned long long)counts->present, (double)(counts->messages + counts->present) / seconds);
}

static void importer_reject(struct importer *importer, uint64_t number, const char *reason)
{
    pthread_mutex_lock(&importer->lock);
    progress_clear(importer);
    report_line("line %llu: %s", (unsigned long long)number, reason);
    importer->counts.failed++;
    pthread_mutex_unlock(&importer->lock);
}

/* The server cannot go on: the first worker to see it says so, the others end after their line. */
static void importer_stop(struct importer *importer, const struct chatlog_error *error)
{
    pthread_mutex_lock(&importer->lock);
    bool first = !importer->stopped;
    importer->stopped = true;
    importer->ended = true;
    progress_clear(importer);
    importer->progress = false;
    pthread_mutex_unlock(&importer->lock);
    if (!first) {
        return;
    }
    int code = session_fail(importer->session, error);
    report_line("the import stopped; import the file again to go on, what is stored will be skipped");
    pthread_mutex_lock(&importer->lock);
    importer->exit_code = code;
    pthread_mutex_unlock(&importer->lock);
}

/* Under importer->input. */
static void importer_fail_reading(struct importer *importer, int number)
{
    pthread_mutex_lock(&importer->lock);
    progress_clear(importer);
    report_failure("UNAVAILABLE", "FILE_UNREADABLE", "Reading failed after line %llu: %s.",
                   (unsigned long long)importer->lines_read, strerror(number));
    importer->exit_code = EXIT_FAILURE;
    importer->ended = true;
    pthread_mutex_unlock(&importer->lock);
}

static bool line_is_blank(const struct line *line)
{
    size_t i = 0;
    while (i < line->length && strchr(" \t\r", line->data[i]) && line->data[i]) {
        i++;
    }
    return i == line->length;
}

/* Counts the line in, and waits until there is room for it. Under importer->input. */
static void worker_begin(struct worker *worker)
{
    struct importer *importer = worker->importer;
    pthread_mutex_lock(&importer->lock);
    while (importer->bytes > 0 && importer->bytes + worker->line.length > IMPORT_BYTES) {
        pthread_cond_wait(&importer->changed, &importer->lock);
    }
    importer->bytes += worker->line.length;
    importer->counts.lines++;
    worker->state = WORKER_READING;
    worker->number = importer->lines_read;
    pthread_mutex_unlock(&importer->lock);
}

/* Takes the next line that is not blank. False when there is none. */
static bool worker_next(struct worker *worker)
{
    struct importer *importer = worker->importer;
    bool found = false;
    pthread_mutex_lock(&importer->input);
    while (!found) {
        pthread_mutex_lock(&importer->lock);
        bool ended = importer->ended;
        pthread_mutex_unlock(&importer->lock);
        enum line_result result = ended ? LINE_END : line_reader_next(&importer->reader, &worker->line);
        if (result == LINE_END) {
            break;
        }
        if (result == LINE_FAILED) {
            importer_fail_reading(importer, errno);
            break;
        }
        importer->lines_read++;
        if (result == LINE_TOO_LONG) {
            pthread_mutex_lock(&importer->lock);
            importer->counts.lines++;
            pthread_mutex_unlock(&importer->lock);
            importer_reject(importer, importer->lines_read, "the line is longer than 256 MiB");
        } else if (!line_is_blank(&worker->line)) {
            worker_begin(worker);
            found = true;
        }
    }
    pthread_mutex_unlock(&importer->input);
    return found;
}

/* Whether an earlier line is of the same conversation, or may be: it is not parsed yet. Under lock. */
static bool worker_must_wait(const struct worker *worker, const struct exchange_conversation *parsed)
{
    for (size_t i = 0; i < IMPORT_WORKERS; i++) {
        const struct worker *other = &worker->importer->workers[i];
        if (other->state == WORKER_IDLE || other->number >= worker->number) {
            continue;
        }
        if (other->state == WORKER_READING ||
            (strcmp(other->parsed->user_id, parsed->user_id) == 0 &&
             strcmp(other->parsed->conversation.conversation_id, parsed->conversation.conversation_id) == 0)) {
            return true;
        }
    }
    return false;
}

/* Every line waits only for earlier ones, so the earliest never waits. False when nothing is to be stored any more. */
static bool worker_wait_for_turn(struct worker *worker, const struct exchange_conversation *parsed)
{
    struct importer *importer = worker->importer;
    pthread_mutex_lock(&importer->lock);
    assert(worker->state == WORKER_READING);
    while (worker_must_wait(worker, parsed)) {
        pthread_cond_wait(&importer->changed, &importer->lock);
    }
    worker->state = WORKER_STORING;
    worker->parsed = parsed;
    bool stopped = importer->stopped;
    pthread_cond_broadcast(&importer->changed);
    pthread_mutex_unlock(&importer->lock);
    return !stopped;
}

static void worker_end(struct worker *worker)
{
    struct importer *importer = worker->importer;
    pthread_mutex_lock(&importer->lock);
    assert(worker->state != WORKER_IDLE && importer->bytes >= worker->line.length);
    worker->state = WORKER_IDLE;
    worker->parsed = NULL;
    importer->bytes -= worker->line.length;
    progress_show(importer);
    pthread_cond_broadcast(&importer->changed);
    pthread_mutex_unlock(&importer->lock);
    if (worker->line.capacity > KEPT_LINE_BYTES) {
        free(worker->line.data);
        worker->line = (struct line){.data = NULL};
    }
}

static void importer_count(struct importer *importer, uint64_t number, const struct import_outcome *outcome)
{
    pthread_mutex_lock(&importer->lock);
    importer->counts.conversations += outcome->created;
    importer->counts.messages += outcome->messages;
    importer->counts.present += outcome->present;
    if (outcome->relabelled) {
        progress_clear(importer);
        report_line(
            "line %llu: note: the conversation is stored with another title, metadata, archived mark or expiry; "
            "that was left as it is",
            (unsigned long long)number);
    }
    pthread_mutex_unlock(&importer->lock);
}

static void worker_store(struct worker *worker, const struct exchange_conversation *parsed)
{
    struct importer *importer = worker->importer;
    struct import_outcome outcome;
    if (!worker_wait_for_turn(worker, parsed)) {
        return;
    }
    enum import_result result = import_conversation(importer->session, &importer->limits, parsed, &outcome);
    importer_count(importer, worker->number, &outcome);
    if (result == IMPORT_REJECTED) {
        importer_reject(importer, worker->number, outcome.text);
    } else if (result == IMPORT_STOPPED) {
        importer_stop(importer, &outcome.error);
    }
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    while (worker_next(worker)) {
        struct exchange_conversation parsed;
        struct exchange_problem problem;
        if (exchange_read(worker->line.data, worker->line.length, worker->importer->limits.message_bytes, &parsed,
                          &problem) < 0) {
            importer_reject(worker->importer, worker->number, problem.text);
            worker_end(worker);
            continue;
        }
        worker_store(worker, &parsed);
        worker_end(worker);
        exchange_free(&parsed);
    }
    free(worker->line.data);
    return NULL;
}

static uint64_t limit_value(const struct chatlog_server_info *info, const char *name, uint64_t otherwise)
{
    for (size_t i = 0; i < info->limit_count; i++) {
        if (strcmp(info->limits[i].name, name) == 0) {
            return info->limits[i].value;
        }
    }
    return otherwise;
}

/* Asks the server what it takes. Returns 0 or the exit code. */
static int importer_ask_limits(struct importer *importer)
{
    const struct session *session = importer->session;
    struct chatlog_server_info info;
    struct chatlog_error error;
    if (chatlog_get_server_info(session->client, &session->call, &info, &error) != 0) {
        return session_fail(session, &error);
    }
    uint64_t request_bytes = limit_value(&info, "request_bytes", CHATLOG_LIMIT_request_bytes);
    importer->limits = (struct import_limits){
        .message_bytes = limit_value(&info, "message_bytes", CHATLOG_LIMIT_message_bytes),
        .chunk_bytes = request_bytes / 2 < CHUNK_BYTES ? request_bytes / 2 : CHUNK_BYTES,
        .chunk_messages = CHATLOG_LIMIT_append_messages,
    };
    chatlog_server_info_free(&info);
    return 0;
}

/* Runs the workers to the end. One that could not be started is not missed while there is another. */
static void importer_run(struct importer *importer)
{
    size_t started = 0;
    for (size_t i = 0; i < IMPORT_WORKERS; i++) {
        struct worker *worker = &importer->workers[i];
        worker->importer = importer;
        worker->started = pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
        started += worker->started;
    }
    if (started == 0) {
        worker_run(&importer->workers[0]);
    }
    for (size_t i = 0; i < IMPORT_WORKERS; i++) {
        if (importer->workers[i].started) {
            pthread_join(importer->workers[i].thread, NULL);
        }
    }
}

static int importer_finish(struct importer *importer)
{
    const struct import_counts *counts = &importer->counts;
    progress_clear(importer);
    importer->session->printer->imported(importer->session->out, counts);
    if (importer->exit_code == EXIT_SUCCESS && counts->failed > 0) {
        report_failure("INVALID_ARGUMENT", "LINES_FAILED",
                       "%llu of %llu lines were not imported, for the reasons above.\n"
                       "  Mend them and import the file again: what is stored will be skipped.",
                       (unsigned long long)counts->failed, (unsigned long long)counts->lines);
        return EXIT_FAILURE;
    }
    return importer->exit_code;
}

int command_import(struct session *session)
{
    const char *path = session_operand(session, 0);
    int file = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        report_failure("NOT_FOUND", "FILE_UNREADABLE", "'%.200s' cannot be opened: %s.", path, strerror(errno));
        return EXIT_FAILURE;
    }
    struct importer importer = {
        .session = session,
        .input = PTHREAD_MUTEX_INITIALIZER,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
        .reader = line_reader_new(file),
        .progress = isatty(STDERR_FILENO) == 1,
    };
    clock_gettime(CLOCK_MONOTONIC, &importer.begun);
    int code = importer_ask_limits(&importer);
    if (code == 0) {
        importer_run(&importer);
        code = importer_finish(&importer);
    }
    line_reader_free(&importer.reader);
    if (file != STDIN_FILENO) {
        close(file);
    }
    return code;
}
