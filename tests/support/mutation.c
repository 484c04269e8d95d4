#include "support/mutation.h"

#include "support/rawsp.h"

#include <stdlib.h>
#include <string.h>

#define HISTORY "chatlog.v1.HistoryService/"
#define ADMIN   "chatlog.v1.AdminService/"
#define USER                                                                                                           \
    "\x0a\x03"                                                                                                         \
    "ann"
#define OWNER                                                                                                          \
    USER "\x12\x02"                                                                                                    \
         "c1"
#define LABEL                                                                                                          \
    "\x0a\x01"                                                                                                         \
    "k"                                                                                                                \
    "\x12\x01"                                                                                                         \
    "v"
#define HELLO                                                                                                          \
    "\x32\x03"                                                                                                         \
    "m-1"                                                                                                              \
    "\x3a\x04"                                                                                                         \
    "user"                                                                                                             \
    "\x42\x0a"                                                                                                         \
    "text/plain"                                                                                                       \
    "\x50\x03"                                                                                                         \
    "\x62\x06" LABEL "\x6a\x05"                                                                                        \
    "hello"

struct recorded {
    const char *method;
    const char *payload;
    size_t size;
};

#define RECORDED(method, payload)                                                                                      \
    {                                                                                                                  \
        method, payload, sizeof(payload) - 1                                                                           \
    }

static const struct recorded recorded[] = {
    RECORDED(HISTORY "CreateConversation", USER "\x12\x13\x0a\x02"
                                                "c2"
                                                "\x12\x05"
                                                "Title"
                                                "\x1a\x06" LABEL),
    RECORDED(HISTORY "GetConversation", OWNER),
    RECORDED(HISTORY "UpdateConversation", USER "\x12\x09\x0a\x02"
                                                "c1"
                                                "\x12\x03"
                                                "New"
                                                "\x1a\x05"
                                                "title"),
    RECORDED(HISTORY "DeleteConversation", OWNER),
    RECORDED(HISTORY "DeleteConversation", OWNER "\x20\x01"),
    RECORDED(HISTORY "UndeleteConversation", OWNER),
    RECORDED(HISTORY "ListConversations", USER "\x10\x02\x20\x03\x28\x01"),
    RECORDED(HISTORY "AppendMessages", OWNER "\x1a\x28" HELLO "\x20\x01"),
    RECORDED(HISTORY "AppendMessages", OWNER "\x1a\x0b\x3a\x04"
                                             "user"
                                             "\x6a\x03"
                                             "one"
                                             "\x1a\x0b\x3a\x04"
                                             "user"
                                             "\x6a\x03"
                                             "two"
                                             "\x20\x01\x30\x02"),
    RECORDED(HISTORY "ListMessages", OWNER "\x18\x02\x30\x01"),
    RECORDED(HISTORY "ListMessages", OWNER "\x20\x01\x38\x0a\x40\x01"),
    RECORDED(HISTORY "GetMessage", OWNER "\x18\x01"),
    RECORDED(HISTORY "GetMessage", OWNER "\x22\x03"
                                         "m-1"),
    RECORDED(HISTORY "UpdateMessage", OWNER "\x1a\x07\x08\x01\x6a\x03"
                                            "new"
                                            "\x22\x07"
                                            "content"),
    RECORDED(HISTORY "DeleteMessage", OWNER "\x18\x01"),
    RECORDED(HISTORY "PopMessages", OWNER "\x18\x01\x20\x02"),
    RECORDED(HISTORY "ForgetUser", USER),
    RECORDED(ADMIN "GetServerInfo", ""),
    RECORDED(ADMIN "GetStats", ""),
    RECORDED(ADMIN "GetMigration", ""),
    RECORDED(ADMIN "ListUsers", "\x08\x01"),
    RECORDED(ADMIN "ListAuditEvents", USER "\x20\x01"),
    RECORDED(ADMIN "GetDescriptorSet", ""),
    RECORDED(ADMIN "Backup", "\x0a\x07"
                             "nightly"),
    RECORDED(ADMIN "Verify", ""),
    RECORDED("grpc.health.v1.Health/Check", ""),
};

enum { RECORDED_COUNT = sizeof(recorded) / sizeof(recorded[0]), CHANGES_MAX = 4, PART_MAX = 4096 };

uint64_t mutation_draw(uint64_t *random, uint64_t below)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*random >> 32) % below;
}

/* Puts bytes in at a place, as far as there is room for them. */
static void bytes_insert(uint8_t *bytes, size_t *size, size_t at, const uint8_t *more, size_t count)
{
    uint8_t copy[PART_MAX];
    if (count > PART_MAX || *size + count > MUTATION_BYTES) {
        return;
    }
    memcpy(copy, more, count); /* may be a part of them */
    memmove(bytes + at + count, bytes + at, *size - at);
    memcpy(bytes + at, copy, count);
    *size += count;
}

static void bytes_remove(uint8_t *bytes, size_t *size, size_t at, size_t count)
{
    memmove(bytes + at, bytes + at + count, *size - at - count);
    *size -= count;
}

/* Numbers that code likes to trip over, as varints and lengths. */
static void odd_insert(uint64_t *random, uint8_t *bytes, size_t *size, size_t at)
{
    static const char *const odd[] = {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                      "\xff\xff\xff\xff\x0f",
                                      "\x80\x80\x80\x80\x08",
                                      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                      "\x80\x80\x80\x80\x10",
                                      "\x0a\x80\x80\x40",
                                      "\x0b",
                                      "\xc3\x28",
                                      "\xed\xa0\x80",
                                      "\x12"};
    const char *chosen = odd[mutation_draw(random, sizeof(odd) / sizeof(odd[0]))];
    bytes_insert(bytes, size, at, (const uint8_t *)chosen, strlen(chosen));
}

static void bytes_change(uint64_t *random, uint8_t *bytes, size_t *size)
{
    enum { FLIP, SET, REMOVE, CUT, TWICE, MANY, ODD, MIX, KINDS };
    const struct recorded *other = &recorded[mutation_draw(random, RECORDED_COUNT)];
    size_t at = mutation_draw(random, *size + 1);
    size_t left = *size - at;
    size_t count = left > 0 ? 1 + mutation_draw(random, left) : 0;
    switch (mutation_draw(random, KINDS)) {
    case FLIP:
        if (left > 0) {
            bytes[at] ^= (uint8_t)(1u << mutation_draw(random, 8));
        }
        break;
    case SET:
        if (left > 0) {
            bytes[at] = (uint8_t)mutation_draw(random, 256);
        }
        break;
    case REMOVE:
        bytes_remove(bytes, size, at, count < 4 ? count : 4);
        break;
    case CUT:
        *size = at;
        break;
    case TWICE:
        bytes_insert(bytes, size, at, bytes + at, count);
        break;
    case MANY:
        for (uint64_t i = mutation_draw(random, 64); i > 0 && count > 0; i--) {
            bytes_insert(bytes, size, at, bytes + at, count < 64 ? count : 64);
        }
        break;
    case ODD:
        odd_insert(random, bytes, size, at);
        break;
    default:
        bytes_insert(bytes, size, at, (const uint8_t *)other->payload, other->size);
        break;
    }
}

static void bytes_mutate(uint64_t *random, uint8_t *bytes, size_t *size)
{
    for (uint64_t changes = 1 + mutation_draw(random, CHANGES_MAX); changes > 0; changes--) {
        bytes_change(random, bytes, size);
    }
}

/* Frame and request id before the body; most changes are among the first bytes, which a body would drown. */
static size_t frame_mutate(uint64_t *random, uint8_t *bytes, size_t size)
{
    uint8_t head[RAWSP_FRAME_BYTES + RAWSP_ID_BYTES] = {1};
    uint64_t length = size + RAWSP_ID_BYTES;
    for (size_t i = RAWSP_FRAME_BYTES; i-- > 1; length >>= 8) {
        head[i] = (uint8_t)length;
    }
    head[RAWSP_FRAME_BYTES] = 0x80;
    bytes_insert(bytes, &size, 0, head, sizeof(head));
    if (mutation_draw(random, 4) == 0) {
        bytes_mutate(random, bytes, &size);
    } else {
        bytes[mutation_draw(random, sizeof(head))] = (uint8_t)mutation_draw(random, 256);
    }
    return size;
}

size_t mutation_next(uint64_t *random, enum mutation_level level, uint8_t ret[MUTATION_BYTES])
{
    static uint8_t const none;
    const struct recorded *chosen = &recorded[mutation_draw(random, RECORDED_COUNT)];
    uint8_t payload[MUTATION_BYTES];
    size_t payload_size = chosen->size;
    size_t size;
    memcpy(payload, chosen->payload, chosen->size);
    if (level == MUTATION_PAYLOAD) {
        bytes_mutate(random, payload, &payload_size);
    }
    const char *request_id = mutation_draw(random, 4) == 0 ? "r" : NULL;
    uint8_t *envelope = rawsp_envelope(chosen->method, payload_size ? payload : &none, payload_size, request_id, &size);
    size = size < MUTATION_BYTES ? size : MUTATION_BYTES;
    memcpy(ret, envelope, size);
    free(envelope);
    if (level == MUTATION_ENVELOPE) {
        bytes_mutate(random, ret, &size);
    }
    return level == MUTATION_FRAME ? frame_mutate(random, ret, size) : size;
}
