/* LZ4 blocks made shorter without compressing again: packing tightly finds out how much fits a run only by packing more
 * than that, and costs ten times what a walk through the block does. */
#ifndef STORE_LMDB_RUN_BLOCK_H
#define STORE_LMDB_RUN_BLOCK_H

#include "base/span.h"

/* Shortens a sound block in place, so that it holds just these raw bytes, with which those it was made of begin.
 * Returns its size; 0, when it would take more than `size`, or is no such block: then its bytes are worth nothing. */
size_t run_block_cut(uint8_t *block, size_t size, struct span raw);

#endif
