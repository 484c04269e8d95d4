/* Part of survey.c: what points elsewhere. Nobody else uses it. */
#ifndef STORE_LMDB_SURVEY_INDEX_H
#define STORE_LMDB_SURVEY_INDEX_H

#include "store/lmdb/survey_journal.h"

/* Looks for the entry that finds a message at home by its ID. */
void survey_message_id(struct survey *survey, const struct place *place, const struct message_record *message,
                       struct messages_sum *sum);

/* Looks for what the cursor is at by its key: a damaged branch page leads there from its neighbours, not from above. */
void survey_search(struct survey *survey, const struct place *place, enum kind kind, const struct cursor *cursor);

/* Looks for the deadline of a conversation. */
void survey_deadline(struct survey *survey, const struct place *place, const struct conversation_record *head);

/* Looks at every entry of the tables that belong to no layout: deadlines and the audit trail. */
void survey_shared(struct survey *survey);

/* Says which records of the layout have no head, at most a thousand conversations of them. */
void survey_name_strays(struct survey *survey, const struct layout *layout);

#endif
