#include "store/lmdb/digest.h"

/* For XXH3_state_t on the stack: nothing to allocate, nothing to fail. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

void digest_add(uint64_t *high, uint64_t *low, struct span key, struct span value)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, key.data, key.size);
    XXH3_128bits_update(&state, value.data, value.size);
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    *low += hash.low64;
    *high += hash.high64 + (*low < hash.low64);
}
