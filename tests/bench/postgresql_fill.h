/* Creates PostgreSQL's tables and fills them with COPY. */
#ifndef BENCH_POSTGRESQL_FILL_H
#define BENCH_POSTGRESQL_FILL_H

#include "bench/dataset.h"

/* Returns when the tables are indexed, vacuumed, analysed and on disk. Ends the program on failure. */
void postgresql_fill(const char *conninfo, const struct dataset *dataset);

/* Of the tables and their indexes; the write-ahead log does not count. */
double postgresql_table_bytes(const char *conninfo);

#endif
