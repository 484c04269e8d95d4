/* What survey.c is made of: a survey under way, and its look at the journal. Nobody else uses it. */
#ifndef STORE_LMDB_SURVEY_JOURNAL_H
#define STORE_LMDB_SURVEY_JOURNAL_H

#include "store/lmdb/env.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/survey.h"

struct survey {
    struct env *env;
    const struct survey_pace *pace;
    bool given_up;
    struct txn txn;
    struct layouts layouts;
    const struct conversation_place *place; /* of the conversation that is looked at */
    struct store_survey *found;
    uint64_t records[2]; /* entries seen, names included: of layouts_list */
    struct buffer answer;
    uint64_t first_commit;
    int64_t renew_us;
    struct pending *index; /* of the journal as the snapshot has it; NULL: no layout in use has one */
    uint64_t index_commit;
    uint64_t waiting; /* entries of the journal that wait for a conversation that was met */
};

/* What the messages of a conversation come to. */
struct messages_sum {
    uint64_t count;
    uint64_t content_bytes;
    uint64_t last_seq;
    uint64_t ids;        /* messages at home that have a message_id */
    uint64_t id_entries; /* that find one */
    bool damaged;        /* one cannot be read */
    bool waits;          /* those that follow are in the journal, which finds them by itself */
};

/* Takes a new snapshot when it is time. False: give up. */
bool survey_renew(struct survey *survey);

void survey_find(struct survey *survey, const char *format, ...) __attribute__((format(printf, 2, 3)));
void survey_find_mismatch(struct survey *survey, const struct place *place, const char *what);

/* Counts an entry of a layout in use. */
void survey_count(struct survey *survey, const struct layout *layout, size_t key_size, size_t value_size);

/* Looks at one message; NULL: its value cannot be read. */
void survey_message(struct survey *survey, const struct place *place, uint64_t seq, const struct span *record,
                    struct messages_sum *sum);

/* Makes the index anew when the snapshot is another than before. Memory: that of pending.h. */
void survey_index(struct survey *survey);

/* Looks at what of a conversation waits in the journal, and adds it to *sum, which is what there is at home. */
void survey_waiting(struct survey *survey, const struct place *place, struct messages_sum *sum);

/* Looks at every entry of the journal. */
void survey_journal(struct survey *survey);

#endif
