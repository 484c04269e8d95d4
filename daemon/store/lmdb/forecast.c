/* store_forecast: everything is looked at, and the first conversations are copied to a scratch directory and migrated
 * there for good, so that time and space are measured and not guessed. The copy is laid out as the data is: its records
 * are put in the order in which they lie in the data file, because scattered pages cost a migration more; what waits in
 * the journal waits in the copy's, in the same order. */
#include "base/clock.h"
#include "store/lmdb/heads.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/marker.h"
#include "store/lmdb/migrate_offline.h"
#include "store/lmdb/survey.h"
#include "store/maintenance.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TRIAL_MESSAGES = 400000,
    TRIAL_RECORDS = 2 * TRIAL_MESSAGES, /* at most, of one long conversation too */
    COPY_BYTES = 8 * 1024 * 1024,       /* of one commit of the copy */
    SLACK_BYTES = 24 * 1024 * 1024,     /* pages that commits under way hold: three slices */
};
#define TRIAL_MAP_BYTES (UINT64_C(64) << 30)

/* A record to be copied: its value where it lies in the data file, and where its key in the copy is. */
struct spot {
    struct span value;
    size_t key_at; /* in trial.keys */
    uint32_t key_size;
    uint32_t table;
};

/* An entry of the journal to be copied, and whose it is in the copy. */
struct waiting {
    uint64_t id;
    uint64_t user_number;
    uint64_t conversation_number;
};

/* The copy under way. */
struct trial {
    struct env *from;
    struct env *to;
    const struct layout *layout;
    struct txn source;
    struct work work;
    struct buffer scratch;
    struct buffer keys;
    struct spot *spots; /* TRIAL_RECORDS */
    size_t spot_count;
    struct waiting *waiting; /* TRIAL_RECORDS */
    size_t waiting_count;
    uint64_t messages;
    uint64_t uncommitted; /* bytes of keys and values */
    int rc;               /* of LMDB: the first commit that failed */
};

static void copy_begin(struct trial *trial)
{
    trial->work = (struct work){.txn = env_begin(trial->to), .now_us = clock_wall_us(), .scratch = &trial->scratch};
    work_load(&trial->work);
    trial->uncommitted = 0;
}

static void copy_commit(struct trial *trial)
{
    work_save(&trial->work);
    int rc = env_commit(trial->to, &trial->work.txn);
    trial->rc = trial->rc ? trial->rc : rc;
}

/* Commits when there is enough. */
static void copy_go_on(struct trial *trial)
{
    if (trial->uncommitted >= COPY_BYTES) {
        copy_commit(trial);
        copy_begin(trial);
    }
}

static void copy_put(struct trial *trial, enum table table, struct span key, struct span value)
{
    buffer_clear(&trial->scratch);
    buffer_append(&trial->scratch, value.data, value.size);
    layout_seal(trial->layout, key, &trial->scratch);
    trial->uncommitted += key.size + trial->scratch.size;
    work_put_scratch(&trial->work, table, key);
    copy_go_on(trial);
}

static bool spot_add(struct trial *trial, enum table table, struct key key, struct span value)
{
    if (trial->spot_count == TRIAL_RECORDS) {
        return false;
    }
    trial->spots[trial->spot_count++] = (struct spot){
        .value = value, .key_at = trial->keys.size, .key_size = (uint32_t)key.size, .table = (uint32_t)table};
    buffer_append(&trial->keys, key.bytes, key.size);
    return !trial->keys.failed;
}

static int spot_order(const void *a, const void *b)
{
    const struct spot *left = a;
    const struct spot *right = b;
    return (left->value.data > right->value.data) - (left->value.data < right->value.data);
}

static struct key copy_key(const struct layout *layout, const struct place *to, enum kind kind, uint64_t seq,
                           struct span rest)
{
    return kind == KIND_MESSAGE      ? layout->message_key(to, seq)
           : kind == KIND_MESSAGE_ID ? layout->message_id_key(to, rest)
                                     : layout->request_key(to, rest);
}

/* How many messages stand in a value. */
static size_t message_count(struct span value)
{
    struct run_info info;
    return run_is(value) && run_info_get(value, &info) == 0 ? info.count : 1;
}

static void copy_kind(struct trial *trial, enum kind kind, const struct place *from, const struct place *to)
{
    const struct layout *layout = trial->layout;
    struct key prefix = layout->conversation_prefix(from, kind);
    struct cursor cursor = cursor_open(&trial->source, layout->tables[kind]);
    bool more = cursor_seek(&cursor, key_span(&prefix));
    while (more && span_starts_with(cursor.key, key_span(&prefix))) {
        uint64_t seq = 0;
        struct span value = cursor.value;
        struct span rest = span_of(cursor.key.data + prefix.size, cursor.key.size - prefix.size);
        bool keyed =
            kind == KIND_MESSAGE ? layout->parse_message(cursor.key, key_span(&prefix), &seq) == 0 : key_is_id(rest);
        more = true;
        if (keyed && value.size > 0 && layout_open(layout, cursor.key, &value) == 0) {
            more = trial->messages < TRIAL_RECORDS &&
                   spot_add(trial, layout->tables[kind], copy_key(layout, to, kind, seq, rest), value);
            trial->messages += more && kind == KIND_MESSAGE ? message_count(value) : 0;
        }
        more = more && cursor_next(&cursor);
    }
    cursor_close(&cursor);
}

static void copy_head(struct trial *trial, const struct place *from, const struct place *to)
{
    struct conversation_record head;
    struct span value;
    struct key key = trial->layout->head_key(from);
    enum table table = trial->layout->tables[KIND_HEAD];
    if (!txn_get(&trial->source, table, key_span(&key), &value) || layout_open(trial->layout, key_span(&key), &value) ||
        record_get_conversation(value, &head)) {
        return;
    }
    const struct recency_entry entry = {
        .archived = head.archived, .deleted = head.delete_time_us != 0, .gone_time_us = record_gone_time(&head)};
    struct buffer recency = {0};
    entry_put_recency(&recency, &entry);
    spot_add(trial, table, trial->layout->head_key(to), value);
    key = trial->layout->recency_key(to, head.activity_time_us);
    copy_put(trial, trial->layout->tables[KIND_RECENCY], key_span(&key), buffer_span(&recency));
    buffer_free(&recency);
    trial->work.stats.messages += head.message_count;
    trial->work.stats.conversations++;
}

/* Notes what waits of a conversation. */
static void copy_waiting(struct trial *trial, const struct place *from, const struct place *to)
{
    struct pending_chain chain;
    if (!trial->layout->has_runs) {
        return;
    }
    pending_chain(trial->source.pending, from->conversation_number, false, &chain);
    for (size_t i = chain.count; i > 0 && trial->waiting_count < TRIAL_RECORDS; i--) {
        struct journal_entry entry;
        struct message_record record;
        struct span bytes;
        if (journal_get(&trial->source, chain.ids[i - 1], &entry) != GET_FOUND) {
            continue; /* damaged, or a daemon has folded it meanwhile */
        }
        trial->waiting[trial->waiting_count++] = (struct waiting){entry.id, to->user_number, to->conversation_number};
        while (journal_next_message(&entry, &record, &bytes) == 1) {
            trial->messages++;
        }
    }
}

static int waiting_order(const void *a, const void *b)
{
    const struct waiting *left = a;
    const struct waiting *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

/* Puts an entry into the copy's journal. */
static void journal_copy(struct trial *trial, const struct waiting *waiting)
{
    struct pending *pending = trial->work.txn.pending;
    struct journal_entry entry;
    struct span key, value;
    if (journal_get(&trial->source, waiting->id, &entry) != GET_FOUND ||
        !journal_find(&trial->source, waiting->id, &key, &value) || layout_open(trial->layout, key, &value)) {
        return;
    }
    struct pending_entry pushed = {
        .id = pending_next_id(pending),
        .user_number = waiting->user_number,
        .conversation_number = waiting->conversation_number,
        .activity_us = entry.activity_time_us,
        .bytes = (uint32_t)value.size,
        .has_ids = entry.has_ids,
    };
    if (!pending_has_room(pending, &pushed)) {
        return;
    }
    entry.id = pushed.id;
    entry.user_number = waiting->user_number;
    entry.conversation_number = waiting->conversation_number;
    buffer_clear(&trial->scratch);
    buffer_append(&trial->scratch, value.data, value.size);
    journal_put(&trial->work, &entry);
    pending_push(pending, &pushed);
    trial->uncommitted += key.size + value.size;
    copy_go_on(trial);
}

/* Gives the first conversations their names in the copy, and notes their records. */
static void copy_name(struct trial *trial)
{
    static const enum kind kinds[] = {KIND_MESSAGE_ID, KIND_REQUEST, KIND_MESSAGE};
    struct buffer memory[2] = {{0}};
    struct place after = {.layout = trial->layout};
    struct place from;
    for (size_t i = 0; trial->messages < TRIAL_MESSAGES && trial->spot_count < TRIAL_RECORDS &&
                       trial->layout->next_conversation(&trial->source, &after, &from, &memory[i % 2]);
         i++) {
        if (from.damaged.size > 0) {
            break; /* the survey has told of it */
        }
        struct place to = {.layout = trial->layout, .user = from.user, .conversation = from.conversation};
        trial->layout->create(&trial->work, &to);
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            copy_kind(trial, kinds[k], &from, &to);
        }
        copy_head(trial, &from, &to);
        copy_waiting(trial, &from, &to);
        after = from;
    }
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
}

/* Returns LMDB's error. */
static int copy_run(struct trial *trial)
{
    trial->spots = calloc(TRIAL_RECORDS, sizeof(*trial->spots));
    trial->waiting = calloc(TRIAL_RECORDS, sizeof(*trial->waiting));
    bool has_memory = trial->spots && trial->waiting;
    if (has_memory) {
        copy_begin(trial);
        copy_name(trial);
        has_memory = !trial->keys.failed;
        trial->rc = trial->rc ? trial->rc : trial->source.rc;
        qsort(trial->spots, trial->spot_count, sizeof(*trial->spots), spot_order);
        qsort(trial->waiting, trial->waiting_count, sizeof(*trial->waiting), waiting_order);
    }
    for (size_t i = 0; has_memory && i < trial->spot_count && trial->rc == 0; i++) {
        const struct spot *spot = &trial->spots[i];
        copy_put(trial, (enum table)spot->table, span_of(trial->keys.data + spot->key_at, spot->key_size), spot->value);
    }
    for (size_t i = 0; has_memory && i < trial->waiting_count && trial->rc == 0; i++) {
        journal_copy(trial, &trial->waiting[i]);
    }
    if (trial->work.txn.handle) {
        copy_commit(trial);
    }
    free(trial->spots);
    free(trial->waiting);
    buffer_free(&trial->keys);
    return has_memory ? trial->rc : ENOMEM;
}

static uint64_t used_bytes(struct env *env)
{
    struct txn txn = env_begin_read(env);
    uint64_t used = env_size(env, &txn).used_bytes;
    env_abort(&txn);
    return used;
}

static double seconds_since(int64_t begun_us)
{
    return (double)(clock_monotonic_us() - begun_us) / CLOCK_SECOND_US;
}

/* How much there is to migrate: counted in what no layout changes. Bytes of records would not do, as the journal may
 * still hold entries that are home by now, and the copy's does not. */
static double work_of(const struct store_survey *survey)
{
    return (double)survey->messages + (double)survey->content_bytes;
}

/* Migrates the copy, and predicts from it. */
static int trial_migrate(struct trial *trial, struct store_forecast *forecast, struct error *error)
{
    const struct offline offline = {.env = trial->to, .wall_clock_us = clock_wall_us};
    struct store_survey copy;
    int64_t begun = clock_monotonic_us();
    int rc = survey_run(trial->to, &(const struct survey_pace){0}, &copy, error);
    double survey_seconds = seconds_since(begun);
    begun = clock_monotonic_us();
    rc = rc ? rc : offline_migrate(&offline, forecast->to, error);
    if (rc) {
        return rc;
    }
    double seconds = seconds_since(begun);
    double share = work_of(&copy) > 0 ? work_of(&forecast->survey) / work_of(&copy) : 1;
    forecast->trial_messages = trial->messages;
    forecast->trial_seconds = seconds;
    /* The trial's data is small and at hand: a survey of all takes longer by what reading it costs more. */
    double reading = forecast->survey_seconds - survey_seconds * share;
    forecast->predicted_seconds = seconds * share + (reading > 0 ? reading : 0);
    uint64_t used = used_bytes(trial->from);
    forecast->predicted_used_bytes = (uint64_t)((double)used_bytes(trial->to) * share);
    uint64_t larger = used > forecast->predicted_used_bytes ? used : forecast->predicted_used_bytes;
    uint64_t largest = larger + SLACK_BYTES;
    forecast->predicted_file_bytes = largest > forecast->file_bytes ? largest : forecast->file_bytes;
    forecast->needed_bytes = forecast->predicted_file_bytes - forecast->file_bytes;
    return 0;
}

static void scratch_remove(const char *directory)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "chatlogd.lock"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, names[i]) < sizeof(path)) {
            unlink(path);
        }
    }
    rmdir(directory);
}

static int trial_run(struct env *env, const char *directory, struct store_forecast *forecast, struct error *error)
{
    struct trial trial = {.from = env, .layout = layout_of(forecast->from)};
    struct env_config config = {.data_dir = directory,
                                .map_bytes = TRIAL_MAP_BYTES,
                                .now_us = clock_wall_us(),
                                .create_layout = forecast->from};
    int rc = env_open(&config, &trial.to, error);
    if (rc) {
        return rc;
    }
    trial.source = env_begin_read(env);
    int failure = copy_run(&trial);
    env_abort(&trial.source);
    rc = failure ? error_set(error, ERROR_STARTUP, "the trial copy failed: %s", mdb_strerror(failure))
                 : trial_migrate(&trial, forecast, error);
    buffer_free(&trial.scratch);
    env_close(trial.to);
    return rc;
}

static int scratch_trial(struct env *env, const char *data_dir, struct store_forecast *forecast, struct error *error)
{
    char directory[PATH_MAX];
    if ((size_t)snprintf(directory, sizeof(directory), "%s/trial-XXXXXX", data_dir) >= sizeof(directory) ||
        !mkdtemp(directory)) {
        return error_set(error, ERROR_STARTUP, "%s: cannot make a directory for the trial", data_dir);
    }
    int rc = trial_run(env, directory, forecast, error);
    scratch_remove(directory);
    return rc;
}

int store_forecast(const struct store_config *config, uint32_t to, struct store_forecast *ret, struct error *error)
{
    struct env *env;
    struct store_status status;
    struct env_config env_config = {
        .data_dir = config->data_dir, .map_bytes = config->map_bytes, .disk_reserve_bytes = config->disk_reserve_bytes};
    int rc = store_status(config, &status, error);
    if (rc == 0 && (status.layout != status.target || !migrate_step_find(status.layout, to))) {
        rc = error_set(error, ERROR_STARTUP,
                       status.layout == to ? "%s has that layout already" : "%s: no such migration can begin now",
                       config->data_dir);
    }
    rc = rc ? rc : env_open_read_only(&env_config, &env, error);
    if (rc) {
        return rc;
    }
    *ret = (struct store_forecast){
        .from = status.layout, .to = to, .file_bytes = status.file_bytes, .free_bytes = status.free_bytes};
    int64_t begun = clock_monotonic_us();
    rc = survey_run(env, &(const struct survey_pace){0}, &ret->survey, error);
    ret->survey_seconds = (double)(clock_monotonic_us() - begun) / CLOCK_SECOND_US;
    rc = rc ? rc : scratch_trial(env, config->data_dir, ret, error);
    env_close(env);
    return rc;
}
