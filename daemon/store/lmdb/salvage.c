/* store_salvage: everything that can be read goes from a damaged file into a new one of the newest layout. What has
 * lost its name gets one made of its number. */
#include "store/lmdb/salvage.h"

#include "base/clock.h"
#include "store/lmdb/audit.h"
#include "store/lmdb/directory.h"
#include "store/lmdb/heads.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 400, NAME_BYTES = 48 };

/* The names of users by number: 16 bytes and the name for each user. */
struct names {
    struct name {
        uint64_t number;
        size_t at; /* in text */
        size_t size;
    } * list;
    size_t count;
    size_t capacity;
    struct buffer text;
};

void salvage_tell(struct salvage *salvage, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (salvage->config->event) {
        salvage->config->event(salvage->config->event_arg, STORE_EVENT_PROGRESS, line);
    }
}

void salvage_begin(struct salvage *salvage)
{
    salvage->work =
        (struct work){.txn = env_begin(salvage->to), .now_us = clock_wall_us(), .scratch = &salvage->scratch};
    work_load(&salvage->work);
    salvage->uncommitted = 0;
}

int salvage_commit(struct salvage *salvage)
{
    work_save(&salvage->work);
    return env_commit(salvage->to, &salvage->work.txn);
}

/* After a page that cannot be read: what else there is may be. False: not even a new snapshot can be had. */
static bool source_renew(struct salvage *salvage)
{
    salvage->done->lost++;
    salvage_tell(salvage, "a page of the data file cannot be read (%s): what it holds is lost",
                 mdb_strerror(salvage->source.rc));
    env_abort(&salvage->source);
    salvage->source = env_begin_read(salvage->from);
    return !salvage->source.rc;
}

static int name_order(const void *left, const void *right)
{
    const struct name *a = left;
    const struct name *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void names_load(struct salvage *salvage, const struct layout *layout, struct names *names)
{
    struct key user = {0};
    struct key before = {0};
    for (; layout->next_user(&salvage->source, key_span(&before), &user); before = user) {
        if (span_order(key_span(&user), key_span(&before)) <= 0 /* damaged keys: the search leads back */) {
            salvage_tell(salvage, "the list of users is out of order behind %.*s", SPAN_FORMAT(key_span(&before)));
            break;
        }
        struct place place = {.layout = layout, .user = key_span(&user)};
        if (layout->find(&salvage->source, &place) != GET_FOUND) {
            continue;
        }
        if (names->count == names->capacity) {
            size_t capacity = names->capacity ? 2 * names->capacity : 1024;
            struct name *grown = realloc(names->list, capacity * sizeof(*grown));
            if (!grown) {
                txn_fail_memory(&salvage->work.txn);
                return;
            }
            names->list = grown;
            names->capacity = capacity;
        }
        names->list[names->count++] =
            (struct name){.number = place.user_number, .at = names->text.size, .size = user.size};
        buffer_append(&names->text, user.bytes, user.size);
    }
    if (names->text.failed) {
        txn_fail_memory(&salvage->work.txn);
        return;
    }
    if (names->count > 0) {
        qsort(names->list, names->count, sizeof(*names->list), name_order);
    }
}

/* The name of the place's conversation, by its number. Stops where a name cannot be read. */
static bool conversation_name(struct salvage *salvage, struct place *place, struct buffer memory[2])
{
    struct place after = {.layout = place->layout, .user = place->user};
    struct place found;
    for (size_t i = 0; place->layout->next_conversation(&salvage->source, &after, &found, &memory[i % 2]); i++) {
        if (found.damaged.size > 0 || !span_equal(found.user, place->user) ||
            span_order(found.conversation, after.conversation) <= 0) {
            return false;
        }
        if (found.conversation_number == place->conversation_number) {
            place->conversation = found.conversation;
            return true;
        }
        after = found;
    }
    return false;
}

/* Gives the place of which only the numbers are known its names. */
static void place_name(struct salvage *salvage, const struct names *names, struct place *place,
                       char made[2][NAME_BYTES], struct buffer memory[2])
{
    const struct name wanted = {.number = place->user_number};
    const struct name *name =
        names->count > 0 ? bsearch(&wanted, names->list, names->count, sizeof(wanted), name_order) : NULL;
    snprintf(made[0], NAME_BYTES, "salvaged-user-%" PRIu64, place->user_number);
    snprintf(made[1], NAME_BYTES, "salvaged-conversation-%" PRIu64, place->conversation_number);
    place->user = name ? span_of(names->text.data + name->at, name->size) : span_of_string(made[0]);
    struct conversation_record head;
    struct span value;
    struct key key = place->layout->head_key(place);
    bool sound = txn_get(&salvage->source, place->layout->tables[KIND_HEAD], key_span(&key), &value) &&
                 layout_open(place->layout, key_span(&key), &value) == 0 &&
                 record_get_conversation(value, &head) == 0 && key_is_id(head.conversation_id);
    if (sound) {
        place->conversation = head.conversation_id;
    } else if (!name || !conversation_name(salvage, place, memory)) {
        place->conversation = span_of_string(made[1]);
    }
    if (!name || place->conversation.data == (const uint8_t *)made[1]) {
        salvage->done->renamed++;
        salvage_tell(
            salvage, "user number %" PRIu64 ", conversation number %" PRIu64 " has lost a name: it is %.*s/%.*s",
            place->user_number, place->conversation_number, SPAN_FORMAT(place->user), SPAN_FORMAT(place->conversation));
    }
}

static void place_take(struct salvage *salvage, const struct place *place)
{
    struct conversation_place found;
    struct span value;
    struct key key = place->layout->head_key(place);
    bool headless = !txn_get(&salvage->source, place->layout->tables[KIND_HEAD], key_span(&key), &value);
    enum get_result there = place_find(&salvage->source, &salvage->layouts, place->user, place->conversation, &found);
    bool same = there == GET_FOUND && found.head.layout == place->layout &&
                found.head.conversation_number == place->conversation_number;
    bool moved = there == GET_FOUND && found.split && found.moved.conversation_number == place->conversation_number;
    bool removed = head_user_is_forgotten(&salvage->source, place->user) ||
                   (headless && txn_count(&salvage->source, TABLE_PURGES) > 0);
    if (removed || (moved && !same)) {
        return; /* forgotten, purged, or to be met with its head */
    }
    if (!same) {
        found = (struct conversation_place){.head = *place, .found = true};
    }
    salvage_conversation(salvage, &found);
}

/* The layouts that give numbers: by number, so that a lost name hides nothing. */
static void numbered_walk(struct salvage *salvage, const struct layout *layout)
{
    struct names names = {0};
    struct buffer memory[2] = {{0}};
    char made[2][NAME_BYTES];
    struct place at = {.layout = layout};
    names_load(salvage, layout, &names);
    while (!salvage->work.txn.rc) {
        if (salvage->source.rc && !source_renew(salvage)) {
            break;
        }
        struct place before = at;
        if (!layout->next_content(&salvage->source, &at)) {
            break;
        }
        if (at.user_number < before.user_number ||
            (at.user_number == before.user_number && at.conversation_number <= before.conversation_number)) {
            salvage->done->lost++;
            salvage_tell(salvage, "the records are out of order behind user number %" PRIu64 ": what follows is lost",
                         before.user_number);
            break;
        }
        struct place place = at;
        place_name(salvage, &names, &place, made, memory);
        place_take(salvage, &place);
    }
    free(names.list);
    buffer_free(&names.text);
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
}

static void named_walk(struct salvage *salvage, const struct layout *layout)
{
    struct buffer memory[2] = {{0}};
    struct place after = {.layout = layout};
    struct place place;
    for (size_t i = 0; layout->next_conversation(&salvage->source, &after, &place, &memory[i % 2]); i++) {
        bool above = span_equal(place.user, after.user) ? span_order(place.conversation, after.conversation) > 0
                                                        : span_order(place.user, after.user) > 0;
        if (place.damaged.size > 0 || !above) {
            salvage->done->lost++;
            salvage_tell(salvage, "a key of a conversation is damaged: those behind it are lost");
            break;
        }
        place_take(salvage, &place);
        after = place;
        if (salvage->work.txn.rc || (salvage->source.rc && !source_renew(salvage))) {
            break;
        }
    }
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
}

static void events_copy(struct salvage *salvage)
{
    struct cursor cursor = cursor_open(&salvage->source, TABLE_AUDIT);
    for (bool more = cursor_first(&cursor); more && !salvage->work.txn.rc; more = cursor_next(&cursor)) {
        struct event_record event;
        if (audit_get(cursor.key, cursor.value, &event)) {
            salvage->done->lost++;
            salvage_tell(salvage, "an event of the audit trail is damaged");
            continue;
        }
        txn_put(&salvage->work.txn, TABLE_AUDIT, cursor.key, cursor.value);
        if (event.user.size > 0) {
            struct key name = key_event_of_user(event.user, audit_stays(event.action), cursor.key);
            txn_put(&salvage->work.txn, TABLE_AUDIT_USERS, key_span(&name), span_of("-", 1));
        }
        salvage->done->events++;
    }
    cursor_close(&cursor);
}

/* Returns LMDB's error. */
static int salvage_run(struct salvage *salvage)
{
    const struct layout *list[2];
    salvage->source = env_begin_read(salvage->from);
    salvage_begin(salvage);
    if (salvage->source.rc || !layouts_load(&salvage->source, &salvage->layouts)) {
        txn_fail_damaged(&salvage->work.txn);
    }
    size_t count = salvage->work.txn.rc ? 0 : layouts_list(&salvage->layouts, list);
    for (size_t i = 0; i < count; i++) {
        if (list[i]->has_names) {
            numbered_walk(salvage, list[i]);
        } else {
            named_walk(salvage, list[i]);
        }
    }
    if (count > 0 && (!salvage->source.rc || source_renew(salvage))) {
        events_copy(salvage);
    }
    if (salvage->source.rc) {
        source_renew(salvage);
    }
    int rc = salvage_commit(salvage);
    env_abort(&salvage->source);
    buffer_free(&salvage->scratch);
    buffer_free(&salvage->messages);
    return rc;
}

static int target_name(const char *path, const char *partial, struct error *error)
{
    char lock[PATH_MAX];
    snprintf(lock, sizeof(lock), "%.4000s/lock.mdb", partial);
    unlink(lock);
    if (rename(partial, path)) {
        return error_set(error, ERROR_STARTUP, "%s cannot be renamed to %s: %s", partial, path, strerror(errno));
    }
    return directory_sync(path, error);
}

int store_salvage(const struct store_config *config, const char *from, struct store_salvage *ret, struct error *error)
{
    char partial[PATH_MAX];
    struct stat status;
    struct store_salvage done = {0};
    struct salvage salvage = {.config = config, .done = &done};
    const struct env_config source = {.data_dir = from, .map_bytes = config->map_bytes};
    const struct env_config target = {.data_dir = partial, .map_bytes = config->map_bytes, .now_us = clock_wall_us()};
    snprintf(partial, sizeof(partial), "%.4000s.partial", config->data_dir);
    if (lstat(config->data_dir, &status) == 0 || lstat(partial, &status) == 0) {
        return error_set(error, ERROR_STARTUP, "%s or %s.partial is there already: give the name of a new directory",
                         config->data_dir, config->data_dir);
    }
    int rc = env_open_read_only(&source, &salvage.from, error);
    if (rc) {
        return rc;
    }
    rc = env_open(&target, &salvage.to, error);
    if (rc == 0) {
        int lmdb = salvage_run(&salvage);
        rc = lmdb ? txn_error(lmdb, error) : 0;
        env_close(salvage.to);
    }
    env_close(salvage.from);
    rc = rc ? rc : target_name(config->data_dir, partial, error);
    if (rc == 0) {
        *ret = done;
    }
    return rc;
}
