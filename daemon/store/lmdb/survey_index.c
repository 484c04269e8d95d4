/* The survey's look at what points elsewhere: LMDB's branch pages, message_ids, deadlines, the audit trail and its
 * lists by user, content without a head. Each is looked at from both ends. */
#include "store/lmdb/survey_index.h"

#include "base/clock.h"
#include "store/lmdb/audit.h"
#include "store/lmdb/heads.h"

#include <inttypes.h>

enum { NAME_BYTES = 140, CONTENT_FINDINGS_MAX = 1000 };

void survey_message_id(struct survey *survey, const struct place *place, const struct message_record *message,
                       struct messages_sum *sum)
{
    uint64_t seq = 0;
    sum->ids++;
    if (message->message_id.size > KEY_ID_MAX || !key_is_id(message->message_id)) {
        survey_find_mismatch(survey, place, "a message has a message_id that none may have");
        return;
    }
    enum get_result found = place_get_message_id(&survey->txn, survey->place, message->message_id, &seq);
    if (found == GET_MISSING || (found == GET_FOUND && seq != message->seq)) {
        survey_find_mismatch(survey, place, "a message is not found by its message_id");
    }
}

void survey_search(struct survey *survey, const struct place *place, enum kind kind, const struct cursor *cursor)
{
    struct span value;
    if (!txn_get(&survey->txn, place->layout->tables[kind], cursor->key, &value) || value.data != cursor->value.data) {
        survey_find_mismatch(survey, place, "a record of it is not found by its key");
    }
}

void survey_deadline(struct survey *survey, const struct place *place, const struct conversation_record *head)
{
    int64_t gone_us = record_gone_time(head);
    struct span value;
    if (gone_us == 0) {
        return;
    }
    struct key key = key_deadline(gone_us, place->user, place->conversation);
    if (!txn_get(&survey->txn, TABLE_DEADLINES, key_span(&key), &value)) {
        survey_find_mismatch(survey, place, "no deadline says when it is to be removed");
    }
}

static void stray_find(struct survey *survey, const char *what, struct span user, struct span conversation)
{
    char name[NAME_BYTES];
    struct key key = conversation.size > 0 ? key_conversation(user, conversation) : key_forgotten_user(user);
    key_describe(key_span(&key), name, sizeof(name));
    survey->found->strays++;
    survey_find(survey, "%s %s", what, name);
}

static void deadline_look(struct survey *survey, struct span key, struct span value)
{
    int64_t time_us;
    struct span user;
    struct span conversation;
    struct conversation_place place;
    struct conversation_record head;
    (void)value;
    if (key_parse_deadline(key, &time_us, &user, &conversation)) {
        survey->found->unreadable++;
        survey_find(survey, "an entry of the deadlines is damaged");
        return;
    }
    enum get_result found = place_find(&survey->txn, &survey->layouts, user, conversation, &place);
    struct span bytes;
    found = found == GET_FOUND ? place_get_head(&survey->txn, &place, &bytes) : found;
    if (found == GET_MISSING && txn_count(&survey->txn, TABLE_PURGES) == 0) {
        stray_find(survey, "a deadline is of no conversation:", user, conversation);
    } else if (found == GET_FOUND && record_get_conversation(bytes, &head) == 0) {
        struct key right = key_deadline(record_gone_time(&head), user, conversation);
        if (!span_equal(key, key_span(&right))) {
            stray_find(survey, "a deadline is not that of its conversation", user, conversation);
        }
    }
}

static void event_look(struct survey *survey, struct span key, struct span value)
{
    struct event_record event;
    struct span there;
    bool damaged = audit_get(key, value, &event) != 0;
    if (!damaged && event.user.size > 0) {
        struct key name = key_event_of_user(event.user, audit_stays(event.action), key);
        damaged = !txn_get(&survey->txn, TABLE_AUDIT_USERS, key_span(&name), &there);
    }
    survey->found->events++;
    if (damaged) {
        survey->found->damaged_events++;
        survey_find(survey, "event %" PRIu64 " of the audit trail is damaged", survey->found->events);
    }
}

static void user_event_look(struct survey *survey, struct span key, struct span value)
{
    (void)value;
    struct span there;
    bool whole = key.size > KEY_EVENT_BYTES + 2;
    struct span event = whole ? span_of(key.data + key.size - KEY_EVENT_BYTES, KEY_EVENT_BYTES) : key;
    struct span user = span_of(key.data, whole ? key.size - KEY_EVENT_BYTES - 2 : 0);
    if (!whole || !key_is_id(user)) {
        survey->found->unreadable++;
        survey_find(survey, "an entry of the audit trail's lists by user is damaged");
    } else if (!txn_get(&survey->txn, TABLE_AUDIT, event, &there)) {
        stray_find(survey, "an event that is not there is in the list of user", user, span_of(NULL, 0));
    }
}

/* Looks at every entry of a table, in as many snapshots as it takes. */
static void table_look(struct survey *survey, enum table table,
                       void (*look)(struct survey *survey, struct span key, struct span value))
{
    struct key last = {0};
    bool more;
    do {
        struct cursor cursor = cursor_open(&survey->txn, table);
        more = last.size > 0 ? cursor_seek(&cursor, key_span(&last)) : cursor_first(&cursor);
        if (more && span_equal(cursor.key, key_span(&last))) {
            more = cursor_next(&cursor);
        }
        for (; more && clock_monotonic_us() < survey->renew_us; more = cursor_next(&cursor)) {
            look(survey, cursor.key, cursor.value);
            last = cursor_copy_key(&cursor);
        }
        cursor_close(&cursor);
    } while (more && survey_renew(survey));
}

void survey_shared(struct survey *survey)
{
    table_look(survey, TABLE_DEADLINES, deadline_look);
    if (!survey->given_up) {
        table_look(survey, TABLE_AUDIT, event_look);
    }
    if (!survey->given_up) {
        table_look(survey, TABLE_AUDIT_USERS, user_event_look);
    }
}

void survey_name_strays(struct survey *survey, const struct layout *layout)
{
    struct place place = {.layout = layout};
    struct span value;
    if (!layout->has_names) {
        return;
    }
    for (size_t named = 0; named < CONTENT_FINDINGS_MAX && layout->next_content(&survey->txn, &place);) {
        struct key head = layout->head_key(&place);
        if (!txn_get(&survey->txn, layout->tables[KIND_HEAD], key_span(&head), &value)) {
            survey_find(survey, "user number %" PRIu64 ", conversation number %" PRIu64 " has records and no head",
                        place.user_number, place.conversation_number);
            named++;
        }
    }
}
