#include "store/lmdb/migrate_place.h"

#include "store/lmdb/fold.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/migrate_pack.h"
#include "store/lmdb/quarantine.h"

#include <assert.h>

bool place_empty_journal(struct mover *mover)
{
    struct work *work = mover->work;
    while (!mover_failed(mover) && mover_has_budget(mover)) {
        if (!fold_next(work, 1)) {
            if (txn_count(&work->txn, TABLE_3_JOURNAL) == 0) {
                return true;
            }
            journal_truncate(work, UINT64_MAX, 1);
        }
        mover->moved++;
    }
    return false;
}

/* The messages of one conversation, whose names in the digests are their keys. */
struct forms {
    struct mover *mover;
    const struct place *place;
    struct key prefix;
    struct cursor cursor;
    uint64_t seq; /* up to here all have the new form */
    bool ends;    /* the slice is to end: this took long */
};

/* The user's name, which the content does not tell; empty: there is none. */
static struct key user_find(struct txn *txn, const struct place *content)
{
    struct key user = {0};
    while (content->layout->next_user(txn, key_span(&user), &user)) {
        struct place place = {.layout = content->layout, .user = key_span(&user)};
        if (content->layout->find(txn, &place) == GET_FOUND && place.user_number == content->user_number) {
            return user;
        }
    }
    return (struct key){0};
}

static struct key conversation_find(struct txn *txn, const struct place *content)
{
    struct key name = {0};
    struct span value;
    struct conversation_record record;
    struct key key = content->layout->head_key(content);
    if (txn_get(txn, content->layout->tables[KIND_HEAD], key_span(&key), &value) &&
        layout_open(content->layout, key_span(&key), &value) == 0 && record_get_conversation(value, &record) == 0 &&
        key_is_id(record.conversation_id)) {
        key_add(&name, record.conversation_id);
    }
    return name;
}

/* What cannot be read stays where it is; a copy goes to quarantine. */
static void quarantine_copy(struct forms *forms, const char *damage)
{
    struct work *work = forms->mover->work;
    struct key key = cursor_copy_key(&forms->cursor);
    buffer_clear(work->scratch);
    buffer_append(work->scratch, forms->cursor.value.data, forms->cursor.value.size);
    if (work->scratch->failed) {
        txn_fail_memory(&work->txn);
        return;
    }
    struct key user = user_find(&work->txn, forms->place);
    struct key conversation = conversation_find(&work->txn, forms->place);
    const struct quarantined found = {
        .layout = forms->mover->source->number,
        .table = forms->place->layout->tables[KIND_MESSAGE],
        .key = key_span(&key),
        .value = buffer_span(work->scratch),
        .reason = damage,
    };
    if (user.size > 0 && conversation.size > 0) {
        struct span rest = span_of(key.bytes + forms->prefix.size, key.size - forms->prefix.size);
        quarantine_put(work, key_span(&user), key_span(&conversation), KIND_MESSAGE, rest, &found);
    } else {
        quarantine_put_of_user(work, key_span(&user), &found);
    }
    forms->mover->entry.quarantined++;
    forms->ends = true;
}

/* What is wrong with the entry the cursor is at, which is no run; NULL: nothing. Fills in its record. */
static const char *record_look(struct forms *forms, uint64_t seq, struct span *ret_record)
{
    struct span record = forms->cursor.value;
    if (layout_open(forms->place->layout, forms->cursor.key, &record)) {
        return "its checksum is wrong";
    }
    *ret_record = record;
    return record_damage(KIND_MESSAGE, record, seq, span_of(NULL, 0), &forms->mover->answer);
}

/* Puts what was taken into runs, and brings the cursor, whose page that may have moved, back to the entry of this
 * seq. */
static void flush(struct forms *forms, uint64_t seq)
{
    struct key key = forms->place->layout->message_key(forms->place, seq);
    pack_flush(forms->mover);
    if (!cursor_seek(&forms->cursor, key_span(&key))) {
        assert(forms->mover->work->txn.rc); /* nothing has removed it */
    }
}

/* On the way up: a record goes into the run that is being made. */
static size_t record_pack(struct forms *forms, uint64_t seq)
{
    struct mover *mover = forms->mover;
    struct buffer *scratch = mover->work->scratch;
    struct span record = {0};
    const char *damage = record_look(forms, seq, &record);
    if (damage || !pack_takes(record)) {
        flush(forms, seq);
        if (damage && !mover_failed(mover)) {
            quarantine_copy(forms, damage);
        }
        return 1;
    }
    buffer_clear(scratch);
    buffer_append(scratch, record.data, record.size);
    if (scratch->failed) {
        txn_fail_memory(&mover->work->txn);
        return 0;
    }
    cursor_delete(&forms->cursor);
    pack_count_source(mover, key_span(&forms->prefix), seq, buffer_span(scratch));
    pack_add(mover, seq, buffer_span(scratch), false);
    return 1;
}

/* Gives the entry the cursor is at the form of the target. Returns how many messages it holds. */
static size_t entry_change(struct forms *forms, uint64_t seq)
{
    struct mover *mover = forms->mover;
    struct span value = forms->cursor.value;
    struct span record;
    bool up = mover->target->has_runs;
    bool is_run = run_is(value) && layout_open(forms->place->layout, forms->cursor.key, &value) == 0;
    if (!is_run) {
        const char *damage = up ? NULL : record_look(forms, seq, &record);
        if (damage) {
            quarantine_copy(forms, damage);
        }
        return up ? record_pack(forms, seq) : 1;
    }
    if (up) {
        flush(forms, seq);
    }
    size_t count = up ? pack_look(mover, forms->place, &forms->cursor)
                      : pack_take_apart(mover, forms->place, &forms->cursor, key_span(&forms->prefix));
    if (count == 0 && !mover_failed(mover)) {
        quarantine_copy(forms, "it is no sound run");
        count = 1;
    }
    return count;
}

static bool forms_seek(struct forms *forms)
{
    struct key key = forms->place->layout->message_key(forms->place, forms->seq + 1);
    return cursor_seek(&forms->cursor, key_span(&key)) && span_starts_with(forms->cursor.key, key_span(&forms->prefix));
}

/* Goes on above entry.split_seq. True: the conversation is done. */
static bool conversation_change(struct mover *mover, const struct place *place)
{
    struct forms forms = {.mover = mover, .place = place, .seq = mover->entry.split_seq};
    forms.prefix = place->layout->conversation_prefix(place, KIND_MESSAGE);
    forms.cursor = cursor_open(&mover->work->txn, place->layout->tables[KIND_MESSAGE]);
    if (mover->target->has_runs) {
        pack_begin(mover, place, key_span(&forms.prefix));
    }
    bool more = forms_seek(&forms);
    while (more && !mover_failed(mover) && mover_has_budget(mover) && !forms.ends) {
        uint64_t seq;
        if (place->layout->parse_message(forms.cursor.key, key_span(&forms.prefix), &seq)) {
            more = cursor_next(&forms.cursor) && span_starts_with(forms.cursor.key, key_span(&forms.prefix));
            continue; /* it belongs to nothing, and stays what it is */
        }
        mover->bytes += forms.cursor.key.size + forms.cursor.value.size;
        size_t messages = entry_change(&forms, seq);
        mover->moved += messages;
        mover->entry.messages_moved += messages;
        forms.seq = seq;
        more = forms_seek(&forms);
    }
    cursor_close(&forms.cursor);
    if (mover->target->has_runs) {
        pack_flush(mover);
    }
    mover->entry.split_seq = forms.seq;
    return !more && !mover_failed(mover);
}

bool place_change_forms(struct mover *mover)
{
    struct migration_entry *entry = &mover->entry;
    struct txn *txn = &mover->work->txn;
    struct place place = {.layout = mover->target->has_runs ? mover->target : mover->source,
                          .user_number = entry->split_user_number,
                          .conversation_number = entry->split_conversation_number};
    while (!mover_failed(mover) && mover_has_budget(mover)) {
        if (place.conversation_number > 0) {
            struct span head;
            struct key key = place.layout->head_key(&place);
            if (!conversation_change(mover, &place)) {
                return false;
            }
            entry->conversations_moved += txn_get(txn, place.layout->tables[KIND_HEAD], key_span(&key), &head);
            mover->moved++;
        }
        if (!place.layout->next_content(txn, &place)) {
            return !mover_failed(mover);
        }
        entry->split_user_number = place.user_number;
        entry->split_conversation_number = place.conversation_number;
        entry->split_seq = 0;
    }
    return false;
}
