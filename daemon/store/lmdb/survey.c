/* store_verify. A conversation is looked at within one snapshot; between conversations the snapshot is renewed now and
 * then, so that a daemon beside it can reuse pages. What compares totals is left out when a daemon wrote meanwhile. */
#include "store/lmdb/survey.h"

#include "base/clock.h"
#include "store/lmdb/heads.h"
#include "store/lmdb/migrate_move.h"
#include "store/lmdb/survey_index.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SNAPSHOT_US = 500 * CLOCK_MILLISECOND_US, NAME_BYTES = 140 };

void survey_find(struct survey *survey, const char *format, ...)
{
    struct store_survey *found = survey->found;
    char text[STORE_FINDING_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (found->finding_count < STORE_FINDINGS_MAX) {
        memcpy(found->findings[found->finding_count++], text, sizeof(text));
    }
    if (survey->pace->tell) {
        survey->pace->tell(survey->pace->arg, STORE_EVENT_PROGRESS, text);
    }
}

static void find_unreadable(struct survey *survey, const struct place *place, enum kind kind, struct span rest)
{
    static const char *const names[] = {[KIND_HEAD] = "conversation",
                                        [KIND_MESSAGE] = "message",
                                        [KIND_MESSAGE_ID] = "message_id",
                                        [KIND_REQUEST] = "request",
                                        [KIND_RECENCY] = "recency"};
    char name[NAME_BYTES];
    struct key key = key_conversation(place->user, place->conversation);
    key_describe(key_span(&key), name, sizeof(name));
    survey->found->unreadable++;
    survey_find(survey, "%s %s/%.*s is damaged", names[kind], name, kind == KIND_MESSAGE ? 0 : (int)rest.size,
                (const char *)rest.data);
}

void survey_find_mismatch(struct survey *survey, const struct place *place, const char *what)
{
    char name[NAME_BYTES];
    struct key key = key_conversation(place->user, place->conversation);
    key_describe(key_span(&key), name, sizeof(name));
    survey->found->mismatches++;
    survey_find(survey, "conversation %s: %s", name, what);
}

void survey_count(struct survey *survey, const struct layout *layout, size_t key_size, size_t value_size)
{
    struct store_survey *found = survey->found;
    survey->records[layout == survey->layouts.home ? 0 : 1]++;
    found->bytes += key_size + value_size;
    found->largest_key = key_size > found->largest_key ? key_size : found->largest_key;
}

static void target_key_count(struct survey *survey, const struct place *place, enum kind kind, size_t rest_size)
{
    /* Numbers take the same room whatever they are. */
    struct place place_newest = {.layout = layout_newest(), .user = place->user, .conversation = place->conversation};
    struct key key = kind == KIND_RECENCY   ? place_newest.layout->recency_key(&place_newest, 0)
                     : kind == KIND_MESSAGE ? place_newest.layout->message_key(&place_newest, 1)
                                            : place_newest.layout->conversation_prefix(&place_newest, KIND_REQUEST);
    size_t size = key.size + (kind == KIND_MESSAGE_ID || kind == KIND_REQUEST ? rest_size : 0);
    struct store_survey *found = survey->found;
    found->largest_target_key = size > found->largest_target_key ? size : found->largest_target_key;
}

void survey_message(struct survey *survey, const struct place *place, uint64_t seq, const struct span *record,
                    struct messages_sum *sum)
{
    struct message_record message = {0};
    if (!record || record_get_message(*record, &message) || message.seq != seq) {
        sum->damaged = true;
        survey->found->unreadable++;
        survey_find(survey, "message %.*s/%.*s/%" PRIu64 " is damaged", SPAN_FORMAT(place->user),
                    SPAN_FORMAT(place->conversation), seq);
    }
    if (seq <= sum->last_seq) {
        survey_find_mismatch(survey, place, "its messages are not in order");
    }
    if (message.message_id.size > 0 && !sum->waits) {
        survey_message_id(survey, place, &message, sum);
    }
    sum->count++;
    sum->content_bytes += message.content_size;
    sum->last_seq = seq;
}

/* Looks at a run under the key of this seq. False: it cannot be read. */
static bool run_look(struct survey *survey, const struct place *place, uint64_t seq, struct span value,
                     struct messages_sum *sum)
{
    struct run_message messages[RUN_MESSAGES_MAX];
    struct buffer raw = {0};
    struct run_info info;
    bool sound = run_info_get(value, &info) == 0 && run_unpack(&info, seq, &raw, messages) == 0;
    if (raw.failed) {
        txn_fail_memory(&survey->txn);
    }
    for (size_t i = 0; sound && i < info.count; i++) {
        survey_message(survey, place, messages[i].seq, &messages[i].record, sum);
    }
    buffer_free(&raw);
    return sound;
}

/* Looks at a message or a run; NULL: its value cannot be read. */
static void messages_look(struct survey *survey, const struct place *place, struct span key, const struct span *value,
                          struct messages_sum *sum)
{
    struct key prefix = place->layout->conversation_prefix(place, KIND_MESSAGE);
    uint64_t seq = 0;
    if (place->layout->parse_message(key, key_span(&prefix), &seq)) {
        value = NULL;
    }
    bool is_run = value && place->layout->has_runs && run_is(*value);
    if (!is_run || !run_look(survey, place, seq, *value, sum)) {
        survey_message(survey, place, seq, is_run ? NULL : value, sum);
    }
}

/* Looks at the records of a kind in one layout. */
static void kind_look(struct survey *survey, const struct place *place, enum kind kind, struct messages_sum *sum)
{
    struct key prefix = place->layout->conversation_prefix(place, kind);
    struct cursor cursor = cursor_open(&survey->txn, place->layout->tables[kind]);
    bool more = cursor_seek(&cursor, key_span(&prefix));
    while (more && span_starts_with(cursor.key, key_span(&prefix))) {
        struct span value = cursor.value;
        struct span rest = span_of(cursor.key.data + prefix.size, cursor.key.size - prefix.size);
        bool opens = layout_open(place->layout, cursor.key, &value) == 0;
        survey_count(survey, place->layout, cursor.key.size, cursor.value.size);
        target_key_count(survey, place, kind, rest.size);
        survey_search(survey, place, kind, &cursor);
        if (kind == KIND_MESSAGE) {
            messages_look(survey, place, cursor.key, opens ? &value : NULL, sum);
        } else if (!opens || record_damage(kind, value, 0, place->conversation, &survey->answer)) {
            find_unreadable(survey, place, kind, rest);
        }
        survey->found->message_ids += kind == KIND_MESSAGE_ID;
        sum->id_entries += kind == KIND_MESSAGE_ID;
        survey->found->requests += kind == KIND_REQUEST;
        more = cursor_next(&cursor);
    }
    cursor_close(&cursor);
}

static void recency_look(struct survey *survey, const struct place *place, const struct conversation_record *head)
{
    struct recency_entry entry;
    struct span value;
    struct key key = place->layout->recency_key(place, head->activity_time_us);
    target_key_count(survey, place, KIND_RECENCY, 0);
    if (!txn_get(&survey->txn, place->layout->tables[KIND_RECENCY], key_span(&key), &value)) {
        survey_find_mismatch(survey, place, "the list of the user's conversations lacks it");
        return;
    }
    survey_count(survey, place->layout, key.size, value.size);
    if (layout_open(place->layout, key_span(&key), &value) || entry_get_recency(value, &entry)) {
        find_unreadable(survey, place, KIND_RECENCY, span_of(NULL, 0));
    } else if (entry.archived != head->archived || entry.deleted != (head->delete_time_us != 0) ||
               entry.gone_time_us != record_gone_time(head)) {
        survey_find_mismatch(survey, place, "the list of the user's conversations says otherwise than its head");
    }
}

static void head_look(struct survey *survey, const struct place *place, const struct messages_sum *sum)
{
    struct conversation_record head;
    struct span value;
    struct key key = place->layout->head_key(place);
    if (!txn_get(&survey->txn, place->layout->tables[KIND_HEAD], key_span(&key), &value)) {
        survey_find_mismatch(survey, place, "it has a name and no head");
        return;
    }
    survey_count(survey, place->layout, key.size, value.size);
    if (layout_open(place->layout, key_span(&key), &value) || record_get_conversation(value, &head) ||
        !span_equal(head.conversation_id, place->conversation)) {
        find_unreadable(survey, place, KIND_HEAD, span_of(NULL, 0));
        return;
    }
    if (head.message_count != sum->count || head.content_bytes != sum->content_bytes) {
        survey_find_mismatch(survey, place, "its head counts other messages or bytes than there are");
    }
    if (head.last_seq < sum->last_seq) {
        survey_find_mismatch(survey, place, "it has messages above the head's last_seq");
    }
    recency_look(survey, place, &head);
    survey_deadline(survey, place, &head);
}

static void conversation_look(struct survey *survey, const struct place *found)
{
    static const enum kind kinds[] = {KIND_MESSAGE_ID, KIND_REQUEST, KIND_MESSAGE};
    struct conversation_place place;
    struct messages_sum sum = {0};
    bool there = place_find(&survey->txn, &survey->layouts, found->user, found->conversation, &place) == GET_FOUND;
    if (found->layout->has_names) {
        survey->records[found->layout == survey->layouts.home ? 0 : 1]++;
    }
    if (!there || place.head.layout != found->layout || head_user_is_forgotten(&survey->txn, found->user)) {
        return; /* the name of one that is split, or one that is being removed */
    }
    survey->place = &place;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (place.split) {
            kind_look(survey, &place.moved, kinds[i], &sum);
        }
        kind_look(survey, &place.head, kinds[i], &sum);
    }
    head_look(survey, &place.head, &sum);
    if (sum.ids != sum.id_entries && !sum.damaged) {
        survey_find_mismatch(survey, &place.head, "it has other message_ids than messages with one");
    }
    if (!place.split) {
        sum.waits = true;
        survey_waiting(survey, &place.head, &sum);
    }
    survey->found->conversations++;
    survey->found->messages += sum.count;
    survey->found->content_bytes += sum.content_bytes;
}

static bool snapshot_take(struct survey *survey)
{
    int64_t lasts = survey->pace->snapshot_us ? survey->pace->snapshot_us : (int64_t)SNAPSHOT_US;
    survey->renew_us = clock_monotonic_us() + lasts;
    if (!survey->txn.rc && !layouts_load(&survey->txn, &survey->layouts)) {
        txn_fail_damaged(&survey->txn);
    }
    if (!survey->txn.rc) {
        survey_index(survey);
    }
    return !survey->txn.rc;
}

bool survey_renew(struct survey *survey)
{
    if (clock_monotonic_us() < survey->renew_us) {
        return true;
    }
    env_reset_read(&survey->txn);
    survey->given_up = survey->pace->rest && !survey->pace->rest(survey->pace->arg);
    env_renew_read(&survey->txn);
    return snapshot_take(survey) && !survey->given_up;
}

/* Looks at the conversations in one layout, users in order. */
static void layout_look(struct survey *survey, const struct layout *layout)
{
    struct buffer memory[2] = {{0}};
    struct place after = {.layout = layout};
    struct place place;
    struct key user = {0};
    for (size_t i = 0; layout->next_conversation(&survey->txn, &after, &place, &memory[i % 2]); i++) {
        bool above = span_equal(place.user, after.user) ? span_order(place.conversation, after.conversation) > 0
                                                        : span_order(place.user, after.user) > 0;
        if (place.damaged.size > 0 || !above) { /* out of order, a search for the next would lead back */
            survey->found->unreadable++;
            survey_find(
                survey,
                "an entry that names a user or a conversation is damaged: what stands behind it was not looked at");
            break;
        }
        if (!span_equal(place.user, key_span(&user))) {
            user = key_forgotten_user(place.user);
            survey->found->users++;
            survey->records[layout == survey->layouts.home ? 0 : 1] += layout->has_names;
        }
        conversation_look(survey, &place);
        after = place;
        if (!survey_renew(survey)) {
            break;
        }
    }
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
}

/* Entries of layouts that are not in use. */
static uint64_t unused_count(struct survey *survey)
{
    const struct layout *list[2];
    size_t count = layouts_list(&survey->layouts, list);
    uint64_t entries = 0;
    for (enum table table = TABLE_SHARED_COUNT; table < TABLE_COUNT; table++) {
        bool used = false;
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < list[i]->own_table_count; k++) {
                used = used || list[i]->own_tables[k] == table;
            }
        }
        entries += used ? 0 : txn_count(&survey->txn, table);
    }
    return entries;
}

/* Of what nobody changed meanwhile: is there anything that was not met, and are the store's own counts right? */
static void totals_compare(struct survey *survey)
{
    struct store_survey *found = survey->found;
    const struct layout *list[2];
    size_t count = layouts_list(&survey->layouts, list);
    struct stats_entry stats = work_read_stats(&survey->txn);
    if (txn_count(&survey->txn, TABLE_PURGES) > 0) {
        return; /* what is being removed is neither here nor there */
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t entries = 0;
        for (size_t k = 0; k < list[i]->own_table_count; k++) {
            entries += txn_count(&survey->txn, list[i]->own_tables[k]);
        }
        if (entries != survey->records[i]) {
            found->strays += entries > survey->records[i] ? entries - survey->records[i] : 1;
            survey_find(survey, "layout %" PRIu32 " has %" PRIu64 " entries, and %" PRIu64 " belong to a conversation",
                        list[i]->number, entries, survey->records[i]);
            survey_name_strays(survey, list[i]);
        }
    }
    uint64_t unused = unused_count(survey);
    if (unused > 0) {
        found->strays += unused;
        survey_find(survey, "%" PRIu64 " entries are in tables of a layout that is not in use", unused);
    }
    if (stats.conversations != found->conversations || stats.messages != found->messages ||
        stats.content_bytes != found->content_bytes || (count == 1 && stats.users != found->users)) {
        found->mismatches++;
        survey_find(survey,
                    "the store counts %" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64
                    " bytes; there are %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                    stats.users, stats.conversations, stats.messages, stats.content_bytes, found->users,
                    found->conversations, found->messages, found->content_bytes);
    }
}

uint64_t survey_findings(const struct store_survey *survey)
{
    return survey->unreadable + survey->mismatches + survey->strays + survey->damaged_events;
}

int survey_run(struct env *env, const struct survey_pace *pace, struct store_survey *ret, struct error *error)
{
    *ret = (struct store_survey){0};
    struct survey survey = {.env = env, .pace = pace, .txn = env_begin_read(env), .found = ret};
    const struct layout *list[2];
    size_t count = 0;
    if (snapshot_take(&survey)) {
        survey.first_commit = txn_id(&survey.txn);
        count = layouts_list(&survey.layouts, list);
    }
    for (size_t i = count; i > 0 && !survey.txn.rc && !survey.given_up; i--) {
        layout_look(&survey, list[i - 1]); /* the source of a migration first: what moves meanwhile is met again */
    }
    if (!survey.given_up) {
        survey_shared(&survey);
    }
    if (!survey.txn.rc && !survey.given_up) {
        survey_journal(&survey);
        ret->changed_meanwhile = txn_id(&survey.txn) != survey.first_commit;
        if (!ret->changed_meanwhile) {
            totals_compare(&survey);
        }
    }
    int rc = survey.txn.rc;
    env_abort(&survey.txn);
    buffer_free(&survey.answer);
    if (survey.index) {
        pending_free(survey.index);
    }
    if (survey.given_up) {
        return error_set(error, ERROR_SHUTTING_DOWN, "the survey was given up: the daemon is stopping");
    }
    return rc ? txn_error(rc, error) : 0;
}

int store_verify(const struct store_config *config, struct store_survey *ret, struct error *error)
{
    struct env *env;
    struct env_config env_config = {.data_dir = config->data_dir, .map_bytes = config->map_bytes};
    int rc = env_open_read_only(&env_config, &env, error);
    if (rc) {
        return rc;
    }
    const struct survey_pace pace = {.tell = config->event, .arg = config->event_arg};
    rc = survey_run(env, &pace, ret, error);
    env_close(env);
    return rc;
}
