#include "store/lmdb/packed_runs.h"

#include "base/wire.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { LOOK_LEAST = PACKED_CONVERSATIONS / 4 }; /* to look for few at a time costs more for each */

/* ---- What was packed of one conversation ------------------------------------------------------------------------- */

/* The size of the messages behind the tail, each with its field's head. */
static size_t input_size(const struct packed_input *input)
{
    size_t size = input->tail.size;
    for (size_t i = 0; i < input->count && size <= PACKED_RAW_MAX; i++) {
        size += wire_element_size(RUN_FIELD, input->messages[i].record.size);
    }
    return size;
}

static bool input_copy(const struct packed_input *input, struct packed *ret)
{
    buffer_clear(&ret->input);
    buffer_append(&ret->input, input->tail.data, input->tail.size);
    for (size_t i = 0; i < input->count; i++) {
        wire_put_element(&ret->input, RUN_FIELD, input->messages[i].record);
    }
    ret->tail_size = input->tail.size;
    return !ret->input.failed;
}

/* Packs them into ret->values, and notes in each run how long it is. */
static bool runs_make(struct packed *ret, const struct run_message *all, size_t count, struct buffer *memory)
{
    struct buffer value = {0};
    size_t done = 0;
    buffer_clear(&ret->values);
    for (size_t taken = 1; done < count && taken > 0 && ret->count < PACKED_RUNS_MAX; done += taken) {
        taken = run_pack(all + done, count - done, memory, &value);
        if (taken > 0) {
            buffer_append(&ret->values, value.data, value.size);
            ret->runs[ret->count++] =
                (struct packed_run){.last_seq = all[done + taken - 1].seq, .value = {.size = value.size}};
        }
    }
    buffer_free(&value);
    return done == count && !ret->values.failed;
}

void packed_make(struct packed *ret, const struct packed_input *input, const struct run_message *all, size_t all_count,
                 struct buffer *memory)
{
    ret->count = 0;
    if (all_count == 0 || input_size(input) > PACKED_RAW_MAX || !input_copy(input, ret) ||
        !runs_make(ret, all, all_count, memory)) {
        ret->count = 0;
        return;
    }
    const uint8_t *value = ret->values.data;
    for (size_t i = 0; i < ret->count; i++) {
        ret->runs[i].value.data = value;
        value += ret->runs[i].value.size;
    }
}

void packed_free(struct packed *packed)
{
    buffer_free(&packed->input);
    buffer_free(&packed->values);
    packed->count = 0;
}

static bool take_equal(struct span *rest, struct span expected)
{
    if (rest->size < expected.size || !span_equal(span_of(rest->data, expected.size), expected)) {
        return false;
    }
    *rest = span_of(rest->data + expected.size, rest->size - expected.size);
    return true;
}

static bool packed_is_of(const struct packed *packed, const struct packed_input *input)
{
    struct span rest = buffer_span(&packed->input);
    bool equal = packed->tail_size == input->tail.size && take_equal(&rest, input->tail);
    for (size_t i = 0; equal && i < input->count; i++) {
        uint8_t head[WIRE_HEADER_MAX];
        struct span record = input->messages[i].record;
        equal =
            take_equal(&rest, span_of(head, wire_header(RUN_FIELD, record.size, head))) && take_equal(&rest, record);
    }
    return equal && rest.size == 0;
}

/* ---- Those that come next ---------------------------------------------------------------------------------------- */

struct slot {
    struct pending_place place;
    bool settled; /* it was packed, or cannot be */
    struct packed packed;
};

/* A ring in the order of the sweep. The writer alone adds and removes; the thread settles what is there. */
struct packed_runs {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct slot slots[PACKED_CONVERSATIONS];
    size_t first;
    size_t count;
    size_t reached; /* of these, those that the writer has come to */
    bool ended;
};

struct packed_runs *packed_runs_new(void)
{
    struct packed_runs *runs = calloc(1, sizeof(*runs));
    if (runs) {
        pthread_mutex_init(&runs->mutex, NULL);
        pthread_cond_init(&runs->changed, NULL);
    }
    return runs;
}

struct packed_runs *packed_runs_free(struct packed_runs *runs)
{
    if (runs) {
        for (size_t i = 0; i < PACKED_CONVERSATIONS; i++) {
            packed_free(&runs->slots[i].packed);
        }
        pthread_cond_destroy(&runs->changed);
        pthread_mutex_destroy(&runs->mutex);
        free(runs);
    }
    return NULL;
}

static struct slot *slot_at(struct packed_runs *runs, size_t index)
{
    return &runs->slots[(runs->first + index) % PACKED_CONVERSATIONS];
}

static bool place_equal(struct pending_place a, struct pending_place b)
{
    return a.user_number == b.user_number && a.conversation_number == b.conversation_number;
}

/* Drops what the sweep has passed; and all, when something else comes next than what was looked for. */
static void passed_drop(struct packed_runs *runs, const struct pending *pending)
{
    struct pending_place next;
    while (runs->count > 0 && !pending_is_ahead(pending, slot_at(runs, 0)->place)) {
        runs->first = (runs->first + 1) % PACKED_CONVERSATIONS;
        runs->count--;
        runs->reached -= runs->reached > 0;
    }
    if (runs->count > 0 &&
        (pending_look_ahead(pending, NULL, 1, &next) == 0 || !place_equal(next, slot_at(runs, 0)->place))) {
        runs->count = runs->reached = 0;
    }
}

void packed_runs_look(struct packed_runs *runs, const struct pending *pending)
{
    struct pending_place places[PACKED_CONVERSATIONS];
    if (!runs) {
        return;
    }
    pthread_mutex_lock(&runs->mutex);
    passed_drop(runs, pending);
    size_t wanted = PACKED_CONVERSATIONS - runs->count;
    if (wanted >= LOOK_LEAST) {
        const struct pending_place *behind = runs->count > 0 ? &slot_at(runs, runs->count - 1)->place : NULL;
        size_t found = pending_look_ahead(pending, behind, wanted, places);
        for (size_t i = 0; i < found; i++) {
            struct slot *slot = slot_at(runs, runs->count++);
            slot->place = places[i];
            slot->settled = false;
            slot->packed.count = 0;
        }
        pthread_cond_broadcast(&runs->changed);
    }
    pthread_mutex_unlock(&runs->mutex);
}

const struct packed *packed_runs_find(struct packed_runs *runs, uint64_t conversation_number,
                                      const struct packed_input *input)
{
    const struct packed *found = NULL;
    if (!runs) {
        return NULL;
    }
    pthread_mutex_lock(&runs->mutex);
    for (size_t i = 0; i < runs->count && !found; i++) {
        const struct slot *slot = slot_at(runs, i);
        if (slot->place.conversation_number == conversation_number) {
            found = &slot->packed;
            runs->reached = i + 1;
        }
    }
    bool packed = found && found->count > 0; /* and so nobody else changes it any more */
    pthread_mutex_unlock(&runs->mutex);
    return packed && packed_is_of(found, input) ? found : NULL;
}

/* The first that is not settled, but for the one that the writer is about to come to. */
static struct slot *slot_next(struct packed_runs *runs)
{
    for (size_t i = runs->reached > 0 ? runs->reached + 1 : 0; i < runs->count; i++) {
        if (!slot_at(runs, i)->settled) {
            return slot_at(runs, i);
        }
    }
    return NULL;
}

bool packed_runs_await(struct packed_runs *runs, struct pending_place *ret)
{
    pthread_mutex_lock(&runs->mutex);
    struct slot *slot = slot_next(runs);
    while (!slot && !runs->ended) {
        pthread_cond_wait(&runs->changed, &runs->mutex);
        slot = slot_next(runs);
    }
    bool ended = runs->ended;
    if (!ended) {
        *ret = slot->place;
    }
    pthread_mutex_unlock(&runs->mutex);
    return !ended;
}

void packed_runs_put(struct packed_runs *runs, struct pending_place place, struct packed *packed)
{
    pthread_mutex_lock(&runs->mutex);
    for (size_t i = 0; i < runs->count; i++) {
        struct slot *slot = slot_at(runs, i);
        if (!slot->settled && place_equal(slot->place, place)) {
            struct packed spare = slot->packed;
            slot->packed = *packed;
            slot->settled = true;
            *packed = spare;
            break;
        }
    }
    pthread_cond_broadcast(&runs->changed);
    pthread_mutex_unlock(&runs->mutex);
}

void packed_runs_end(struct packed_runs *runs)
{
    pthread_mutex_lock(&runs->mutex);
    runs->ended = true;
    pthread_cond_broadcast(&runs->changed);
    pthread_mutex_unlock(&runs->mutex);
}

void packed_runs_settle(struct packed_runs *runs)
{
    pthread_mutex_lock(&runs->mutex);
    while (slot_next(runs)) {
        pthread_cond_wait(&runs->changed, &runs->mutex);
    }
    pthread_mutex_unlock(&runs->mutex);
}
