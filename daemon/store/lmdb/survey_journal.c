#include "store/lmdb/survey_journal.h"

#include "store/lmdb/recovery.h"

#include <inttypes.h>

void survey_index(struct survey *survey)
{
    uint64_t commit = txn_id(&survey->txn);
    if (!survey->index || survey->index_commit != commit) {
        survey->index = survey->index ? pending_free(survey->index) : NULL;
        if (layouts_with_journal(&survey->layouts)) {
            survey->index = recovery_run(&survey->txn);
            if (!survey->index) {
                txn_fail_memory(&survey->txn);
            }
        }
        survey->index_commit = commit;
    }
    survey->txn.pending = survey->index;
}

/* Adds an entry's messages, and compares what it says with what there is then. */
static void entry_look(struct survey *survey, const struct place *place, struct journal_entry *entry,
                       struct messages_sum *sum)
{
    struct message_record record;
    struct span bytes;
    while (journal_next_message(entry, &record, &bytes)) {
        survey_message(survey, place, record.seq, &bytes, sum);
    }
    if (entry->messages.size > 0) {
        survey_find_mismatch(survey, place, "an entry of the journal ends in something else than messages");
    }
    if (entry->last_seq < sum->last_seq) {
        survey_find_mismatch(survey, place, "an entry of the journal has messages above its last_seq");
    }
    if (entry->message_count != sum->count || entry->content_bytes != sum->content_bytes) {
        survey_find_mismatch(survey, place, "the journal counts other messages or bytes than there are");
    }
    sum->last_seq = entry->last_seq;
}

void survey_waiting(struct survey *survey, const struct place *place, struct messages_sum *sum)
{
    struct pending_chain chain;
    bool damaged = false; /* counts cannot be compared any more */
    if (!survey->index || !place->layout->has_runs) {
        return;
    }
    pending_chain(survey->index, place->conversation_number, false, &chain);
    survey->waiting += chain.count;
    for (size_t i = chain.count; i > 0; i--) {
        struct journal_entry entry;
        enum get_result found = journal_get(&survey->txn, chain.ids[i - 1], &entry);
        damaged = damaged || found != GET_FOUND;
        if (entry.last_seq <= sum->last_seq || entry.user_number != place->user_number) {
            survey_find_mismatch(survey, place, "the journal still has what is at home");
        } else if (damaged) {
            sum->count++; /* as it is told to readers */
            sum->last_seq = entry.last_seq;
        } else {
            entry_look(survey, place, &entry, sum);
        }
    }
}

struct journal_look {
    struct survey *survey;
    const struct layout *layout;
    uint64_t last_id;
    uint64_t waiting;
};

static bool index_has(struct survey *survey, const struct journal_entry *entry)
{
    struct pending_chain chain;
    pending_chain(survey->index, entry->conversation_number, false, &chain);
    for (size_t i = 0; i < chain.count; i++) {
        if (chain.ids[i] == entry->id) {
            return true;
        }
    }
    return false;
}

static bool entry_visit(void *arg, const struct journal_entry *entry, bool damaged)
{
    struct journal_look *look = arg;
    struct survey *survey = look->survey;
    survey_count(survey, look->layout, JOURNAL_KEY_BYTES, entry->value_size);
    if (damaged) {
        survey->found->unreadable++;
        survey_find(survey, "entry %" PRIu64 " of the journal is damaged", entry->id);
    }
    if (entry->id == look->last_id) {
        survey->found->mismatches++;
        survey_find(survey, "the journal has two entries %" PRIu64, entry->id);
    }
    look->last_id = entry->id;
    look->waiting += entry->last_seq > 0 && index_has(survey, entry);
    return true;
}

void survey_journal(struct survey *survey)
{
    struct journal_look look = {.survey = survey, .layout = layouts_with_journal(&survey->layouts)};
    if (!look.layout || !journal_scan(&survey->txn, 0, entry_visit, &look)) {
        return;
    }
    bool alone = txn_id(&survey->txn) == survey->first_commit && txn_count(&survey->txn, TABLE_PURGES) == 0;
    if (alone && look.waiting != survey->waiting) {
        survey->found->strays += look.waiting - survey->waiting;
        survey_find(survey, "%" PRIu64 " entries of the journal belong to no conversation",
                    look.waiting - survey->waiting);
    }
}
