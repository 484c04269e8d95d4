#include "store/lmdb/digest.h"

/* For XXH3_state_t on the stack: nothing to allocate, nothing to fail. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

enum { TOGETHER_BYTES = 1024 }; /* most records: one pass over both costs a third of two steps */

static XXH128_hash_t hash_of(struct span key, struct span value)
{
    uint8_t together[TOGETHER_BYTES];
    if (key.size + value.size <= sizeof(together) && key.size > 0 && value.size > 0) {
        memcpy(together, key.data, key.size);
        memcpy(together + key.size, value.data, value.size);
        return XXH3_128bits(together, key.size + value.size);
    }
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, key.data, key.size);
    XXH3_128bits_update(&state, value.data, value.size);
    return XXH3_128bits_digest(&state);
}

void digest_add(uint64_t *high, uint64_t *low, struct span key, struct span value)
{
    XXH128_hash_t hash = hash_of(key, value);
    *low += hash.low64;
    *high += hash.high64 + (*low < hash.low64);
}
