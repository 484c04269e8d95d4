/* Requests to chatlogd as bytes, and what must be in the answers. */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include "bench/workload.h"

#include <stdbool.h>

enum { REQUEST_BYTES_MAX = WORKLOAD_LOAD_MESSAGES * (DATASET_MESSAGE_BYTES + 32) + 256, REQUEST_ID_BYTES = 17 };

struct request {
    const char *method;
    char request_id[REQUEST_ID_BYTES]; /* of an append; "": none */
    size_t size;
    uint8_t payload[REQUEST_BYTES_MAX];
};

void request_encode(const struct dataset *dataset, const struct operation *operation, struct request *ret);

/* Whether the encoded answer holds so many items (messages of a read, conversations of a list; both are its first
 * field). */
bool request_answered(const void *payload, size_t size, unsigned items);

#endif
