/* The layout marker: which key layout the data has, and which daemon may open it. Pure: bytes in, bytes out; where
 * it is kept (_meta/layout) is env.c's matter.
 *
 * 128 bytes, little-endian:
 *     0  magic "chatlogM"
 *     8  u16 marker_format    10  u16 layout       12  u16 target (of the migration under way; at rest = layout)
 *    14  u16 min_reader       16  u16 min_writer   18  u16 state
 *    20  u32 zero             24  u64 create_time_us
 *    32  16 bytes of identity 48  zero
 *   120  u64 XXH3-64 of the bytes before it
 * Magic, format, layout and min_reader stay where they are in every later format, and the sum stays last, so that
 * every daemon can say why it refuses. */
#ifndef STORE_LMDB_MARKER_H
#define STORE_LMDB_MARKER_H

#include "base/span.h"

enum {
    MARKER_BYTES = 128,
    MARKER_FORMAT = 1,
    MARKER_LAYOUT_OLDEST = 1,
    MARKER_LAYOUT = 3, /* the layout this daemon leads data to, and the newest it reads and writes */
    MARKER_IDENTITY_BYTES = 16,
};

enum marker_state { MARKER_AT_REST = 0, MARKER_MIGRATING = 1 };

/* Under this key it is in the table _meta. */
#define MARKER_KEY "layout"

struct marker {
    uint16_t format;
    uint16_t layout;
    uint16_t target;
    uint16_t min_reader;
    uint16_t min_writer;
    uint16_t state;
    int64_t create_time_us;
    uint8_t identity[MARKER_IDENTITY_BYTES]; /* random: tells one data directory from another */
};

void marker_encode(const struct marker *marker, uint8_t bytes[MARKER_BYTES]);

/* Returns 0, or -1 when the bytes are no marker or are damaged. A newer format decodes as far as this one goes. */
int marker_decode(struct span bytes, struct marker *ret);

#endif
