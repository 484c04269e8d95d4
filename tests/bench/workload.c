#include "bench/workload.h"

static void next_append(const struct dataset *dataset, uint64_t random, unsigned messages, struct operation *ret)
{
    *ret = (struct operation){.kind = OPERATION_APPEND,
                              .conversation = dataset->first_conversation + random % dataset->conversations,
                              .messages = messages,
                              .text = random >> 20};
}

static void append_one(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret)
{
    (void)lane;
    next_append(dataset, random, 1, ret);
}

static void append_turn(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret)
{
    (void)lane;
    next_append(dataset, random, WORKLOAD_TURN_MESSAGES, ret);
}

static void read_newest(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret)
{
    (void)lane;
    *ret = (struct operation){.kind = OPERATION_READ_NEWEST,
                              .conversation = dataset->first_conversation + random % dataset->conversations};
}

static void append_and_read(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret)
{
    (random >> 32) % 5 == 0 ? append_one(dataset, lane, random, ret) : read_newest(dataset, lane, random, ret);
}

static void list_conversations(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret)
{
    read_newest(dataset, lane, random, ret);
    ret->kind = OPERATION_LIST_CONVERSATIONS;
}

static void read_beside_writers(const struct dataset *dataset, unsigned lane, uint64_t random, struct operation *ret)
{
    lane < WORKLOAD_WRITERS ? append_one(dataset, lane, random, ret) : read_newest(dataset, lane, random, ret);
}

const struct workload workloads[] = {
    {"W1", "append one message of 300 B to a random conversation", {1, 16, 64, 256}, append_one},
    {"W2", "append a turn of four messages", {64}, append_turn},
    {"W3", "read the newest 50 messages", {1, 64, 256}, read_newest},
    {"W4", "one append to four reads", {64}, append_and_read},
    {"W5", "list 50 conversations of a user", {64}, list_conversations},
    {0},
};

const struct workload workload_beside = {
    "W3+64", "read the newest 50 messages while 64 writers append", {0}, read_beside_writers};

static uint64_t loads_each(const struct dataset *dataset)
{
    return (dataset->messages + WORKLOAD_LOAD_MESSAGES - 1) / WORKLOAD_LOAD_MESSAGES;
}

uint64_t workload_load_count(const struct dataset *dataset)
{
    return dataset->conversations * loads_each(dataset);
}

/* One conversation after the other; its texts are neighbours in the corpus. */
void workload_load(const struct dataset *dataset, uint64_t number, struct operation *ret)
{
    uint64_t conversation = dataset->first_conversation + number / loads_each(dataset);
    uint64_t begin = number % loads_each(dataset) * WORKLOAD_LOAD_MESSAGES;
    uint64_t left = dataset->messages - begin;
    *ret = (struct operation){.kind = OPERATION_APPEND,
                              .conversation = conversation,
                              .messages = left < WORKLOAD_LOAD_MESSAGES ? (unsigned)left : WORKLOAD_LOAD_MESSAGES,
                              .text = conversation * dataset->messages + begin,
                              .number = number};
}

unsigned workload_items(const struct dataset *dataset, enum operation_kind kind)
{
    if (kind == OPERATION_LIST_CONVERSATIONS) {
        return WORKLOAD_NEWEST; /* every user has DATASET_USER_CONVERSATIONS */
    }
    return dataset->messages < WORKLOAD_NEWEST ? (unsigned)dataset->messages : WORKLOAD_NEWEST;
}
