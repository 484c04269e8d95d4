/* Layout 3: the keys and values of layout 2, in its tables, so that data of layout 2 is data of layout 3 as it stands.
 * What it has more:
 *
 *   - Messages may stand in runs (run.h): compressed, many to a value, under the key of the last of them.
 *   - An append may stand in the journal (journal.h) until it is folded into the conversation's runs. */
#include "store/lmdb/layouts/layout_2.h"

static const enum table own_tables[] = {TABLE_2_USERS, TABLE_2_DATA, TABLE_3_JOURNAL};

const struct layout layout_3 = {
    LAYOUT_2_KEYS,
    .number = 3,
    .own_tables = own_tables,
    .own_table_count = sizeof(own_tables) / sizeof(own_tables[0]),
    .has_runs = true,
};
