/* CRC-32C (Castagnoli), as iSCSI and ext4 have it: finds damage, keeps out no attacker. By the processor's instruction
 * where there is one. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/span.h"

/* The sum of what `crc` is the sum of, followed by these bytes; begin with 0. */
uint32_t crc32c_add(uint32_t crc, struct span bytes);

/* The same without the instruction. For a test. */
uint32_t crc32c_add_portably(uint32_t crc, struct span bytes);

#endif
