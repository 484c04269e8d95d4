/* What every fuzz target is: a function of some bytes that must come back, whatever they are. clang's libFuzzer calls
 * it with bytes it makes up; replay.c calls it with those of the corpus, in every build. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/span.h"

#include <stdlib.h>

/* libFuzzer's interface: returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, so that the fuzzer keeps the input, unless it holds. */
#define fuzz_require(condition) ((condition) ? (void)0 : abort())

/* Whether all of inner lies in outer. */
static inline bool fuzz_lies_in(struct span inner, struct span outer)
{
    return inner.size == 0 || (inner.data >= outer.data && inner.size <= outer.size &&
                               (size_t)(inner.data - outer.data) <= outer.size - inner.size);
}

#endif
